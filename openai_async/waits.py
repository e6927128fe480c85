"""The waits of a client that its `close()` ends: for a retry, or for a turn under a rate limit.

Nothing else ends them: no connection is open meanwhile, and a wait may last a minute. An app that
closes its client at shutdown would stand still for as long.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from contextlib import suppress
from typing import Any, TypeVar

from .errors import OpenAIError

T = TypeVar("T")

CLOSED = "This client is closed: create a new AsyncClient."


class Waits:
    """Of a client and its copies, in whatever loops they are used."""

    __slots__ = ("_closed", "_futures", "_lock", "_pid")

    def __init__(self) -> None:
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        # Weak: the tasks of a loop that was closed in the middle of everything must not stay.
        self._futures: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._lock = threading.RLock()  # a collected coroutine may end its wait within
        self._pid = os.getpid()

    async def sleep(self, seconds: float) -> None:
        """Wait for so long.

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
        """Wait for a future, which nobody else waits for.

        Raises:
            OpenAIError: the client is closed.
        """
        if self._pid != os.getpid():  # in a forked child: those here are its parent's
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
            if future.done() and not future.cancelled():
                future.exception()  # who is cancelled in this moment does not look at it

    def close(self) -> None:
        """End all waits; those in other loops soon."""
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
