"""How fast one model may be asked: a `Pace` says how many seconds to wait. No I/O and no clock.

What sets the pace, from strong to weak:

1. The limits that the user gave are never passed.
2. `x-ratelimit-*` headers: the server's own numbers, read anew from answer to answer (bucket.py).
3. Where there are none, 429s: what is let through between two of them (probe.py).
4. While nothing is known: two requests at a time, then four, eight, and so on.

And a 429 makes every request wait as long as the server asked one of them to.
"""

from __future__ import annotations

from math import inf
from typing import TypeAlias

from attrs import define, field

from ...options import RateLimit
from ...types.rate_limits import ModelPace, RateLimits
from .bucket import Bucket
from .probe import DOUBLING_INTERVAL, Probe

# Requests at once while nothing is known. They double when as many answers are in, but no sooner
# than after this many seconds: when the burst that a silent server allows is used up, few should
# be on their way to be refused. To 256 at once takes 0.7 s, or seven answers' time.
INITIAL_WINDOW = 2
MIN_DOUBLING_INTERVAL = 0.1
MAX_DOUBLING_INTERVAL = 1.0  # where no answer comes, they double after this many seconds
UNBOUNDED_WINDOW = 1024  # from here on there is no bound: clients have as many connections
# A 429 without retry-after holds all up for the time of one request, but at most for this long.
MAX_DEFAULT_PAUSE = 1.0
# A server that asks for more than a minute is asked again after a minute: it may be mistaken, and
# nobody may see why everything stands still.
MAX_PAUSE = 60.0
# The correction of the token estimate: the weight of one more answer, and its bounds.
CORRECTION_WEIGHT = 0.1
MIN_CORRECTION, MAX_CORRECTION = 0.05, 20.0


# What is to be remembered of a request while it is under way: when it left, its estimated tokens,
# how many of them were charged, and what had been sent by then, itself included, of requests and of
# tokens. A plain tuple: there is one for each request, and a class of its own would take a tenth of
# what pacing takes.
Reservation: TypeAlias = tuple[float, float, float, float, float]


