"""A streamed answer: bytes -> events -> chunks, handed out as they come.

    stream = client.chat.completions.create(..., stream=True)

sends nothing yet. The request goes out when the stream is first awaited, entered or iterated.
Whichever way the reader leaves (the end, `break`, an exception, cancellation, `close()`), the
connection is back in the pool or closed at that moment.

What the bytes mean, and whether the answer is complete, is for the `Receiver` to say. Here is the
life of the stream around it (`TRANSITIONS`). A failure on the way waits behind the events that came
before it, and is raised by every reading after them until the stream is left.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from enum import Enum
from typing import Any, Generic, Self, TypeVar

from ..errors import APIConnectionError, APIError, APITimeoutError, OpenAIError
from ..http.body import ERROR_BODY_TIMEOUT, MAX_ERROR_BODY, ByteStream
from ..http.request import Response
from ..types.base import APIObject, ResponseMeta
from ..types.structuring import structurer
from ..types.values import MalformedError
from ..wire.codec import misread
from .answer import Answer
from .reader import Reader
from .receiver import Receiver
from .receiver import State as Received

Event = TypeVar("Event", bound=APIObject)

Connect = Callable[[Callable[[Response], Awaitable[None]]], Awaitable[Response]]
"""Sends the request; calls back with each attempt's open response."""

# How long a stream that has all its finish_reasons is listened to, in seconds, where the server
# neither says [DONE] nor ends the response.
FINISH_GRACE = 10.0


class State(Enum):
    """Where in its life a stream is."""

    UNOPENED = "unopened"
    """Nothing has been sent."""
    OPENING = "opening"
    """The request is under way, retries included; it lasts until the first event."""
    OPEN = "open"
    """Events come."""
    ENDED = "ended"
    """The answer is complete, and the connection is back in the pool. Reading on ends at once."""
    CLOSED = "closed"
    """It was left before its end, or never opened, and the connection is closed. Reading on is an
    `OpenAIError`."""


TRANSITIONS: dict[State, dict[State, str]] = {
    State.UNOPENED: {
        State.OPENING: "it is awaited, entered or iterated",
        State.CLOSED: "it is closed or dropped",
    },
    State.OPENING: {
        State.OPEN: "the first event has come",
        State.CLOSED: "the last attempt failed, or it is closed meanwhile",
    },
    State.OPEN: {
        State.ENDED: "all of a complete answer has been read, or it is left after the answer's end",
        State.CLOSED: "it is left before that",
    },
    State.ENDED: {},
    State.CLOSED: {},
}
"""From each state to the next, and when. docs/architecture.md shows the same table."""


