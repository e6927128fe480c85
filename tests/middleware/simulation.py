"""A job of many requests against a server with limits, in simulated time: exact, and quick.

The server is a token bucket or a window of requests; the client is a `Pace` and many tasks,
each of which sends again what was refused. Nothing here waits or reads a clock.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from functools import partial
from itertools import count

from attrs import define, field

from openai_async import RateLimit
from openai_async.middleware.pacing.pace import Pace, Reservation
from openai_async.types.rate_limits import RateLimits

# How long a refusal takes: servers refuse at once.
REFUSAL = 0.002


@define(kw_only=True)
class Server:
    """Allows `rate` requests per second, `burst` at once; or `rate * window` in each window.

    `retry_after` makes a 429's wait of the server's state; `headers` are OpenAI's.
    """

    rate: float = 20.0
    burst: float = 20.0
    window: float | None = None
    headers: bool = False
    limit: int | None = None
    retry_after: Callable[[Server], float | None] = field(default=lambda server: server.next_one)
    level: float = field(init=False)
    at: float = 0.0
    refused: list[float] = field(factory=list)
    accepted: list[float] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        if self.window is not None:
            self.burst = self.rate * self.window
        self.level = self.burst

    def arrive(self, now: float) -> bool:
        """Whether the request is let through."""
        if self.window is None:
            self.level = min(self.burst, self.level + self.rate * (now - self.at))
        elif now // self.window > self.at // self.window:
            self.level = self.burst
        self.at = now
        allowed = self.level >= 1
        self.level -= allowed
        (self.accepted if allowed else self.refused).append(now)
        return allowed

    @property
    def reset(self) -> float:
        """Seconds until all is there again."""
        if self.window is not None:
            return self.window - self.at % self.window
        return (self.burst - self.level) / self.rate

    @property
    def next_one(self) -> float:
        """Seconds until one more request is let through."""
        return self.reset if self.window is not None else max(0.0, 1 - self.level) / self.rate

    def said(self) -> RateLimits | None:
        if not self.headers:
            return None
        return RateLimits(
            limit_requests=self.limit or round(self.rate * 60),
            remaining_requests=int(self.level),
            reset_requests=self.reset,
        )


@define
class Job:
    """`requests` sent by `concurrency` tasks, with `latency` seconds until each is answered."""

    server: Server
    limit: RateLimit = field(factory=RateLimit)
    requests: int = field(default=600, kw_only=True)
    concurrency: int = field(default=100, kw_only=True)
    latency: float = field(default=0.002, kw_only=True)
    tokens: float = field(default=0.0, kw_only=True)
    seed: int = field(default=1, kw_only=True)
    pace: Pace = field(init=False)
    seconds: float = field(init=False, default=0.0)
    """How long it took, once it has run."""
    _random: random.Random = field(init=False)
    _events: list[tuple[float, int, Callable[[float], None]]] = field(init=False, factory=list)
    _order: count[int] = field(init=False, factory=count)
    _timer: float = field(init=False, default=0.0)
    _unsent: int = field(init=False)
    _queue: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pace = Pace(self.limit)
        self._random = random.Random(self.seed)
        self._queue = min(self.concurrency, self.requests)
        self._unsent = self.requests - self._queue

    def run(self) -> Job:
        self.at(0.0, self._serve)
        while self._events:
            now, _, happens = heapq.heappop(self._events)
            assert now < 1e6, "the job does not come to an end"
            happens(now)
        assert len(self.server.accepted) >= self.requests
        return self

    @property
    def refused(self) -> int:
        return len(self.server.refused)

    def at(self, when: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), happens))

    def _serve(self, now: float) -> None:
        """Let those leave whose turn it is."""
        while self._queue:
            wait = self.pace.wait(self.tokens, now)
            if wait > 0:
                if wait < math.inf and not now < self._timer <= now + wait:
                    self._timer = now + wait
                    self.at(self._timer, self._serve)
                return
            self._queue -= 1
            reservation = self.pace.reserve(self.tokens, now)
            self.at(now + self._jitter(), partial(self._arrive, reservation))

    def _arrive(self, reservation: Reservation, now: float) -> None:
        allowed = self.server.arrive(now)
        said, wait = self.server.said(), self.server.retry_after(self.server)
        if allowed:
            self.at(now + self.latency, lambda now: self._answered(reservation, said, now))
        else:
            self.at(now + REFUSAL, lambda now: self._refused(reservation, said, wait, now))

    def _answered(self, reservation: Reservation, said: RateLimits | None, now: float) -> None:
        self.pace.succeeded(reservation, said, now)
        self.seconds = now
        if self._unsent:
            self._unsent -= 1
            self._queue += 1
        self._serve(now)

    def _refused(
        self, reservation: Reservation, said: RateLimits | None, wait: float | None, now: float
    ) -> None:
        self.pace.rate_limited(reservation, said, wait, now)
        self.at(now + (wait or self._random.uniform(0, 0.5)), self._again)
        self._serve(now)

    def _again(self, now: float) -> None:
        self._queue += 1
        self._serve(now)

    def _jitter(self) -> float:
        """What the network takes: it changes the order of requests that leave together."""
        return self._random.uniform(0.0005, 0.0015)
