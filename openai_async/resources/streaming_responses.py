"""What the methods of `with_streaming_response` return.

The method itself runs in a task, on a copy of the client that opens the response. Then it waits
until `parse()` is called, and gets the body: there is no parsing here.
"""

from __future__ import annotations

import asyncio
import codecs
import copy
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from attrs import evolve
from typing_extensions import TypeForm

from ..errors import OpenAIError
from ..http.request import Request, Response
from ..middleware import Send
from ..options import check_whole
from ..streaming.base import AsyncStream
from ..streaming.binary import BinaryContent
from .base_client import Resource
from .raw_responses import Answered, OnOpen
from .unread_content import UnreadContent

if TYPE_CHECKING:
    import os

R = TypeVar("R")
T = TypeVar("T")


def streaming(resource: Resource, name: str) -> Callable[..., StreamingCall[Any]]:
    """The method of this name, for `async with`, which gives a `StreamingResponse`."""

    @wraps(getattr(resource, name), updated=())
    def call(*args: Any, **params: Any) -> StreamingCall[Any]:
        def run(send: Send) -> Awaitable[Any]:
            client = copy.copy(resource._client)
            client._send = send
            client._asks_usage = False  # the caller sees the raw events, and did not ask for it
            method = getattr(type(resource)(client), name)
            return cast(Awaitable[Any], method(*args, **params))

        return StreamingCall(run, resource._client._send)

    return call


