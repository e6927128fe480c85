"""The open body of a streamed response: its bytes, a limit on silence, and its release.

A slow reader puts backpressure on the server, as aiohttp stops reading from the socket when its
buffer is full. Only the time spent waiting in `read` counts as silence, not the time between reads.
"""

from __future__ import annotations

import asyncio
import copy
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from ..errors import APIConnectionError, APITimeoutError, OpenAIError
from .aiohttp_internals import Answer, bytes_received, read_any, take_buffered
from .connection_errors import WIRE_ERRORS, connection_error, drop_traceback
from .open_streams import OpenStreams
from .urls import server_of

if TYPE_CHECKING:
    from ..types.stream_end import StreamEnd

StreamCallback: TypeAlias = "Callable[[StreamEnd], object]"
# An error's body is read to report what went wrong: no more of it than this many bytes...
MAX_ERROR_BODY = 1024 * 1024
# ...and for no more than this many seconds.
ERROR_BODY_TIMEOUT = 5.0
# The end of the HTTP body nearly always comes together with the last event, or right after it; once
# it is read, the connection can be reused. `finish` waits this long for it, in seconds...
DRAIN_TIMEOUT = 0.05
# ...and after this many more seconds the connection is closed.
LINGER_TIMEOUT = 2.0
# How often a waiting reader's connection is checked, in seconds.
CHECK_INTERVAL = 1.0
# A silence or a lost connection is confirmed by a second check after this many seconds.
RECHECK_DELAY = 0.01


