"""`client.batches`: https://platform.openai.com/docs/api-reference/batch"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Unpack

from ..errors import InvalidArgumentError
from ..options import RequestOptions
from ..types.batches import Batch, BatchCreateParams, BatchListParams, BatchPage
from .base_client import Resource
from .endpoint import Endpoint
from .paging import Paginator, paginated
from .polling import check_positive, poll
from .response_methods import Kind, Raw, Responses, Streaming, method

CREATE = Endpoint("create", "POST", "/batches", BatchCreateParams, Batch)
RETRIEVE = Endpoint("retrieve", "GET", "/batches/{batch_id}", RequestOptions, Batch)
LIST = Endpoint("list", "GET", "/batches", BatchListParams, BatchPage)
CANCEL = Endpoint("cancel", "POST", "/batches/{batch_id}/cancel", RequestOptions, Batch)

_PENDING = frozenset(("validating", "in_progress", "finalizing", "cancelling"))
# What other servers call it; some send no status at first. Any other status is final.
_PENDING_ELSEWHERE = frozenset(("created", "queued", "pending", "running", ""))
# Seconds between two polls: small batches are done at once, large ones take hours.
_FIRST_INTERVAL, _LAST_INTERVAL, _GROWTH = 1.0, 60.0, 1.5
# An outage of a minute does not end a wait of hours.
_POLL_RETRIES = 10


class Batches(Resource):
    """Jobs that the provider runs within a day."""

    __slots__ = ()

    async def create(self, **params: Unpack[BatchCreateParams]) -> Batch:
        """Start a batch of the requests in a file. `poll(batch.id)` waits until it has ended.

        Raises:
            InvalidArgumentError: `input_file_id` is not an id.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            file = await client.files.create(file=Path("in.jsonl"), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        """
        CREATE.check(params)
        file_id = params["input_file_id"]
        if not isinstance(file_id, str) or not file_id.strip():
            msg = f"input_file_id is {file_id!r}: pass the id of an uploaded file, like file.id."
            raise InvalidArgumentError(msg)
        return await self._client._call(CREATE, params)

    async def retrieve(self, batch_id: str, **options: Unpack[RequestOptions]) -> Batch:
        """A batch as it is now; `NotFoundError` if there is no such batch."""
        return await self._client._call(RETRIEVE, options, batch_id=batch_id)

    def list(self, **params: Unpack[BatchListParams]) -> Paginator[BatchPage, Batch]:
        """The batches of your organization. Await the first page, or iterate with `async for`."""
        return paginated(self._client, LIST, params)

    async def cancel(self, batch_id: str, **options: Unpack[RequestOptions]) -> Batch:
        """Cancel a batch. Once it is "cancelled", its output file has what was done by then."""
        return await self._client._call(CANCEL, options, batch_id=batch_id)

    async def poll(
        self,
        batch_id: str,
        *,
        poll_interval_ms: float | None = None,
        max_wait_seconds: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> Batch:
        """Wait until a batch has ended, successfully or not: check `batch.status`.

        Args:
            batch_id: its id.
            poll_interval_ms: milliseconds between two requests; by default a second at first,
                rising to a minute.
            max_wait_seconds: how long to wait; `None` for no limit.
            options: for each request. Unless you pass `max_retries`, it is at least 10, so that a
                short outage does not end a long wait.

        Returns:
            The batch: "completed", "failed", "expired" or "cancelled". A completed batch may have
            failed requests, in the file `error_file_id`, and no `output_file_id` at all.

        Raises:
            APITimeoutError: it has not ended within `max_wait_seconds`. The batch continues.
            APIError: it could not be retrieved, in spite of retries. The batch continues.
        """
        check_positive(poll_interval_ms=poll_interval_ms, max_wait_seconds=max_wait_seconds)
        options.setdefault("max_retries", max(self._client.max_retries, _POLL_RETRIES))

        def late(batch: Batch | None) -> str:
            status = "not known yet" if batch is None else repr(batch.status)
            return (
                f"The status of batch {batch_id} is {status} after {max_wait_seconds:g} s: "
                "poll again, or cancel it."
            )

        return await poll(
            lambda: self.retrieve(batch_id, **options),
            ended=lambda batch: batch.status.lower() not in _PENDING | _PENDING_ELSEWHERE,
            intervals=_growing() if poll_interval_ms is None else repeat(poll_interval_ms / 1000),
            longest=max_wait_seconds,
            waits=self._client._waits,
            late=late,
        )

    @property
    def with_raw_response(self) -> BatchResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return BatchResponses(self, Raw)

    @property
    def with_streaming_response(self) -> BatchResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return BatchResponses(self, Streaming)


class BatchResponses(Responses[Kind]):
    create = method(Batches.create)
    retrieve = method(Batches.retrieve)
    list = method(Batches.list)
    cancel = method(Batches.cancel)


def _growing() -> Iterator[float]:
    interval = _FIRST_INTERVAL
    while True:
        yield interval
        interval = min(interval * _GROWTH, _LAST_INTERVAL)
