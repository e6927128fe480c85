"""A bound on how many may be under way at once; the others wait in the order they came.

What `asyncio.Semaphore` is, with a way in that needs no coroutine while there is room, which is
nearly always, and with the room handed from one to the next: nobody can slip in between.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """`await slots.take()` unless `slots.take_now()`; then, once, `slots.give_back()`."""

    __slots__ = ("_waiting", "free")

    def __init__(self, number: int) -> None:
        self.free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a slot if one is free, and nobody waits for it."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    async def take(self) -> None:
        """Wait for a slot, behind all who wait already."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was ours in the moment we were cancelled
            raise

    def give_back(self) -> None:
        """Give the slot to who has waited longest, or keep it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                return
        self.free += 1
