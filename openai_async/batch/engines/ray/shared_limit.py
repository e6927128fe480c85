"""One rate limit for many workers: each is granted as many reservations as are due.

`SharedLimit` is the arithmetic for one model, without I/O or a clock. Workers call a `Limiter`, as
a Ray actor or, in tests, as an object. Under a limit, a worker is never granted more than it has
requests waiting, so that none hoards, and a worker that dies costs one grant at most.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from time import monotonic
from typing import NamedTuple, Protocol

from attrs import define, field, frozen

from ....middleware.pacing import Outcome, Pace, Reservation
from ....options import RateLimit
from ....types.rate_limits import ModelPace

# Under a limit, a grant covers what is due in this many seconds. With one call per request, the
# limiter would be saturated at a thousand requests a second; 20 grants a second are cheap. It is
# half of the jitter that a `Bucket` leaves room for, so a whole grant may be sent at once.
GRANT_INTERVAL = 0.05
# Without a limit, a worker is granted this many times what it asks for on top, because a call takes
# a millisecond of CPU, more than all other work of the engine for a request. The extra reservations
# expire after this many seconds, so that a first 429 soon holds up all workers.
EXTRA_FACTOR = 4
MAX_EXTRA = 512
EXTRA_LIFETIME = 0.1


class Report(NamedTuple):
    """The outcome of one request that was granted.

    Attributes:
        epoch: that of the limiter when it granted the request.
    """

    epoch: str
    reservation: Reservation
    outcome: Outcome


@frozen
class Grant:
    """Reservations: for the first of the requests that were asked for, or for all and some extra.

    Extra ones expire after `EXTRA_LIFETIME` seconds.
    """

    epoch: str
    reservations: list[Reservation]
    counts_tokens: bool
    """Whether it matters from now on how many tokens a request uses."""
    unbounded: bool
    """Whether any number may be in flight, so that not every end has to be reported."""


class LimiterPort(Protocol):
    """The limiter as a worker sees it."""

    async def acquire(
        self, worker: str, model: str, tokens: Sequence[float], reports: Sequence[Report]
    ) -> Grant:
        """Wait for a grant.

        Args:
            worker: the name of the worker.
            model: the model to send requests to.
            tokens: the estimates for the waiting requests, one or more; 0 where unknown.
            reports: of earlier requests.
        """
        ...

    async def report(self, worker: str, model: str, reports: Sequence[Report]) -> None:
        """Report on earlier requests, without asking for more."""


@define(eq=False)
class QuotaRequest:
    """A worker that waits for a grant, and the token estimates of its waiting requests."""

    worker: str
    tokens: Sequence[float]
    on_grant: Callable[[list[Reservation]], object]


@define
class SharedLimit:
    """The pace of one model, and the workers that wait for a grant, first come, first served.

    A worker that wants more joins the end of the queue, so workers take turns.
    """

    pace: Pace
    waiting: deque[QuotaRequest] = field(factory=deque)
    in_flight: dict[str, int] = field(factory=dict)
    """How many requests each worker holds reservations for; not maintained once unbounded."""

    def serve(self, now: float) -> float:
        """Grant what is due; returns the seconds until more is, `inf` for not before a report.

        Call it after every change, and when that time has passed.
        """
        while self.waiting:
            quota = self.waiting[0]
            wait = self._wait(quota.tokens, now)
            if wait > 0:
                return wait
            self.waiting.popleft()
            reservations = self._reserve(quota.tokens, now)
            if not self.pace.unbounded:
                in_flight = self.in_flight.get(quota.worker, 0)
                self.in_flight[quota.worker] = in_flight + len(reservations)
            quota.on_grant(reservations)
        return inf

    def report(self, worker: str, reservation: Reservation, outcome: Outcome, now: float) -> None:
        """As `Pace.report`, for a request of this worker."""
        if not self.pace.unbounded and outcome.kind != "settled":
            self.in_flight[worker] -= 1
        self.pace.report(reservation, outcome, now)

    def remove_worker(self, worker: str) -> None:
        """A worker has died. Its requests may have been sent, so they stay charged."""
        self.waiting = deque(quota for quota in self.waiting if quota.worker != worker)
        left = self.in_flight.pop(worker, 0)
        if not self.pace.unbounded:
            self.pace.failed(left)

    def snapshot(self, now: float) -> ModelPace:
        """What `client.rate_limits` would show."""
        return self.pace.snapshot(sum(len(quota.tokens) for quota in self.waiting), now)

    def _wait(self, tokens: Sequence[float], now: float) -> float:
        """Seconds until a whole grant is due, or all that is wanted if that is less."""
        pace = self.pace
        spent = tokens[0] * pace.correction
        wait = pace.wait(spent, now)
        if wait == inf:
            return inf
        most = max(1, int(min(len(tokens), pace.requests.rate * GRANT_INTERVAL)))
        most_tokens = pace.tokens.rate * GRANT_INTERVAL
        number = 1
        while number < most and spent + tokens[number] * pace.correction <= most_tokens:
            spent += tokens[number] * pace.correction
            number += 1
        if number == 1:
            return wait
        return max(wait, pace.requests.wait(float(number), now), pace.tokens.wait(spent, now))

    def _reserve(self, tokens: Sequence[float], now: float) -> list[Reservation]:
        """Reserve for as many as may leave now: at least the first, as `_wait` has returned 0."""
        pace = self.pace
        reservations = [pace.reserve(tokens[0] * pace.correction, now)]
        for estimate in tokens[1:]:
            if pace.wait(estimate * pace.correction, now) > 0:
                break
            reservations.append(pace.reserve(estimate * pace.correction, now))
        if pace.unbounded and pace.requests.rate == pace.tokens.rate == inf:
            extra = min(MAX_EXTRA, EXTRA_FACTOR * len(tokens))
            reservations += [pace.reserve(0.0, now) for _ in range(extra)]
        return reservations


class Limiter:
    """The limits of all models, shared by all workers; a `LimiterPort`."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        # After a restart of the actor, reservations of its earlier epoch are void.
        self._epoch = os.urandom(8).hex()
        self._models: dict[str, SharedLimit] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._dead_workers: set[str] = set()

    async def acquire(
        self, worker: str, model: str, tokens: Sequence[float], reports: Sequence[Report]
    ) -> Grant:
        """As `LimiterPort.acquire`."""
        shared = self._report(worker, model, reports)
        turn: asyncio.Future[list[Reservation]] = asyncio.get_running_loop().create_future()

        def cancel(reservations: list[Reservation]) -> None:
            cancelled = Outcome("cancelled")
            self._report(worker, model, [Report(self._epoch, it, cancelled) for it in reservations])

        def grant(reservations: list[Reservation]) -> None:
            if turn.done():  # the call was cancelled, and its task has not run since
                cancel(reservations)
            else:
                turn.set_result(reservations)

        quota = QuotaRequest(worker, tokens, grant)
        if worker not in self._dead_workers:  # its last call may arrive after its death
            shared.waiting.append(quota)
        self._serve(model)
        try:
            reservations = await turn
        except BaseException:
            if quota in shared.waiting:
                shared.waiting.remove(quota)
            elif turn.done() and not turn.cancelled():
                cancel(turn.result())
            self._serve(model)
            raise
        return Grant(self._epoch, reservations, shared.pace.counts_tokens, shared.pace.unbounded)

    async def report(self, worker: str, model: str, reports: Sequence[Report]) -> None:
        """As `LimiterPort.report`."""
        self._report(worker, model, reports)
        self._serve(model)

    async def remove_worker(self, worker: str) -> None:
        """A worker has died; its name is never used again."""
        self._dead_workers.add(worker)
        for model, shared in self._models.items():
            shared.remove_worker(worker)
            self._serve(model)

    async def snapshot(self) -> dict[str, ModelPace]:
        """What is known, per model."""
        now = monotonic()
        return {model: shared.snapshot(now) for model, shared in self._models.items()}

    def _report(self, worker: str, model: str, reports: Iterable[Report]) -> SharedLimit:
        shared = self._models.get(model)
        if shared is None:
            shared = self._models[model] = SharedLimit(Pace(self._limit))
        now = monotonic()
        for epoch, reservation, outcome in reports:
            if epoch == self._epoch and worker not in self._dead_workers:
                shared.report(worker, reservation, outcome, now)
        return shared

    def _serve(self, model: str) -> None:
        """Grant what is due, and set the timer for what is due next."""
        if (timer := self._timers.pop(model, None)) is not None:
            timer.cancel()
        wait = self._models[model].serve(monotonic())
        if wait != inf:
            loop = asyncio.get_running_loop()
            self._timers[model] = loop.call_later(wait, self._serve, model)
