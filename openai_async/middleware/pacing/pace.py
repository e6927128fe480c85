"""How fast requests to one model may be sent: how many seconds each has to wait.

The pace is set by, in order of precedence:

1. The user's limits, which are never exceeded.
2. `x-ratelimit-*` headers: the server's own numbers, updated by its answers (bucket.py).
3. Without them, 429s: how many requests succeed between two of these (probe.py).
4. While nothing is known, a window: two requests in flight, then four, eight, and so on.

A 429 makes all requests wait for as long as the server asked. No I/O and no clock: times are
monotonic seconds, passed in.
"""

from __future__ import annotations

from math import inf
from typing import Literal, NamedTuple, TypeAlias

from attrs import define, field

from ...options import RateLimit
from ...types.rate_limits import ModelPace, RateLimits
from .bucket import Bucket
from .probe import DOUBLING_INTERVAL, Probe

# Requests in flight while nothing is known. The window doubles after as many answers, but not
# before this many seconds: when the burst that a server silently allows is used up, few
# requests should be on their way to a 429. It takes 0.7 s, or seven answers, to get to 256.
INITIAL_WINDOW = 2
MIN_DOUBLING_INTERVAL = 0.1
MAX_DOUBLING_INTERVAL = 1.0  # without answers, the window doubles after this many seconds
UNBOUNDED_WINDOW = 1024  # larger windows are not bounded: clients have no more connections
# A 429 without retry-after pauses all requests for one request's time, but no longer than this.
MAX_DEFAULT_PAUSE = 1.0
# A server that asks for a longer pause gets the next request after a minute: the time may be wrong,
# and the user could not see why nothing happens.
MAX_PAUSE = 60.0
# The correction of token estimates: the weight of each new answer, and the bounds.
CORRECTION_WEIGHT = 0.1
MIN_CORRECTION, MAX_CORRECTION = 0.05, 20.0


# A request in flight: when it left, its estimated tokens, how many of these were charged, and the
# requests and tokens sent until then, itself included. It is a plain tuple, since there is one for
# each request: a class of its own would take a tenth of the time of pacing.
Reservation: TypeAlias = tuple[float, float, float, float, float]


class Outcome(NamedTuple):
    """How a request ended, and what its answer says about limits.

    Attributes:
        kind: "succeeded"; "rate_limited" for a 429; "rejected_as_invalid" for other errors of the
            request itself; "failed" if it says nothing about limits; "cancelled" if it was never
            sent; "settled", after it succeeded, when its stream reports the tokens used.
        limits: from the answer's headers, if these were read.
        retry_after: the seconds that a 429 asks for.
        tokens: how many it used, if the answer says so and was read.
    """

    kind: Literal[
        "succeeded", "rate_limited", "rejected_as_invalid", "failed", "cancelled", "settled"
    ]
    limits: RateLimits | None = None
    retry_after: float | None = None
    tokens: int | None = None


