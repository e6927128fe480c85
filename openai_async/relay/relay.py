"""The bytes of a relayed answer, read ahead by a task; in between, comments.

Proxies give up on a response that is silent for too long, and a lost connection is often noticed
only when something is written to it. So a comment is sent after some seconds of silence. The task
that waits for the answer cannot send it: waiting with a timeout would cancel the read, and a stream
whose reader is cancelled hangs up.

    answer ── the task of the relay ──> pipe, at most 64 KiB ── `anext(relay)` ──> browser

A slow browser fills its pipe, and then its answer is not read any further. Others are not affected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Self, TypeAlias

from ..errors import InvalidArgumentError, OpenAIError
from ..options import is_number
from . import KEEP_ALIVE
from .form import COMMENT, HEADERS

log = logging.getLogger("openai_async")

# Bytes that may wait for a slow browser: as many as one read of an answer may return.
MAX_WAITING = 64 * 1024
# An event ends with a blank line: between two of them, a comment may be sent.
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Pipe:
    """Bytes on their way from the task that reads the answer to the one that sends them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.opened = False
        """The answer has begun: it can no longer fail with a status."""
        self.error: OpenAIError | None = None
        self.ended = False
        self.has_events = True
        """Whether these are events, so that others can be put between them."""
        self._parts: list[bytes] = []
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether bytes are waiting."""
        return bool(self._parts)

    def open(self, content_type: str | None = None) -> None:
        """The answer has begun; `content_type` is its type, if not that of events."""
        self.opened = True
        if content_type is not None:
            self.headers = {**self.headers, "Content-Type": content_type}
            self.has_events = content_type.lower().startswith("text/event-stream")
        self._wake()

    async def put(self, data: bytes) -> None:
        """Pass on some bytes. Waits while the pipe is full."""
        self._parts.append(data)
        self._size += len(data)
        self._wake()
        while self._size >= MAX_WAITING:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def end(self, _: object = None) -> None:
        """No more will follow."""
        self.ended = True
        self._wake()

    def take(self) -> bytes:
        """All bytes that are waiting; b"" if there are none."""
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        return data

    def take_error(self) -> OpenAIError:
        """The error, to be raised. It is not kept: its traceback would refer back to this pipe."""
        assert self.error is not None
        error, self.error = self.error, None
        return error

    async def wait(self, seconds: float | None) -> None:
        """Wait until something happens, or the time is up."""
        if self._reader is not None:
            msg = "Another task is reading this relay: give each browser its own relay."
            raise OpenAIError(msg)
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            await self._reader
        finally:
            if timer is not None:
                timer.cancel()
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


Copy: TypeAlias = Callable[[Pipe], Awaitable[None]]
"""Reads an answer into a pipe."""


class Relay:
    """The events of an answer as bytes, for a browser: an async iterator.

    `aclose()`, `close()`, leaving its `async with` or dropping the last reference to it hangs up.
    A failure is logged, and becomes the last event, with a safe text. If a raw answer is not made
    of events, but is JSON or audio, the failure is raised, so that the server breaks off its
    response too.

    Attributes:
        passes_errors_on: whether an early error is relayed with the server's own text.
        cut: it was closed before the answer had ended.
    """

    _task: asyncio.Task[None] | None = None  # `__del__` also runs if the arguments are wrong

    def __init__(
        self,
        copy: Copy,
        *,
        failed: Callable[[OpenAIError], bytes],
        keep_alive: float | None = KEEP_ALIVE,
        headers: Mapping[str, str] = HEADERS,
        passes_errors_on: bool = False,
    ) -> None:
        check_keep_alive(keep_alive)
        self.passes_errors_on = passes_errors_on
        self.cut = False
        self._copy = copy
        self._failed = failed
        self._keep_alive = keep_alive
        self._pipe = Pipe(headers)
        self._tail = b"\n\n"
        """The last bytes: a blank line may arrive in two pieces."""
        self._over = False

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response; those of a raw relay are known once it has begun."""
        return self._pipe.headers

    async def begin(self, within: float) -> bool:
        """Wait for the answer to begin, for up to `within` seconds. Returns `False` if there is
        nothing new for this browser.

        Raises:
            OpenAIError: the answer failed before it began.
        """
        self._start()
        pipe, loop = self._pipe, asyncio.get_running_loop()
        end = loop.time() + within
        while not (pipe.opened or pipe.ended or self._over) and (left := end - loop.time()) > 0:
            await pipe.wait(left)
        if pipe.ended and not (pipe.opened or self._over):
            self._over = True
            self._raise_mistakes()
            if pipe.error is not None:
                raise pipe.take_error()
            return False
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._start()
        pipe = self._pipe
        while not (data := pipe.take()):
            if self._over:
                raise StopAsyncIteration
            if pipe.ended:
                self._over = True
                self._raise_mistakes()
                if pipe.error is not None:
                    return self._last_event()
            elif await self._silent():
                return COMMENT
        self._tail = (self._tail + data[-4:])[-4:]
        return data

    async def aclose(self) -> None:
        """Hang up, unless the answer has ended."""
        self.close()
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object = None, *exc: object) -> None:
        await self.aclose()
        if kind is None and self._task is not None and not self._task.cancelled():
            self._task.result()  # raises an exception of the app that no reader has seen

    def close(self) -> None:
        """Hang up, without waiting, from any thread: what Django calls at the end of a response."""
        self._over = True
        if self._task is not None and not self._task.done():
            self.cut = True
            with suppress(RuntimeError):  # the loop is closed, and has ended its tasks
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def __del__(self) -> None:
        self.close()

    def _start(self) -> None:
        if self._task is None and not self._over:
            self._task = asyncio.create_task(_run(self._copy, self._pipe))
            # Not in `_run`, which never runs if it is cancelled at once.
            self._task.add_done_callback(self._pipe.end)

    async def _silent(self) -> bool:
        """Wait for bytes. Returns `True` if it is time for a comment."""
        loop, pipe = asyncio.get_running_loop(), self._pipe
        limit = self._keep_alive if self._between_events() else None
        begun = loop.time()
        while not (pipe.waiting or pipe.ended):
            left = None if limit is None else begun + limit - loop.time()
            if left is not None and left <= 0:
                return True
            await pipe.wait(left)
        return False

    def _between_events(self) -> bool:
        return self._pipe.has_events and self._tail.endswith(_BLANK_LINES)

    def _last_event(self) -> bytes:
        if not self._pipe.has_events:
            raise self._pipe.take_error()
        error = self._pipe.take_error()
        log.warning("The answer broke off while it was relayed: %s", error)
        return self.failure(error)

    def failure(self, error: OpenAIError) -> bytes:
        """The event that reports the error; b"" if a raw answer is not made of events."""
        if not self._pipe.has_events:
            return b""
        event = self._failed(error)
        return event if self._between_events() else b"\n\n" + event

    def _raise_mistakes(self) -> None:
        """Raise any exception that is not an `OpenAIError`, such as a bug in a middleware."""
        if self._task is not None and self._task.done():
            self._task.result()


def check_keep_alive(seconds: object) -> None:
    """
    Raises:
        InvalidArgumentError: it is neither `None` nor a number of at least 0.1.
    """
    if seconds is not None and not (is_number(seconds) and seconds >= 0.1):
        msg = f"keep_alive is {seconds!r}: pass at least 0.1 seconds, or None."
        raise InvalidArgumentError(msg)


async def _run(copy: Copy, pipe: Pipe) -> None:
    """The task of a relay. It holds no reference to the relay, which cancels it when dropped."""
    try:
        await copy(pipe)
    except OpenAIError as error:
        pipe.error = error
