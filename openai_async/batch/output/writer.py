"""From the event loop to the disk: results are appended in a thread, in blocks.

A switch between threads takes as long as sending a request. So the first result after a pause is
written at once, and those that follow together, 50 ms later: at 20 results a second each is written
by itself, at 4,000 a block is 200 of them, which saves a fifth of the CPU time of the run.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from math import inf

from ..results import BatchResult
from .journal import Journal
from .jsonl import line_of

# Seconds between two syncs: a power cut loses the results since the last; they are sent again.
SYNC_INTERVAL = 1.0
# Seconds between two writes.
WRITE_INTERVAL = 0.05
# How many results may wait for the disk. With more, a slow disk slows the run down.
MAX_QUEUED = 1024


class Writer:
    """Writes results to a journal. `start`, then `put`, and at the end always `finish`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # Lines, not results: Python's garbage collector does not scan bytes. Scanning hundreds of
        # waiting results would take a tenth of the CPU time of the run.
        self._waiting: list[bytes] = []
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ending = False
        self._synced_at = time.monotonic()
        self._unsynced = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task that writes."""
        self._task = asyncio.create_task(self._write_all())

    def put_nowait(self, result: BatchResult) -> bool:
        """Pass on a result to be written. False if too many are waiting; then wait for `room`.

        Raises:
            OutputError: an earlier result could not be written.
        """
        self._check()  # once the task has ended, no room is made
        self._waiting.append(line_of(result))
        self._arrived.set()
        return len(self._waiting) < MAX_QUEUED

    async def room(self) -> None:
        """Wait until results are written.

        Raises:
            OutputError: they could not be written.
        """
        self._room.clear()
        self._full.set()
        await self._room.wait()
        self._check()

    async def put(self, result: BatchResult) -> None:
        """Pass on a result to be written; waits while too many are waiting.

        Raises:
            OutputError: this or an earlier result could not be written.
        """
        if not self.put_nowait(result):
            await self.room()

    def _check(self) -> None:
        """Raise the exception that the task has ended with."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def finish(self) -> None:
        """Write and sync all results; a cancellation takes effect after that.

        Raises:
            OutputError: they could not all be written.
        """
        self._ending = True
        self._arrived.set()
        self._full.set()
        task, cancelled = self._task, None
        while task is not None and not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                # Results that were paid for are written first: a few of them, and a sync.
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
                await self._result_or_sync_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(written_at + WRITE_INTERVAL):
                        await self._full.wait()
                self._arrived.clear()
                self._full.clear()
                batch, self._waiting = self._waiting, []
                self._room.set()
                ending = self._ending
                await asyncio.to_thread(self._write, batch, ending)
                written_at = loop.time()
                if ending and not self._waiting:
                    return
        finally:
            self._room.set()  # so that `put` stops waiting and raises

    async def _result_or_sync_due(self) -> None:
        """Wait until there is a result to write, or a sync is due for those already written."""
        left = self._synced_at + SYNC_INTERVAL - time.monotonic() if self._unsynced else None
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._arrived.wait()

    def _write(self, batch: list[bytes], last: bool) -> None:
        if batch:
            self._journal.append_lines(batch)
            self._unsynced = True
        now = time.monotonic()
        # The first result after a pause is synced at once. Without a batch, a sync is due.
        if last or not batch or now - self._synced_at >= SYNC_INTERVAL:
            self._journal.sync()
            self._synced_at = now
            self._unsynced = False
