"""An open answer as bytes, for relays, adapters and endpoints that are not chat completions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, Self

from .._submodules import LazyModule
from ..errors import APIError, InvalidArgumentError, OpenAIError
from ..http.body import ByteStream
from ..http.request import Response
from ..relay import KEEP_ALIVE
from ..types.base import ResponseMeta
from .endings import tell_end

if TYPE_CHECKING:
    from ..relay import copies
    from ..relay.relay import Relay
else:  # few programs relay
    copies = LazyModule("openai_async.relay.copies")

Connect = Callable[[Callable[[Response], Awaitable[None]]], Awaitable[Response]]
"""Sends the request; its callback gets the open response of each attempt."""


class Opening:
    """The callback of `Connect`. It refers to the stream only while the stream opens. A hook may
    keep the request, and so this object, until the stream ends; if this still referred to the
    stream, dropping the stream would not end it.
    """

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[Response], Awaitable[None]]) -> None:
        self.begin: Callable[[Response], Awaitable[None]] | None = begin

    def __call__(self, response: Response) -> Awaitable[None]:
        if self.begin is None:
            msg = "The stream of this request has been opened before: build another request."
            raise OpenAIError(msg)
        return self.begin(response)


class ResponseStream:
    """The bytes of an answer as they arrive; see `AsyncClient.stream`.

    They arrive decompressed: a relay must not pass on Content-Encoding or Content-Length.

    Entering it sends the request and waits for the first bytes: failures until then are retried as
    for any other call. Leaving it before the end closes the connection at once; after the end, the
    connection is back in the pool. There is backpressure: a slow reader slows the server down.

    Raises (when entered, and when read):
        APITimeoutError: the answer did not begin in time, or was silent for `Timeout(idle=...)`.
        APIConnectionError: the connection failed.
        APIStatusError: the status is 300 or above (when entered).
    """

    _how_to_open: ClassVar[str] = "use `async with client.stream(...) as response`"

    __slots__ = (
        *("__weakref__", "_body", "_connect", "_ended", "_first", "_meta", "_path", "_pieces"),
        *("_reading", "_response"),
    )

    def __init__(self, connect: Connect, path: str = "") -> None:
        self._path = path  # determines how a complete answer ends
        self._connect: Connect | None = connect  # until it has been entered
        self._body: ByteStream | None = None
        self._first: bytes | None = None
        self._meta: ResponseMeta | None = None
        self._response: Response | None = None  # while its end is waited for
        self._pieces = 0
        self._ended = False  # all of it has been read
        self._reading = False

    async def __aenter__(self) -> Self:
        connect, self._connect = self._connect, None
        if connect is None:
            msg = "This stream has been entered before: call client.stream(...) again."
            raise OpenAIError(msg)
        opening = Opening(self._begin)
        try:
            response = self._response = await connect(opening)
        except BaseException as error:
            self._tell_end(error)
            self._close()
            raise
        finally:
            opening.begin = None
        if self._body is None:
            msg = "A middleware returned a response without sending the request of this stream."
            raise OpenAIError(msg)
        self._meta = response.meta
        if response.watched:
            self._body.when_closed(self._tell_end)
        else:
            self._response = None
        return self

    async def _begin(self, response: Response) -> None:
        """Read the first bytes, as part of the attempt, so that a failure is retried."""
        self._close()  # the previous attempt, if a middleware sends again
        assert response.stream is not None
        self._body = response.stream
        self._first = await self._body.read()
        self._response = response

    async def __aexit__(self, *exc: object) -> None:
        self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The bytes that have arrived since the last call, or the next to arrive; never empty."""
        meta, body = self.meta, self._body  # `meta` raises an error if the stream is not open yet
        if self._ended:
            raise StopAsyncIteration
        if body is None:
            msg = f"This answer (status {meta.status}) was closed before its end."
            raise OpenAIError(msg)
        if self._reading:
            msg = "Another task is reading this stream: give each stream one reader."
            raise OpenAIError(msg)
        data, self._first = self._first, None
        if data is None:
            self._reading = True
            try:
                data = await body.read()
            except (APIError, asyncio.CancelledError) as error:
                self._tell_end(error)
                raise
            finally:
                self._reading = False
        if not data:
            self._ended, self._body = True, None
            body.release()
            self._tell_end()
            raise StopAsyncIteration
        self._pieces += 1
        return data

    async def _finish(self) -> None:
        """The answer is complete: what follows is not read, and the connection is released."""
        body, self._body, self._ended = self._body, None, True
        if body is not None:
            await body.finish()
        self._tell_end()

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([data async for data in self])

    def sse(
        self,
        *,
        form: Literal["raw"] = "raw",
        keep_alive: float | None = KEEP_ALIVE,
        think_tags: Literal[False] = False,
    ) -> Relay:
        """The bytes for a browser, as they come, with comments in between during silence: an async
        iterator. The server's errors reach the browser with their original text. Events that break
        off are followed by `event: error`; for any other body, the error is raised.

        Raises:
            InvalidArgumentError: another form; `chat.completions.create(stream=True)` has others.
        """
        if form != "raw":
            msg = f'form is {form!r}: bytes have no other form than "raw".'
            raise InvalidArgumentError(msg)
        if think_tags:
            msg = "think_tags is for chat.completions.create(stream=True): leave it out here."
            raise InvalidArgumentError(msg)
        return copies.relay_bytes(self, self._path, keep_alive)

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts, elapsed seconds, rate limits."""
        if self._meta is None:
            msg = f"The answer is not open yet: {self._how_to_open}."
            raise OpenAIError(msg)
        return self._meta

    @property
    def status(self) -> int:
        """The HTTP status: 200 to 299."""
        return self.meta.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The response's headers (case-insensitive)."""
        return self.meta.headers

    def __reduce__(self) -> NoReturn:
        msg = f"A {type(self).__name__} cannot be pickled or copied: pass on `await .read()`."
        raise InvalidArgumentError(msg)

    def __del__(self) -> None:
        self._close()  # nothing can read it any more

    def _close(self) -> None:
        self._tell_end()
        body, self._body, self._first = self._body, None, None
        if body is not None:
            body.abort()

    def _tell_end(self, error: BaseException | None = None) -> None:
        """Tell those who asked that the stream has ended; only once."""
        response, self._response = self._response, None
        if response is not None:
            complete = self._ended
            tell_end(response, None, complete=complete, error=error, chunks=self._pieces)
