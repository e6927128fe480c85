"""A worker of the Ray engine: a client in a process of its own, which sends what it is given.

Requests come in blocks, results go back in blocks; numbers, the driver's, say what belongs to what.
`Worker` is an actor only where `ray` (the module beside this) makes it one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ....client import AsyncClient
from ....errors import InvalidArgumentError, OpenAIError
from ....options import RateLimit
from ...graceful_stop import GracefulStop, NotSentError
from ...requests import BatchRequest
from ...results import BatchResult
from ...sending import send_request
from .shared_limit import Grant, Outcome
from .shared_pacing import SlicePacing

# Seconds that a result waits for others to go back with. A call between processes takes about a
# millisecond of CPU on either side, and nobody who looks at a progress bar sees this.
GATHER = 0.2


class Finished(NamedTuple):
    """What a worker gives back: results with their numbers, what it cannot go on with, and the
    numbers of those that it has given up before they were sent."""

    results: list[tuple[int, BatchResult]]
    failure: OpenAIError | None
    unsent: list[int]


class RemoteLimiter:
    """The limiter actor as a `LimiterPort`."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def ask(
        self, worker: str, model: str, tokens: Sequence[float], outcomes: Sequence[Outcome]
    ) -> Grant:
        """As `LimiterPort.ask`."""
        grant: Grant = await self._call(self._actor.ask, worker, model, tokens, outcomes)
        return grant

    async def report(self, worker: str, model: str, outcomes: Sequence[Outcome]) -> None:
        """As `LimiterPort.report`."""
        await self._call(self._actor.report, worker, model, outcomes)

    async def _call(self, method: Any, *args: object) -> Any:
        from ray.exceptions import RayError

        try:
            return await method.remote(*args)
        except RayError as error:
            msg = f"The limiter of the Ray engine is gone: {error}"
            raise OpenAIError(msg) from error


class Worker:
    """Sends requests, `concurrency` at a time.

    Args:
        client: what to send with.
        limiter: the limiter actor; `None` if the client has no `RateLimit`.
        name: of this life of this worker; no other has it.
        concurrency: how many are in flight at once.
        enough: how many results go back without waiting for more.
    """

    def __init__(
        self, client: AsyncClient, limiter: Any, *, name: str, concurrency: int, enough: int
    ) -> None:
        limit = client.rate_limit
        self._pacing: SlicePacing | None = None
        if limiter is not None and isinstance(limit, RateLimit):
            self._pacing = SlicePacing(RemoteLimiter(limiter), worker=name, limit=limit)
            client = client.with_options(rate_limit=self._pacing)
        self._graceful_stop = GracefulStop()
        self._client = client.with_options(middlewares=[self._graceful_stop, *client.middlewares])
        self._concurrency = concurrency
        self._enough = enough
        self._tasks: list[asyncio.Task[None]] = []
        self._requests: asyncio.Queue[tuple[int, BatchRequest]] = asyncio.Queue()
        self._results: list[tuple[int, BatchResult]] = []
        self._unsent: list[int] = []
        self._failure: OpenAIError | None = None
        self._some = asyncio.Event()
        self._many = asyncio.Event()

    async def ready(self) -> int:
        """Start; returns the id of the process."""
        for _ in range(self._concurrency):
            self._tasks.append(asyncio.create_task(self._work()))
        return os.getpid()

    async def submit(self, requests: Sequence[tuple[int, BatchRequest]]) -> None:
        """More requests, behind those that wait."""
        for numbered in requests:
            self._requests.put_nowait(numbered)

    async def halt(self) -> list[int]:
        """Begin with no more, and end those that wait for their turn.

        Returns the numbers of those not begun with; `collect` has those of the others.
        """
        numbers = []
        while not self._requests.empty():
            numbers.append(self._requests.get_nowait()[0])
        await self._graceful_stop.stop()
        return numbers

    async def collect(self) -> Finished:
        """Wait for results. One call at a time."""
        await self._some.wait()
        try:
            async with asyncio.timeout(GATHER):
                await self._many.wait()
        except TimeoutError:
            pass  # these are what there is
        self._some.clear()
        self._many.clear()
        results, self._results = self._results, []
        unsent, self._unsent = self._unsent, []
        return Finished(results, self._failure, unsent)

    async def close(self) -> None:
        """Cancel what is in flight, and hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pacing is not None:
            await self._pacing.close()
        await self._client.close()

    async def _work(self) -> None:
        """One request after the other."""
        while self._failure is None:
            number, request = await self._requests.get()
            try:
                result = await send_request(self._client, request)
            except NotSentError:
                self._unsent.append(number)
            except Exception as error:
                self._failure = _sendable(request, error)
                self._many.set()
            else:
                self._results.append((number, result))
                if len(self._results) >= self._enough:
                    self._many.set()
            self._some.set()


def _sendable(request: BatchRequest, error: Exception) -> OpenAIError:
    """What ends the run, as an error that can be pickled, whatever a middleware has raised."""
    if isinstance(error, InvalidArgumentError):
        return InvalidArgumentError(f"request {request.custom_id!r}: {error}")
    if isinstance(error, OpenAIError):
        return OpenAIError(str(error))
    return OpenAIError(f"A worker of the Ray engine failed: {type(error).__name__}: {error}")
