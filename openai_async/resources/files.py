"""`client.files`: https://platform.openai.com/docs/api-reference/files"""

from __future__ import annotations

from itertools import repeat
from typing import Any, Unpack

from ..options import RequestOptions
from ..streaming.binary import BinaryContent
from ..types.files import FileCreateParams, FileDeleted, FileListParams, FileObject, FilePage
from .base_client import Resource
from .endpoint import Endpoint
from .paging import Paginator, paginated
from .params import form_body
from .polling import check_positive, poll
from .response_methods import Kind, Raw, Responses, Streaming, method

CREATE = Endpoint("create", "POST", "/files", FileCreateParams, FileObject)
LIST = Endpoint("list", "GET", "/files", FileListParams, FilePage)
RETRIEVE = Endpoint("retrieve", "GET", "/files/{file_id}", RequestOptions, FileObject)
DELETE = Endpoint("delete", "DELETE", "/files/{file_id}", RequestOptions, FileDeleted)
CONTENT: Endpoint[Any] = Endpoint(
    "content", "GET", "/files/{file_id}/content", RequestOptions, BinaryContent
)

# As in the official SDK, and "": if a server reports no status, there is nothing to wait for.
_FINAL = frozenset(("processed", "error", "deleted", ""))


class Files(Resource):
    """Files for batches, fine-tuning, assistants and prompts."""

    __slots__ = ()

    async def create(self, **params: Unpack[FileCreateParams]) -> FileObject:
        """Upload a file of up to 512 MB; `client.uploads` is for larger ones.

        It is read while it is sent. A path, bytes or a seekable file is read again when a failed
        request is retried; what can be read only once, such as a pipe, is sent only once. A file
        that you have opened is read from its current position, and not closed.

        Raises:
            InvalidArgumentError: `file` is not a file, or cannot be read.
            OpenAIError: the file grew or shrank while it was sent.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            file = await client.files.create(file=Path("in.jsonl"), purpose="batch")
        """
        CREATE.check(params)
        return await self._client._call(CREATE, params, form_body(params, {"file"}))

    def list(self, **params: Unpack[FileListParams]) -> Paginator[FilePage, FileObject]:
        """Your files. Await the first page, or iterate over all of them with `async for`."""
        return paginated(self._client, LIST, params)

    async def retrieve(self, file_id: str, **options: Unpack[RequestOptions]) -> FileObject:
        """The metadata of a file; `NotFoundError` if there is no such file."""
        return await self._client._call(RETRIEVE, options, file_id=file_id)

    async def delete(self, file_id: str, **options: Unpack[RequestOptions]) -> FileDeleted:
        """Delete a file."""
        return await self._client._call(DELETE, options, file_id=file_id)

    def content(self, file_id: str, **options: Unpack[RequestOptions]) -> BinaryContent:
        """The content of a file: await it, then read it, save it, or iterate over its bytes.

        Example::

            content = await client.files.content(batch.output_file_id)
            await content.save("out.jsonl")
        """
        return self._client._binary(CONTENT, options, file_id=file_id)

    async def wait_for_processing(
        self,
        id: str,
        *,
        poll_interval: float = 5.0,
        max_wait_seconds: float = 1800.0,
        **options: Unpack[RequestOptions],
    ) -> FileObject:
        """Wait until the server has processed a file: check its `.status`, which may be "error".

        Args:
            id: the id of the file.
            poll_interval: seconds between two requests.
            max_wait_seconds: how long to wait.
            options: for each request.

        Raises:
            APITimeoutError: it has not been processed within `max_wait_seconds`.
            APIError: it could not be retrieved.
        """
        check_positive(poll_interval=poll_interval, max_wait_seconds=max_wait_seconds)
        return await poll(
            lambda: self.retrieve(id, **options),
            ended=lambda file: file.status in _FINAL,
            intervals=repeat(poll_interval),
            longest=max_wait_seconds,
            waits=self._client._waits,
            late=lambda _: (
                f"File {id} was not processed within {max_wait_seconds:g} s: call again to wait."
            ),
        )

    @property
    def with_raw_response(self) -> FileResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return FileResponses(self, Raw)

    @property
    def with_streaming_response(self) -> FileResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return FileResponses(self, Streaming)


class FileResponses(Responses[Kind]):
    create = method(Files.create)
    list = method(Files.list)
    retrieve = method(Files.retrieve)
    delete = method(Files.delete)
    content = method(Files.content)