@define
class Pace:
    """The pace of one model.

    For each request, call `wait` until it returns 0, `reserve`, and `report` its outcome once.
    """

    limit: RateLimit
    server_limits: RateLimits | None = field(init=False, default=None)
    """From the latest headers."""
    rejections: int = field(init=False, default=0)
    correction: float = field(init=False, default=1.0)
    """The factor that corrects estimates of tokens."""
    unbounded: bool = field(init=False)
    """Whether any number may be in flight: the limits are known, or no 429 came so far."""
    counts_tokens: bool = field(init=False)
    """Whether it matters how many tokens a request uses."""
    requests: Bucket = field(init=False)
    tokens: Bucket = field(init=False)
    paused_until: float = field(init=False, default=-inf)
    _server_tells_limit: bool = field(init=False, default=False)
    """Whether headers have shown the limit of requests."""
    _in_flight: int = field(init=False, default=0)  # not maintained once `unbounded`
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
        """Seconds until a request may leave: 0 for now, `inf` for not before the next answer."""
        if not self.unbounded and self._in_flight >= self._window:
            # No reason to wait longer for the first answers: they may be slow.
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
        if self.counts_tokens and (wait_for_tokens := self.tokens.wait(tokens, now)) > wait:
            wait = wait_for_tokens
        return max(wait, self.paused_until - now) if self.paused_until > now else wait

    def reserve(self, tokens: float, now: float) -> Reservation:
        """Charge a request that leaves now."""
        self.requests.reserve(1.0)
        charged = self.tokens.reserve(tokens) if tokens else 0.0
        if not self.unbounded:
            self._in_flight += 1
            self._window_doubled_at = min(self._window_doubled_at, now)
        return (now, tokens, charged, self.requests.sent, self.tokens.sent)

    def reset_in_flight(self) -> None:
        """Forget the requests in flight: they are another process's."""
        self._in_flight = 0

    def report(self, reservation: Reservation, outcome: Outcome, now: float) -> None:
        """A request has ended; or, if "settled", its stream has."""
        kind, limits, retry_after, tokens = outcome
        if kind == "succeeded":
            self.succeeded(reservation, limits, now)
        elif kind == "rate_limited":
            self.rate_limited(reservation, limits, retry_after, now)
        elif kind == "rejected_as_invalid":
            self.rejected_as_invalid(reservation, limits, now)
        elif kind == "cancelled":
            self.cancel_reservation(reservation)
        elif kind == "failed":
            self.failed(1)
        if tokens is not None:
            self.settle(reservation, tokens)

    def failed(self, number: int) -> None:
        """This many requests ended in a way that says nothing about limits."""
        self._in_flight -= number

    def cancel_reservation(self, reservation: Reservation) -> None:
        """The request was never sent."""
        self._in_flight -= 1
        self.requests.refund(1.0)
        self.tokens.refund(reservation[2])

    def succeeded(self, reservation: Reservation, limits: RateLimits | None, now: float) -> None:
        """An answer came, with these headers."""
        self._in_flight -= 1
        if limits is not None:
            self._learn(reservation, limits, now)
        elif not self.unbounded:
            self._successes += 1
            if (
                self._successes >= self._window
                and now - self._window_doubled_at >= MIN_DOUBLING_INTERVAL
            ):
                self._double_window(now)

    def rejected_as_invalid(
        self, reservation: Reservation, limits: RateLimits | None, now: float
    ) -> None:
        """An error of the request itself: it counts as a request, but used no tokens."""
        self.tokens.refund(reservation[2])
        self.succeeded(reservation, limits, now)

    def rate_limited(
        self,
        reservation: Reservation,
        limits: RateLimits | None,
        retry_after: float | None,
        now: float,
    ) -> None:
        """A 429. Of several requests that left together only the first one slows the pace down, but
        every one's pause is kept.
        """
        self._in_flight -= 1
        self.rejections += 1
        self.tokens.refund(reservation[2])
        if not self.limit.adaptive:
            return
        self.unbounded = True
        if reservation[0] >= self._slowed_down_at:
            self._slowed_down_at = now
            self._slow_down(reservation, limits, retry_after, now)
        elif not self._server_tells_limit:
            self._probe.also_rate_limited()
        if limits is not None:
            self._learn(reservation, limits, now)
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
        limits: RateLimits | None,
        retry_after: float | None,
        now: float,
    ) -> None:
        left = None if limits is None else limits.remaining_tokens
        if left is not None and left < reservation[1]:
            self.tokens.reduce_share()
        elif self._server_tells_limit:
            self.requests.reduce_share()
        elif limits is None or limits.limit_requests is None or limits.remaining_requests is None:
            passed = self.requests.sent - self.rejections
            self._probe.rate_limited(passed, retry_after, self._pause(retry_after), now)
            self.requests.set_rate(self._probe.rate(now), now)

    def snapshot(self, waiting: int, now: float) -> ModelPace:
        """What is known, for `client.rate_limits`; `waiting` is how many requests wait."""
        return ModelPace(
            requests_per_minute=_per_minute(self.requests.rate),
            tokens_per_minute=_per_minute(self.tokens.rate),
            server=self.server_limits,
            waiting=waiting,
            paused=max(0.0, self.paused_until - now),
            rejections=self.rejections,
        )

    def _pause(self, retry_after: float | None) -> float:
        if retry_after is None:
            return min(MAX_DEFAULT_PAUSE, 1 / self.requests.rate)
        return min(MAX_PAUSE, retry_after)

    def settle(self, reservation: Reservation, tokens: float) -> None:
        """The answer tells the tokens used: refund the rest, and correct later estimates."""
        _, estimated, charged, _, _ = reservation
        if charged:
            self.tokens.refund(charged - tokens)
        if estimated > 0:
            right = self.correction * tokens / estimated
            correction = self.correction + CORRECTION_WEIGHT * (right - self.correction)
            self.correction = min(MAX_CORRECTION, max(MIN_CORRECTION, correction))

    def _learn(self, reservation: Reservation, limits: RateLimits, now: float) -> None:
        self.server_limits = limits
        at, _, _, requests_sent, tokens_sent = reservation
        age = now - at
        limit, left, reset = limits.limit_requests, limits.remaining_requests, limits.reset_requests
        if limit and left is not None:
            self._server_tells_limit = self.unbounded = True
            self.requests.calibrate_scale(limit, left, requests_sent, age, now)
            self.requests.learn(limit, left, reset, requests_sent, age, now)
        limit, left, reset = limits.limit_tokens, limits.remaining_tokens, limits.reset_tokens
        if limit and left is not None:
            self.unbounded = self.counts_tokens = True
            self.tokens.scale = max(self.tokens.scale, self.requests.scale)
            self.tokens.learn(limit, left, reset, tokens_sent, age, now)


def _per_second(per_minute: float | None) -> float:
    return inf if per_minute is None else per_minute / 60


def _per_minute(per_second: float) -> float | None:
    return None if per_second == inf else per_second * 60
