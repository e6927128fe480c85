"""The bodies of requests with pictures: forms with files, or JSON with references to pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError
from ..images.format import image_size
from .image_files import Upload, upload_of
from .params import form_body, json_body, sent_value

if TYPE_CHECKING:
    from ..http.multipart import Multipart

_OVERLAYS = ("mask", "markup")


def check_images(params: Mapping[str, Any]) -> None:
    """Refuse an edit without a picture, or with both files and references."""
    several, overlays = several_images(params["image"]), _overlays(params)
    if not several:
        msg = "image is an empty list: pass at least one picture."
        raise InvalidArgumentError(msg)
    if len({isinstance(one, Mapping) for one in (*several, *overlays.values())}) > 1:
        msg = (
            "image and mask mix files and references: pass only files, or only dicts like "
            '{"image_url": "https://..."} and {"file_id": "file-..."}.'
        )
        raise InvalidArgumentError(msg)


def several_images(image: Any) -> list[Any]:
    """The pictures as a list; a tuple that begins with a filename is a single picture."""
    if not isinstance(image, Sequence) or isinstance(image, str | bytes | bytearray | memoryview):
        return [image]
    if isinstance(image, tuple) and image and isinstance(image[0], str | None):
        return [image]
    return [*image]


def _overlays(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in _OVERLAYS if params.get(name) is not None}


async def edit_body(params: Mapping[str, Any], stream: bool | None) -> bytes | Multipart:
    """The body of an edit.

    Raises:
        InvalidArgumentError: a picture cannot be read, or dall-e-2 does not accept it.
    """
    images = several_images(params["image"])
    if isinstance(images[0], Mapping):
        others = {name: value for name, value in params.items() if name != "image"}
        return json_body({"images": images, **others}, params.get("extra_body"), stream)
    # Numbered as in the API's error messages.
    names = ["image"] if len(images) == 1 else [f"image[{n}]" for n in range(len(images))]
    uploads = [await upload_of(name, image) for name, image in zip(names, images, strict=True)]
    overlays = {name: await upload_of(name, file) for name, file in _overlays(params).items()}
    if sent_value(params, "model") == "dall-e-2":
        _check_dall_e_2(uploads, overlays.get("mask"))
    files = [upload.file for upload in uploads]
    # One picture is sent as `image`, which all servers accept, and several as `image[]`.
    sent = {"image": files[0] if len(files) == 1 else files}
    sent |= {name: upload.file for name, upload in overlays.items()}
    return form_body({**params, **sent}, sent.keys(), stream)


async def variation_body(params: Mapping[str, Any]) -> Multipart:
    """The body of a variation.

    Raises:
        InvalidArgumentError: the picture cannot be read, or dall-e-2 does not accept it.
    """
    upload = await upload_of("image", params["image"])
    if sent_value(params, "model") in (None, "dall-e-2"):  # the default, and OpenAI's only one
        upload.check_dall_e_2("image")
    return form_body({**params, "image": upload.file}, ("image",))


def _check_dall_e_2(images: Sequence[Upload], mask: Upload | None) -> None:
    if len(images) > 1:
        msg = f"image has {len(images)} pictures: dall-e-2 accepts only one."
        raise InvalidArgumentError(msg)
    images[0].check_dall_e_2("image")
    if mask is None:
        return
    mask.check_dall_e_2("mask", square=False)
    expected, found = image_size(images[0].head), image_size(mask.head)
    if None not in (expected, found) and expected != found:
        msg = "mask and image differ in size: dall-e-2 needs a mask of the same width and height."
        raise InvalidArgumentError(msg)
