"""Waits that closing the client ends: before a retry, or for a turn under a rate limit.

They hold no connection, so closing the connections would not end them; and as a wait may last a
minute, an app that closes its client at shutdown would hang for that long.
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

CLOSED = (
    "This client is closed: create a new AsyncClient. "
    "Closing a copy made by with_options() closes all of them."
)


class PendingWaits:
    """The pending waits of a client and its copies, in all event loops."""

    __slots__ = ("_closed", "_futures", "_lock", "_pid")

    def __init__(self) -> None:
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        # Weak: the tasks of a loop that was closed meanwhile must not be kept alive.
        self._futures: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._lock = threading.RLock()  # re-entered if a waiting coroutine is garbage-collected
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
        """Wait for a future that is awaited only here.

        Raises:
            OpenAIError: the client is closed.
        """
        if self._pid != os.getpid():  # a forked child: these waits are its parent's
            self._reset()
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
            self._reset()
        with self._lock:
            self._closed = True
            futures = list(self._futures)
        for future in futures:
            with suppress(RuntimeError):  # RuntimeError: its loop is closed
                future.get_loop().call_soon_threadsafe(_fail, future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(OpenAIError(CLOSED))
