"""One rate limit for many workers: who asks gets a slice of it, as many requests as are due.

`Slices` is the arithmetic for one model: no I/O, no clock. `Limiter` is what workers call, as a Ray
actor or, in tests, as an object. Where there is a limit it never hands out more than a worker has
waiting, so that none hoards, and what a worker takes with it when it dies is one slice.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from time import monotonic
from typing import Literal, NamedTuple, Protocol

from attrs import define, field, frozen

from ....middleware.pacing.pace import Pace, Reservation
from ....options import RateLimit
from ....types.rate_limits import ModelPace, RateLimits

# A slice is what is due in so many seconds, where a limit is known: with one call a request, the
# limiter would be busy with calls at a thousand requests a second; 20 slices a second are nothing.
# It is half of the jitter that `Bucket` keeps free, so that a slice may arrive at once.
SLICE = 0.05
# Where nothing limits, a worker gets so many times what it asks for on top, to use within so many
# seconds: a question takes a millisecond of CPU, more than all the rest of what the engine does.
# It is short enough that a first 429 is soon known to all.
ON_TOP = 4
MOST_ON_TOP = 512
GOOD_FOR = 0.1


class Outcome(NamedTuple):
    """What became of one granted request.

    Attributes:
        kind: "rejected_as_invalid" for an error of the request itself, "failed" for one that tells
            nothing about limits.
        life: of the limiter that granted it.
        known: what the headers of its answer said, if they were looked at.
        retry_after: seconds that a 429 asked for.
        tokens: what it took, if the answer says so and it was looked at.
    """

    kind: Literal["answered", "rejected_as_invalid", "rate_limited", "failed", "not_sent"]
    life: str
    reservation: Reservation
    known: RateLimits | None = None
    retry_after: float | None = None
    tokens: int | None = None


@frozen
class Grant:
    """A slice: reservations for the first so many of those that were asked for, or for more.

    Those that are more are good for `GOOD_FOR` seconds.
    """

    life: str
    reservations: list[Reservation]
    counts_tokens: bool
    """Whether it matters from now on how many tokens a request has."""
    open: bool
    """Whether any number may be under way, so that it need not be said when one has ended."""


class LimiterPort(Protocol):
    """The limiter, as a worker sees it."""

    async def ask(
        self, worker: str, model: str, tokens: Sequence[float], outcomes: Sequence[Outcome]
    ) -> Grant:
        """Wait for a slice.

        Args:
            worker: who asks.
            model: which model is asked.
            tokens: the estimates for the requests that wait, one or more; 0 where unknown.
            outcomes: what has become of earlier ones.
        """

    async def report(self, worker: str, model: str, outcomes: Sequence[Outcome]) -> None:
        """Say what has become of earlier ones, and ask for nothing."""


@define(eq=False)
class Ask:
    """A worker that waits, and the token estimates of its waiting requests."""

    worker: str
    tokens: Sequence[float]
    on_grant: Callable[[list[Reservation]], object]


@define
class Slices:
    """The pace of one model, and the workers that wait for a slice, first come, first served.

    A worker that wants more goes to the end of the queue: so they take turns.
    """

    pace: Pace
    waiting: deque[Ask] = field(factory=deque)
    under_way: dict[str, int] = field(factory=dict)
    """How many requests each worker has reservations for; not counted once it does not matter."""

    def serve(self, now: float) -> float:
        """Hand out what is due; returns the seconds until more is, `inf` for not before a report.

        Call it after each change, and when that time is over.
        """
        while self.waiting:
            ask = self.waiting[0]
            wait = self._wait(ask.tokens, now)
            if wait > 0:
                return wait
            self.waiting.popleft()
            reservations = self._take(ask.tokens, now)
            if not self.pace.unbounded:
                self.under_way[ask.worker] = self.under_way.get(ask.worker, 0) + len(reservations)
            ask.on_grant(reservations)
        return inf

    def finish(self, worker: str, outcome: Outcome, now: float) -> None:
        """A request that this worker had a reservation for has ended."""
        pace, reservation = self.pace, outcome.reservation
        if not pace.unbounded:
            self.under_way[worker] -= 1
        if outcome.kind == "answered":
            pace.answered(reservation, outcome.known, now)
            if outcome.tokens is not None:
                pace.settle(reservation, outcome.tokens)
        elif outcome.kind == "rejected_as_invalid":
            pace.rejected_as_invalid(reservation, outcome.known, now)
        elif outcome.kind == "rate_limited":
            pace.rate_limited(reservation, outcome.known, outcome.retry_after, now)
        elif outcome.kind == "not_sent":
            pace.cancel_reservation(reservation)
        else:
            pace.failed(reservation)

    def forget(self, worker: str) -> None:
        """A worker has died: its requests may have been sent, or not. Their turn is not undone."""
        self.waiting = deque(ask for ask in self.waiting if ask.worker != worker)
        left = self.under_way.pop(worker, 0)
        if not self.pace.unbounded:
            for _ in range(left):
                self.pace.failed(_NO_TICKET)

    def known(self, now: float) -> ModelPace:
        """What `client.rate_limits` would show."""
        return self.pace.snapshot(sum(len(ask.tokens) for ask in self.waiting), now)

    def _wait(self, tokens: Sequence[float], now: float) -> float:
        """Seconds until a whole slice is due, or all that is wanted if that is less."""
        pace = self.pace
        spent = tokens[0] * pace.correction
        wait = pace.wait(spent, now)
        if wait == inf:
            return inf
        most = max(1, int(min(len(tokens), pace.requests.rate * SLICE)))
        most_tokens = pace.tokens.rate * SLICE
        number = 1
        while number < most and spent + tokens[number] * pace.correction <= most_tokens:
            spent += tokens[number] * pace.correction
            number += 1
        if number == 1:
            return wait
        return max(wait, pace.requests.wait(float(number), now), pace.tokens.wait(spent, now))

    def _take(self, tokens: Sequence[float], now: float) -> list[Reservation]:
        """Tickets for as many as may leave now: for the first at least, which `_wait` says may."""
        pace = self.pace
        reservations = [pace.reserve(tokens[0] * pace.correction, now)]
        for estimate in tokens[1:]:
            if pace.wait(estimate * pace.correction, now) > 0:
                break
            reservations.append(pace.reserve(estimate * pace.correction, now))
        if pace.unbounded and pace.requests.rate == pace.tokens.rate == inf:
            on_top = min(MOST_ON_TOP, ON_TOP * len(tokens))
            reservations += [pace.reserve(0.0, now) for _ in range(on_top)]
        return reservations


_NO_TICKET: Reservation = (0.0, 0.0, 0.0, 0.0, 0.0)  # `Pace.lost` looks at none


class Limiter:
    """The limits of all models, shared by all workers; a `LimiterPort`."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        # If the actor is started again, reservations of its earlier life mean nothing.
        self._life = os.urandom(8).hex()
        self._models: dict[str, Slices] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._gone: set[str] = set()

    async def ask(
        self, worker: str, model: str, tokens: Sequence[float], outcomes: Sequence[Outcome]
    ) -> Grant:
        """As `LimiterPort.ask`."""
        slices = self._finish(worker, model, outcomes)
        turn: asyncio.Future[list[Reservation]] = asyncio.get_running_loop().create_future()

        def give_back(reservations: list[Reservation]) -> None:
            self._finish(
                worker, model, [Outcome("not_sent", self._life, it) for it in reservations]
            )

        def grant(reservations: list[Reservation]) -> None:
            if turn.done():  # whoever asked was cancelled, and has not run since
                give_back(reservations)
            else:
                turn.set_result(reservations)

        ask = Ask(worker, tokens, grant)
        if worker not in self._gone:  # else its call was on its way when it died
            slices.waiting.append(ask)
        self._serve(model)
        try:
            reservations = await turn
        except BaseException:
            if ask in slices.waiting:
                slices.waiting.remove(ask)
            elif turn.done() and not turn.cancelled():
                give_back(turn.result())
            self._serve(model)
            raise
        return Grant(self._life, reservations, slices.pace.counts_tokens, slices.pace.unbounded)

    async def report(self, worker: str, model: str, outcomes: Sequence[Outcome]) -> None:
        """As `LimiterPort.report`."""
        self._finish(worker, model, outcomes)
        self._serve(model)

    async def forget(self, worker: str) -> None:
        """A worker has died; no other will ever have its name."""
        self._gone.add(worker)
        for model, slices in self._models.items():
            slices.forget(worker)
            self._serve(model)

    async def known(self) -> dict[str, ModelPace]:
        """What is known, per model."""
        now = monotonic()
        return {model: slices.known(now) for model, slices in self._models.items()}

    def _finish(self, worker: str, model: str, outcomes: Iterable[Outcome]) -> Slices:
        slices = self._models.get(model)
        if slices is None:
            slices = self._models[model] = Slices(Pace(self._limit))
        now = monotonic()
        for outcome in outcomes:
            if outcome.life == self._life and worker not in self._gone:
                slices.finish(worker, outcome, now)
        return slices

    def _serve(self, model: str) -> None:
        """Hand out what is due, and set the timer for what is due next."""
        if (timer := self._timers.pop(model, None)) is not None:
            timer.cancel()
        wait = self._models[model].serve(monotonic())
        if wait != inf:
            loop = asyncio.get_running_loop()
            self._timers[model] = loop.call_later(wait, self._serve, model)
