"""The open body of a streamed response: bytes as they come, a bound on silence, and a clean end.

A slow reader holds the server back: aiohttp stops reading from the socket when its buffer is full,
and a stream that nobody waits for is not "silent", however long its reader thinks.
"""

from __future__ import annotations

import asyncio
import copy
import os
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    OpenAIError,
)
from ..wire.redaction import SECRET_HEADERS
from .aiohttp_internals import ParserError, bytes_so_far

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


# What aiohttp, asyncio and the parsers below them raise when the wire is at fault; RuntimeError
# comes from a session of another loop.
WIRE_ERRORS = (
    aiohttp.ClientError,
    ParserError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)


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


def connection_error(
    error: BaseException, url: URL, address: str = "base_url"
) -> APIConnectionError:
    """Our exception for aiohttp's: what happened, to whom, and what to check."""
    _forget_key(error)
    where = str(url.origin() if url.absolute else url)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return APIConnectionError(f"The proxy on the way to {where} failed: {_reason(error)}.")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        hint = f"Check {address}, and that the server is up."
        if is_certificate_error(error):
            hint = f"Check {address}, or pass ssl=... with the CA that signed the certificate."
        if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
            hint = f"The server does not speak TLS there: try http:// in {address}."
        return APIConnectionError(f"Cannot connect to {where}: {_reason(error)}. {hint}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return APIConnectionError(f"The answer of {where} broke off: {_reason(error)}.")
    return APIConnectionError(f"The connection to {where} failed: {_reason(error)}.")


def is_certificate_error(error: BaseException | None) -> bool:
    """Whether one side does not trust the other's certificate, which a retry would not change."""
    while error is not None:
        if isinstance(error, aiohttp.ServerFingerprintMismatch | ssl.SSLCertVerificationError):
            return True
        # What the server said about ours: SSLV3_ALERT_BAD_CERTIFICATE, TLSV1_ALERT_UNKNOWN_CA...
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        if re.search("CERTIFICATE|_CA$", reason or ""):
            return True
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    return False


def forget_frames(error: BaseException) -> None:
    """Take the traceback from an exception of aiohttp's.

    aiohttp keeps what it raises (`StreamReader.exception()`), and the traceback's frames keep both
    of them and, by way of their callers, the reader of a stream: until the garbage collector came,
    who left the loop of a stream that had been tried again would not hang up.
    """
    error.__traceback__ = None


def _forget_key(error: BaseException | None) -> None:
    """Take the key out of an exception that will be our `__cause__`, and printed by reporters.

    aiohttp keeps the request's headers in it, and its parser quotes what the server sent and it
    could not read (as `b'...'`, or below an empty line): that may repeat the key, or be an answer.
    """
    while error is not None:
        forget_frames(error)
        if isinstance(error, aiohttp.ClientResponseError):
            headers = CIMultiDict(error.request_info.headers)
            for name in SECRET_HEADERS:
                headers.popall(name, None)
            sent = error.request_info
            # The query is removed too, as some vendors have the key there.
            error.request_info = aiohttp.RequestInfo(
                sent.url.with_query(None),
                sent.method,
                CIMultiDictProxy(headers),
                sent.real_url.with_query(None),
            )
            error.args = (error.request_info, error.history)
        else:
            error.args = tuple(map(_unquoted, error.args))
        if hasattr(error, "message"):
            error.message = _unquoted(error.message)
        error = error.__cause__ or error.__context__


def _unquoted(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"""\bb(['"]).*\1""", "(bytes)", value.split("\n\n")[0], flags=re.DOTALL)


def _reason(error: BaseException) -> str:
    """What went wrong, in the words of the innermost cause, on one line without a full stop."""
    while (inner := getattr(error, "os_error", None) or error.__cause__) is not None:
        error = inner
    if isinstance(error, ssl.SSLError):
        text = getattr(error, "verify_message", None) or error.reason
    elif isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        # asyncio puts the address where the system's words should be; the number says it better.
        text = os.strerror(error.errno)
    else:
        text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    line = " ".join(_unquoted(str(text or type(error).__name__).strip()).split())
    return line[:120].rstrip(".: ")
