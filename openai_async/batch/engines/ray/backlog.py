"""The requests still to be sent, in the order of the source, shared by all workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import TypeAlias

from ...requests import BatchRequest

NumberedRequest: TypeAlias = tuple[int, BatchRequest]
"""A request with its position in the source, which identifies it."""


class Backlog:
    """The requests that dead workers left come first, then the rest of the source.

    Args:
        requests: the source, which is read in a thread.
        halted: called before requests are handed out; once it returns True, none are.
        on_end: called when `ended` becomes True.
    """

    def __init__(
        self,
        requests: Iterable[BatchRequest],
        halted: Callable[[], bool],
        on_end: Callable[[], object],
    ) -> None:
        self.total = 0
        """How many requests have come from the source, without those that were given up."""
        self.ended = False
        """Whether there will be no more of them."""
        self.failure: BaseException | None = None
        """The exception that the source has raised."""
        self._source: Iterator[NumberedRequest] = zip(count(), requests, strict=False)
        self._halted = halted
        self._on_end = on_end
        self._ready: deque[NumberedRequest] = deque()
        self._reading: asyncio.Task[list[NumberedRequest]] | None = None
        self._lock = asyncio.Lock()
        self._requeued = asyncio.Event()

    async def get(self, limit: int) -> list[NumberedRequest]:
        """At least one request, and up to `limit`. Waits forever once there are none left."""
        async with self._lock:
            while self.halt_if_asked() or not self._ready:
                if self.ended:
                    self._requeued.clear()
                    await self._requeued.wait()
                else:
                    await self._read(limit)
            return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def requeue(self, requests: Iterable[NumberedRequest]) -> None:
        """Have them sent again, unless the run is halted."""
        self._ready.extendleft(reversed([*requests]))
        if not self.halt_if_asked():
            self._requeued.set()

    def halt_if_asked(self) -> bool:
        """Whether the run is halted; if so, the remaining requests are given up."""
        if not self._halted():
            return False
        self.total -= len(self._ready)
        self._ready.clear()
        self._end()
        return True

    async def close(self) -> None:
        """Wait until the thread no longer reads the source."""
        self._end()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, limit: int) -> None:
        """Read the next block. A caller may be cancelled meanwhile without losing the block."""
        if self._reading is None:
            source = self._source
            self._reading = asyncio.create_task(asyncio.to_thread(lambda: [*islice(source, limit)]))
        reading = self._reading
        try:
            block = await asyncio.shield(reading)
        except Exception as error:
            self.failure, block = error, []
        self._reading = None
        if self.ended:
            return
        self.total += len(block)
        self._ready.extend(block)
        if not block:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._on_end()
