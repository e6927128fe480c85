"""The engine on several processes and machines: workers are Ray actors, driven from here.

    read:     Ray Data, in ranges of the input                              (reading.py)
    requests: Backlog -> a WorkerSlot for each worker -> results, in blocks (worker_slot.py)
    limits:   one actor grants reservations to all workers                  (shared_limit.py)

When a worker dies, nothing is lost but its connections: its earlier results stay, its remaining
requests are sent again by others, and no request gets two results.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from ....client import AsyncClient
from ....errors import OpenAIError
from ....options import RateLimit, check_whole
from ....types.rate_limits import ModelPace
from ...input.lines import Line
from ...requests import BatchRequest
from ...results import BatchResult
from ...retries import batch_client
from .actor_pool import ActorPool
from .cluster import connect, disconnect, require_ray
from .reading import LineReader, read_jsonl, read_parquet
from .worker_slot import Run

if TYPE_CHECKING:
    from ...parsing import Parsing


class RayEngine:
    """One client for each worker, one rate limit for all of them.

    Args:
        client: sends the requests; each worker gets a copy. If its `rate_limit` is a middleware of
            your own, each gets a copy of that too, and no limit is shared.
        concurrency: how many requests are in flight at once, in all workers together.
        workers: how many there are; by default one for each CPU of the cluster.
        columns: for Parquet input, which columns hold what; see `RowMapping.of`.
        parsing: how the answers are parsed; the values stay in the workers.

    Raises:
        InvalidArgumentError: an argument is wrong, or Ray is not installed.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        concurrency: int,
        workers: int | None = None,
        columns: Mapping[str, str] | None = None,
        parsing: Parsing | None = None,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("workers", workers)):
            if value is not None:
                check_whole(name, value)
        require_ray()
        self._client = batch_client(client)
        self._concurrency = concurrency
        self._workers = workers
        self._columns = columns
        self._parsing = parsing
        self._connecting = threading.Lock()
        self._connected_here = False
        self._closed = False
        self._run: Run | None = None
        self._readers: WeakSet[LineReader] = WeakSet()

    def read(self, path: Path) -> Iterable[Line]:
        """As `Engine.read`: Parquet by its name, else JSONL. Ray's workers must see the path."""
        self._connect()
        parquet = path.suffix.lower() == ".parquet"
        reader = LineReader(read_parquet(path, self._columns) if parquet else read_jsonl(path))
        self._readers.add(reader)
        return reader

    async def results(
        self, requests: Iterable[BatchRequest], stopping: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[BatchResult, None]:
        """As `Engine.results`.

        Raises:
            InvalidArgumentError: the client or a request cannot be sent to the workers.
            OpenAIError: workers die repeatedly, or one cannot go on.
        """
        await asyncio.to_thread(self._connect)
        limit = self._client.rate_limit
        pool = await asyncio.to_thread(
            ActorPool,
            self._client,
            limit=limit if isinstance(limit, RateLimit) else None,
            concurrency=self._concurrency,
            workers=self._workers,
            parsing=self._parsing,
        )
        run = self._run = Run(pool, requests, stopping)
        try:
            run.start()
            while await run.some_ready():
                while run.ready:
                    yield run.next_result()
        finally:
            await run.close()

    async def stop(self) -> None:
        """As `Engine.stop`."""
        if self._run is not None:
            await self._run.halt()

    @property
    def pace(self) -> Mapping[str, ModelPace]:
        """As `Engine.pace`: what the limiter knew at the previous call."""
        return {} if self._run is None else self._run.pace()

    async def close(self) -> None:
        """As `Engine.close`: stops or leaves Ray if this engine has connected to it."""
        if self._run is not None:
            await self._run.close()
        await asyncio.to_thread(self._disconnect)

    def _connect(self) -> None:
        with self._connecting:
            if self._closed:  # just before the reading thread got here
                msg = "The engine is closed."
                raise OpenAIError(msg)
            if connect():
                self._connected_here = True

    def _disconnect(self) -> None:
        with self._connecting:
            self._closed = True
            for reader in [*self._readers]:
                reader.close()
            if self._connected_here:
                self._connected_here = False
                disconnect()
