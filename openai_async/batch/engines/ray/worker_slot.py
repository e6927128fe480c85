"""The driver's side of the workers: which one has which requests, and what happens when one dies.

Each worker has a `WorkerSlot`, which feeds it, collects its results, and starts a new worker when
it dies. Requests come from one `Backlog`, and results are brought together in the `Run`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from ....errors import OpenAIError
from ....types.rate_limits import ModelPace
from ...requests import BatchRequest
from ...results import BatchResult
from .actor_pool import ActorPool
from .backlog import Backlog
from .worker import Finished

# How many requests a worker may hold in reserve: up to this many, and at most as many as it has in
# flight. It is enough for the round trip to the driver at 2,000 requests a second. They are sent
# to the worker in blocks of half as many.
PREFETCH = 64
# After this many deaths without a result in between, the next workers would die as well.
MAX_CONSECUTIVE_DEATHS = 3
# Seconds that workers have to close their connections at the end, before they are killed.
CLOSE_TIMEOUT = 2.0


class Run:
    """All workers of one call of `results`, and the results on their way to the consumer."""

    def __init__(
        self, pool: ActorPool, requests: Iterable[BatchRequest], halted: Callable[[], bool]
    ) -> None:
        self.pool = pool
        self._changed = asyncio.Event()
        self.backlog = Backlog(requests, halted, self._changed.set)
        self.ready: deque[BatchResult] = deque()
        self._finished = 0  # results so far
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._slots = [WorkerSlot(self, number) for number in range(pool.size)]
        self._max_ready = sum(slot.window for slot in self._slots)
        self._consumed = asyncio.Event()
        self._pace: Mapping[str, ModelPace] = {}
        self._pace_wanted = asyncio.Event()

    # --- the consumer's side ---

    def start(self) -> None:
        """Start a worker in each slot."""
        work = [slot.run() for slot in self._slots]
        if self.pool.limiter is not None:
            work.append(self._update_pace())
        for coroutine in work:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(self._on_task_done)
            self._tasks.append(task)

    async def some_ready(self) -> bool:
        """Wait for results. Returns False, or raises what went wrong, once there are no more."""
        while not self.ready:
            if self._failure is not None:
                raise self._failure
            if self.backlog.ended and self._finished == self.backlog.total:
                if self.backlog.failure is not None:
                    raise self.backlog.failure
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def next_result(self) -> BatchResult:
        """The next result, which must be ready."""
        self._consumed.set()
        return self.ready.popleft()

    def pace(self) -> Mapping[str, ModelPace]:
        """The limiter's latest answer; asks it for a new one."""
        self._pace_wanted.set()
        return self._pace

    async def halt(self) -> None:
        """Give up all requests that are not at the server."""
        self.backlog.halt_if_asked()
        with suppress(self.pool.ray.exceptions.RayError):  # a dead worker sends nothing
            await asyncio.gather(*[slot.halt() for slot in self._slots])

    async def close(self) -> None:
        """Cancel what is in flight, and end all actors. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.backlog.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await asyncio.gather(*[slot.close() for slot in self._slots])
        finally:
            for slot in self._slots:
                slot.kill()
            if self.pool.limiter is not None:
                self.pool.kill(self.pool.limiter)
                self.pool.limiter = None

    # --- the slots' side ---

    def add_results(self, results: Sequence[BatchResult]) -> None:
        """Results, each of a different request."""
        self._finished += len(results)
        self.ready.extend(results)
        self._changed.set()

    def discard(self, number: int) -> None:
        """This many requests of a worker will not be sent."""
        self.backlog.total -= number
        self._changed.set()

    async def wait_for_room(self) -> None:
        """Wait until the consumer has taken most of the ready results."""
        while len(self.ready) > self._max_ready:
            self._consumed.clear()
            await self._consumed.wait()

    def fail(self, error: BaseException) -> None:
        """The run cannot continue."""
        self._failure = self._failure or error
        self._changed.set()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, self.pool.ray.exceptions.RayError):
            msg = f"Ray has failed: {error}"
            self.fail(OpenAIError(msg))
        elif error is not None:
            self.fail(error)

    async def _update_pace(self) -> None:
        """Ask the limiter again after each use of its last answer."""
        while (limiter := self.pool.limiter) is not None:
            await self._pace_wanted.wait()
            self._pace_wanted.clear()
            try:
                self._pace = await limiter.snapshot.remote()
            except self.pool.ray.exceptions.RayError:
                continue  # Ray restarts it; if that fails, the workers cannot go on, and raise


class WorkerSlot:
    """The place of one worker, and of its successors when it dies."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._number = number
        self._concurrency = run.pool.concurrency_of(number)
        prefetch = min(self._concurrency, PREFETCH)
        self._block = max(1, prefetch // 2)
        self.window = self._concurrency + prefetch
        """How many requests the worker has at most."""
        self._assigned: dict[int, BatchRequest] = {}
        self._room = asyncio.Event()
        self._worker: Any = None
        self._deaths = 0

    async def run(self) -> None:
        """Run one worker after the other, until cancelled."""
        pool = self._run.pool
        for generation in count(1):
            name = f"{self._number}.{generation}"
            self._worker = pool.spawn(name, self._concurrency, self._block)
            error = await self._serve()
            if isinstance(error, pool.ray.exceptions.RayTaskError):
                msg = f"A Ray worker cannot continue: {error}"
                raise OpenAIError(msg) from error
            await self._discard_dead_worker(name, error)

    async def _serve(self) -> BaseException:
        """Feed this worker and collect from it until it dies; returns what it died of."""
        died: BaseExceptionGroup[Any]
        try:
            await self._worker.ready.remote()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed())
                group.create_task(self._collect())
        except* self._run.pool.ray.exceptions.RayError as errors:
            died = errors
        error: BaseException = died.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error

    async def close(self) -> None:
        """Let the worker cancel what is in flight and close its connections."""
        if self._worker is not None:
            with suppress(self._run.pool.ray.exceptions.RayError):  # dead already
                await self._worker.close.remote()

    def kill(self) -> None:
        """End the worker at once."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._run.pool.kill(worker)

    async def _feed(self) -> None:
        """Keep the worker's window full."""
        while True:
            while len(self._assigned) + self._block > self.window:
                self._room.clear()
                await self._room.wait()
            requests = await self._run.backlog.get(self._block)
            self._assigned.update(requests)
            await self._worker.submit.remote(requests)

    async def _collect(self) -> None:
        """Take the worker's results, except for requests that were done already."""
        while True:
            finished: Finished = await self._worker.collect.remote()
            if finished.results:
                self._deaths = 0
            self._run.add_results(
                [
                    result
                    for number, result in finished.results
                    if self._assigned.pop(number, None) is not None
                ]
            )
            self._discard(finished.unsent)
            if finished.failure is not None:
                self._run.fail(finished.failure)
            if self._run.backlog.halt_if_asked():
                await self.halt()
            self._room.set()
            await self._run.wait_for_room()

    async def halt(self) -> None:
        """Give up what the worker has not sent yet."""
        if self._worker is not None:
            self._discard(await self._worker.halt.remote())

    def _discard(self, numbers: Iterable[int]) -> None:
        discarded = [number for number in numbers if self._assigned.pop(number, None) is not None]
        self._run.discard(len(discarded))

    async def _discard_dead_worker(self, name: str, error: BaseException) -> None:
        """Have other workers send what the dead one had left."""
        self.kill()
        assigned, self._assigned = self._assigned, {}
        self._run.backlog.requeue(assigned.items())
        self._deaths += 1
        if self._deaths >= MAX_CONSECUTIVE_DEATHS:
            msg = f"Ray workers keep dying, the last one with: {error}"
            raise OpenAIError(msg) from error
        if self._run.pool.limiter is not None:
            with suppress(
                self._run.pool.ray.exceptions.RayError
            ):  # a restarted one knows no worker
                await self._run.pool.limiter.remove_worker.remote(name)
