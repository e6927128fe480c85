"""A bound on how many may be under way at once; the others wait in the order they came.

What `asyncio.Semaphore` is, with a way in that needs no coroutine while there is room, which is
nearly always, and with the room handed from one to the next: nobody can slip in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class Slots:
    """`slots.take_now()`, or `await slots.take()`; then, once, `slots.give_back()`."""

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
        """Take a slot, behind all who wait already."""
        if self.take_now():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:  # GeneratorExit too, of who is dropped while waiting
            if turn.done() and not turn.cancelled():
                self.give_back()  # it was ours in the moment we were cancelled
            else:
                with suppress(ValueError):  # give_back() has passed it over already
                    self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        """Give the slot to who has waited longest, or keep it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task is cancelled, and has not run since
                turn.set_result(None)
                return
        self.free += 1