@define
class Pace:
    """The pace of one model.

    Each request goes `wait` until that is 0, `take`, and then exactly one of `answered`, `refused`
    and `lost`.
    """

    limit: RateLimit
    known: RateLimits | None = field(init=False, default=None)
    """What the latest headers said."""
    rejections: int = field(init=False, default=0)
    correction: float = field(init=False, default=1.0)
    """By what estimates of tokens have to be multiplied."""
    unbounded: bool = field(init=False)
    """Whether any number may be under way: enough is known, or nothing was ever refused."""
    counts_tokens: bool = field(init=False)
    """Whether it matters how many tokens a request has."""
    requests: Bucket = field(init=False)
    tokens: Bucket = field(init=False)
    paused_until: float = field(init=False, default=-inf)
    _server_tells_limit: bool = field(init=False, default=False)
    """Whether headers have told the limit of requests."""
    _in_flight: int = field(init=False, default=0)  # not counted once it does not matter
    _window: int = field(init=False)
    _window_doubled_at: float = field(init=False, default=inf)
    _successes: int = field(init=False, default=0)
    _slowed_down_at: float = field(init=False, default=-inf)
    _probe: Probe = field(init=False, factory=Probe)

    def __attrs_post_init__(self) -> None:
        self.requests = Bucket(_per_second(self.limit.requests_per_minute))
        self.tokens = Bucket(_per_second(self.limit.tokens_per_minute))
        self._window = INITIAL_WINDOW
        self.unbounded = not self.limit.adaptive
        self.counts_tokens = self.limit.tokens_per_minute is not None

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until a request may leave: 0 for now, `inf` for not before another answer."""
        if not self.unbounded and self._in_flight >= self._window:
            # The first answers are slow: nothing speaks against a few more.
            wait_for_answer = self._window_doubled_at + MAX_DOUBLING_INTERVAL - now
            if wait_for_answer > 0:
                return wait_for_answer
            self._double_window(now)
        probing = self._probe.started and not self._server_tells_limit
        if probing:
            self.requests.set_rate(self._probe.rate(now), now)
        wait = self.requests.wait(1.0, now)
        if probing and wait > DOUBLING_INTERVAL:  # by then the rate will have risen
            wait = DOUBLING_INTERVAL
        if self.counts_tokens:
            wait = max(wait, self.tokens.wait(tokens, now))
        return max(wait, self.paused_until - now) if self.paused_until > now else wait

    def reserve(self, tokens: float, now: float) -> Reservation:
        """A request leaves."""
        self.requests.reserve(1.0)
        charged = self.tokens.reserve(tokens) if tokens else 0.0
        if not self.unbounded:
            self._in_flight += 1
            self._window_doubled_at = min(self._window_doubled_at, now)
        return (now, tokens, charged, self.requests.sent, self.tokens.sent)

    def reset_in_flight(self) -> None:
        """All that was is none of ours."""
        self._in_flight = 0

    def failed(self, reservation: Reservation) -> None:
        """It ended in a way that says nothing of limits."""
        self._in_flight -= 1

    def cancel_reservation(self, reservation: Reservation) -> None:
        """It never left."""
        self._in_flight -= 1
        self.requests.refund(1.0)
        self.tokens.refund(reservation[2])

    def answered(self, reservation: Reservation, known: RateLimits | None, now: float) -> None:
        """A good answer came, with these headers."""
        self._in_flight -= 1
        if known is not None:
            self._learn(reservation, known, now)
        elif not self.unbounded:
            self._successes += 1
            if (
                self._successes >= self._window
                and now - self._window_doubled_at >= MIN_DOUBLING_INTERVAL
            ):
                self._double_window(now)

    def rejected_as_invalid(
        self, reservation: Reservation, known: RateLimits | None, now: float
    ) -> None:
        """A status of 4xx came: let through, and found wrong. It has cost no tokens."""
        self.tokens.refund(reservation[2])
        self.answered(reservation, known, now)

    def rate_limited(
        self,
        reservation: Reservation,
        known: RateLimits | None,
        retry_after: float | None,
        now: float,
    ) -> None:
        """A 429 came. Of those that left together only the first slows down; each is waited out."""
        self._in_flight -= 1
        self.rejections += 1
        self.tokens.refund(reservation[2])
        if not self.limit.adaptive:
            return
        self.unbounded = True
        if reservation[0] >= self._slowed_down_at:
            self._slowed_down_at = now
            self._slow_down(reservation, known, retry_after, now)
        elif not self._server_tells_limit:
            self._probe.also_rate_limited()
        if known is not None:
            self._learn(reservation, known, now)
        pause = self._pause(retry_after)
        self.requests.empty(pause)
        self.paused_until = max(self.paused_until, now + pause)

    def _double_window(self, now: float) -> None:
        self._successes, self._window_doubled_at = 0, now
        self._window *= 2
        self.unbounded = self._window > UNBOUNDED_WINDOW

    def _slow_down(
        self,
        reservation: Reservation,
        known: RateLimits | None,
        retry_after: float | None,
        now: float,
    ) -> None:
        left = None if known is None else known.remaining_tokens
        if left is not None and left < reservation[1]:
            self.tokens.reduce_share()
        elif self._server_tells_limit:
            self.requests.reduce_share()
        elif known is None or known.limit_requests is None or known.remaining_requests is None:
            passed = self.requests.sent - self.rejections
            self._probe.rate_limited(passed, retry_after, self._pause(retry_after), now)
            self.requests.set_rate(self._probe.rate(now), now)

    def snapshot(self, waiting: int, now: float) -> ModelPace:
        """For people to look at; `waiting` is how many wait for their turn."""
        return ModelPace(
            requests_per_minute=_per_minute(self.requests.rate),
            tokens_per_minute=_per_minute(self.tokens.rate),
            server=self.known,
            waiting=waiting,
            paused=max(0.0, self.paused_until - now),
            rejections=self.rejections,
        )

    def _pause(self, retry_after: float | None) -> float:
        if retry_after is None:
            return min(MAX_DEFAULT_PAUSE, 1 / self.requests.rate)
        return min(MAX_PAUSE, retry_after)

    def settle(self, reservation: Reservation, tokens: float) -> None:
        """The answer says what the request took; the next estimates learn from it."""
        _, estimated, charged, _, _ = reservation
        if charged:
            self.tokens.refund(charged - tokens)
        if estimated > 0:
            right = self.correction * tokens / estimated
            correction = self.correction + CORRECTION_WEIGHT * (right - self.correction)
            self.correction = min(MAX_CORRECTION, max(MIN_CORRECTION, correction))

    def _learn(self, reservation: Reservation, known: RateLimits, now: float) -> None:
        self.known = known
        at, _, _, requests_sent, tokens_sent = reservation
        age = now - at
        limit, left, reset = known.limit_requests, known.remaining_requests, known.reset_requests
        if limit and left is not None:
            self._server_tells_limit = self.unbounded = True
            self.requests.calibrate_scale(limit, left, requests_sent, age, now)
            self.requests.learn(limit, left, reset, requests_sent, age, now)
        limit, left, reset = known.limit_tokens, known.remaining_tokens, known.reset_tokens
        if limit and left is not None:
            self.unbounded = self.counts_tokens = True
            self.tokens.scale = max(self.tokens.scale, self.requests.scale)
            self.tokens.learn(limit, left, reset, tokens_sent, age, now)


def _per_second(per_minute: float | None) -> float:
    return inf if per_minute is None else per_minute / 60


def _per_minute(per_second: float) -> float | None:
    return None if per_second == inf else per_second * 60
