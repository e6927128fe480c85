"""The Uploads API: https://platform.openai.com/docs/api-reference/uploads"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import define
from typing_extensions import TypedDict

from ..options import BaseRequestOptions
from .base import APIResponse, note_change
from .file_types import FileContent, FileTypes
from .files import FileExpiresAfter, FileObject, FilePurpose
from .upload_progress import UploadProgress


class _CreateRequired(TypedDict):
    # A separate class, so that `__required_keys__` lists them: see `chat_params`.
    bytes: int
    """The size of the whole file, at most 8 GB."""
    filename: str
    mime_type: str
    """One that the API accepts for the purpose, such as "text/jsonl" for batches."""
    purpose: FilePurpose | str


class UploadCreateParams(_CreateRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `uploads.create`."""

    expires_after: FileExpiresAfter
    """When the file expires, counted from its creation."""


class _CompleteRequired(TypedDict):
    part_ids: Sequence[str]
    """In the order in which the parts make up the file."""


class UploadCompleteParams(_CompleteRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `uploads.complete`."""

    md5: str
    """The MD5 hash of the whole file, in hexadecimal, which the server checks."""


class _PartRequired(TypedDict):
    data: FileTypes
    """At most 64 MB."""


class PartCreateParams(_PartRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `uploads.parts.create`."""


class _ChunkedRequired(TypedDict):
    file: FileContent
    """A path, bytes, or a seekable file opened in binary mode."""
    mime_type: str
    """One that the API accepts for the purpose, such as "text/jsonl" for batches."""
    purpose: FilePurpose | str


class UploadFileChunkedParams(_ChunkedRequired, BaseRequestOptions, total=False, closed=True):
    """The parameters of `uploads.upload_file_chunked`.

    The options apply to every request, except for `extra_body`, which is sent with the first.
    """

    filename: str | None
    """By default that of the path or the file; required for bytes."""
    bytes: int | None
    """The expected size, to be checked; optional."""
    part_size: int | None
    """In bytes; 64 MiB by default, and at most."""
    md5: str
    """The MD5 hash of the whole file, in hexadecimal, which the server checks."""
    expires_after: FileExpiresAfter
    """When the file expires, counted from its creation."""
    concurrency: int
    """How many parts are sent at the same time; 4 by default."""
    resume: UploadProgress | None
    """How far an earlier call got; kept up to date: pass a new `UploadProgress()` to be able to
    resume whatever happens. A file that has changed since is refused."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Upload(APIResponse):
    """A file that is being uploaded in parts."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "upload"
    bytes: int = 0
    """The size of the whole file."""
    created_at: int = 0
    """Unix time, in seconds."""
    expires_at: int = 0
    """Unix time, in seconds: an hour after the upload was created."""
    filename: str = ""
    purpose: str = ""
    status: str = ""
    """"pending", "completed", "cancelled" or "expired"."""
    file: FileObject | None = None
    """The file, once the upload is completed."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class UploadPart(APIResponse):
    """A part of an upload that has arrived."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "upload.part"
    created_at: int = 0
    """Unix time, in seconds."""
    upload_id: str = ""
