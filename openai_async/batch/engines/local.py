"""The engine of one process: asyncio and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from ...client import AsyncClient
from ...types.rate_limits import ModelPace
from ..fan_out import paced, run_requests
from ..halting import Halting
from ..input.lines import Line, read_lines
from ..requests import BatchRequest
from ..results import BatchResult

# Requests read ahead at once: enough that the change of threads (some 80 us) costs each of them
# next to nothing. But no more than are read in so many seconds: large ones are to be few.
BLOCK = 256
READING = 0.005


class LocalEngine:
    """`run_requests` on one client."""

    def __init__(self, client: AsyncClient, *, concurrency: int) -> None:
        self._halting = Halting()
        ready = paced(client)
        self._client = ready.with_options(middlewares=[self._halting, *ready.middlewares])
        self._concurrency = concurrency

    def read(self, path: Path) -> Iterable[Line]:
        """As `Engine.read`: JSONL."""
        return read_lines(path)

    def results(
        self, requests: Iterable[BatchRequest], halted: Callable[[], bool]
    ) -> AsyncGenerator[BatchResult, None]:
        """As `Engine.results`."""
        source = _read_ahead(requests, halted)
        return run_requests(self._client, source, concurrency=self._concurrency)

    async def halt(self) -> None:
        """As `Engine.halt`."""
        await self._halting.halt()

    @property
    def pace(self) -> Mapping[str, ModelPace]:
        """As `Engine.pace`."""
        return self._client.rate_limits

    async def close(self) -> None:
        """As `Engine.close`: the client is the caller's."""


async def _read_ahead(
    requests: Iterable[BatchRequest], halted: Callable[[], bool]
) -> AsyncIterator[BatchRequest]:
    """The requests, read from their file in a thread, a block at a time."""
    source = iter(requests)
    while block := await asyncio.to_thread(_block, source):
        for request in block:
            if halted():
                return
            yield request


def _block(source: Iterator[BatchRequest]) -> list[BatchRequest]:
    """The next ones; at least one, if there is one."""
    block: list[BatchRequest] = []
    ends = time.monotonic() + READING
    for request in islice(source, BLOCK):
        block.append(request)
        if time.monotonic() >= ends:
            break
    return block
