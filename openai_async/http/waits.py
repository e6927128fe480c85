"""A client's waits for a retry, or for a turn under a rate limit, which its `close()` ends.

Closing connections does not end them, as none is open meanwhile. A wait may last a minute, and an
app that closes its client at shutdown would hang for that long.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from contextlib import suppress
from typing import Any, TypeVar

from ..errors import OpenAIError

T = TypeVar("T")

CLOSED = "This client is closed: create a new AsyncClient."


class Waits:
    """The waits of a client and its copies, in all event loops."""

    __slots__ = ("_closed", "_futures", "_lock", "_pid")

    def __init__(self) -> None:
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        # Weak: the tasks of a loop that was closed under way must not be kept alive.
        self._futures: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._lock = threading.RLock()  # re-entered if a waiting coroutine is collected
        self._pid = os.getpid()

    async def sleep(self, seconds: float) -> None:
        """Wait for this many seconds.

        Raises:
            OpenAIError: the client is closed.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _set, over)
        try:
            await self.until(over)
        finally:
            timer.cancel()

    async def until(self, future: asyncio.Future[T]) -> T:
        """Wait for a future that nobody else waits for.

        Raises:
            OpenAIError: the client is closed.
        """
        if self._pid != os.getpid():  # in a forked child: these waits are its parent's
            self._begin()
        with self._lock:
            if self._closed:
                raise OpenAIError(CLOSED)
            self._futures.add(future)
        try:
            return await future
        finally:
            with self._lock:
                self._futures.discard(future)

    def close(self) -> None:
        """End all waits; those in other loops end soon after."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._closed = True
            futures = list(self._futures)
        for future in futures:
            with suppress(RuntimeError):  # its loop is closed
                future.get_loop().call_soon_threadsafe(_fail, future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(OpenAIError(CLOSED))
