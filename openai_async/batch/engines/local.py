"""The engine for one process, with plain asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ...client import AsyncClient
from ...types.rate_limits import ModelPace
from ..fan_out import run_blocks
from ..graceful_stop import GracefulStop
from ..input.lines import Line, read_lines
from ..requests import BatchRequest
from ..results import BatchResult
from ..retries import batch_client

if TYPE_CHECKING:
    from ..parsing import Parsing

# Requests are read ahead in blocks. This many, and the switch between threads (some 80 us) costs
# next to nothing for each of them; but large requests take long to read, so a block also ends
# after this many seconds.
BLOCK_SIZE = 256
BLOCK_SECONDS = 0.005


class LocalEngine:
    """The workers of `run_requests` on one client."""

    def __init__(
        self, client: AsyncClient, *, concurrency: int, parsing: Parsing | None = None
    ) -> None:
        self._graceful_stop = GracefulStop()
        retrying = batch_client(client)
        self._client = retrying.with_options(
            middlewares=[self._graceful_stop, *retrying.middlewares]
        )
        self._concurrency = concurrency
        self._parsing = parsing

    def read(self, path: Path) -> Iterable[Line]:
        """As `Engine.read`: JSONL."""
        return read_lines(path)

    def results(
        self, requests: Iterable[BatchRequest], stopping: Callable[[], bool]
    ) -> AsyncGenerator[BatchResult, None]:
        """As `Engine.results`."""
        blocks = _read_ahead(requests)
        return run_blocks(
            self._client,
            blocks,
            stopping,
            concurrency=self._concurrency,
            parsing=self._parsing,
        )

    async def stop(self) -> None:
        """As `Engine.stop`."""
        await self._graceful_stop.stop()

    @property
    def pace(self) -> Mapping[str, ModelPace]:
        """As `Engine.pace`."""
        return self._client.rate_limits

    async def close(self) -> None:
        """As `Engine.close`: nothing to do, as the caller closes the client."""


async def _read_ahead(requests: Iterable[BatchRequest]) -> AsyncIterator[Sequence[BatchRequest]]:
    """The requests, read from their file in a thread, a block at a time."""
    source = iter(requests)
    while block := await asyncio.to_thread(_next_block, source):
        yield block


def _next_block(source: Iterator[BatchRequest]) -> list[BatchRequest]:
    """The next requests: at least one, unless there are no more."""
    block: list[BatchRequest] = []
    ends = time.monotonic() + BLOCK_SECONDS
    for request in islice(source, BLOCK_SIZE):
        block.append(request)
        if time.monotonic() >= ends:
            break
    return block
