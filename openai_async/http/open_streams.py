"""The streams of one event loop that hold a connection, and the timer that they share.

A timer for each stream, set and removed with it, costs as much as reading a chunk. Streams are
checked for silence about once a second, so one timer is enough for all of them.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol, TypeVar


class Stream(Protocol):
    """A stream that can be checked for silence."""

    def check(self, now: float) -> float | None:
        """Check for silence; returns when to check again, by the loop's clock, if at all."""


S = TypeVar("S", bound=Stream)


class OpenStreams(set[S]):
    """The open streams, all of which are checked when one of them is due.

    Attributes:
        next_check: when all streams will be checked, by the loop's clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.next_check = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def check_by(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        """Check all streams at this time or earlier."""
        if when < self.next_check:
            self.stop_checking()
            self.next_check = when
            self._timer = loop.call_at(when, self._check, loop)

    def stop_checking(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.next_check = math.inf

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self.next_check = None, math.inf
        now = loop.time()
        for stream in list(self):
            if (when := stream.check(now)) is not None:
                self.check_by(when, loop)
