"""Where the chunks of a `Broadcast` are kept for late readers: the protocol of a store, and one
in memory.

docs/examples/redis_store.py is a store that several processes can share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from ..errors import InvalidArgumentError
from ..options import is_number


class BroadcastStore(Protocol):
    """Keeps the records of answers, by id. A record is JSON without line breaks, as bytes."""

    async def append(self, id: str, record: bytes) -> None:
        """Add a record to an answer; the first record creates the answer."""

    def read(self, id: str, after: int) -> AsyncIterator[bytes]:
        """The records that follow the first `after`: those already there, then each one as it is
        added, up to the last. Ends at once if there is no such answer.
        """
        ...

    async def end(self, id: str, record: bytes) -> None:
        """Add the last record. The store may forget the answer once nobody needs it any more."""


class _Log:
    """The records of one answer."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.ended: float | None = None
        """When, in seconds of `time.monotonic()`."""
        self._waiting: set[asyncio.Future[None]] = set()

    def add(self, record: bytes) -> None:
        self.records.append(record)
        for reader in self._waiting:
            if not reader.done():
                reader.set_result(None)

    async def grown(self) -> None:
        """Wait for the next record."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)


class MemoryStore:
    """Answers in the memory of this process, for one event loop.

    An answer takes as much memory as its JSON, some 200 bytes a token, and is kept for `keep`
    seconds after its end.

    Args:
        keep: how many seconds after its end an answer can still be joined.
    """

    def __init__(self, keep: float = 60.0) -> None:
        if not (is_number(keep) and keep >= 0):
            msg = f"keep is {keep!r}: pass a number of seconds, 0 or more."
            raise InvalidArgumentError(msg)
        self._keep = keep
        self._logs: dict[str, _Log] = {}

    async def append(self, id: str, record: bytes) -> None:
        log = self._logs.get(id)
        if log is None:
            self._forget()
            log = self._logs[id] = _Log()
        log.add(record)

    async def read(self, id: str, after: int) -> AsyncIterator[bytes]:
        self._forget()
        log = self._logs.get(id)
        while log is not None:
            while after < len(log.records):
                yield log.records[after]
                after += 1
            if log.ended is not None:
                return
            await log.grown()

    async def end(self, id: str, record: bytes) -> None:
        await self.append(id, record)
        self._logs[id].ended = time.monotonic()

    def _forget(self) -> None:
        """Forget answers that have expired; called whenever one begins or is read."""
        before = time.monotonic() - self._keep
        old = [id for id, log in self._logs.items() if log.ended is not None and log.ended < before]
        for id in old:
            del self._logs[id]
