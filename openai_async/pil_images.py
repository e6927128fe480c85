"""A PIL image as the bytes of a JPEG or PNG file, which any server reads as the same picture.

Pillow is not imported: whoever has such an image has it.
"""

from __future__ import annotations

import io
from typing import Any, Protocol, runtime_checkable

from .errors import InvalidArgumentError

# Pillow calls the JPEG files of phones, which hold a second picture, by the name of that format.
_JPEG = ("JPEG", "MPO")
# Others are not what was loaded: `putalpha` has changed the image since.
_OF_JPEG = ("L", "RGB", "CMYK", "YCbCr")
# What each format can hold. Deeper greys than 8 bits are not among them: PNG has them, but a server
# that converts to RGB with Pillow gets white of all above 255.
_HELD = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "LA", "P", "RGB", "RGBA")}
# Premultiplied alpha, and palettes with alpha, on the way to what PNG has.
_VIA = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA")
_ORIENTATION = 0x0112


@runtime_checkable
class PILImage(Protocol):
    """`PIL.Image.Image`, known by its shape."""

    @property
    def format(self) -> str | None: ...
    @property
    def info(self) -> Any: ...
    @property
    def mode(self) -> str: ...
    def save(self, fp: Any, format: str | None = None, **params: Any) -> None: ...
    def convert(self, mode: str, /) -> Any: ...
    def getexif(self) -> Any: ...


def encoded(image: PILImage) -> bytes:
    """JPEG stays JPEG, everything else becomes PNG; orientation and colour profile go along.

    Raises:
        InvalidArgumentError: the image cannot be read or written, or its values have no meaning as
            colours.
    """
    buffer = io.BytesIO()
    kind = "JPEG" if image.format in _JPEG and image.mode in _OF_JPEG else "PNG"
    params = {"quality": 95} if kind == "JPEG" else {}
    try:
        exif, profile = _orientation(image), image.info.get("icc_profile")
        image = _held(image, kind)
        if not _fits(profile, image.mode):
            profile = None  # said outright: else Pillow takes the one of `info`
        image.save(buffer, kind, exif=exif, icc_profile=profile, **params)
    except InvalidArgumentError:
        raise
    except Exception as error:  # Pillow's own: a file that was cut, a picture without pixels
        msg = f"The PIL image of mode {image.mode} cannot be encoded: {error}."
        raise InvalidArgumentError(msg) from error
    return buffer.getvalue()


def _held(image: Any, kind: str) -> Any:
    """The image in a mode that the format can hold, with the same colours."""
    if image.mode in _DEEP:
        image = _in_8_bits(image)
    if image.mode == "LAB":
        # Pillow converts it only by way of colour profiles, which it need not have been built with.
        msg = (
            "The PIL image has mode LAB, which a PNG cannot hold: convert it to RGB first, with "
            "PIL.ImageCms."
        )
        raise InvalidArgumentError(msg)
    if image.mode in _VIA:
        image = image.convert(_VIA[image.mode])
    return image if image.mode in _HELD[kind] else image.convert("RGB")


def _in_8_bits(image: Any) -> Any:
    """Greys of 16 or 32 bits, or floats, as those of 8 bits that look the same.

    Modes with 16 in their name go to 65535. I and F name no range: theirs is the smallest of the
    usual ones that holds all values. Pillow itself gives up to 255 when it converts to them,
    arrays come with up to 1.0, and PNG files once with up to 65535.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        image = image.convert("I")
        top = 65535.0
    else:
        low, high = image.getextrema()
        tops = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
        fitting = [top for top in tops if low >= 0 and high <= top]
        if not fitting:
            msg = (
                f"The PIL image has mode {mode} and values from {low:g} to {high:g}: scale them "
                "to 0 to 255 first."
            )
            raise InvalidArgumentError(msg)
        top = fitting[0]
    scale = 255.0 / top
    # Half a step more, since what follows cuts off.
    image = image.point(lambda value: value * scale + 0.5).convert("L")
    image.info.pop("transparency", None)  # one grey of many more than there are now
    return image


def _fits(profile: object, mode: str) -> bool:
    """Whether a colour profile is one for this mode (ICC.1:2022, 7.2.6: bytes 16 to 19)."""
    space = b"GRAY" if mode in _GREY else b"RGB "
    return isinstance(profile, bytes) and profile[16:20] == space


def _orientation(image: PILImage) -> Any:
    """EXIF that says which side is up, and nothing else.

    The rest is the photographer's business, and is not always such as can be written again.
    """
    try:
        exif = image.getexif()
        turned = exif.get(_ORIENTATION)
    except Exception:  # Pillow's own, of many kinds: what cannot be read has no orientation
        return b""
    if turned not in range(2, 9):  # 1 is upright
        return b""
    alone = type(exif)()
    alone[_ORIENTATION] = turned
    return alone
