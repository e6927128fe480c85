"""A fair semaphore: waiters get a slot in the order in which they came.

It differs from `asyncio.Semaphore` in two ways: while slots are free, which is nearly always,
acquiring one takes no coroutine; and a released slot goes straight to the first waiter, so that no
newcomer can take it in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class FairSemaphore:
    """`acquire_nowait()`, or `await acquire()`; then exactly one `release()`."""

    __slots__ = ("_value", "_waiting", "free")

    def __init__(self, value: int) -> None:
        self.free = self._value = value
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<FairSemaphore {self.free} of {self._value} free, {len(self._waiting)} waiting>"

    def acquire_nowait(self) -> bool:
        """Acquire a slot if one is free, which implies that nothing is waiting."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    async def acquire(self) -> None:
        """Acquire a slot; earlier waiters come first."""
        if self.acquire_nowait():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:  # also GeneratorExit: the coroutine was closed while it waited
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was handed to us just before the cancellation
            else:
                with suppress(ValueError):  # release() may have skipped and removed it already
                    self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Hand the slot to the first waiter; without waiters it becomes free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # a done one belongs to a cancelled task that has not run since
                turn.set_result(None)
                return
        assert self.free < self._value, "released more often than acquired"
        self.free += 1