class AsyncStream(ABC, Generic[Event]):
    """The events of a streamed answer.

    Usable in three ways, all of which send the request once::

        async for chunk in create(..., stream=True): ...
        stream = await create(..., stream=True)
        async with create(..., stream=True) as stream: ...

    Opening waits for the first event: until then a failure is retried like any other.

    Raises (from all of them):
        StreamInterruptedError: the answer ended before it was done.
        APIError: what a plain request raises, and an error object inside the stream.
    """

    def __init__(self, connect: Connect) -> None:
        self._state = State.UNOPENED
        # Let go once it has been used: it holds the request, whose body alone is 4 kB and more.
        self._connect: Connect | None = connect
        self._body: ByteStream | None = None
        self._meta: ResponseMeta | None = None
        self._receiver: Receiver | None = None
        # Parsed events that nobody has asked for yet, the next one last: a read often brings
        # several. (A deque would do as well, but takes 700 bytes even when it is empty.)
        self._ready: list[dict[str, Any]] = []
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
        """Hang up. What has not been read is lost; closing twice is fine."""
        self._leave()

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts; there once the stream is open."""
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
        with suppress(MalformedError):
            return self._structure(value)
        raise self._misread(value)  # with no context, which may quote the API key

    async def _open(self) -> Self:
        if self._meta is not None:
            return self
        self._check_open()
        self._one_reader()
        assert self._connect is not None
        self._become(State.OPENING)
        try:
            response = await self._connect(self._begin)
            if self._receiver is None:
                msg = "A middleware has answered this stream without sending it."
                raise OpenAIError(msg)
            self._check_open()
        except BaseException:
            if self._state is State.OPENING:
                self._become(State.CLOSED)  # a stream sends its request once
            if self._body is not None:
                self._body.abort()
            raise
        finally:
            self._busy = False
            self._connect = None
        self._become(State.OPEN)
        self._meta, self._on_usage = response.meta, response.on_usage
        self._receiver.meta = self._meta
        if (failure := self._receiver.failure) is not None:
            failure.attempts = response.attempts
        return self

    async def _begin(self, response: Response) -> None:
        """Read up to the first event; part of the attempt, so that its failure is retried."""
        self._check_open()
        if self._body is not None:  # a middleware sends again
            self._body.abort()
        assert response.stream is not None
        body = self._body = response.stream
        self._secret = response.secret
        self._receiver = Receiver(
            self._new_answer(), body.content_type, response.meta, response.secret
        )
        self._ready.clear()
        self._grace_ends, self._idle = None, body.idle
        try:
            await self._fill(body, self._receiver)
            if self._receiver.failure is not None and not self._ready:
                raise self._receiver.failure
        except BaseException:
            # The traceback of the failure holds the receiver, and this stream: together with the
            # failure they would live until the garbage collector comes.
            self._receiver.failure = None
            self._receiver = None
            raise

    def _check_open(self) -> None:
        if self._state is State.CLOSED:
            msg = "This stream was closed before its end: nothing more can be read from it."
            raise OpenAIError(msg)

    async def _more(self) -> None:
        """See to it that an event is ready; StopAsyncIteration at the end of a whole answer."""
        if self._meta is None:
            await self._open()
            if self._ready:
                return
        self._check_open()
        self._one_reader()
        try:
            body, receiver = self._body, self._receiver
            assert body is not None
            assert receiver is not None
            if not receiver.over:
                await self._fill(body, receiver)
            if self._ready:
                return
            if receiver.failure is not None:
                # Raised anew, else each reading would make its traceback longer.
                raise receiver.failure.with_traceback(None)
            if self._state is State.OPEN:
                self._become(State.ENDED)
                tokens = receiver.answer.total_tokens
                if self._on_usage is not None and tokens is not None:
                    self._on_usage(tokens)
                await body.finish()
        finally:
            self._busy = False
        raise StopAsyncIteration

    async def _fill(self, body: ByteStream, receiver: Receiver) -> None:
        """Read until there is an event, the end, or a failure; failures wait behind events."""
        while not (self._ready or receiver.over):
            try:
                self._bound_the_end(body, receiver.answer)
                data = await body.read()
            except APIConnectionError as error:
                self._check_open()  # if we closed it ourselves, that is what to say
                receiver.receive_break(error)
                break
            if receiver.is_other(data):
                receiver.receive_other(await self._rest(body, data))
                break
            if events := receiver.receive_data(data):
                events.reverse()
                self._ready += events
                self._grace_ends = None
        if receiver.state is Received.FAILED:
            body.abort()

    def _bound_the_end(self, body: ByteStream, answer: Answer) -> None:
        """Once only `[DONE]` is missing, a short silence is enough, instead of all of `idle`.

        It counts from the last event. If usage was asked for, it has all of `idle` to arrive,
        however many comments keep the connection alive.
        """
        grace = self._idle if answer.expects_more else FINISH_GRACE
        if not answer.complete or grace is None:
            body.idle = self._idle
            return
        now = asyncio.get_running_loop().time()
        if self._grace_ends is None:
            self._grace_ends = now + grace
        left = self._grace_ends - now
        if left <= 0:
            raise APITimeoutError("The stream is complete but does not end.")
        body.idle = left if self._idle is None else min(left, self._idle)

    async def _rest(self, body: ByteStream, data: bytes) -> bytes:
        """All of a body that is not a stream, as far as it comes; `data` is its start."""
        with suppress(TimeoutError, APIConnectionError):
            async with asyncio.timeout(ERROR_BODY_TIMEOUT):
                while len(data) < MAX_ERROR_BODY and (part := await body.read()):
                    data += part
        return data

    # --- what a kind of stream adds ---

    @abstractmethod
    def _new_answer(self) -> Answer:
        """What the events of an attempt add up to."""

    @abstractmethod
    def _kind(self, value: dict[str, Any]) -> type[Event]:
        """The class of an event."""

    def _structure(self, value: dict[str, Any]) -> Event:
        """The typed event."""
        return structurer(self._kind(value))(value)

    # --- the ways it ends ---

    def _misread(self, value: dict[str, Any]) -> APIError:
        """The failure of an event whose parts have the wrong shape."""
        return self._fail(misread(self._kind(value), value, self._secret))

    def _fail(self, failure: APIError) -> APIError:
        """Remember the failure for who reads next, and hang up."""
        assert self._receiver is not None
        assert self._body is not None
        self._receiver.fail(failure)
        self._body.abort()
        return failure

    def _leave(self) -> None:
        """Hang up without waiting; after the end of the answer the connection stays usable."""
        if self._state is State.ENDED or self._state is State.CLOSED:
            return
        receiver = self._receiver if self._state is State.OPEN else None
        done = receiver is not None and receiver.state is Received.DONE
        self._become(State.ENDED if done else State.CLOSED)
        self._ready.clear()
        if self._body is not None:
            if done:
                self._body.release()
            else:
                self._body.abort()

    def _become(self, state: State) -> None:
        assert state in TRANSITIONS[self._state], f"{self._state} to {state}"
        self._state = state

    def _one_reader(self) -> None:
        """Two tasks reading at once would tear events apart."""
        if self._busy:
            msg = "Another task is reading this stream: give each stream one reader."
            raise OpenAIError(msg)
        self._busy = True

    def __del__(self) -> None:
        self._leave()  # nobody can read on
