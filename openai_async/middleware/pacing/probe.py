"""Finding the rate limit of a server that says nothing of it but 429.

Between two 429s the server's bucket was empty at both ends. So what it has let through in between,
by the time that took, is its rate: exact, where halving and creeping up only ever comes near. Like
every such search this one increases slowly and decreases at once. No I/O and no clock.
"""

from __future__ import annotations

import math
from math import inf

from attrs import define

# The highest first guess, in requests per second: low, as a guess that is too high is refused again
# and again, and one that is too low doubles every so many seconds until the second 429.
MAX_FIRST_GUESS = 10.0
DOUBLING_INTERVAL = 0.4
# In a pause the rate goes on to rise for this many seconds: many servers say "1 s" whatever it is.
RISE_DURING_PAUSE = 1.0
# Fewer requests than this between two 429s measure nothing.
MIN_REQUESTS_MEASURED = 3
# Two measures that differ by more than this share are not of the same limit, or not yet exact.
AGREEMENT = 0.2
# Just below the measured rate, then up with the cube of the time, as TCP CUBIC goes (RFC 9438):
# flat where the limit is believed to be, steep later, should it have risen. Per second cubed; with
# each measure that agrees the curve is flatter, so that asking again costs fewer and fewer 429s.
PLATEAU = 0.98
FIRST_GROWTH = 0.003
GROWTH = 0.0005
# At a 429 with no better guess.
DECREASE_FACTOR = 0.7


@define
class Probe:
    """What is known of the limit; `rate(now)` is how fast to try, in requests per second."""

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
        """How fast to go now."""
        time = max(0.0, now - self._rises_from)
        if not self._agreeing:
            return self._rate * math.pow(2.0, min(time / DOUBLING_INTERVAL, 60.0))
        growth = FIRST_GROWTH if self._agreeing == 1 else GROWTH / self._agreeing**2
        return self._rate * (PLATEAU + growth * time**3)

    def rate_limited(
        self, passed: float, retry_after: float | None, pause: float, now: float
    ) -> None:
        """A 429, the first of those that came together.

        Args:
            passed: how many requests have been let through in all.
            retry_after: seconds that the server asks to wait.
            pause: seconds in which nothing will be sent now.
        """
        if not self.started:
            # The wait for one more request is at most the time between two. Nothing is known of
            # how much less it is, so that of a short one nothing follows.
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
        """One more of those that came together: it had been taken for let through."""
        self._passed -= 1
