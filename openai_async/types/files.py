"""The Files API: https://platform.openai.com/docs/api-reference/files"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from attrs import define, field
from typing_extensions import TypedDict

from ..options import BaseRequestOptions
from .base import APIResponse, note_change
from .file_types import FileTypes
from .pages import Page

FilePurpose: TypeAlias = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class FileExpiresAfter(TypedDict):
    """When the server deletes a file."""

    anchor: Literal["created_at"]
    seconds: int
    """After the file was created: 3,600 (an hour) to 2,592,000 (30 days)."""


class _CreateRequired(TypedDict):
    # A separate class, so that `__required_keys__` lists them: see `chat_params`.
    file: FileTypes
    """A path, bytes, a file opened in binary mode, or `(filename, content, content_type)`."""
    purpose: FilePurpose | str


class FileCreateParams(_CreateRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `files.create`."""

    expires_after: FileExpiresAfter
    """By default, files for batches expire after 30 days, and others never do."""


class FileListParams(BaseRequestOptions, total=False, closed=True):
    """The parameters of `files.list`. `None` is not sent."""

    after: str | None
    """Begin after the file with this id."""
    limit: int | None
    """Files per page: 1 to 10,000, which is the server's default."""
    order: Literal["asc", "desc"] | None
    """By `created_at`; the server's default is "desc"."""
    purpose: FilePurpose | str | None
    """Only files with this purpose."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class FileObject(APIResponse):
    """The metadata of a file on the server."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "file"
    bytes: int = 0
    """Its size in bytes."""
    created_at: int = 0
    """Unix time, in seconds."""
    expires_at: int | None = None
    """Unix time, in seconds."""
    filename: str = ""
    purpose: str = ""
    status: str = ""
    """"uploaded", "processed" or "error"; deprecated."""
    status_details: str | None = None
    """Why a file for fine-tuning is not valid; deprecated."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class FilePage(Page[FileObject]):
    """A page of files."""

    data: list[FileObject] = field(factory=list, metadata={"essential": True})


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class FileDeleted(APIResponse):
    """The response of `files.delete()`."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "file"
    deleted: bool = False
