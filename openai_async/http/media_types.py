"""The media type of an uploaded file: from its name, or from its first bytes."""

from __future__ import annotations

import re

from ..images.format import image_format, media_type_of

# For a compressed file, `mimetypes` returns the type of its content, and the compression apart.
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
# What people upload from memory, besides pictures. The API needs the right extension.
_SIGNATURES = (
    (re.compile(rb"%PDF-"), "pdf", "application/pdf"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "wav", "audio/wav"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2]"), "mp3", "audio/mpeg"),
    (re.compile(rb"OggS"), "ogg", "audio/ogg"),
    (re.compile(rb"fLaC"), "flac", "audio/flac"),
)


def type_by_name(name: str) -> str:
    """The media type for the extension; "" if it is not known."""
    import mimetypes  # reads the system's tables when it is first used

    kind, encoding = mimetypes.guess_type(name, strict=False)
    return (kind or "") if encoding is None else _COMPRESSED.get(encoding, "")


def type_by_content(head: bytes) -> tuple[str, str] | None:
    """The usual extension and the media type."""
    if (picture := image_format(head)) is not None:
        return picture, media_type_of(picture)
    found = (types for pattern, *types in _SIGNATURES if pattern.match(head))
    return next(((extension, kind) for extension, kind in found), None)
