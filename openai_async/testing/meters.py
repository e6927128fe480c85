"""What has been used of a limit, and when there is room again: a token bucket, or a fixed window.

No I/O and no clock: the time is an argument, in seconds of a monotonic clock.
"""

import math
from typing import Protocol

# Sums of floats as large as a clock's are off by less than this many seconds; a request that is
# repeated after exactly the `retry-after` of its 429 must pass.
GRACE = 1e-8


class Meter(Protocol):
    """What one model has used of one limit."""

    per_minute: float
    largest: float
    """The largest amount that can ever pass at once."""

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` fits: 0 or less if it does now, infinite if it never will."""
        ...

    def take(self, amount: float, now: float) -> None: ...

    def correct(self, difference: float, taken: float, now: float) -> None:
        """Add this difference to what was taken at the time `taken`."""

    def remaining(self, now: float) -> float:
        """What is left; negative if more was used than allowed."""
        ...

    def reset(self, now: float) -> float:
        """Seconds until nothing is in use."""
        ...


class Bucket:
    """A token bucket, stored as the amount missing from it.

    An amount larger than the bucket empties a full one and leaves a debt.
    """

    __slots__ = ("_capacity", "_missing", "_rate", "_since", "largest", "per_minute")

    def __init__(self, per_minute: float, burst: float) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._capacity = max(1.0, self._rate * burst)
        self.largest = max(per_minute, self._capacity)
        self._missing = 0.0
        self._since = 0.0

    def wait(self, amount: float, now: float) -> float:
        if amount > self.largest:
            return math.inf
        return (min(amount, self._capacity) - self.remaining(now)) / self._rate

    def take(self, amount: float, now: float) -> None:
        self._missing = self._missing_at(now) + amount
        self._since = now

    def correct(self, difference: float, taken: float, now: float) -> None:
        self.take(difference, now)

    def remaining(self, now: float) -> float:
        return self._capacity - self._missing_at(now)

    def reset(self, now: float) -> float:
        return self._missing_at(now) / self._rate

    def _missing_at(self, now: float) -> float:
        return max(0.0, self._missing - (now - self._since) * self._rate)


class Window:
    """A fixed window: a count that expires as a whole, as with Redis' INCR and EXPIRE."""

    __slots__ = ("_length", "_opened", "_used", "largest", "per_minute")

    def __init__(self, per_minute: float, length: float) -> None:
        self.per_minute = per_minute
        self._length = length
        # A whole number; 0.57 s at 100 a second are 57, not 56 as with floats alone.
        self.largest: float = max(1, math.floor(per_minute * length / 60 + 1e-6))
        self._opened = -math.inf
        self._used = 0.0

    def wait(self, amount: float, now: float) -> float:
        if amount > self.largest:
            return math.inf
        return 0.0 if amount <= self.remaining(now) else self.reset(now)

    def take(self, amount: float, now: float) -> None:
        if self.reset(now) <= GRACE:
            self._opened, self._used = now, 0.0
        self._used += amount

    def correct(self, difference: float, taken: float, now: float) -> None:
        if taken >= self._opened:  # else its window is over
            self._used += difference

    def remaining(self, now: float) -> float:
        return self.largest - (self._used if self.reset(now) > GRACE else 0.0)

    def reset(self, now: float) -> float:
        return max(0.0, self._opened + self._length - now)


def go_duration(ms: int) -> str:
    """A duration in Go's format: 0s, 50ms, 1.5s, 6m0s, 1h2m3s."""
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{start}{ms / 1000:g}s"


def milliseconds(seconds: float) -> int:
    """Rounded up, except for rounding errors of floats."""
    return max(0, math.ceil((seconds - GRACE / 2) * 1000))


def whole_remaining(meter: Meter, now: float) -> int:
    """What is left, in whole requests or tokens."""
    return math.floor(meter.remaining(now) + meter.per_minute / 60 * GRACE)
