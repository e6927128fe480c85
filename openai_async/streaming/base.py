"""A streamed answer: bytes -> events -> chunks, delivered as they arrive.

    stream = client.chat.completions.create(..., stream=True)

sends nothing yet. The request is sent when the stream is first awaited, entered or iterated over.
`life_cycle` has how it is closed.

The `Receiver` decides what the bytes mean and whether the answer is complete; this file opens the
stream and reads. Events that arrived before a failure are delivered first. After them, every read
raises the failure until the stream is left.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

from .._submodules import LazyModule
from ..errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    InvalidArgumentError,
    OpenAIError,
)
from ..http.body import ERROR_BODY_TIMEOUT, MAX_ERROR_BODY, ByteStream
from ..http.request import Response
from ..relay import KEEP_ALIVE
from ..types.base import APIObject, ResponseMeta
from ..types.structuring import structurer
from ..types.values import MalformedError
from ..wire.codec import misread
from .answer import Answer, Received
from .life_cycle import CLOSED, ENDED, OPEN, OPENING, UNOPENED, LifeCycle
from .raw import Connect, Opening
from .reader import Reader
from .receiver import Receiver

if TYPE_CHECKING:
    from ..relay import copies, forms
    from ..relay import relay as relays
    from ..relay.forms import SSEForm
    from ..relay.relay import Relay
    from ..types.think_tags import ThinkTagsOption
    from . import raw
else:  # few programs relay
    copies = LazyModule("openai_async.relay.copies")
    forms = LazyModule("openai_async.relay.forms")
    relays = LazyModule("openai_async.relay.relay")
    raw = LazyModule("openai_async.streaming.raw")

Event = TypeVar("Event", bound=APIObject)

# How many seconds to keep reading a stream that has all its finish_reasons, if the server neither
# sends [DONE] nor ends the response.
FINISH_GRACE = 10.0


class AsyncStream(LifeCycle, ABC, Generic[Event]):
    """The events of a streamed answer.

    There are three ways to use it, all of which send the request once::

        async for chunk in create(..., stream=True): ...
        stream = await create(..., stream=True)
        async with create(..., stream=True) as stream: ...

    Opening waits for the first event: failures until then are retried as for any other call.

    Raises (in all three ways):
        StreamInterruptedError: the stream ended before the answer was complete.
        APIError: as for a call without `stream`; also for an error object inside the stream.
    """

    _path: ClassVar[str] = ""
    """The end of the path of its endpoint, which determines how an answer ends."""
    _n: int = 1
    """How many choices or pictures were requested."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        # Dropped after use: it holds the request, whose body alone is 4 kB or more.
        self._connect: Connect | None = connect
        self._meta: ResponseMeta | None = None
        self._secret: str | None = None
        self._grace_ends: float | None = None
        self._idle: float | None = None

    # --- opening ---

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        return await self._open()

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts; available once the stream is open."""
        if self._meta is None:
            msg = "The stream is not open yet: await it, enter it or iterate over it first."
            raise OpenAIError(msg)
        return self._meta

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[Event]:
        return Reader(self, self._structure)

    async def __anext__(self) -> Event:
        while not self._ready:
            await self._more()
        value = self._ready.pop()
        try:
            return self._structure(value)
        except MalformedError:
            pass  # it may quote the API key, so it must not be the context of the error below
        raise self._misread(value)

    async def _open(self) -> Self:
        if self._meta is not None:
            return self
        self._check_open()
        self._one_reader()
        self._busy = True
        assert self._connect is not None
        self._become(OPENING)
        opening = Opening(self._begin)
        try:
            response = self._response = await self._connect(opening)
            if self._receiver is None:
                msg = "A middleware returned a response without sending the request of this stream."
                raise OpenAIError(msg)
            self._check_open()
        except BaseException as error:
            self._tell_end(error)
            if self._state is OPENING:
                self._become(CLOSED)  # a stream sends its request once
            if self._body is not None:
                self._body.abort()
            raise
        finally:
            self._busy = False
            self._connect = opening.begin = None
        self._become(OPEN)
        self._meta = response.meta
        self._receiver.meta = self._meta
        assert self._body is not None
        if response.watched:
            self._body.when_closed(self._tell_end)
        else:
            self._response = None
        self._idle = self._body.idle  # differs until the first event, with `Timeout(first=...)`
        if (failure := self._receiver.failure) is not None:
            failure.attempts = response.attempts
        return self

    async def _begin(self, response: Response) -> None:
        """Read up to the first event; part of the attempt, so that a failure is retried."""
        self._check_open()
        if self._body is not None:  # a middleware sends again
            self._tell_end()
            self._body.abort()
        assert response.stream is not None
        body = self._body = response.stream
        self._secret = response.secret
        self._answer = self._new_answer()
        self._receiver = Receiver(self._answer, response.meta, response.secret)
        self._ready.clear()
        self._chunks = 0
        self._grace_ends, self._idle = None, body.idle
        try:
            # The first event often arrives together with the headers.
            await self._fill(body, self._receiver, body.take())
            if self._receiver.failure is not None and not self._ready:
                raise self._receiver.failure
        except BaseException:
            # The failure's traceback refers to the receiver and this stream: in a reference cycle
            # with the failure, they would live until the garbage collector runs.
            self._receiver.failure = None
            self._receiver = None
            raise
        self._response = response

    async def _more(self) -> None:
        """Wait until an event is ready; StopAsyncIteration at the end of a complete answer."""
        if self._meta is None:
            await self._open()
            if self._ready:
                return
        if self._busy or self._state is not OPEN:
            self._check_open()
            self._one_reader()
            self._resume()
            if self._ready:
                return
        self._busy = True
        try:
            body, receiver = self._body, self._receiver
            assert body is not None
            assert receiver is not None
            await self._fill(body, receiver)
            if self._ready:
                return
            if receiver.failure is not None:
                # Otherwise its traceback would grow with each read.
                raise receiver.failure.with_traceback(None)
            if self._state is OPEN:
                self._become(ENDED)
                await body.finish()
        except (APIError, asyncio.CancelledError) as error:
            self._tell_end(error)
            raise
        finally:
            self._busy = False
        raise StopAsyncIteration

    async def _fill(self, body: ByteStream, receiver: Receiver, data: bytes = b"") -> None:
        """Read until there is an event, the end, or a failure; events are delivered first.

        `data` has been read already.
        """
        while not (self._ready or receiver.over):
            if receiver.pending:
                self._take_pending()
                continue
            if not data:
                try:
                    # While events fit a template, the answer is not complete.
                    if receiver.templates.current is None and receiver.answer.complete:
                        self._limit_silence(body, receiver.answer)
                    elif body.idle != self._idle:  # the answer goes on after all
                        body.idle = self._idle
                    data = await body.read()
                except APIConnectionError as error:
                    self._check_open()  # if it was closed here, that is the error to raise
                    receiver.receive_break(error)
                    break
            if self._meta is None and receiver.is_other(data):
                receiver.receive_other(await self._rest(body, data))
                break
            # Opening ends with the first event: those after it can wait until they are asked for.
            if events := receiver.receive_data(data, first_only=self._meta is None):
                events.reverse()
                self._ready += events
                self._chunks += len(events)
                self._grace_ends = None
            data = b""
        if receiver.failure is not None:
            body.abort()

    def _limit_silence(self, body: ByteStream, answer: Answer) -> None:
        """Once only `[DONE]` is missing, wait for a shorter time than `idle`.

        It is measured from the last event. Usage that was requested has all of `idle` to arrive,
        however many comments keep the connection alive.
        """
        grace = self._idle if answer.expects_more else FINISH_GRACE
        if grace is None:
            body.idle = None
            return
        now = asyncio.get_running_loop().time()
        if self._grace_ends is None:
            self._grace_ends = now + grace
        left = self._grace_ends - now
        if left <= 0:
            raise APITimeoutError("The stream is complete but does not end.")
        body.idle = left if self._idle is None else min(left, self._idle)

    async def _rest(self, body: ByteStream, data: bytes) -> bytes:
        """The rest of a body that is not a stream, up to a limit, after `data`, its start."""
        with suppress(TimeoutError, APIConnectionError):
            async with asyncio.timeout(ERROR_BODY_TIMEOUT):
                while len(data) < MAX_ERROR_BODY and (part := await body.read()):
                    data += part
        return data

    # --- relaying ---

    def sse(
        self,
        *,
        form: SSEForm | Literal["raw"] = "chunks",
        keep_alive: float | None = KEEP_ALIVE,
        think_tags: ThinkTagsOption = False,
    ) -> Relay:
        """The rest of the stream as server-sent events for a browser: an async iterator of bytes.
        `openai_async.web` sends it with the right status and headers.

        A failure becomes the last event, `event: error`, with `error.safe_message`.

        Args:
            form: `"chunks"`, as the API sends them; `"text"`, small objects with what a page shows;
                `"ui"`, the UI message stream of Vercel's AI SDK; `"raw"`, the server's bytes,
                neither parsed nor changed: its errors reach the browser with their own text. A raw
                relay needs a stream that has not been opened. See docs/web.md.
            keep_alive: seconds of silence after which a comment is sent; `None` for never.
            think_tags: whether `"text"` and `"ui"` send a `<think>` block at the beginning as
                reasoning; see `ChatCompletionStream.text`.

        Raises:
            InvalidArgumentError: there is no such form, this stream does not have it, or it does
                not take `think_tags`.

        Example::

            async for data in stream.sse(form="text"):
                await send(data)
        """
        self._check_relayable()
        relays.check_keep_alive(keep_alive)
        if form == "raw":
            forms.check_splits(form, think_tags)
            response = raw.ResponseStream(self._give_away(), self._path)
            return response.sse(keep_alive=keep_alive)
        chat = self._path.endswith("/completions")
        made = forms.form_of(form, chat=chat, n=self._n, think_tags=think_tags)
        return copies.relay_events(self, made, keep_alive)

    def _check_relayable(self) -> None:
        """
        Raises:
            OpenAIError: it was closed.
            InvalidArgumentError: it has been read to its end.
        """
        if self._state is CLOSED:
            self._check_open()
        if self._state is ENDED and not (self._ready or self._held):
            msg = "This stream has been read to its end: there is nothing left to relay."
            raise InvalidArgumentError(msg)

    def _give_away(self) -> Connect:
        """What opens the response, for another object to read."""
        if self._state is not UNOPENED or self._connect is None:
            msg = 'form="raw" takes a stream that has not been opened: pass it without `await`.'
            raise InvalidArgumentError(msg)
        connect, self._connect = self._connect, None
        self._become(CLOSED)
        return connect

    # --- for subclasses ---

    @abstractmethod
    def _new_answer(self) -> Answer:
        """An empty answer for the events of an attempt."""

    @abstractmethod
    def _kind(self, value: Received) -> type[Event]:
        """The class of an event."""

    def _structure(self, value: Received) -> Event:
        """The typed event."""
        return structurer(self._kind(value))(value)

    # --- failures ---

    def _misread(self, value: Received) -> APIError:
        """The failure for an event with parts of the wrong shape."""
        return self._fail(misread(self._kind(value), value, self._secret))

    def _fail(self, failure: APIError) -> APIError:
        """Keep the failure for later reads, and close the connection."""
        self._take_pending()
        assert self._receiver is not None
        assert self._body is not None
        self._receiver.fail(failure)
        self._body.abort()
        self._tell_end(failure)
        return failure
