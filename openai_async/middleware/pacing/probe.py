"""Finding the rate limit of a server that reveals it only by answering 429.

At each 429 the server's bucket is empty. So the requests it has accepted between two of them,
divided by the time between, are exactly its rate, which halving and raising the rate would only
approximate. Like every such search, this one increases slowly and decreases at once. No I/O and no
clock.
"""

from __future__ import annotations

import math
from math import inf

from attrs import define

# The highest first guess, in requests per second. It is low: one that is too high causes one 429
# after another, while one that is too low doubles at this interval, in seconds, until the next 429.
MAX_FIRST_GUESS = 10.0
DOUBLING_INTERVAL = 0.4
# The rate rises even during this many seconds of a pause, as many servers always ask for "1 s".
RISE_DURING_PAUSE = 1.0
# Fewer requests than this between two 429s are not a measurement.
MIN_REQUESTS_MEASURED = 3
# Two measurements that differ by a larger share than this are of different limits, or inexact.
AGREEMENT = 0.2
# The rate starts just below the measured one and rises with the cube of time, like TCP CUBIC (RFC
# 9438): slowly near the presumed limit, fast later, in case that has risen. Each measurement that
# agrees flattens the curve, so that probing costs fewer and fewer 429s. Growth is per second cubed.
PLATEAU = 0.98
FIRST_GROWTH = 0.003
GROWTH = 0.0005
# Applied at a 429 without a measurement.
DECREASE_FACTOR = 0.7


@define
class Probe:
    """What is known about the limit; `rate(now)` is the rate to try, in requests per second."""

    _rate: float = inf
    _agreeing: int = 0
    _rate_limited_at: float = 0.0
    _rises_from: float = 0.0
    _passed: float = 0.0

    @property
    def started(self) -> bool:
        """Whether there has been a 429."""
        return self._rate != inf

    def rate(self, now: float) -> float:
        """The rate to try now."""
        time = max(0.0, now - self._rises_from)
        if not self._agreeing:
            return self._rate * math.pow(2.0, min(time / DOUBLING_INTERVAL, 60.0))
        growth = FIRST_GROWTH if self._agreeing == 1 else GROWTH / self._agreeing**2
        return self._rate * (PLATEAU + growth * time**3)

    def rate_limited(
        self, passed: float, retry_after: float | None, pause: float, now: float
    ) -> None:
        """A 429, the first of several that come together.

        Args:
            passed: how many requests the server has accepted so far.
            retry_after: seconds that the server asks to wait.
            pause: seconds for which nothing will be sent.
        """
        if not self.started:
            # The wait for one more request is at most the interval between two. It may be any
            # amount less, so a short wait says nothing about the rate.
            self._rate = min(MAX_FIRST_GUESS, 0.5 / retry_after) if retry_after else MAX_FIRST_GUESS
        elif (
            more := passed - self._passed
        ) >= MIN_REQUESTS_MEASURED and now > self._rate_limited_at:
            measured = more / (now - self._rate_limited_at)
            agrees = abs(measured - self._rate) <= AGREEMENT * measured
            self._agreeing = self._agreeing + 1 if agrees else 1
            self._rate = measured
        else:
            self._rate *= DECREASE_FACTOR
        self._rate_limited_at, self._passed = now, passed
        self._rises_from = now + max(0.0, pause - RISE_DURING_PAUSE)

    def also_rate_limited(self) -> None:
        """One more of those that came together: it was counted as accepted before."""
        self._passed -= 1
