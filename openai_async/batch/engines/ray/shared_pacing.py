"""The middleware of a worker: requests wait for a grant of the limit that all workers share.

It is the `Pacing` of one process with the arithmetic elsewhere. For each model, one call at a time
asks the limiter for all waiting requests, and reports the outcomes of earlier ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from math import inf
from time import monotonic
from typing import TypeAlias

from ....errors import OpenAIError
from ....middleware.pacing import (
    ModelLimiter,
    Outcome,
    PacingMiddleware,
    Params,
    Reservation,
    estimator,
)
from ....options import RateLimit
from .shared_limit import EXTRA_LIFETIME, LimiterPort, Report

# Requests per call: more than any grant has, except the first ones of a fast server.
MAX_PER_CALL = 256
# Outcomes are reported after this many seconds, if not by a call before. Until then the limiter
# counts these requests as in flight, which matters only while it tries out how many there may be.
REPORT_INTERVAL = 0.05

Lease: TypeAlias = tuple[str, Reservation]
"""A reservation, and the epoch of the limiter that it belongs to."""


class SharedPacing(PacingMiddleware["SharedModelLimiter"]):
    """The middleware, for one event loop. `close` it when nothing is in flight any more."""

    def __init__(self, limiter: LimiterPort, *, worker: str, limit: RateLimit) -> None:
        super().__init__(limit, lambda model: SharedModelLimiter(limiter, worker, model, limit))

    async def close(self) -> None:
        """Stop asking, and report the remaining outcomes."""
        for limiter in self._limiters.values():
            await limiter.close()


class SharedModelLimiter(ModelLimiter[Lease]):
    """One model: the requests that wait for a grant, and the outcomes to report."""

    # Plain attributes in place of the properties of the base class.
    counts_tokens = False  # pyright: ignore[reportAssignmentType]
    unbounded = False  # pyright: ignore[reportAssignmentType]

    def __init__(self, limiter: LimiterPort, worker: str, model: str, limit: RateLimit) -> None:
        self.counts_tokens = limit.tokens_per_minute is not None  # pyright: ignore[reportAttributeAccessIssue]
        self._limiter = limiter
        self._worker = worker
        self._model = model
        self._estimate = estimator(limit)
        self._waiting: deque[tuple[float, asyncio.Future[Lease]]] = deque()
        self._extra: list[Lease] = []  # granted beyond what was asked for
        self._extra_expires_at = -inf
        self._reports: list[Report] = []
        self._acquiring: asyncio.Task[None] | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False

    def acquire_nowait(self, params: Params) -> Lease | None:
        """As `ModelLimiter.acquire_nowait`."""
        if not self._extra or self._waiting:
            return None
        if monotonic() < self._extra_expires_at:
            return self._extra.pop()
        self._extra.clear()
        return None

    async def acquire(self, params: Params) -> Lease:
        """As `ModelLimiter.acquire`."""
        # Estimated even while tokens do not count: when the turn comes, a limit may be known.
        estimate = self._estimate(params)
        turn: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._waiting.append((estimate, turn))
        if self._acquiring is None:
            self._acquiring = asyncio.create_task(self._acquire_for_all())
        try:
            return await turn
        except BaseException:  # also GeneratorExit: the coroutine was closed while it waited
            if not turn.done():
                turn.cancel()  # a reservation granted for it will be cancelled
            elif not turn.cancelled() and turn.exception() is None:
                self.report(turn.result(), Outcome("cancelled"))
            raise

    def report(self, reservation: Lease, outcome: Outcome) -> None:
        """Report it with the next call, or soon, or at once: a 429 has to hold up all workers."""
        if outcome.kind == "failed" and self.unbounded:
            return
        self._reports.append(Report(*reservation, outcome))
        if outcome.kind == "rate_limited":
            self._extra.clear()  # there is a limit after all
            self._urgent = True
            self._start_reporting()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(REPORT_INTERVAL, self._start_reporting)

    async def close(self) -> None:
        """Cancel the requests that still wait."""
        tasks = [task for task in (self._acquiring, self._reporting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if reports := self._pop_reports():
            await self._limiter.report(self._worker, self._model, reports)

    async def _acquire_for_all(self) -> None:
        """Ask for all waiting requests, again and again while there are any."""
        try:
            while self._waiting:
                if self._waiting[0][1].done():  # cancelled while it waited
                    self._waiting.popleft()
                    continue
                tokens = [estimate for estimate, _ in islice(self._waiting, MAX_PER_CALL)]
                grant = await self._limiter.acquire(
                    self._worker, self._model, tokens, self._pop_reports()
                )
                self.counts_tokens, self.unbounded = grant.counts_tokens, grant.unbounded  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleMethodOverride]
                leases = [(grant.epoch, reservation) for reservation in grant.reservations]
                self._extra = leases[len(tokens) :]
                self._extra_expires_at = monotonic() + EXTRA_LIFETIME
                for lease in leases[: len(tokens)]:
                    _, turn = self._waiting.popleft()
                    if turn.done():
                        self.report(lease, Outcome("cancelled"))
                    else:
                        turn.set_result(lease)
        except OpenAIError as error:  # the limiter is gone
            while self._waiting:
                _, turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_exception(error)
        finally:
            self._acquiring = None
            while self._waiting:
                self._waiting.popleft()[1].cancel()

    def _start_reporting(self) -> None:
        if self._reporting is None:
            self._reporting = asyncio.create_task(self._report_all())

    async def _report_all(self) -> None:
        try:
            reported = False
            while self._urgent or not reported:  # a 429 may come during the call
                self._urgent, reported = False, True
                if reports := self._pop_reports():
                    await self._limiter.report(self._worker, self._model, reports)
        except OpenAIError:
            pass  # the next `acquire` fails in the same way, and tells the waiting requests
        finally:
            self._reporting = None

    def _pop_reports(self) -> list[Report]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reports, self._reports = self._reports, []
        return reports
