"""One timer for all open streams: each is checked in time, and none leaves a timer behind."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from openai_async.http.open_streams import OpenStreams

pytestmark = pytest.mark.virtual_time


class Checked:
    """A stream that asks to be checked at intervals, `times` times in all."""

    def __init__(self, interval: float, times: int = 1) -> None:
        self._interval = interval
        self._left = times
        self.times: list[float] = []

    def check(self, now: float) -> float | None:
        self.times.append(now)
        self._left -= 1
        return now + self._interval if self._left > 0 else None


async def test_a_thousand_streams_set_one_timer(timers: list[asyncio.TimerHandle]) -> None:
    loop, streams = asyncio.get_running_loop(), OpenStreams[Checked]()
    for number in range(1000):
        streams.add(Checked(1.0))
        streams.check_by(number + 10.0, loop)
    assert len(timers) == 1


async def test_an_earlier_check_replaces_a_later_one(timers: list[asyncio.TimerHandle]) -> None:
    loop, streams = asyncio.get_running_loop(), OpenStreams[Checked]()
    stream = Checked(1.0)
    streams.add(stream)
    start = loop.time()
    for delay in (5.0, 2.0, 3.0):
        streams.check_by(start + delay, loop)
    assert [timer.cancelled() for timer in timers] == [True, False]
    await asyncio.sleep(10)
    assert stream.times == [pytest.approx(start + 2.0)]


async def test_each_stream_is_checked_as_often_as_it_asks() -> None:
    loop, streams = asyncio.get_running_loop(), OpenStreams[Checked]()
    often, seldom = Checked(0.5, times=4), Checked(1.5, times=2)
    streams.update((often, seldom))
    start = loop.time()
    streams.check_by(start + 0.5, loop)
    await asyncio.sleep(10)
    # It may be checked more often: all streams are checked whenever one is due.
    assert [t - start for t in often.times[:4]] == [pytest.approx(0.5 * n) for n in (1, 2, 3, 4)]
    assert len(seldom.times) >= 2
    assert streams.next_check == math.inf


async def test_a_stream_may_leave_while_the_others_are_checked() -> None:
    loop, streams = asyncio.get_running_loop(), OpenStreams[Any]()

    class Leaving(Checked):
        def check(self, now: float) -> float | None:
            streams.clear()
            return super().check(now)

    all_of_them = [Leaving(1.0), Leaving(1.0)]
    streams.update(all_of_them)
    streams.check_by(loop.time() + 1.0, loop)
    await asyncio.sleep(5)
    assert [len(stream.times) for stream in all_of_them] == [1, 1]


async def test_no_timer_stays_behind(timers: list[asyncio.TimerHandle]) -> None:
    loop, streams = asyncio.get_running_loop(), OpenStreams[Checked]()
    streams.check_by(loop.time() + 1.0, loop)
    streams.stop_checking()
    assert [timer.cancelled() for timer in timers] == [True]
    streams.check_by(loop.time() + 1.0, loop)
    await asyncio.sleep(2)
    assert len(timers) == 3  # the second, and that of `sleep`
