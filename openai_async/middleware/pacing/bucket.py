"""A token bucket, of requests or of tokens, whose rate follows the server's limit.

Its level rises with time, up to half a second's worth, and each request lowers it. The headers of
answers update the rate. No I/O and no clock: times are monotonic seconds, passed in.
"""

from __future__ import annotations

from math import inf

from attrs import define, field

# The level never exceeds this many seconds' worth, so that no large burst follows a pause.
BURST = 0.5
# Requests sent 50 ms apart do not arrive 50 ms apart. To allow for that, this many seconds' worth
# of what the server has left stays unused.
JITTER = 0.1
# Any surplus that the server has left is used up over this many seconds. It is never more than the
# limit of a minute, so this at most doubles the rate.
SURPLUS = 60.0
# A window of a minute; a reset given in whole seconds may be up to a second late.
WINDOW = 61.0
# If other programs use the same limit, 429s come despite the headers. Each reduces our share of
# it, down to a twentieth; the share then grows slowly, per second, in case the others have stopped.
SHARE_CUT = 0.7
SHARE_GAIN = 0.02
MIN_SHARE = 0.05
# A single oversized request must not hold up the others for more than this many seconds.
MAX_DEBT = 60.0
# One request every ten minutes: headers may be wrong, and without requests no new ones arrive.
MIN_RATE = 1 / 600
# By how much usage must exceed the refill before it has to show in what the server has left.
EVIDENCE = 50.0


@define
class Bucket:
    """Requests or tokens of one model.

    Attributes:
        ceiling: the user's limit, per second; `inf` for none.
        rate: how fast the level rises, per second; `inf` while no limit is known.
        sent: the total so far. Compared with the total when an answer's request left, it shows how
            much the server had not counted yet.
    """

    ceiling: float
    rate: float = field(init=False)
    sent: float = field(init=False, default=0.0)
    scale: float = field(init=False, default=1.0)
    """The factor by which the server's real limit exceeds the one in its headers."""
    capacity: float = field(init=False)
    """The highest level."""
    _level: float = field(init=False)
    _at: float = field(init=False, default=0.0)
    _closed_until: float = field(init=False, default=-inf)
    _most_left: float = field(init=False, default=0.0)
    _windowed: bool = field(init=False, default=False)
    _share: float = field(init=False, default=1.0)
    _learned_at: float = field(init=False, default=inf)
    _mark: tuple[float, float, float] = field(init=False, default=(0.0, 0.0, -inf))

    def __attrs_post_init__(self) -> None:
        self.rate = self.ceiling
        self._level = self.capacity = max(1.0, self.rate * BURST)

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` is available; 0 for now.

        A cost larger than the capacity may go when the bucket is full, and leaves a debt.
        """
        if self.rate == inf:
            return 0.0
        capacity = self.capacity
        level = self._level + self.rate * (now - self._at)
        self._level = level = capacity if level > capacity else level
        self._at = now
        pause = self._closed_until - now if self._closed_until > now else 0.0
        missing = (cost if cost < capacity else capacity) - level
        # Rounding errors: ignore a billionth of a request.
        return pause if missing <= 1e-9 else max(pause, missing / self.rate)

    def reserve(self, cost: float) -> float:
        """Take `cost`, available or not; returns by how much the level was lowered.

        That may be less than `cost`, as only the answer will tell the real cost.
        """
        self.sent += cost
        if self.rate == inf:
            return 0.0
        charged = min(cost, self.rate * MAX_DEBT)
        self._level -= charged
        return charged

    def refund(self, amount: float) -> None:
        """Return what was not needed; a negative amount takes more."""
        if self.rate != inf:
            self._level += amount

    def empty(self, pause: float) -> None:
        """The server has nothing left, and one request's worth after `pause` seconds."""
        if self.rate != inf:
            self._level = min(self._level, max(0.0, 1 - self.rate * pause))

    def set_rate(self, rate: float, now: float) -> None:
        """Change the rate; the level stays."""
        rate = min(max(rate, MIN_RATE), self.ceiling)
        capacity = max(1.0, rate * BURST)
        if self.rate == inf:
            self._level, self._at = capacity, now
        else:
            self.wait(0.0, now)
            self._level = min(self._level, capacity)
        self.rate, self.capacity = rate, capacity

    def reduce_share(self) -> None:
        """A 429 came despite the headers: others must be using the limit too."""
        self.scale = max(1.0, self.scale / 2)
        self._share = max(MIN_SHARE, self._share * SHARE_CUT)

    def learn(
        self, limit: int, left: int, reset: float | None, sent: float, age: float, now: float
    ) -> None:
        """Update the rate and the level from an answer's headers.

        Args:
            limit: requests or tokens a minute.
            left: how many remained when the server counted the request of this answer.
            reset: seconds until all are available again.
            sent: `self.sent` when that request left.
            age: seconds since that request left. Servers count requests as they arrive, so `left`
                dates from then.
        """
        self._share = min(1.0, self._share + SHARE_GAIN * max(0.0, now - self._learned_at))
        self._learned_at = now
        self._most_left = max(self._most_left, left)
        rate = limit / 60 * self.scale
        stock = left - (self.sent - sent) - JITTER * rate
        full = None if reset is None else left + rate * reset
        # The reset shows how a server counts. OpenAI's limits are buckets that fill at the limit's
        # rate, so that `full`, their size, is at most the limit. If it is more, everything is
        # restored at once when a window ends, or the limit is one of an hour or a day, like Groq's
        # for requests.
        if full is not None and reset is not None and (self._windowed or full > 1.05 * limit + 1):
            self._windowed = reset <= WINDOW
            if self._windowed:
                self._follow_window(rate, stock, reset, now)
                return
            rate = (limit - left) / reset
        elif full is not None and reset and full < self._most_left - 0.5:
            # It has been fuller than this, so it refills faster: a limit per second.
            rate = (self._most_left - left) / reset
        stock += rate * age
        self.set_rate(self._share * (rate + max(0.0, stock) / SURPLUS), now)
        if self.rate < self.ceiling:
            # The server counts no debt, but there may be one to the user's own limit.
            self._level = max(self._level, 0.0)
        self._clamp_level(stock)

    def calibrate_scale(self, limit: int, left: int, sent: float, age: float, now: float) -> None:
        """Double `scale` if our usage does not show in what is left: the real limit is higher.

        This is so for gateways that copy headers from elsewhere, and for limits that are not per
        minute. It works only for exact counts. The arguments are those of `learn`.
        """
        rate = limit / 60 * self.scale
        first_left, first_sent, first_at = self._mark
        surplus = sent - first_sent - rate * (now - age - first_at)
        # The refill during a request's way to the server hides as much usage.
        enough = surplus >= EVIDENCE + 4 * rate * age
        if enough and first_left - left < surplus / 4:
            self.scale *= 2
        if enough or surplus < 0 or left > first_left:
            self._mark = (left, sent, now - age)

    def _clamp_level(self, stock: float) -> None:
        """Keep the level between the longest debt and what the server has left."""
        self._level = max(min(self._level, stock), -self.rate * MAX_DEBT)

    def _follow_window(self, rate: float, stock: float, reset: float, now: float) -> None:
        """Spread what is left over the rest of the window; with nothing left, wait for the next."""
        if stock >= 1:
            self.set_rate(self._share * stock / max(reset, 1.0), now)
            self._clamp_level(stock)
        else:
            self.set_rate(self._share * rate, now)
            self.empty(reset)
            self._closed_until = now + reset
