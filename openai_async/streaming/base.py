"""A streamed answer: bytes -> events -> chunks, delivered as they arrive.

    stream = client.chat.completions.create(..., stream=True)

sends nothing yet. The request is sent when the stream is first awaited, entered or iterated over.
However the iteration ends (at the end of the answer, by an exception, cancellation, `close()`, or
because nothing refers to the stream), the connection is released to the pool or closed at once. If
a loop is left by `break` and the stream is still referenced, it is closed after `PAUSE` seconds,
unless it is read again by then: by another loop, which continues with the next event.

The `Receiver` decides what the bytes mean and whether the answer is complete. This file is the life
cycle of the stream around it (`TRANSITIONS`). The events that arrived before a failure are given
out first. After them, every read raises the failure until the stream is left.
"""

from __future__ import annotations

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from enum import Enum
from typing import Any, Generic, Self, TypeVar

from ..errors import APIConnectionError, APIError, APITimeoutError, OpenAIError
from ..http.body import ERROR_BODY_TIMEOUT, MAX_ERROR_BODY, ByteStream, running_loop
from ..http.request import Response
from ..types.base import APIObject, ResponseMeta
from ..types.structuring import structurer
from ..types.values import MalformedError
from ..wire.codec import misread
from .answer import Answer, Received
from .raw import Connect
from .reader import Reader
from .receiver import Receiver
from .receiver import State as ReceiverState

Event = TypeVar("Event", bound=APIObject)

# How many seconds to keep reading a stream that has all its finish_reasons, if the server neither
# sends [DONE] nor ends the response.
FINISH_GRACE = 10.0
# How many seconds a stream stays open after a `break`, for another loop to begin.
PAUSE = 0.25


class State(Enum):
    """The states in the life cycle of a stream."""

    # Enum's own is written in Python, and opening a stream calls it four times.
    __hash__ = object.__hash__

    UNOPENED = "unopened"
    """Nothing has been sent."""
    OPENING = "opening"
    """The request is in flight, retries included, until the first event."""
    OPEN = "open"
    """Events are arriving."""
    PAUSED = "paused"
    """A loop was left by `break`, and another may continue; the connection is still open."""
    ENDED = "ended"
    """The answer is complete and the connection is back in the pool; another read ends at once."""
    CLOSED = "closed"
    """It was left before its end, or never opened; another read raises `OpenAIError`."""


TRANSITIONS: dict[State, dict[State, str]] = {
    State.UNOPENED: {
        State.OPENING: "it is awaited, entered or iterated over",
        State.CLOSED: "it is closed or dropped",
    },
    State.OPENING: {
        State.OPEN: "the first event has arrived",
        State.CLOSED: "the last attempt fails, or it is closed meanwhile",
    },
    State.OPEN: {
        State.PAUSED: "a loop is left by `break` before the end of the answer",
        State.ENDED: "a complete answer has been read, or it is left after the end of the answer",
        State.CLOSED: "it is left in any other way before that",
    },
    State.PAUSED: {
        State.OPEN: "it is read again",
        State.CLOSED: "a quarter of a second has passed, or it is closed or dropped",
    },
    State.ENDED: {},
    State.CLOSED: {},
}
"""From each state to the next, and when. docs/architecture.md shows the same table."""


# In Python 3.11, looking up `State.CLOSED` takes 0.1 us.
_UNOPENED, _OPENING, _OPEN, _PAUSED, _ENDED, _CLOSED = State


