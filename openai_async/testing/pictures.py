"""Inspects the pictures of a request: format, size, and dominant colour."""

import base64
import binascii
import colorsys
import io
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import attrs

from .messages import ImagePart
from .picture_store import PICTURES_PATH
from .pillow import load_pillow
from .responses import RefusedError, invalid

if TYPE_CHECKING:
    from PIL import Image

# Half of what Pillow warns about; a picture of this size takes 200 MB when decoded.
_MAX_PIXELS = 50_000_000
_SAMPLE = (48, 48)
_OPAQUE = 128

# The upper bound of each colour's hues, in degrees.
_HUES = (
    (15, "red"),
    (45, "orange"),
    (70, "yellow"),
    (165, "green"),
    (195, "turquoise"),
    (255, "blue"),
    (290, "purple"),
    (345, "pink"),
    (361, "red"),
)

T = TypeVar("T")
GetFile: TypeAlias = Callable[[str], tuple[bytes, str] | None]


@attrs.frozen
class Picture:
    format: str
    width: int
    height: int
    colour: str

    @property
    def description(self) -> str:
        size = f"{self.width} x {self.height} pixels"
        return f"a {self.format} picture, {size}, mostly {self.colour}"


def inspect_image(part: ImagePart, origin: str, get_file: GetFile) -> Picture:
    """Inspect the picture of a data URL, or of a file of this server. Blocks while decoding."""
    return inspect_data(data_at(part.url, part.param, origin, get_file), part.param)


def data_at(url: str, param: str, origin: str, get_file: GetFile) -> bytes:
    """The bytes of a data URL, or of a file of this server."""
    own = f"{origin}{PICTURES_PATH}"
    if url.startswith("data:"):
        return _data_of(url, param)
    if url.startswith(own):
        found = get_file(url.removeprefix(own))
        if found is None:
            msg = "This file of the local server has expired or never existed."
            raise invalid(msg, param, "invalid_image_url")
        return found[0]
    msg = (
        "The local server opens no connection to the outside: send the picture as a base64 "
        "data URL, or use a URL from this server's own answers."
    )
    raise invalid(msg, param, "invalid_image_url")


def inspect_data(data: bytes, param: str) -> Picture:
    return with_picture(
        data,
        param,
        lambda image: Picture(str(image.format), image.width, image.height, _colour(image)),
    )


def with_picture(data: bytes, param: str, read: Callable[["Image.Image"], T]) -> T:
    """What `read` makes of the picture, which must be one, and not too large."""
    load_pillow()
    try:
        image = _open(data)
        if image is None:
            reason = "it is not a PNG, JPEG, GIF or WebP file"
        elif image.width * image.height > _MAX_PIXELS:
            reason = f"{image.width} x {image.height} pixels are too many"
        else:
            return read(image)
    except Exception as error:
        # Decoders raise a dozen kinds of exceptions for corrupt data: all mean the same here.
        raise _unreadable(param, "its data is corrupt") from error
    raise _unreadable(param, reason)


def _open(data: bytes) -> "Image.Image | None":
    """The picture, opened lazily; `Image.open` would warn of big ones before we can check."""
    from PIL import GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    stream = io.BytesIO(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile(stream)
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(stream)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile(stream)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile(stream)
    return None


def _data_of(url: str, param: str) -> bytes:
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _unreadable(param, "its data URL is not base64")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unreadable(param, "its base64 data is malformed") from error


def _unreadable(param: str, reason: str) -> RefusedError:
    msg = f"The picture cannot be read: {reason}."
    return RefusedError(422, msg, param=param, code="invalid_image")


def _colour(image: "Image.Image") -> str:
    # JPEG decodes straight to a small picture; the others ignore this.
    image.draft("RGB", _SAMPLE)
    small = image.convert("RGBA").resize(_SAMPLE)
    pixels = small.tobytes()
    names: Counter[str] = Counter()
    for start in range(0, len(pixels), 4):
        red, green, blue, alpha = pixels[start : start + 4]
        if alpha >= _OPAQUE:
            names[colour_name(red, green, blue)] += 1
    return names.most_common(1)[0][0] if names else "transparent"


def colour_name(red: int, green: int, blue: int) -> str:
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if value < 0.16:
        return "black"
    if saturation < 0.14:
        return "white" if value > 0.85 else "grey"
    degrees = hue * 360
    # Brown is not a hue: it is a dark or dull orange.
    if 12 <= degrees < 48 and (value < 0.72 or saturation < 0.5):
        return "brown"
    return next(name for limit, name in _HUES if degrees < limit)
