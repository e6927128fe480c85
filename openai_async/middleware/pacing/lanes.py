"""Pacing: requests wait for their turn here, so that the server need not refuse them.

Each model has a `Lane`: its pace, and who waits for it, first come, first served. Nobody polls: one
timer per event loop waits for the moment in which the first in the queue may leave, and each answer
may bring that moment forward.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from os import getpid
from time import monotonic
from typing import Any, TypeAlias

from ...errors import APIStatusError, InvalidArgumentError, OpenAIError
from ...http.body import running_loop
from ...http.request import Request, Response
from ...http.waits import PendingWaits
from ...options import RateLimit
from ...types.rate_limits import ModelPace, RateLimits
from .. import Send
from .pace import Pace, Reservation
from .token_estimate import estimate_tokens

# Answers are looked at once in this time, in seconds: all of them at fifty a second, and above that
# enough of them. Reading headers and usage takes longer than everything else here together.
SAMPLE_INTERVAL = 0.02
Params: TypeAlias = Mapping[str, Any] | None
_TOTAL_TOKENS = re.compile(rb'"total_tokens"\s*:\s*(\d{1,12})')


class Pacing:
    """The middleware; `lanes` by model.

    It stands next to the wire, within the retries: each attempt waits for its own turn.
    """

    def __init__(self, limit: RateLimit, waits: PendingWaits) -> None:
        self.limit = limit
        self._waits = waits
        self._lanes: dict[str, Lane] = {}

    async def __call__(self, request: Request, send: Send) -> Response:
        if request.api_key is None:  # a picture's URL, at some other server
            return await send(request)
        params = request.params
        lane = self._lane(None if params is None else params.get("model"))
        reservation = lane.enter_now(params) or await lane.enter(params)
        try:
            response = await send(request)
        except APIStatusError as error:
            lane.failed(reservation, error)
            raise
        except BaseException:
            lane.lost(reservation)
            raise
        lane.answered(reservation, response)
        return response

    def known(self) -> dict[str, ModelPace]:
        """What is known, per model."""
        return {model: lane.known() for model, lane in [*self._lanes.items()]}

    def _lane(self, model: Any) -> Lane:
        name = model if type(model) is str else ""
        lane = self._lanes.get(name)
        return self._lanes.setdefault(name, Lane(self.limit, self._waits)) if lane is None else lane


class _Waiter:
    """One request in a queue."""

    __slots__ = ("estimate", "params", "turn")

    def __init__(self, params: Params, turn: asyncio.Future[Reservation]) -> None:
        self.params = params
        self.turn = turn
        self.estimate: float | None = None  # made once, when it is wanted


class _Queue:
    """Those who wait in one event loop, and the timer for the first of them."""

    __slots__ = ("timer", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiter] = deque()
        self.timer: asyncio.TimerHandle | None = None


class Lane:
    """One model: its pace, shared by all loops of the process, and a queue for each of them.

    The lock is held for arithmetic, never across an await: a client may be used by the loops of
    several threads.
    """

    def __init__(self, limit: RateLimit, waits: PendingWaits) -> None:
        self._waits = waits
        self.pace = Pace(limit)
        self._estimate = limit.estimate_tokens or estimate_tokens
        self._adaptive = limit.adaptive
        self._lock = threading.Lock()
        self._queues: dict[asyncio.AbstractEventLoop, _Queue] = {}
        self._next_sample = -inf
        self._process = getpid()

    def enter_now(self, params: Params) -> Reservation | None:
        """Leave at once, if that is possible and nobody waits."""
        if self._process != getpid():
            self._begin_anew()
        if self._queues:
            return None
        tokens = self._tokens(params) if self.pace.counts_tokens else 0.0
        now = monotonic()
        with self._lock:
            return self.pace.reserve(tokens, now) if self.pace.wait(tokens, now) <= 0 else None

    async def enter(self, params: Params) -> Reservation:
        """Wait for the turn."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Reservation] = loop.create_future()
        queue = self._queues.setdefault(loop, _Queue())
        queue.waiting.append(_Waiter(params, turn))
        self._serve(loop)
        try:
            return await self._waits.until(turn)
        except BaseException:  # GeneratorExit too, of who is dropped while waiting
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                with self._lock:
                    self.pace.cancel_reservation(turn.result())
            elif not loop.is_closed():
                turn.cancel()  # dropped: whoever serves the queue passes it over
            self._serve(loop)
            raise

    def answered(self, reservation: Reservation, response: Response) -> None:
        """A good answer: its headers tell of limits, its `usage` of tokens."""
        now = monotonic()
        look = now >= self._next_sample
        if not look and self.pace.unbounded:
            return
        known = None
        if look:
            self._next_sample = now + SAMPLE_INTERVAL
            if self._adaptive:
                known = RateLimits.from_headers(response.headers)
        with self._lock:
            self.pace.answered(reservation, known, now)
        if look and self.pace.counts_tokens:
            if response.stream is not None:
                response.on_usage = lambda tokens: self._settle(reservation, tokens)
            elif (tokens := total_tokens(response.body)) is not None:
                self._settle(reservation, tokens)
        if self._queues:
            self._serve_all()

    def failed(self, reservation: Reservation, error: APIStatusError) -> None:
        """A status of 300 or above; 429 slows everybody down."""
        now = monotonic()
        known = RateLimits.from_headers(error.headers or {}) if self._adaptive else None
        with self._lock:
            if error.status_code == 429:
                self.pace.rate_limited(reservation, known, error.retry_after, now)
            elif error.status_code < 500:
                self.pace.rejected_as_invalid(reservation, known, now)
            else:
                self.pace.failed(reservation)
        self._serve_all()

    def lost(self, reservation: Reservation) -> None:
        """No answer came."""
        with self._lock:
            self.pace.failed(reservation)
        self._serve_all()

    def known(self) -> ModelPace:
        """What `client.rate_limits` shows."""
        waiting = sum(len(queue.waiting) for queue in [*self._queues.values()])
        return self.pace.snapshot(waiting, monotonic())

    def _begin_anew(self) -> None:
        """In a forked child: who waits, and who holds the lock, is in the parent."""
        self._process = getpid()
        self._lock, self._queues = threading.Lock(), {}
        self.pace.reset_in_flight()

    def _settle(self, reservation: Reservation, tokens: int) -> None:
        with self._lock:
            self.pace.settle(reservation, tokens)

    def _serve_all(self) -> None:
        """The pace has changed: see who may leave now."""
        here = running_loop()  # none, where a loop was closed and its tasks are dropped
        for loop in [*self._queues]:
            if loop is here:
                self._serve(loop)
            else:
                try:
                    loop.call_soon_threadsafe(self._serve, loop)
                except RuntimeError:  # closed, with all who waited in it
                    self._queues.pop(loop, None)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those leave whose turn it is, and set the timer for the next."""
        queue = self._queues.get(loop)
        if queue is None or loop.is_closed():
            self._queues.pop(loop, None)
            return
        if queue.timer is not None:
            queue.timer.cancel()
            queue.timer = None
        while queue.waiting:
            waiter = queue.waiting[0]
            if not waiter.turn.done():  # else its task is cancelled, and has not run since
                wait = self._let_go(waiter)
                if wait > 0:
                    if wait != inf:
                        queue.timer = loop.call_later(wait, self._serve, loop)
                    return
            queue.waiting.popleft()
        del self._queues[loop]

    def _let_go(self, waiter: _Waiter) -> float:
        """Give the first in the queue its reservation, or say how many seconds it has to wait.

        Its tokens are estimated now: when it came, nothing may have been known of a limit.
        """
        try:
            if waiter.estimate is None and self.pace.counts_tokens:
                waiter.estimate = estimated(self._estimate, waiter.params)
        except Exception as error:
            waiter.turn.set_exception(error)
            return 0.0
        with self._lock:
            now = monotonic()
            tokens = (waiter.estimate or 0.0) * self.pace.correction
            wait = self.pace.wait(tokens, now)
            if wait <= 0:
                waiter.turn.set_result(self.pace.reserve(tokens, now))
        return wait

    def _tokens(self, params: Params) -> float:
        """The estimate, corrected by those before it."""
        return estimated(self._estimate, params) * self.pace.correction


def estimated(estimate_tokens: Callable[[Mapping[str, Any]], float], params: Params) -> float:
    """The estimate for a request, if it is one.

    Raises:
        OpenAIError: the function failed.
        InvalidArgumentError: it returned something else than a number of 0 or more.
    """
    if params is None:
        return 0.0
    try:
        estimate = estimate_tokens(params)
    except OpenAIError:
        raise
    except Exception as error:
        msg = f"The estimate_tokens function failed with {type(error).__name__}: see the cause."
        raise OpenAIError(msg) from error
    try:
        usable = 0 <= estimate < inf
    except TypeError:
        usable = False
    if not usable:
        msg = f"estimate_tokens returned {estimate!r}: have it return a number, 0 or more."
        raise InvalidArgumentError(msg)
    return estimate


def total_tokens(body: bytes) -> int | None:
    """`usage.total_tokens` of an answer, which has not been parsed yet and will be only once."""
    place = body.rfind(b'"total_tokens"')
    while place > 0 and body[place - 1] == ord("\\"):  # within a text that a model wrote
        place = body.rfind(b'"total_tokens"', 0, place)
    found = _TOTAL_TOKENS.match(body, place) if place > 0 else None
    return None if found is None else int(found[1])
