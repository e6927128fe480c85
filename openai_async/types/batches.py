"""The Batch API: https://platform.openai.com/docs/api-reference/batch"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from attrs import define, field
from typing_extensions import TypedDict

from ..options import BaseRequestOptions
from .base import APIObject, APIResponse, note_change
from .pages import Page

BatchEndpoint: TypeAlias = Literal[
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
]
BatchStatus: TypeAlias = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]


class OutputExpiresAfter(TypedDict):
    """When the server deletes the output file and the error file."""

    anchor: Literal["created_at"]
    seconds: int
    """After the file was created: 3,600 (an hour) to 2,592,000 (30 days)."""


class _Required(TypedDict):
    # A separate class, so that `__required_keys__` lists them: see `chat_params`.
    input_file_id: str
    """A file with the purpose "batch": one request per line, up to 50,000 requests and 200 MB."""
    endpoint: BatchEndpoint | str
    """The `url` of every line."""
    completion_window: Literal["24h"] | str


class BatchCreateParams(_Required, BaseRequestOptions, total=False, closed=True):
    """The parameters of `batches.create`."""

    metadata: Mapping[str, str] | None
    """Up to 16 keys of up to 64 characters, with values of up to 512."""
    output_expires_after: OutputExpiresAfter


class BatchListParams(BaseRequestOptions, total=False, closed=True):
    """The parameters of `batches.list`. `None` is not sent."""

    after: str | None
    """Begin after the batch with this id."""
    limit: int | None
    """Batches per page: 1 to 100; the server's default is 20."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchError(APIObject):
    """What is wrong with the input file."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    line: int | None = None
    """The line of the input file, from 1."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchErrors(APIObject):
    """The errors of a batch that failed."""

    object: str = "list"
    data: list[BatchError] = field(factory=list)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchRequestCounts(APIObject):
    """How far a batch has got."""

    total: int = 0
    completed: int = 0
    failed: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchInputTokensDetails(APIObject):
    cached_tokens: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchOutputTokensDetails(APIObject):
    reasoning_tokens: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchUsage(APIObject):
    """The tokens of all requests."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: BatchInputTokensDetails | None = None
    output_tokens_details: BatchOutputTokensDetails | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Batch(APIResponse):
    """A batch. The times are Unix times, in seconds; `None` for what has not happened."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "batch"
    endpoint: str = ""
    model: str | None = None
    input_file_id: str = ""
    completion_window: str = ""
    status: BatchStatus | str = ""
    output_file_id: str | None = None
    """The responses with a 2xx status. `None` if there are none, even if the batch is completed."""
    error_file_id: str | None = None
    """The requests that failed, with their errors; `None` if there are none."""
    errors: BatchErrors | None = None
    """Why the batch as a whole has failed: the input file is not valid."""
    request_counts: BatchRequestCounts | None = None
    usage: BatchUsage | None = None
    metadata: dict[str, str] | None = None
    created_at: int = 0
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class BatchPage(Page[Batch]):
    """A page of batches."""

    data: list[Batch] = field(factory=list, metadata={"essential": True})
