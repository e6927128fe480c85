"""The open body of a streamed response: bytes as they come, a bound on silence, and a clean end.

A slow reader holds the server back: aiohttp stops reading from the socket when its buffer is full,
and a stream that nobody waits for is not "silent", however long its reader thinks.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextlib import suppress

import aiohttp

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    OpenAIError,
)
from .aiohttp_internals import bytes_so_far
from .connection_errors import WIRE_ERRORS, connection_error, forget_frames

# An answer that is an error is read to tell what went wrong, and no further.
MAX_ERROR_BODY = 1024 * 1024
# Nor for longer than this, in seconds.
ERROR_BODY_WAIT = 5.0
# After the last event the end of the HTTP body is nearly always there or on its way, and with it
# the connection is fit for the next request. Longer than this nobody waits for it...
FINISH_WAIT = 0.05
# ...but the connection gets this long to become free by itself before it is closed.
LINGER = 2.0
# How often a wait is looked at, in seconds: whether the connection is still there.
TICK = 1.0
# How long after the first look a silence or a lost connection is looked at once more, in seconds.
RECHECK = 0.01


class ByteStream:
    """The bytes of one response. One reader at a time.

    Args:
        answer: aiohttp's response, headers read.
        idle: seconds of silence that one `read` bears; `None` for ever.
        released: called once, when this stream no longer counts among the requests under way, if
            that is not known otherwise.
        open_streams: where the stream stands as long as it holds a connection, so that closing the
            client hangs up on it.
    """

    __slots__ = (
        "_answer",
        "_content",
        "_idle",
        "_loop",
        "_open_streams",
        "_packed",
        "_released",
        "_seen",
        "_silent_since",
        "_timer",
        "_why",
    )

    def __init__(
        self,
        answer: aiohttp.ClientResponse,
        idle: float | None,
        released: Callable[[], None] | None,
        open_streams: set[ByteStream],
    ) -> None:
        self._answer = answer
        self._content = answer.content
        self._packed = "Content-Encoding" in answer.headers
        self._idle = idle
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._silent_since: float | None = None
        self._seen = 0  # bytes that had come when this silence began
        self._why: APIConnectionError | None = None  # we hung up ourselves, for this reason
        self._timer: asyncio.TimerHandle | None = None
        self._open_streams = open_streams
        open_streams.add(self)

    @property
    def content_type(self) -> str:
        """The media type, lower case, without parameters; "" if the server named none."""
        return self._answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """What has come, or the next that comes; b"" at the end of the body.

        Raises:
            APITimeoutError: nothing came for `idle` seconds.
            APIConnectionError: the connection broke.
            OpenAIError: another event loop runs than the one the stream was opened in.
        """
        if asyncio.get_running_loop() is not self._loop:
            msg = "This stream belongs to another event loop: read it in the one that opened it."
            raise OpenAIError(msg)
        content = self._content
        # One timer for many reads that looks, when it fires, how long this wait has lasted: a timer
        # per read costs more than reading a chunk.
        self._silent_since = self._loop.time()
        if self._packed:
            self._seen = bytes_so_far(content)
        if self._timer is None:
            self._timer = self._loop.call_later(self._until_next_look(0.0), self._watch)
        try:
            data = await content.readany()
        except WIRE_ERRORS as error:
            why = self._why
            self.abort()
            if why is not None:
                forget_frames(error)
                # A copy: with a traceback, `self._why` would keep these frames as aiohttp does.
                raise copy.copy(why) from None
            raise connection_error(error, self._answer.url) from error
        except BaseException:
            self.hang_up(APIConnectionError("It was hung up on when its reader was cancelled."))
            raise
        finally:
            self._silent_since = None
        return data

    @property
    def idle(self) -> float | None:
        """Seconds of silence that one `read` tolerates; `None`: any. May be set between reads."""
        return self._idle

    @idle.setter
    def idle(self, seconds: float | None) -> None:
        if seconds != self._idle:
            self._idle = seconds
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def finish(self) -> None:
        """After the last event: leave the connection to the pool, or close it if it is not fit."""
        content = self._content
        if not content.at_eof():
            try:
                async with asyncio.timeout(FINISH_WAIT):
                    while await content.readany():
                        pass
            except TimeoutError:
                pass  # leave() deals with it
            except WIRE_ERRORS as error:
                forget_frames(error)
                self._answer.close()
            except BaseException:
                self.abort()
                raise
        self.leave()

    def leave(self) -> None:
        """`finish()` without waiting. May be called from any thread.

        aiohttp hands the connection back by itself if the body ends after all. If it does not, the
        timer hangs up; until then the socket is open, though its request is no longer under way.
        """
        self._in_own_loop(self._linger)

    def abort(self) -> None:
        """Hang up now. May be called from any thread."""
        self._in_own_loop(self.hang_up)

    def hang_up(self, why: APIConnectionError | None = None) -> None:
        """Close the connection; in the stream's own loop. Doing it twice is fine.

        A reader that waits at this moment, or comes later, gets `why`.
        """
        self._why = self._why or why
        self._open_streams.discard(self)
        if not self._loop.is_closed():  # else there is no connection, and nobody to wake
            self._release()
            self._answer.close()

    def _in_own_loop(self, callback: Callable[[], None]) -> None:
        if running_loop() is self._loop:
            callback()
        else:
            # A loop that is closed, or closes in this moment, has no connections any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def _linger(self) -> None:
        self._release()
        if self._content.at_eof() or self._answer.closed:
            self._open_streams.discard(self)
        else:
            self._timer = self._loop.call_later(LINGER, self.hang_up)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._released is not None:
            self._released()
            self._released = None

    def _watch(self) -> None:
        """The timer fired: is there anything to wait for?"""
        self._timer = None
        silence = self._silence()
        if silence is None:
            return  # nobody waits; the next read sets the timer again
        if self._is_lost() or (self._idle is not None and silence >= self._idle):
            # Not yet: a connection that closes at this moment tells its reader a turn of the loop
            # later, and a loop that was blocked may run a late timer before it reads what has come.
            self._timer = self._loop.call_later(RECHECK, self._give_up)
        else:
            self._timer = self._loop.call_later(self._until_next_look(silence), self._watch)

    def _until_next_look(self, silence: float) -> float:
        # A timer may fire a hair early: what is then left of `idle` may be less than the clock can
        # measure, and checking again at once would keep the loop busy.
        return TICK if self._idle is None else max(RECHECK, min(TICK, self._idle - silence))

    def _silence(self) -> float | None:
        """Seconds that the reader has waited and nothing has come; `None` if nobody waits."""
        if self._silent_since is None:
            return None
        if self._packed:  # bytes may have come of which there is nothing to read yet
            so_far = bytes_so_far(self._content)
            if so_far != self._seen:
                self._seen, self._silent_since = so_far, self._loop.time()
        return self._loop.time() - self._silent_since

    def _is_lost(self) -> bool:
        """Whether the connection is gone, and the reader has not been told.

        At a malformed chunk aiohttp's C parser closes the connection, and sets the error on the
        protocol where nobody waits any more, not on the body (3.12 to 3.14; no upstream issue is
        known to us). The faults named "a bad chunk size" in tests/faults/ pin it.
        """
        connection, content = self._answer.connection, self._content
        if connection is None or content.is_eof() or content.exception() is not None:
            return False
        transport = connection.transport
        return transport is None or transport.is_closing()

    def _give_up(self) -> None:
        silence = self._silence()
        if silence and self._is_lost():
            where = self._answer.url.origin()
            msg = f"The answer of {where} broke off: it is not coded as HTTP wants it."
            self.hang_up(APIConnectionError(msg))
        elif silence is not None and self._idle is not None and silence >= self._idle:
            msg = (
                f"The stream was silent for {self._idle:g} s. "
                "Raise Timeout(idle=...) if the server may think longer."
            )
            # Wakes the reader with aiohttp's "Connection closed".
            self.hang_up(APITimeoutError(msg))
        else:
            self._watch()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, for code that may run outside of any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
