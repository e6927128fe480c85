"""Pacing within one process: requests wait here, so that the server need not reject them.

Each model has a `LocalLimiter`: its pace, and a queue of the requests that wait, first come, first
served. Nothing polls: one timer per event loop fires when the first request may leave, and every
answer may bring that moment forward.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from math import inf
from os import getpid
from time import monotonic

from ...http.body import running_loop
from ...http.waits import PendingWaits
from ...options import RateLimit
from ...types.rate_limits import ModelPace
from .base import ModelLimiter, PacingMiddleware, Params
from .pace import Outcome, Pace, Reservation
from .token_estimate import estimator

# While requests wait, a timer sends those whose turn it is, at intervals of at least this many
# seconds. At 1,000 requests per second, ten leave together. One in each iteration of the event loop
# would cost twice as much. The rate is the same, as the buckets fill up meanwhile.
SERVE_INTERVAL = 0.01


class Pacing(PacingMiddleware["LocalLimiter"]):
    """The middleware of a client and its copies."""

    def __init__(self, limit: RateLimit, waits: PendingWaits) -> None:
        super().__init__(limit, lambda model: LocalLimiter(limit, waits))

    def snapshot(self) -> dict[str, ModelPace]:
        """What is known, per model."""
        return {model: limiter.snapshot() for model, limiter in [*self._limiters.items()]}


class _Waiter:
    """A waiting request."""

    __slots__ = ("estimate", "params", "turn")

    def __init__(self, params: Params, turn: asyncio.Future[Reservation]) -> None:
        self.params = params
        self.turn = turn
        self.estimate: float | None = None  # made once, when it is needed


class _Queue:
    """The waiting requests of one event loop, and the timer for the first of them."""

    __slots__ = ("timer", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiter] = deque()
        self.timer: asyncio.TimerHandle | None = None


class LocalLimiter(ModelLimiter[Reservation]):
    """One model: its pace, shared by all event loops of the process, and a queue for each loop.

    The lock is held for arithmetic, never across an await, as loops may run in several threads.
    """

    def __init__(self, limit: RateLimit, waits: PendingWaits) -> None:
        self._waits = waits
        self.pace = Pace(limit)
        self._estimate = estimator(limit)
        self._lock = threading.Lock()
        self._queues: dict[asyncio.AbstractEventLoop, _Queue] = {}
        self._process = getpid()

    @property
    def counts_tokens(self) -> bool:
        """As `ModelLimiter.counts_tokens`."""
        return self.pace.counts_tokens

    @property
    def unbounded(self) -> bool:
        """As `ModelLimiter.unbounded`."""
        return self.pace.unbounded

    def acquire_nowait(self, params: Params) -> Reservation | None:
        """As `ModelLimiter.acquire_nowait`."""
        if self._process != getpid():
            self._reset_after_fork()
        if self._queues:
            return None
        pace = self.pace
        tokens = self._estimate(params) * pace.correction if pace.counts_tokens else 0.0
        now = monotonic()
        with self._lock:
            return pace.reserve(tokens, now) if pace.wait(tokens, now) <= 0 else None

    async def acquire(self, params: Params) -> Reservation:
        """As `ModelLimiter.acquire`."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Reservation] = loop.create_future()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue()
        queue.waiting.append(_Waiter(params, turn))
        if queue.timer is None:  # otherwise the first in the queue has to wait, and so has this one
            self._serve(loop)
        try:
            return await self._waits.until(turn)
        except BaseException:  # also GeneratorExit: the coroutine was closed while it waited
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                with self._lock:
                    self.pace.cancel_reservation(turn.result())
            elif not loop.is_closed():
                turn.cancel()  # `_serve` will skip it
            self._serve(loop)
            raise

    def report(self, reservation: Reservation, outcome: Outcome) -> None:
        """As `ModelLimiter.report`."""
        with self._lock:
            self.pace.report(reservation, outcome, monotonic())
        if self._queues:
            self._serve_all()

    def snapshot(self) -> ModelPace:
        """What `client.rate_limits` shows."""
        waiting = sum(len(queue.waiting) for queue in [*self._queues.values()])
        return self.pace.snapshot(waiting, monotonic())

    def _reset_after_fork(self) -> None:
        """In a forked child: waiters, requests in flight and a held lock are the parent's."""
        self._process = getpid()
        self._lock, self._queues = threading.Lock(), {}
        self.pace.reset_in_flight()

    def _serve_all(self) -> None:
        """The pace has changed: see which requests may leave now."""
        here = running_loop()  # None if a loop was closed and its tasks are being collected
        for loop in [*self._queues]:
            if loop is here:
                self._serve(loop)
            else:
                try:
                    loop.call_soon_threadsafe(self._serve, loop)
                except RuntimeError:  # closed, and its waiters with it
                    self._queues.pop(loop, None)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give reservations to the waiters whose turn has come; set the timer for the next one."""
        queue = self._queues.get(loop)
        if queue is None or loop.is_closed():
            self._queues.pop(loop, None)
            return
        waiting, pace = queue.waiting, self.pace
        while waiting:
            waiter = waiting[0]
            if not waiter.turn.done():  # a done one belongs to a cancelled task, or has failed
                if pace.counts_tokens and waiter.estimate is None:
                    self._estimate_tokens(waiter)
                    continue
                with self._lock:
                    now = monotonic()
                    tokens = (waiter.estimate or 0.0) * pace.correction
                    wait = pace.wait(tokens, now)
                    if wait <= 0:
                        waiter.turn.set_result(pace.reserve(tokens, now))
                if wait > 0:
                    if wait != inf:
                        self._set_timer(queue, loop, wait)
                    return
            waiting.popleft()
        if queue.timer is not None:
            queue.timer.cancel()
        del self._queues[loop]

    def _set_timer(self, queue: _Queue, loop: asyncio.AbstractEventLoop, wait: float) -> None:
        """Serve the queue again after `wait` seconds. An earlier timer stays: it sets the next."""
        at = loop.time() + max(wait, SERVE_INTERVAL)
        if queue.timer is not None:
            if queue.timer.when() <= at:
                return
            queue.timer.cancel()
        queue.timer = loop.call_at(at, self._timer_fired, queue, loop)

    def _timer_fired(self, queue: _Queue, loop: asyncio.AbstractEventLoop) -> None:
        queue.timer = None
        self._serve(loop)

    def _estimate_tokens(self, waiter: _Waiter) -> None:
        """Done when its turn comes: when the request arrived, perhaps no limit was known."""
        try:
            waiter.estimate = self._estimate(waiter.params)
        except Exception as error:
            waiter.turn.set_exception(error)
