"""The format and size of a picture, detected from its bytes and not from a name."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Literal, TypeAlias

ImageFormat: TypeAlias = Literal[
    "png", "jpeg", "gif", "webp", "avif", "heic", "bmp", "tiff", "ico", "svg", "jxl"
]

# How many bytes of a file show its format (WHATWG MIME Sniffing, section 7: the resource header).
HEAD_SIZE = 1445

_SIGNATURES: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\0\0\1\0", "ico"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"\xff\x0a", "jxl"),  # ISO/IEC 18181-2: the bare codestream, and the container
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)

# Brands of ISO/IEC 23008-12, annex B. AVIF files often have the general brands too, so the AVIF
# brands come first.
_BRANDS: tuple[tuple[frozenset[bytes], ImageFormat], ...] = (
    (frozenset({b"avif", b"avis"}), "avif"),
    (
        frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
        "heic",
    ),
)

# What may precede the root of an SVG: white space, declarations, comments. The groups are atomic:
# otherwise a page full of comments would take forever to match.
_SVG = re.compile(rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<![^>]*>)*+<svg[\s/>]", re.DOTALL | re.IGNORECASE)


def media_type_of(kind: ImageFormat) -> str:
    """The media type of a format."""
    return {"svg": "image/svg+xml", "ico": "image/x-icon"}.get(kind, f"image/{kind}")


def image_format(data: bytes) -> ImageFormat | None:
    """The format of a picture, such as "png" or "jpeg", detected from its first bytes.

    `None` if it is not a picture, or its format is unknown.
    """
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    # Text may begin with these two letters too; in a BMP, the four bytes after the size are zero.
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return "bmp"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    return "svg" if _SVG.match(data[:HEAD_SIZE].removeprefix(b"\xef\xbb\xbf")) else None


def _by_brand(data: bytes) -> ImageFormat | None:
    size = min(int.from_bytes(data[:4]), HEAD_SIZE)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, size, 4))}
    return next((kind for names, kind in _BRANDS if names & brands), None)


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from a picture's first bytes; `None` if they do not show it."""
    size = _SIZES.get(image_format(data))
    try:
        return None if size is None else size(data)
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


_SIZES: dict[ImageFormat | None, Callable[[bytes], tuple[int, int] | None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "gif": _gif,
    "webp": _webp,
}
