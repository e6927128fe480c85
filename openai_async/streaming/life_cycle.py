"""The life cycle of a stream: its states, and how it is paused and closed.

However the iteration ends (at the end of the answer, by an exception, cancellation, `close()`, or
because nothing refers to the stream), the connection is released to the pool or closed at once.
Only if a loop is left by `break` and the stream is still referenced, it stays open for `PAUSE`
seconds, in which another loop may begin and continue with the next event.
"""

from __future__ import annotations

import asyncio
import weakref
from enum import Enum
from typing import Any, NoReturn

from ..errors import InvalidArgumentError, OpenAIError
from ..http.body import ByteStream, running_loop
from ..http.request import Response
from .answer import Answer, Received
from .endings import tell_end
from .receiver import Receiver
from .receiver import State as ReceiverState

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
UNOPENED, OPENING, OPEN, PAUSED, ENDED, CLOSED = State


class LifeCycle:
    """What a stream holds open, and how it is closed. `AsyncStream` opens it and reads."""

    def __init__(self) -> None:
        self._state = UNOPENED
        self._body: ByteStream | None = None
        self._receiver: Receiver | None = None
        # Events that have not been requested yet, the next one last: a read often returns several.
        # (A deque would do as well, but takes 700 bytes even when it is empty.)
        self._ready: list[Received] = []
        # Those of a paused stream: with `_ready` empty, the next read calls `_more`, which resumes.
        self._held: list[Received] = []
        self._pause_timer: asyncio.TimerHandle | None = None
        self._answer: Answer | None = None  # of the latest attempt, even if that has failed
        self._response: Response | None = None  # while its end is waited for
        self._chunks = 0
        self._busy = False

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Events not yet read are lost; closing twice is fine."""
        self._leave()

    async def aclose(self) -> None:
        """`close()`, by the name that `contextlib.aclosing` calls."""
        self._leave()

    def __reduce__(self) -> NoReturn:
        msg = f"A {type(self).__name__} cannot be copied or pickled: it has one connection."
        raise InvalidArgumentError(msg)

    def __del__(self) -> None:
        self._leave()  # nothing can read it any more

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.value}>"

    def _become(self, state: State) -> None:
        assert state in TRANSITIONS[self._state], f"{self._state} to {state}"
        self._state = state
        if self._response is not None and (state is ENDED or state is CLOSED):
            self._tell_end()

    def _tell_end(self, error: BaseException | None = None) -> None:
        """Tell those who asked that the stream has ended; only once."""
        response, self._response = self._response, None
        if response is not None:
            receiver = self._receiver
            complete = receiver is not None and receiver.state is ReceiverState.DONE
            if receiver is not None and error is None:
                error = receiver.failure
            tell_end(
                response,
                self._answer,
                complete=complete,
                error=None if complete else error,
                chunks=self._chunks,
            )

    def _check_open(self) -> None:
        if self._state is CLOSED:
            msg = (
                "This stream was closed before its end, as when a loop over it is left: after a "
                f"`break`, another loop has to begin within {PAUSE} s. To continue later, take "
                "single chunks with `await anext(stream)` instead."
            )
            raise OpenAIError(msg)

    def _one_reader(self) -> None:
        """Refuse a second task that reads at the same time: each would get only some events."""
        if self._busy:
            msg = "Another task is reading this stream: give each stream one reader."
            raise OpenAIError(msg)

    def _pause(self) -> None:
        """A loop was left by `break`: close soon, unless the stream is read again.

        After the end of the answer, the connection is released at once; the events that have not
        been read can still be read.
        """
        receiver, body = self._receiver, self._body
        assert receiver is not None
        assert body is not None
        if self._state is OPEN and (self._busy or running_loop() is not body.loop):
            self._leave()  # it is unclear who would continue
            return
        self._take_pending()
        self._held += self._ready
        self._ready.clear()
        if self._state is not OPEN:
            return
        if receiver.state is ReceiverState.DONE:
            self._become(ENDED)
            body.release()
        else:
            self._become(PAUSED)
            # Not a bound method: the event loop would keep the stream alive until it is called.
            self._pause_timer = body.loop.call_later(PAUSE, _end_pause, weakref.ref(self))

    def _resume(self) -> None:
        """Continue after `_pause`, with the events that have not been read."""
        self._check_open()
        if self._state is PAUSED:
            self._become(OPEN)
            self._stop_timer()
        self._ready += self._held
        self._held.clear()

    def _stop_timer(self) -> None:
        timer, self._pause_timer = self._pause_timer, None
        if timer is not None and self._body is not None:
            self._body.in_own_loop(timer.cancel)

    def _leave(self) -> None:
        """Close without waiting; after the end of the answer, the connection stays usable."""
        if self._state is not ENDED and self._state is not CLOSED:
            self._stop_timer()
            self._take_pending()
            receiver = self._receiver if self._state is OPEN else None
            done = receiver is not None and receiver.state is ReceiverState.DONE
            self._become(ENDED if done else CLOSED)
            if self._body is not None:
                if done:
                    self._body.release()
                else:
                    self._body.abort()
        self._ready.clear()
        self._held.clear()

    def _take_pending(self) -> None:
        """Take in the events that arrived with the first one but have not been parsed yet."""
        receiver = self._receiver
        if receiver is not None and receiver.pending:
            events = receiver.resume()
            events.reverse()
            self._ready[:0] = events
            self._chunks += len(events)
            if receiver.failure is not None and self._body is not None:
                self._body.abort()


def _end_pause(paused: weakref.ref[Any]) -> None:
    """Close a stream whose loop was left by `break`, if it is still there and was not read."""
    stream: LifeCycle | None = paused()
    if stream is not None and stream._state is PAUSED:
        stream._leave()
