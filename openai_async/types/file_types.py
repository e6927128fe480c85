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
"""A file; with a name, a media type and more headers, if these are not to be found automatically:
`(filename, content, content_type, headers)`, of which the last two may be left out.
"""