class AsyncStream(ABC, Generic[Event]):
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

    def __init__(self, connect: Connect) -> None:
        self._state = _UNOPENED
        # Dropped after use: it holds the request, whose body alone is 4 kB or more.
        self._connect: Connect | None = connect
        self._body: ByteStream | None = None
        self._meta: ResponseMeta | None = None
        self._receiver: Receiver | None = None
        self._answer: Answer | None = None  # of the latest attempt, even if that has failed
        # Events that have not been requested yet, the next one last: a read often returns several.
        # (A deque would do as well, but takes 700 bytes even when it is empty.)
        self._ready: list[Received] = []
        # Those of a paused stream: with `_ready` empty, any read calls `_more`, which resumes it.
        self._held: list[Received] = []
        self._pause_timer: asyncio.TimerHandle | None = None
        self._secret: str | None = None
        self._on_usage: Callable[[int], None] | None = None
        self._grace_ends: float | None = None
        self._idle: float | None = None
        self._busy = False

    # --- opening and closing ---

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        return await self._open()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Events not yet read are lost; closing twice is fine."""
        self._leave()

    async def aclose(self) -> None:
        """`close()`, by the name that `contextlib.aclosing` calls."""
        self._leave()

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts; available once the stream is open."""
        if self._meta is None:
            msg = "The stream is not open yet: await it, enter it or iterate over it first."
            raise OpenAIError(msg)
        return self._meta

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.value}>"

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
        self._become(_OPENING)
        try:
            response = await self._connect(self._begin)
            if self._receiver is None:
                msg = "A middleware returned a response without sending the request of this stream."
                raise OpenAIError(msg)
            self._check_open()
        except BaseException:
            if self._state is _OPENING:
                self._become(_CLOSED)  # a stream sends its request once
            if self._body is not None:
                self._body.abort()
            raise
        finally:
            self._busy = False
            self._connect = None
        self._become(_OPEN)
        self._meta, self._on_usage = response.meta, response.on_usage
        self._receiver.meta = self._meta
        assert self._body is not None
        self._idle = self._body.idle  # differs until the first event, with `Timeout(first=...)`
        if (failure := self._receiver.failure) is not None:
            failure.attempts = response.attempts
        return self

    async def _begin(self, response: Response) -> None:
        """Read up to the first event; part of the attempt, so that a failure is retried."""
        self._check_open()
        if self._body is not None:  # a middleware sends again
            self._body.abort()
        assert response.stream is not None
        body = self._body = response.stream
        self._secret = response.secret
        self._answer = self._new_answer()
        self._receiver = Receiver(self._answer, response.meta, response.secret)
        self._ready.clear()
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

    def _check_open(self) -> None:
        if self._state is _CLOSED:
            msg = (
                "This stream was closed before its end, as when a loop over it is left: after a "
                f"`break`, another loop has to begin within {PAUSE} s. To read on later, take "
                "single chunks with `await anext(stream)`."
            )
            raise OpenAIError(msg)

    async def _more(self) -> None:
        """Wait until an event is ready; StopAsyncIteration at the end of a complete answer."""
        if self._meta is None:
            await self._open()
            if self._ready:
                return
        if self._busy or self._state is not _OPEN:
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
            if self._state is _OPEN:
                self._end(receiver.answer)
                await body.finish()
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
                self._grace_ends = None
            data = b""
        if receiver.failure is not None:
            body.abort()

    def _take_pending(self) -> None:
        """Take in the events that arrived with the first one but have not been parsed yet."""
        receiver = self._receiver
        if receiver is not None and receiver.pending:
            events = receiver.resume()
            events.reverse()
            self._ready[:0] = events
            if receiver.failure is not None and self._body is not None:
                self._body.abort()

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

    # --- how it ends ---

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
        return failure

    def _end(self, answer: Answer) -> None:
        """The whole answer has arrived."""
        self._become(_ENDED)
        tokens = answer.total_tokens
        if self._on_usage is not None and tokens is not None:
            self._on_usage(tokens)

    def _pause(self) -> None:
        """A loop was left by `break`: close soon, unless the stream is read again.

        After the end of the answer, the connection is released at once; the events that have not
        been read can still be read.
        """
        receiver, body = self._receiver, self._body
        assert receiver is not None
        assert body is not None
        if self._state is _OPEN and (self._busy or running_loop() is not body.loop):
            self._leave()  # nobody knows who would continue
            return
        self._take_pending()
        self._held += self._ready
        self._ready.clear()
        if self._state is not _OPEN:
            return
        if receiver.state is ReceiverState.DONE:
            self._end(receiver.answer)
            body.release()
        else:
            self._become(_PAUSED)
            # Not a method: until it is called, the loop would keep the stream from being dropped.
            self._pause_timer = body.loop.call_later(PAUSE, _end_pause, weakref.ref(self))

    def _resume(self) -> None:
        """Continue after `_pause`, with the events that have not been read."""
        self._check_open()
        if self._state is _PAUSED:
            self._become(_OPEN)
            self._stop_timer()
        self._ready += self._held
        self._held.clear()

    def _stop_timer(self) -> None:
        timer, self._pause_timer = self._pause_timer, None
        if timer is not None and self._body is not None:
            self._body.in_own_loop(timer.cancel)

    def _leave(self) -> None:
        """Close without waiting; after the end of the answer, the connection stays usable."""
        if self._state is not _ENDED and self._state is not _CLOSED:
            self._stop_timer()
            self._take_pending()
            receiver = self._receiver if self._state is _OPEN else None
            done = receiver is not None and receiver.state is ReceiverState.DONE
            self._become(_ENDED if done else _CLOSED)
            if self._body is not None:
                if done:
                    self._body.release()
                else:
                    self._body.abort()
        self._ready.clear()
        self._held.clear()

    def _become(self, state: State) -> None:
        assert state in TRANSITIONS[self._state], f"{self._state} to {state}"
        self._state = state

    def _one_reader(self) -> None:
        """Refuse a second task that reads at the same time: each would get only some events."""
        if self._busy:
            msg = "Another task is reading this stream: give each stream one reader."
            raise OpenAIError(msg)

    def __del__(self) -> None:
        self._leave()  # nothing can read it any more


def _end_pause(paused: weakref.ref[Any]) -> None:
    """Close a stream whose loop was left by `break`, if it is still there and was not read."""
    stream: AsyncStream[Any] | None = paused()
    if stream is not None and stream._state is _PAUSED:
        stream._leave()
