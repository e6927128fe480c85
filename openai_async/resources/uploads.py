"""`client.uploads`: https://platform.openai.com/docs/api-reference/uploads"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Unpack, cast

from ..errors import APIError, InvalidArgumentError, OpenAIError
from ..http.file_parts import Window
from ..http.file_sources import Source, source_of
from ..middleware import is_retryable
from ..options import REQUEST_OPTIONS, RequestOptions, check_whole
from ..types.upload_progress import UploadProgress
from ..types.uploads import (
    PartCreateParams,
    Upload,
    UploadCompleteParams,
    UploadCreateParams,
    UploadFileChunkedParams,
    UploadPart,
)
from ..wire.failures import advise
from .base_client import Resource
from .endpoint import Endpoint, check_known
from .parallel import run_all
from .params import form_body
from .response_methods import Kind, Raw, Responses, Streaming, method

CREATE = Endpoint("create", "POST", "/uploads", UploadCreateParams, Upload)
CREATE_PART = Endpoint("create", "POST", "/uploads/{upload_id}/parts", PartCreateParams, UploadPart)
COMPLETE = Endpoint(
    "complete", "POST", "/uploads/{upload_id}/complete", UploadCompleteParams, Upload
)
CANCEL = Endpoint("cancel", "POST", "/uploads/{upload_id}/cancel", RequestOptions, Upload)


# The largest that the API accepts; the official SDK's default, too.
PART_SIZE = 64 * 1024 * 1024
CONCURRENCY = 4

_KNOWN = frozenset(UploadFileChunkedParams.__annotations__)
_REQUIRED = frozenset(UploadFileChunkedParams.__required_keys__)


class Parts(Resource):
    """The parts of an upload."""

    __slots__ = ()

    async def create(self, upload_id: str, **params: Unpack[PartCreateParams]) -> UploadPart:
        """Send a part, of up to 64 MB; parts may be sent in any order and at the same time.

        Raises:
            InvalidArgumentError: `data` is not a file, or cannot be read.
            APIError: see `openai_async.errors`.
        """
        CREATE_PART.check(params)
        body = form_body(params, {"data"})
        return await self._client._call(CREATE_PART, params, body, upload_id=upload_id)

    @property
    def with_raw_response(self) -> PartResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return PartResponses(self, Raw)

    @property
    def with_streaming_response(self) -> PartResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return PartResponses(self, Streaming)


class PartResponses(Responses[Kind]):
    create = method(Parts.create)


class Uploads(Resource):
    """Files that are sent in parts: up to 8 GB, within an hour."""

    __slots__ = ()

    @property
    def parts(self) -> Parts:
        """Send the parts."""
        return Parts(self._client)

    async def create(self, **params: Unpack[UploadCreateParams]) -> Upload:
        """Begin an upload; `upload_file_chunked` does this and all other steps."""
        return await self._client._call(CREATE, params)

    async def complete(self, upload_id: str, **params: Unpack[UploadCompleteParams]) -> Upload:
        """Join the parts into a file, `upload.file`."""
        return await self._client._call(COMPLETE, params, upload_id=upload_id)

    async def cancel(self, upload_id: str, **options: Unpack[RequestOptions]) -> Upload:
        """Cancel an upload; it accepts no more parts."""
        return await self._client._call(CANCEL, options, upload_id=upload_id)

    async def upload_file_chunked(self, **params: Unpack[UploadFileChunkedParams]) -> Upload:
        """Upload a large file in parts, several at a time; each is retried separately.

        To resume, the parts that have arrived are read again and compared with what was sent.

        Returns:
            The completed upload; pass its `.file.id` to other calls.

        Raises:
            InvalidArgumentError: the file cannot be read, or has changed and cannot be resumed.
            OpenAIError: the file changed while it was sent.
            APIError: the upload stopped. `error.upload` says which parts have arrived: with
                `resume=error.upload`, a second call sends only the others.

        Example::

            try:
                upload = await client.uploads.upload_file_chunked(**what)
            except APIConnectionError as error:
                upload = await client.uploads.upload_file_chunked(**what, resume=error.upload)
        """
        return await _upload_in_parts(self, params)

    @property
    def with_raw_response(self) -> UploadResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return UploadResponses(self, Raw)

    @property
    def with_streaming_response(self) -> UploadResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return UploadResponses(self, Streaming)


class UploadResponses(Responses[Kind]):
    create = method(Uploads.create)
    complete = method(Uploads.complete)
    cancel = method(Uploads.cancel)

    @property
    def parts(self) -> PartResponses[Kind]:
        return PartResponses(Parts(self._resource._client), self._kind)


# --- in parts ---


async def _upload_in_parts(uploads: Uploads, params: UploadFileChunkedParams) -> Upload:
    """See `Uploads.upload_file_chunked`."""
    check_known("upload_file_chunked", params, _KNOWN, _REQUIRED)
    options: Any = {
        name: value
        for name, value in params.items()
        if name in REQUEST_OPTIONS and name != "extra_body"
    }
    concurrency = params.get("concurrency", CONCURRENCY)
    check_whole("concurrency", concurrency)
    source = source_of("file", params["file"])
    filename = params.get("filename") or source.name
    if not filename:
        msg = "filename is missing, and the file has no name of its own: pass filename=..."
        raise InvalidArgumentError(msg)
    size = await _size(source, params.get("bytes"))
    progress = _progress(params, size)
    await _check_arrived(source, progress)
    if not progress.upload_id:
        extra: Any = {key: params[key] for key in ("expires_after", "extra_body") if key in params}
        created = await uploads.create(
            bytes=size,
            filename=filename,
            mime_type=params["mime_type"],
            purpose=params["purpose"],
            **extra,
            **options,
        )
        progress.upload_id = created.id
    try:
        await _send_parts(uploads, source, filename, progress, concurrency, options)
        if await asyncio.to_thread(source.size) != size:
            msg = "The file changed while it was sent: upload it again once it is complete."
            raise OpenAIError(msg)
        md5: Any = {"md5": params["md5"]} if "md5" in params else {}
        part_ids = cast(list[str], progress.part_ids)
        return await uploads.complete(progress.upload_id, part_ids=part_ids, **md5, **options)
    except APIError as error:
        error.upload = progress
        if is_retryable(error):
            arrived = f"{progress.sent} of {len(progress.part_ids)} parts have arrived"
            advise(error, f"{arrived}: pass resume=error.upload to send the rest.")
        raise


async def _size(source: Source, expected: int | None) -> int:
    size = await asyncio.to_thread(source.size)
    if size is None:
        msg = "file can be read only once, so its size is not known: pass a path or bytes."
        raise InvalidArgumentError(msg)
    if size == 0:
        msg = "file is empty: pass a file that has content."
        raise InvalidArgumentError(msg)
    if expected is not None and expected != size:
        msg = f"bytes is {expected!r}, but the file has {size} bytes: omit it, or check the file."
        raise InvalidArgumentError(msg)
    return size


def _progress(params: Mapping[str, Any], size: int) -> UploadProgress:
    """How far the upload has got; a new one has no upload_id."""
    progress = params.get("resume")
    part_size = params.get("part_size")
    if progress is None:
        progress = UploadProgress()
    elif not isinstance(progress, UploadProgress):
        msg = f"resume has type {type(progress).__name__}: pass error.upload or UploadProgress()."
        raise InvalidArgumentError(msg)
    if not progress.upload_id:
        progress.size = size
        progress.part_size = PART_SIZE if part_size is None else part_size
        check_whole("part_size", progress.part_size)
        if progress.part_size > PART_SIZE:
            msg = f"part_size is {part_size:,}: pass at most {PART_SIZE:,} bytes (64 MiB)."
            raise InvalidArgumentError(msg)
        progress.part_ids = [None] * -(-size // progress.part_size)
        progress.part_hashes = [None] * len(progress.part_ids)
    elif progress.size != size or part_size not in (None, progress.part_size):
        msg = (
            f"resume is for a file of {progress.size} bytes in parts of {progress.part_size}: "
            "pass the same file and part_size, or start over without resume."
        )
        raise InvalidArgumentError(msg)
    for name in ("part_ids", "part_hashes"):
        found = len(getattr(progress, name))
        check_whole("part_size", progress.part_size)
        if found != -(-size // progress.part_size):
            msg = (
                f"resume has {found} {name}, which does not match its size: "
                "pass the progress as it was saved."
            )
            raise InvalidArgumentError(msg)
    return progress


async def _check_arrived(source: Source, progress: UploadProgress) -> None:
    """Compare the parts that have arrived with the file.

    Raises:
        InvalidArgumentError: the file has changed.
    """
    for place, found in enumerate(progress.part_hashes):
        if found is None:  # not read to its end, so it is sent again, whatever became of it
            progress.part_ids[place] = None
        elif found != await asyncio.to_thread(_part(source, progress, place).read_hash):
            msg = "The file has changed since its upload began: upload it anew, without resume."
            raise InvalidArgumentError(msg)


def _part(source: Source, progress: UploadProgress, place: int) -> Window:
    start = place * progress.part_size
    return Window(source, start, min(progress.part_size, progress.size - start))


async def _send_parts(
    uploads: Uploads,
    source: Source,
    filename: str,
    progress: UploadProgress,
    concurrency: int,
    options: Any,
) -> None:
    """Send the missing parts. The first failure cancels the others, and is raised."""
    missing = iter([place for place, found in enumerate(progress.part_ids) if found is None])

    async def send(places: Iterator[int]) -> None:
        for place in places:
            window = _part(source, progress, place)
            data: Any = (filename, window, "application/octet-stream")
            part = await uploads.parts.create(progress.upload_id, data=data, **options)
            progress.part_ids[place] = part.id
            progress.part_hashes[place] = window.sent_hash()

    await run_all(send(missing) for _ in range(min(concurrency, len(progress.part_ids))))
