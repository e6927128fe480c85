"""From the event loop to the disk: results are appended in a thread, many at a time when many come.

A change of threads takes as long as sending a request. So the first result after a pause is written
at once, and those after it together, 50 ms later: at 20 results a second each goes by itself, at
4,000 it is 200, for a fifth of the CPU time of the whole run less.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from math import inf

from ..results import BatchResult
from .journal import Journal

# What a power cut may cost, in seconds of results: they are missing then, and sent again.
SYNC = 1.0
# Seconds between two writes.
GATHER = 0.05
# Results that may wait for the disk; more, and a slow disk holds the run back.
ROOM = 1024


class Writer:
    """Puts results into a journal. `start`, `put`, and in the end `finish`, whatever happens."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[BatchResult] = []
        self._news = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ending = False
        self._synced_at = time.monotonic()
        self._unsynced = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_all())

    async def put(self, result: BatchResult) -> None:
        """Have a result written; waits while too many do.

        Raises:
            OutputError: the disk said no, to this or to an earlier one.
        """
        self._check()  # once the task is done, nobody makes room
        self._waiting.append(result)
        self._news.set()
        if len(self._waiting) >= ROOM:
            self._room.clear()
            self._full.set()
            await self._room.wait()
        self._check()

    def _check(self) -> None:
        """Raise what the task has ended with."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def finish(self) -> None:
        """Write and sync all that was put. A cancellation takes effect when that is done.

        Raises:
            OutputError: the disk said no.
        """
        self._ending = True
        self._news.set()
        self._full.set()
        task, cancelled = self._task, None
        while task is not None and not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                # What was paid for goes to the disk first: a few results, and a sync.
                cancelled = error
            except Exception:
                break
        if cancelled is not None:
            raise cancelled
        if task is not None:
            task.result()

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        written_at = -inf
        try:
            while True:
                await self._news_or_sync()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(written_at + GATHER):
                        await self._full.wait()
                self._news.clear()
                self._full.clear()
                batch, self._waiting = self._waiting, []
                self._room.set()
                ending = self._ending
                await asyncio.to_thread(self._write, batch, ending)
                written_at = loop.time()
                if ending and not self._waiting:
                    return
        finally:
            self._room.set()  # who waits learns of the failure

    async def _news_or_sync(self) -> None:
        """Until there is something to write, or to sync: what was written may be the last."""
        left = self._synced_at + SYNC - time.monotonic() if self._unsynced else None
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._news.wait()

    def _write(self, batch: list[BatchResult], last: bool) -> None:
        if batch:
            self._journal.append(batch)
            self._unsynced = True
        now = time.monotonic()
        # What comes after a pause is synced at once. With no batch, it was waited for.
        if last or not batch or now - self._synced_at >= SYNC:
            self._journal.sync()
            self._synced_at = now
            self._unsynced = False
