"""A worker of the Ray engine: a client in a process of its own, which sends requests.

Requests arrive and results return in blocks; the driver's numbers tell which belong together.
`Worker` is a plain class: `ActorPool` turns it into an actor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ....client import AsyncClient
from ....errors import InvalidArgumentError, OpenAIError
from ....options import RateLimit
from ...graceful_stop import GracefulStop, NotSentError
from ...requests import BatchRequest
from ...results import BatchResult
from ...sending import send_request
from .shared_limit import Grant, Report
from .shared_pacing import SharedPacing

if TYPE_CHECKING:
    from ...parsing import Parsing

# Seconds that a result may wait for others to be returned with it. A call between processes takes
# about a millisecond of CPU on either side, and on a progress bar this delay is not visible.
COLLECT_INTERVAL = 0.2


class Finished(NamedTuple):
    """What a worker returns: results with the numbers of their requests, what has stopped it, and
    the numbers of requests that it has given up before they were sent."""

    results: list[tuple[int, BatchResult]]
    failure: OpenAIError | None
    unsent: list[int]


class RemoteLimiter:
    """The limiter actor as a `LimiterPort`."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def acquire(
        self, worker: str, model: str, tokens: Sequence[float], reports: Sequence[Report]
    ) -> Grant:
        """As `LimiterPort.acquire`."""
        grant: Grant = await self._call(self._actor.acquire, worker, model, tokens, reports)
        return grant

    async def report(self, worker: str, model: str, reports: Sequence[Report]) -> None:
        """As `LimiterPort.report`."""
        await self._call(self._actor.report, worker, model, reports)

    async def _call(self, method: Any, *args: object) -> Any:
        from ray.exceptions import RayError

        try:
            return await method.remote(*args)
        except RayError as error:
            msg = f"The limiter of the Ray engine has died: {error}"
            raise OpenAIError(msg) from error


class Worker:
    """Sends requests, `concurrency` at a time.

    Args:
        client: sends the requests.
        limiter: the limiter actor; `None` if the client has no `RateLimit`.
        name: unique, even among the workers of one slot.
        concurrency: how many requests are in flight at once.
        flush_at: this many results are returned without waiting for more.
        parsing: how the answers are parsed.
    """

    def __init__(
        self,
        client: AsyncClient,
        limiter: Any,
        *,
        name: str,
        concurrency: int,
        flush_at: int,
        parsing: Parsing | None = None,
    ) -> None:
        limit = client.rate_limit
        self._pacing: SharedPacing | None = None
        if limiter is not None and isinstance(limit, RateLimit):
            self._pacing = SharedPacing(RemoteLimiter(limiter), worker=name, limit=limit)
            client = client.with_options(rate_limit=self._pacing)
        self._graceful_stop = GracefulStop()
        self._client = client.with_options(middlewares=[self._graceful_stop, *client.middlewares])
        self._send = partial(send_request if parsing is None else parsing.send, self._client)
        self._concurrency = concurrency
        self._flush_at = flush_at
        self._tasks: list[asyncio.Task[None]] = []
        self._requests: asyncio.Queue[tuple[int, BatchRequest]] = asyncio.Queue()
        self._results: list[tuple[int, BatchResult]] = []
        self._unsent: list[int] = []
        self._failure: OpenAIError | None = None
        self._any_finished = asyncio.Event()
        self._enough_finished = asyncio.Event()

    async def ready(self) -> int:
        """Start sending; returns the id of the process."""
        for _ in range(self._concurrency):
            self._tasks.append(asyncio.create_task(self._work()))
        return os.getpid()

    async def submit(self, requests: Sequence[tuple[int, BatchRequest]]) -> None:
        """Add requests to the queue."""
        for numbered in requests:
            self._requests.put_nowait(numbered)

    async def halt(self) -> list[int]:
        """Start no more requests, and end those that wait for their turn.

        Returns the numbers of those not started; `collect` returns those of the others.
        """
        numbers = []
        while not self._requests.empty():
            numbers.append(self._requests.get_nowait()[0])
        await self._graceful_stop.stop()
        return numbers

    async def collect(self) -> Finished:
        """Wait for results. One call at a time."""
        await self._any_finished.wait()
        try:
            async with asyncio.timeout(COLLECT_INTERVAL):
                await self._enough_finished.wait()
        except TimeoutError:
            pass  # return what there is
        self._any_finished.clear()
        self._enough_finished.clear()
        results, self._results = self._results, []
        unsent, self._unsent = self._unsent, []
        return Finished(results, self._failure, unsent)

    async def close(self) -> None:
        """Cancel what is in flight, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pacing is not None:
            await self._pacing.close()
        await self._client.close()

    async def _work(self) -> None:
        """Send one request after the other."""
        while self._failure is None:
            number, request = await self._requests.get()
            try:
                result = await self._send(request)
            except NotSentError:
                self._unsent.append(number)
            except Exception as error:
                self._failure = _picklable(request, error)
                self._enough_finished.set()
            else:
                # Only the line is written; a value might not be picklable.
                result.parsed = None
                self._results.append((number, result))
                if len(self._results) >= self._flush_at:
                    self._enough_finished.set()
            self._any_finished.set()


def _picklable(request: BatchRequest, error: Exception) -> OpenAIError:
    """The error that ends the run, as one that can be pickled; a middleware may raise any."""
    if isinstance(error, InvalidArgumentError):
        return InvalidArgumentError(f"request {request.custom_id!r}: {error}")
    if isinstance(error, OpenAIError):
        return OpenAIError(str(error))
    return OpenAIError(f"A worker of the Ray engine failed: {type(error).__name__}: {error}")
