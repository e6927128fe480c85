"""What kind of picture some bytes are, told from the bytes and not from a name."""

from __future__ import annotations

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
