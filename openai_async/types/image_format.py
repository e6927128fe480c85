"""What kind of picture some bytes are, and of what size: told from the bytes, not from a name."""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

ImageFormat: TypeAlias = Literal["png", "jpeg", "gif", "webp"]

# The longest signature below: RIFF, a length, WEBP.
SIGNATURE_SIZE = 12


def image_format(data: bytes) -> ImageFormat | None:
    """The format by its signature (WHATWG MIME Sniffing, section 6.1); `None` if it is none."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from the first bytes of a picture; `None` if not among them."""
    try:
        return _SIZES[kind](data) if (kind := image_format(data)) is not None else None
    except (struct.error, IndexError):
        return None


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)  # IHDR, always the first chunk
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """From the frame header, SOF0 to SOF15 (ITU T.81, B.2.2); segments before it are skipped."""
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + int(struct.unpack_from(">H", data, place + 2)[0])
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """From the first chunk, by its kind (RFC 9649, sections 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return _three_bytes(data, 24) + 1, _three_bytes(data, 27) + 1
    return None


def _three_bytes(data: bytes, place: int) -> int:
    return data[place] | data[place + 1] << 8 | data[place + 2] << 16


_SIZES = {"png": _png, "jpeg": _jpeg, "gif": _gif, "webp": _webp}
