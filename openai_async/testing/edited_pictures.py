"""The pictures to edit, checked as the API does, and joined into one to draw on."""

from typing import TYPE_CHECKING

import attrs

from .pictures import with_picture
from .pillow import load_pillow
from .responses import RefusedError, invalid

if TYPE_CHECKING:
    from PIL import Image

_PHOTOS = ("image/jpeg", "image/png", "image/webp")
_ONLY_PNG = ("image/png",)
# dall-e-2's limit, which applies to masks, too.
_MAX_PNG = 4 * 1024 * 1024


@attrs.frozen
class InputFile:
    """A picture as it was sent."""

    param: str
    data: bytes
    media_type: str


@attrs.frozen
class EditedPictures:
    base: "Image.Image"
    mask: "Image.Image | None"
    count: int


def open_pictures(
    files: list[InputFile],
    mask: InputFile | None = None,
    markup: InputFile | None = None,
    *,
    dall_e: bool,
) -> EditedPictures:
    """The pictures side by side, with the notes on the first. Blocks while decoding."""
    if dall_e and len(files) > 1:
        raise invalid("Only one image can be edited with this model.", "image", "invalid_value")
    images = [_opened(file, _ONLY_PNG if dall_e else _PHOTOS) for file in files]
    first = images[0]
    if dall_e and (first.width != first.height or len(files[0].data) >= _MAX_PNG):
        msg = "Uploaded image must be a square PNG and less than 4 MB."
        raise invalid(msg, files[0].param, "invalid_image")
    if markup is not None:
        if mask is not None:
            raise invalid("'markup' cannot be combined with 'mask'.", "markup", "invalid_value")
        first.alpha_composite(_overlay(markup, first))
    found = None if mask is None else _overlay(mask, first)
    return EditedPictures(_side_by_side(images), found, len(images))


def _opened(file: InputFile, allowed: tuple[str, ...]) -> "Image.Image":
    if file.media_type not in allowed:
        wanted = [f"'{one}'" for one in allowed]
        if len(wanted) > 1:
            wanted[-1] = f"and {wanted[-1]}"
        msg = (
            f"Invalid file '{file.param}': unsupported mimetype ('{file.media_type}'). "
            f"Supported file formats are {', '.join(wanted)}."
        )
        raise invalid(msg, file.param, "unsupported_file_mimetype")
    try:
        return with_picture(file.data, file.param, lambda image: image.convert("RGBA"))
    except RefusedError as error:
        msg = f"Invalid image file or mode for {file.param}, please check your image file."
        raise _user_error(msg, "invalid_image_file") from error


def _overlay(file: InputFile, image: "Image.Image") -> "Image.Image":
    """A mask or notes: a PNG with transparent parts, as large as the picture."""
    overlay = _opened(file, _ONLY_PNG)
    code = f"invalid_{file.param}_image_format"
    what = f"Invalid {file.param} image format - {file.param}"
    if len(file.data) >= _MAX_PNG:
        raise _user_error(f"{what} must be less than 4 MB", code)
    if overlay.size != image.size:
        raise _user_error(f"{what} size does not match image size", code)
    if overlay.getchannel("A").getextrema() == (255, 255):
        raise _user_error(f"{what} has no transparent pixels", code)
    return overlay


def _user_error(message: str, code: str) -> RefusedError:
    return RefusedError(400, message, type="image_generation_user_error", code=code)


def _side_by_side(images: list["Image.Image"]) -> "Image.Image":
    load_pillow()
    from PIL import Image

    if len(images) == 1:
        return images[0]
    width, height = images[0].size
    together = Image.new("RGBA", (width * len(images), height))
    for number, image in enumerate(images):
        together.paste(image.resize((width, height)), (width * number, 0))
    return together