class StreamingResponse(Answered, Generic[R]):
    """An open response.

    `read()`, `text()`, `json()` and `parse()` keep the body, and can be combined. The others, and
    `parse()` with `stream=True`, do not: after one of them, the body is gone.
    """

    def __init__(
        self,
        request: Request,
        content: UnreadContent,
        task: asyncio.Task[R],
        *,
        parses_stream: bool,
    ) -> None:
        super().__init__(request, content.response)
        self._content = content
        self._task = task
        self._parses_stream = parses_stream
        self._data: bytes | None = None
        self._is_read = False
        self._parse_called = asyncio.Event()

    @overload
    async def parse(self) -> R: ...

    @overload
    async def parse(self, *, to: type[T]) -> T: ...

    @overload
    async def parse(self, *, to: TypeForm[T]) -> T: ...

    async def parse(self, *, to: Any = None) -> Any:
        """What the method returns without `with_streaming_response`; with `stream=True`, the
        stream, which is closed with the response.

        Args:
            to: read the body as this type instead: a class, `dict`, `list[Item]`, `str`, ...

        Raises:
            APIError: the answer is malformed, an error object, or did not arrive in full.
        """
        if to is not None:
            return self._value(await self.read(), to)
        if self._task.cancelled():
            msg = "This answer was closed before it was parsed: call parse() inside `async with`."
            raise OpenAIError(msg)
        if not self._parse_called.is_set():
            if self._parses_stream:
                self._claim()
            else:
                await self.read()
            self._parse_called.set()
        return await self._task

    async def _wait_for_parse(self, on_open: OnOpen | None) -> Response:
        """The response for the method, once `parse()` has been called."""
        await self._parse_called.wait()
        if on_open is None:
            return evolve(self._response, body=await self.read(), stream=None)
        body = self._content.hand_over()
        try:
            await on_open(evolve(self._response, stream=body))
        except BaseException as error:
            self._content._tell_end(error)
            raise
        self._content.begun()
        self._content._response = None  # the other reader tells how the stream ends
        return self._response

    async def read(self) -> bytes:
        """The body."""
        if self._data is None:
            self._claim()
            self._data = await self._content.read()
        return self._data

    async def text(self) -> str:
        """The body as UTF-8 text; invalid bytes become U+FFFD."""
        return (await self.read()).decode("utf-8", "replace")

    async def json(self) -> Any:
        """The body, parsed as JSON.

        Raises:
            APIResponseValidationError: it is not JSON.
        """
        return evolve(self._response, body=await self.read(), stream=None).json()

    async def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The decompressed body, as it arrives or in pieces of `chunk_size` bytes."""
        if chunk_size is not None:
            check_whole("chunk_size", chunk_size)
        self._claim()
        pending = bytearray()
        async for data in self._content.iter_bytes():
            if chunk_size is None:
                yield data
                continue
            pending += data
            while len(pending) >= chunk_size:
                yield bytes(pending[:chunk_size])
                del pending[:chunk_size]
        if pending:
            yield bytes(pending)

    async def iter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """The body as UTF-8 text, as it arrives or from pieces of `chunk_size` bytes."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        async for data in self.iter_bytes(chunk_size):
            if text := decoder.decode(data):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    async def iter_lines(self) -> AsyncIterator[str]:
        """The lines of the body as they arrive, without their endings: LF, CR LF or CR."""
        decoder = io.IncrementalNewlineDecoder(None, translate=True)
        pieces: list[str] = []  # of a line whose end has not arrived yet
        async for text in self.iter_text():
            *ends, last = decoder.decode(text).split("\n")
            for end in ends:
                yield "".join([*pieces, end])
                pieces.clear()
            pieces.append(last)
        if line := "".join(pieces) + decoder.decode("", final=True):
            yield line.removesuffix("\n")

    async def stream_to_file(self, path: str | os.PathLike[str]) -> Path:
        """Write the body to `path` as it arrives, whole or not at all; returns the path."""
        self._claim()
        return await self._content.save(path)

    def _claim(self) -> None:
        if self._is_read:
            msg = "This answer has been read, or is being read: read it once, and keep the result."
            raise OpenAIError(msg)
        self._is_read = True

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be read here: the body has been read, the stream of `parse()`
        reads it, or the response has been closed.
        """
        return self._content._body is None

    async def close(self) -> None:
        """Close the connection, unless everything has been read."""
        await self._content.close()
        if not self._task.done():
            await _stop(self._task)
        if not self._task.cancelled() and self._task.exception() is None:
            result = self._task.result()
            if isinstance(result, AsyncStream | BinaryContent):
                await result.close()


class StreamingCall(Generic[R]):
    """A call of `with_streaming_response`: `async with` sends it, and gives the open response.

    Leaving the block closes the connection, unless everything has been read.
    """

    _opened: asyncio.Future[StreamingResponse[R]]
    _task: asyncio.Task[R]

    def __init__(self, run: Callable[[Send], Awaitable[R]], send: Send) -> None:
        self._run: Callable[[Send], Awaitable[R]] | None = run
        self._client_send = send
        self._opens = False

    async def __aenter__(self) -> StreamingResponse[R]:
        run, self._run = self._run, None
        if run is None:
            msg = "This call has been entered before: call the method again."
            raise OpenAIError(msg)

        async def whole_call() -> R:
            return await run(self._send)

        self._opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(whole_call())
        either: set[asyncio.Future[Any]] = {self._task, self._opened}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            if self._opened.done():  # just now, and nobody will enter it
                await self._opened.result().close()
            else:
                await _stop(self._task)
            raise
        if not self._opened.done():
            self._task.result()  # raises the failure
        return self._opened.result()

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.result().close()

    async def _send(self, request: Request) -> Response:
        """Open the response to the first request that gets one; others are sent as usual."""
        if self._opens:
            return await self._client_send(request)
        self._opens = True
        on_open = request.on_open  # reads the stream; `None` if the whole body is wanted
        content = UnreadContent(request, self._client_send)
        try:
            await content
        except BaseException:
            self._opens = False  # the method may send another request, without what was refused
            raise
        parses_stream = on_open is not None
        opened = StreamingResponse(request, content, self._task, parses_stream=parses_stream)
        self._opened.set_result(opened)
        return await opened._wait_for_parse(on_open)


async def _stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for it to end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # otherwise asyncio would log that it was never retrieved
