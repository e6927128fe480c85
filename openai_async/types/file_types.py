"""What may be passed as a file to upload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TypeAlias

FileContent: TypeAlias = bytes | IO[bytes] | os.PathLike[str]
"""The bytes themselves, a file opened in binary mode, or the path of a file."""

FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
"""A file, or a tuple to set its name, media type and more headers yourself:
`(filename, content, content_type, headers)`, of which the last two may be omitted.
"""
