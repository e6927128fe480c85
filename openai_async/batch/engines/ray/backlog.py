"""What is still to be sent, in the order of the source, shared by all who send."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import TypeAlias

from ...requests import BatchRequest

Numbered: TypeAlias = tuple[int, BatchRequest]
"""A request and its place in the source, which tells it from all others."""


class Backlog:
    """What dead workers have left comes first, then the rest of the source.

    Args:
        requests: the source, which is read in a thread.
        halted: asked before any request is handed out; once it says so, none is.
        on_end: called when `ended` has become true.
    """

    def __init__(
        self,
        requests: Iterable[BatchRequest],
        halted: Callable[[], bool],
        on_end: Callable[[], object],
    ) -> None:
        self.taken = 0
        """How many have come from the source so far, and were or are to be sent."""
        self.ended = False
        """Whether these are all."""
        self.failure: BaseException | None = None
        """What the source has raised."""
        self._source: Iterator[Numbered] = zip(count(), requests, strict=False)
        self._halted = halted
        self._on_end = on_end
        self._ready: deque[Numbered] = deque()
        self._reading: asyncio.Task[list[Numbered]] | None = None
        self._turn = asyncio.Lock()
        self._more = asyncio.Event()

    async def take(self, most: int) -> list[Numbered]:
        """Up to `most` requests, at least one. Waits for ever where there are none left."""
        async with self._turn:
            while self.halt_if_asked() or not self._ready:
                if self.ended:
                    self._more.clear()
                    await self._more.wait()
                else:
                    await self._read(most)
            return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def give_back(self, requests: Iterable[Numbered]) -> None:
        """They are to be sent again, unless nothing is sent any more."""
        self._ready.extendleft(reversed([*requests]))
        if not self.halt_if_asked():
            self._more.set()

    def halt_if_asked(self) -> bool:
        """Whether no more are to be sent; what is left is given up."""
        if not self._halted():
            return False
        self.taken -= len(self._ready)
        self._ready.clear()
        self._end()
        return True

    async def close(self) -> None:
        """Wait for the thread that reads the source, which is nobody's then."""
        self._end()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, most: int) -> None:
        """The next block. Whoever waits for it may be cancelled, and the block is not lost."""
        if self._reading is None:
            source = self._source
            self._reading = asyncio.create_task(asyncio.to_thread(lambda: [*islice(source, most)]))
        reading = self._reading
        try:
            block = await asyncio.shield(reading)
        except Exception as error:
            self.failure, block = error, []
        self._reading = None
        if self.ended:
            return
        self.taken += len(block)
        self._ready.extend(block)
        if not block:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._on_end()
