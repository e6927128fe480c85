"""The driver's side of the workers: who has which requests, and what happens when one dies.

Each worker has a `Seat`, which feeds it, collects its results, and puts a new worker in its place
when it dies. What they send comes from one `Backlog`, and their results meet in the `Run`.
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
from .actor_pool import Crew
from .backlog import Backlog
from .worker import Finished

# A worker has this many requests beyond those in flight, if it has as many in flight: enough for
# the way to the driver and back at 2,000 requests a second. They go to it half as many at a time.
AHEAD = 64
# A worker that dies so often without a result in between would do so for ever.
MOST_DEATHS = 3
# Seconds that workers have to hang up in at the end, before they are killed.
GRACE = 2.0


class Run:
    """All workers of one call of `results`, and what is between them and the consumer."""

    def __init__(
        self, crew: Crew, requests: Iterable[BatchRequest], halted: Callable[[], bool]
    ) -> None:
        self.crew = crew
        self._changed = asyncio.Event()
        self.backlog = Backlog(requests, halted, self._changed.set)
        self.ready: deque[BatchResult] = deque()
        self._done = 0  # results so far
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._seats = [Seat(self, number) for number in range(crew.size)]
        self._clamp_level = sum(seat.window for seat in self._seats)
        self._taken = asyncio.Event()
        self._pace: Mapping[str, ModelPace] = {}
        self._pace_wanted = asyncio.Event()

    # --- the consumer's side ---

    def start(self) -> None:
        """Put a worker on each seat."""
        work = [seat.work() for seat in self._seats]
        if self.crew.limiter is not None:
            work.append(self._watch_pace())
        for coroutine in work:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)

    async def some_ready(self) -> bool:
        """Wait for results; False, or what went wrong, once there will be no more."""
        while not self.ready:
            if self._failure is not None:
                raise self._failure
            if self.backlog.ended and self._done == self.backlog.taken:
                if self.backlog.failure is not None:
                    raise self.backlog.failure
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def take(self) -> BatchResult:
        """The next result, which must be ready."""
        self._taken.set()
        return self.ready.popleft()

    def pace(self) -> Mapping[str, ModelPace]:
        """What the limiter has said last; it is asked anew."""
        self._pace_wanted.set()
        return self._pace

    async def halt(self) -> None:
        """Give up what is not at the server."""
        self.backlog.halt_if_asked()
        with suppress(self.crew.ray.exceptions.RayError):  # a worker that is dead sends nothing
            await asyncio.gather(*[seat.halt() for seat in self._seats])

    async def close(self) -> None:
        """Cancel what is in flight, and end all actors. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.backlog.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await asyncio.gather(*[seat.hang_up() for seat in self._seats])
        finally:
            for seat in self._seats:
                seat.dismiss()
            if self.crew.limiter is not None:
                self.crew.end(self.crew.limiter)
                self.crew.limiter = None

    # --- the seats' side ---

    def give(self, results: Sequence[BatchResult]) -> None:
        """Results, each of another request."""
        self._done += len(results)
        self.ready.extend(results)
        self._changed.set()

    def drop(self, number: int) -> None:
        """So many that a worker had will not be sent."""
        self.backlog.taken -= number
        self._changed.set()

    async def room(self) -> None:
        """Wait until the consumer has taken most of what is ready."""
        while len(self.ready) > self._clamp_level:
            self._taken.clear()
            await self._taken.wait()

    def fail(self, error: BaseException) -> None:
        """The run cannot go on."""
        self._failure = self._failure or error
        self._changed.set()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, self.crew.ray.exceptions.RayError):
            msg = f"Ray has failed: {error}"
            self.fail(OpenAIError(msg))
        elif error is not None:
            self.fail(error)

    async def _watch_pace(self) -> None:
        """Ask the limiter whenever somebody has looked at the last answer."""
        while (limiter := self.crew.limiter) is not None:
            await self._pace_wanted.wait()
            self._pace_wanted.clear()
            try:
                self._pace = await limiter.known.remote()
            except self.crew.ray.exceptions.RayError:
                continue  # it starts again; if not, the workers cannot go on, and say so


class Seat:
    """The place of one worker, and of those that follow it when it dies."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._number = number
        self._concurrency = run.crew.share(number)
        ahead = min(self._concurrency, AHEAD)
        self._block = max(1, ahead // 2)
        self.window = self._concurrency + ahead
        """How many requests it has at most."""
        self._given: dict[int, BatchRequest] = {}
        self._room = asyncio.Event()
        self._worker: Any = None
        self._deaths = 0

    async def work(self) -> None:
        """One worker after the other, until cancelled."""
        crew = self._run.crew
        for life in count(1):
            name = f"{self._number}.{life}"
            self._worker = crew.hire(name, self._concurrency, self._block)
            error = await self._serve()
            if isinstance(error, crew.ray.exceptions.RayTaskError):
                msg = f"A worker of Ray cannot work: {error}"
                raise OpenAIError(msg) from error
            await self._bury(name, error)

    async def _serve(self) -> BaseException:
        """Work with this worker until it is dead; returns what it died of."""
        died: BaseExceptionGroup[Any]
        try:
            await self._worker.ready.remote()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed())
                group.create_task(self._collect())
        except* self._run.crew.ray.exceptions.RayError as errors:
            died = errors
        error: BaseException = died.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error

    async def hang_up(self) -> None:
        """Let the worker cancel what is in flight."""
        if self._worker is not None:
            with suppress(self._run.crew.ray.exceptions.RayError):  # dead already
                await self._worker.close.remote()

    def dismiss(self) -> None:
        """No more of this worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._run.crew.end(worker)

    async def _feed(self) -> None:
        """Keep as many requests at the worker as it has a window for."""
        while True:
            while len(self._given) + self._block > self.window:
                self._room.clear()
                await self._room.wait()
            requests = await self._run.backlog.take(self._block)
            self._given.update(requests)
            await self._worker.submit.remote(requests)

    async def _collect(self) -> None:
        """Take its results. What comes twice, from a life before, is not taken again."""
        while True:
            finished: Finished = await self._worker.collect.remote()
            if finished.results:
                self._deaths = 0
            self._run.give(
                [
                    result
                    for number, result in finished.results
                    if self._given.pop(number, None) is not None
                ]
            )
            self._drop(finished.unsent)
            if finished.failure is not None:
                self._run.fail(finished.failure)
            if self._run.backlog.halt_if_asked():
                await self.halt()
            self._room.set()
            await self._run.room()

    async def halt(self) -> None:
        """What the worker has not sent yet is given up."""
        if self._worker is not None:
            self._drop(await self._worker.halt.remote())

    def _drop(self, numbers: Iterable[int]) -> None:
        self._run.drop(sum(self._given.pop(number, None) is not None for number in numbers))

    async def _bury(self, name: str, error: BaseException) -> None:
        """The worker is dead: others do what it has left."""
        self.dismiss()
        given, self._given = self._given, {}
        self._run.backlog.give_back(given.items())
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            msg = f"Workers of Ray die again and again, the last one so: {error}"
            raise OpenAIError(msg) from error
        if self._run.crew.limiter is not None:
            with suppress(self._run.crew.ray.exceptions.RayError):  # a new one has no memory
                await self._run.crew.limiter.forget.remote(name)