class ByteStream:
    """The bytes of one response. One reader at a time.

    Args:
        answer: an answer whose headers have been read.
        idle: seconds of silence after which one `read` fails; `None` for no limit.
        on_release: called once, when the request is no longer in flight; `None` if its owner
            keeps track itself.
        open_streams: holds this stream while it has a connection: checks it for silence, and
            closes it when the client is closed.

    Attributes:
        on_end: functions that the reader calls once the stream has ended; see
            `Response.on_stream_end`.
    """

    __slots__ = (
        "_answer",
        "_bytes_seen",
        "_close_reason",
        "_compressed",
        "_content",
        "_idle",
        "_interval",
        "_loop",
        "_on_loss",
        "_on_release",
        "_open_streams",
        "_silent_since",
        "_timer",
        "on_end",
    )

    def __init__(
        self,
        answer: Answer,
        idle: float | None,
        on_release: Callable[[], None] | None,
        open_streams: OpenStreams[ByteStream],
    ) -> None:
        self._answer = answer
        self._content = answer.content
        self._compressed = "Content-Encoding" in answer.headers
        self._idle = idle
        self._interval = _check_interval(idle)
        self._on_release = on_release
        self._loop = asyncio.get_running_loop()
        self._silent_since: float | None = None
        self._bytes_seen = 0  # bytes received when this silence began
        self._close_reason: APIConnectionError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._open_streams = open_streams
        self.on_end: list[StreamCallback] | None = None
        self._on_loss: weakref.WeakMethod[Callable[[APIConnectionError], None]] | None = None
        open_streams.add(self)

    async def read(self) -> bytes:
        """The bytes received since the last read, or the next to arrive; b"" at the end.

        Raises:
            APITimeoutError: nothing arrived for `idle` seconds.
            APIConnectionError: the connection was lost or closed.
            OpenAIError: the stream was opened in another event loop.
        """
        if asyncio.get_running_loop() is not self._loop:
            msg = "This stream belongs to another event loop: read it in the one that opened it."
            raise OpenAIError(msg)
        content = self._content
        self._silent_since = now = self._loop.time()
        if self._compressed:
            self._bytes_seen = bytes_received(content)
        if now + self._interval < self._open_streams.next_check:
            self._open_streams.check_by(now + self._interval, self._loop)
        try:
            data = await read_any(content, self._loop)
        except WIRE_ERRORS as error:
            reason = self._close_reason
            self.abort()
            if reason is not None:
                drop_traceback(error)
                # A copy: raising it would attach these frames to `self`, as aiohttp does.
                raise copy.copy(reason) from None
            raise connection_error(error, self._answer.url) from error
        except BaseException:
            self.close(APIConnectionError("The stream was closed when its reader was cancelled."))
            raise
        finally:
            self._silent_since = None
        return data

    def take(self) -> bytes:
        """The bytes that have arrived, without waiting; b"" if `read` has to be called."""
        if self._content.exception() is not None:
            return b""
        return take_buffered(self._content)

    def when_closed(self, method: Callable[[APIConnectionError], None]) -> None:
        """Call a method if the client is closed while nobody reads. Held by a weak reference."""
        self._on_loss = weakref.WeakMethod(method)

    @property
    def size(self) -> int:
        """How many bytes have arrived, decompressed."""
        return self._content.total_bytes

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that opened the stream."""
        return self._loop

    @property
    def idle(self) -> float | None:
        """Seconds of silence after which one `read` fails, or `None`. May be set between reads."""
        return self._idle

    @idle.setter
    def idle(self, seconds: float | None) -> None:
        if seconds != self._idle:
            self._idle, self._interval = seconds, _check_interval(seconds)

    async def finish(self) -> None:
        """After the last event: drain the body, then release the connection for reuse."""
        content = self._content
        if not content.at_eof():
            try:
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    while await read_any(content, self._loop):
                        pass
            except TimeoutError:
                pass  # release() goes on waiting
            except WIRE_ERRORS as error:
                drop_traceback(error)
                self._answer.close()
            except BaseException:
                self.abort()
                raise
        self.release()

    def release(self) -> None:
        """`finish()` without waiting. May be called from any thread.

        aiohttp returns the connection to its pool when the body ends. If it does not end soon, a
        timer closes the connection; meanwhile the request no longer counts as in flight.
        """
        self.in_own_loop(self._release_or_linger)

    def abort(self) -> None:
        """Close the connection now. May be called from any thread."""
        self.in_own_loop(self.close)

    def close(self, reason: APIConnectionError | None = None) -> None:
        """Close the connection, in the stream's own loop. Closing twice does nothing.

        A waiting `read`, and any later one, raises `reason`.
        """
        self._close_reason = self._close_reason or reason
        self._open_streams.discard(self)
        if reason is not None and self._silent_since is None and self._on_loss is not None:
            method = self._on_loss()
            if method is not None:
                method(reason)
        if not self._loop.is_closed():  # a closed loop has no connections and no readers
            self._release_slot()
            self._answer.close()

    def in_own_loop(self, callback: Callable[[], None]) -> None:
        """Call it now, or soon if this is another thread; never if the loop is closed."""
        if running_loop() is self._loop:
            callback()
        else:
            # RuntimeError: the loop is closed, and its connections with it.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _release_or_linger(self) -> None:
        self._release_slot()
        if self._content.at_eof() or self._answer.closed:
            self._open_streams.discard(self)
        else:
            self._timer = self._loop.call_later(LINGER_TIMEOUT, self.close)

    def _release_slot(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._on_release is not None:
            self._on_release()
            self._on_release = None

    def check(self, now: float) -> float | None:
        """Called by the timer of all streams: see whether the reader still has something to wait
        for. Returns when to check again, if at all.
        """
        silence = self._silence(now)
        if silence is None or self._timer is not None:
            return None  # the next read asks for a check, or the second check is pending
        if self._is_lost() or (self._idle is not None and silence >= self._idle):
            # Not at once: a connection that is just closing wakes its reader one turn of the loop
            # later, and a loop that was blocked may run late timers before it reads the socket.
            self._timer = self._loop.call_later(RECHECK_DELAY, self._recheck)
            return None
        return now + _check_interval(None if self._idle is None else self._idle - silence)

    def _silence(self, now: float) -> float | None:
        """Seconds that a read has waited without a byte; `None` if no read is waiting."""
        if self._silent_since is None:
            return None
        if self._compressed:  # received bytes may not be enough to decompress any
            received = bytes_received(self._content)
            if received != self._bytes_seen:
                self._bytes_seen, self._silent_since = received, now
        return now - self._silent_since

    def _is_lost(self) -> bool:
        """Whether the connection was closed without waking the body's reader.

        On a malformed chunk aiohttp's C parser closes the connection and sets the error on the
        protocol, which no longer has a waiter, instead of the body (3.12 to 3.14; we know of no
        upstream issue). The faults named "a bad chunk size" in tests/faults/ pin this.
        """
        connection, content = self._answer.connection, self._content
        if connection is None or content.is_eof() or content.exception() is not None:
            return False
        transport = connection.transport
        return transport is None or transport.is_closing()

    def _recheck(self) -> None:
        self._timer = None
        now = self._loop.time()
        silence = self._silence(now)
        if silence and self._is_lost():
            where = server_of(self._answer.url)
            msg = f"The answer from {where} was cut off: it is not valid HTTP."
            self.close(APIConnectionError(msg))
        elif silence is not None and self._idle is not None and silence >= self._idle:
            msg = (
                f"The stream was silent for {self._idle:g} s. "
                "Raise Timeout(idle=...) if the server may take longer."
            )
            # Wakes the reader with aiohttp's "Connection closed".
            self.close(APITimeoutError(msg))
        elif (when := self.check(now)) is not None:
            self._open_streams.check_by(when, self._loop)


def _check_interval(idle: float | None) -> float:
    """Seconds until a read is checked for silence, of which `idle` more are allowed."""
    # A timer may fire slightly early. The rest of `idle` may then be less than the clock can
    # measure, and checking again at once would keep the loop busy.
    return CHECK_INTERVAL if idle is None else max(RECHECK_DELAY, min(CHECK_INTERVAL, idle))


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop running in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
