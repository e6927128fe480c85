"""Encodes a PIL image as a JPEG or PNG file that every server reads as the same picture.

Pillow is not imported here: a program that passes such an image has already imported it.
"""

from __future__ import annotations

import io
from typing import Any, Protocol, runtime_checkable

from ..errors import InvalidArgumentError

# Pillow calls JPEG files from phones MPO if they contain a second picture.
_JPEG = ("JPEG", "MPO")
# A JPEG file loads in one of these modes. In any other, the image has been changed, say by
# `putalpha`.
_OF_JPEG = ("L", "RGB", "CMYK", "YCbCr")
# The modes that each format can store. Greys deeper than 8 bits are left out: PNG has them, but a
# server that converts them to RGB with Pillow gets white for everything above 255.
_HELD = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "LA", "P", "RGB", "RGBA")}
# For premultiplied alpha and palettes with alpha, the mode to convert to first.
_VIA = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA")
_ORIENTATION = 0x0112


@runtime_checkable
class PILImage(Protocol):
    """`PIL.Image.Image`, recognized by its attributes."""

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
    """JPEG stays JPEG, anything else becomes PNG; orientation and colour profile are kept.

    Raises:
        InvalidArgumentError: the image cannot be read or written, or its values make no sense as
            colours.
    """
    buffer = io.BytesIO()
    kind = "JPEG" if image.format in _JPEG and image.mode in _OF_JPEG else "PNG"
    params = {"quality": 95} if kind == "JPEG" else {}
    try:
        exif, profile = _orientation(image), image.info.get("icc_profile")
        image = _held(image, kind)
        if not _fits(profile, image.mode):
            profile = None  # explicitly: otherwise Pillow takes the one in `info`
        image.save(buffer, kind, exif=exif, icc_profile=profile, **params)
    except InvalidArgumentError:
        raise
    except Exception as error:  # any from Pillow: a truncated file, a picture without pixels
        msg = f"The PIL image of mode {image.mode} cannot be encoded: {error}."
        raise InvalidArgumentError(msg) from error
    return buffer.getvalue()


def _held(image: Any, kind: str) -> Any:
    """The image in a mode that the format can store, with the same colours."""
    if image.mode in _DEEP:
        image = _in_8_bits(image)
    if image.mode == "LAB":
        # Pillow can only convert it with colour profiles, which not every build supports.
        msg = (
            "The PIL image has mode LAB, which a PNG cannot store: convert it to RGB first, with "
            "PIL.ImageCms."
        )
        raise InvalidArgumentError(msg)
    if image.mode in _VIA:
        image = image.convert(_VIA[image.mode])
    return image if image.mode in _HELD[kind] else image.convert("RGB")


def _in_8_bits(image: Any) -> Any:
    """Greys of 16 or 32 bits, or floats, as 8-bit greys that look the same.

    Modes with 16 in their name go up to 65535. I and F have no defined range: we take the smallest
    of the usual ones that holds all values. Pillow's own conversions to them give values up to 255,
    arrays have values up to 1.0, and 16-bit PNG files used to give values up to 65535.
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
                "to the range 0 to 255 first."
            )
            raise InvalidArgumentError(msg)
        top = fitting[0]
    scale = 255.0 / top
    # 0.5 is added since the conversion rounds down.
    image = image.point(lambda value: value * scale + 0.5).convert("L")
    image.info.pop("transparency", None)  # it refers to a grey of the old range
    return image


def _fits(profile: object, mode: str) -> bool:
    """Whether a colour profile is for this mode (ICC.1:2022, 7.2.6: bytes 16 to 19)."""
    space = b"GRAY" if mode in _GREY else b"RGB "
    return isinstance(profile, bytes) and profile[16:20] == space


def _orientation(image: PILImage) -> Any:
    """EXIF data with the orientation and nothing else.

    The rest is private to the photographer, and cannot always be written back.
    """
    try:
        exif = image.getexif()
        turned = exif.get(_ORIENTATION)
    except Exception:  # any from Pillow: unreadable EXIF has no orientation
        return b""
    if turned not in range(2, 9):  # 1 is upright
        return b""
    alone = type(exif)()
    alone[_ORIENTATION] = turned
    return alone
