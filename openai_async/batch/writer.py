"""From the event loop to the disk: results are appended in a thread, together with all that came
while the last ones were written."""

from __future__ import annotations

import asyncio
import time

from .journal import Journal
from .results import BatchResult

# What a power cut may cost, in seconds of results: they are missing then, and sent again.
SYNC = 1.0
# Results that may wait for the disk; more, and a slow disk holds the run back.
ROOM = 256


class Writer:
    """Puts results into a journal. `start`, `put`, and in the end `finish`, whatever happens."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[BatchResult] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ending = False
        self._synced_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_all())

    async def put(self, result: BatchResult) -> None:
        """Have a result written; waits while too many do.

        Raises:
            OutputError: the disk said no, to this or to an earlier one.
        """
        self._waiting.append(result)
        self._news.set()
        if len(self._waiting) >= ROOM:
            self._room.clear()
            await self._room.wait()
        if self._task is not None and self._task.done():
            self._task.result()

    async def finish(self) -> None:
        """Write and sync all that was put. A cancellation takes effect when that is done.

        Raises:
            OutputError: the disk said no.
        """
        self._ending = True
        self._news.set()
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
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                batch, self._waiting = self._waiting, []
                self._room.set()
                ending = self._ending
                await asyncio.to_thread(self._write, batch, ending)
                if ending and not self._waiting:
                    return
        finally:
            self._room.set()  # who waits learns of the failure

    def _write(self, batch: list[BatchResult], last: bool) -> None:
        if batch:
            self._journal.append(batch)
        now = time.monotonic()
        if last or now - self._synced_at >= SYNC:
            self._journal.sync()
            self._synced_at = now
