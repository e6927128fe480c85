"""The progress of a run on stderr: a bar on a terminal, else a line now and then.

Frames are made on the event loop and written by a thread: a terminal that does not accept output
(Ctrl-S, a lost connection) or is gone ends the display, but never the run.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from typing import NamedTuple, TextIO

from attrs import define, evolve

from ..types.rate_limits import ModelPace
from .progress_view import Frame, View, choose_view, seconds_left
from .report import Tally

# Seconds between two frames. Often enough for a bar to move, for about 1 % of a core.
FRAME_INTERVAL = 0.25
# Rates are measured over at least this many seconds and results.
RATE_SECONDS = 20.0
RATE_RESULTS = 20
# How long the end of a run waits for a terminal that does not accept output.
FINISH_TIMEOUT = 2.0
# A limit is not shown if it is more than this many times the rate: it does not slow the run down.
LIMIT_HEADROOM = 4


@define(kw_only=True)
class Progress:
    """What is shown; all of it may change during the run.

    Attributes:
        total: requests in the input.
        resumed: how many of them were done before this run.
        tally: of the results of this run.
        pace: returns what is known about the limits of each model.
    """

    total: int
    resumed: int
    tally: Tally
    pace: Callable[[], Mapping[str, ModelPace]]


@asynccontextmanager
async def show_progress(progress: Progress, *, file: TextIO | None = None) -> AsyncIterator[None]:
    """Show the progress while the `async with` block runs.

    Args:
        progress: what to show.
        file: where to; `None` for `sys.stderr`.
    """
    view = choose_view(sys.stderr if file is None else file)
    if view is None:
        yield
        return
    recent = _Recent()
    drawing = _DrawingThread(view)
    timer = asyncio.create_task(_keep_showing(progress, recent, drawing))
    try:
        yield
    finally:
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
        # At the end, neither the time left nor the limit matters.
        await drawing.finish(evolve(_frame(progress, recent), left=None, limit=""))


async def _keep_showing(progress: Progress, recent: _Recent, drawing: _DrawingThread) -> None:
    while True:
        drawing.show(_frame(progress, recent))
        await asyncio.sleep(FRAME_INTERVAL)


class _Sample(NamedTuple):
    at: float
    results: int
    tokens: int


class _Recent:
    """Results and tokens per second, recently."""

    def __init__(self) -> None:
        self._samples = deque([_Sample(time.monotonic(), 0, 0)])

    def rates(self, now: _Sample) -> tuple[float, float]:
        samples = self._samples
        while len(samples) > 1 and (
            now.at - samples[1].at >= RATE_SECONDS
            and now.results - samples[1].results >= RATE_RESULTS
        ):
            samples.popleft()
        then = samples[0]
        if now.results > samples[-1].results:
            samples.append(now)
        seconds = max(now.at - then.at, 0.001)
        return (now.results - then.results) / seconds, (now.tokens - then.tokens) / seconds


def _frame(progress: Progress, recent: _Recent) -> Frame:
    tally, now = progress.tally, time.monotonic()
    results = tally.completed + tally.failed
    done = min(progress.resumed + results, progress.total)
    rate, tokens = recent.rates(_Sample(now, results, tally.tokens))
    return Frame(
        at=now,
        total=progress.total,
        done=done,
        failed=tally.failed,
        rate=rate,
        tokens=tokens,
        left=(progress.total - done) / rate if rate else None,
        limit=_limit(list(progress.pace().values()), tally, rate * 60),
    )


def _limit(paces: list[ModelPace], tally: Tally, rate: float) -> str:
    """A pause, or the limit that may slow down a run of this `rate`; of all models together."""
    if (paused := max((pace.paused for pace in paces), default=0.0)) > 0:
        return f"paused {seconds_left(paused)}"
    requests = sum(pace.requests_per_minute or 0 for pace in paces) or math.inf
    tokens = sum(pace.tokens_per_minute or 0 for pace in paces) or math.inf
    # The limit on tokens, in requests of average size: the lower of the two limits counts.
    by_tokens = tokens * tally.completed / tally.tokens if tally.tokens else math.inf
    if min(requests, by_tokens) > (rate * LIMIT_HEADROOM or sys.float_info.max):
        return ""
    if by_tokens < requests:
        return f"limit {tokens:,.0f} tokens/min"
    return f"limit {requests:,.0f}/min"


class _DrawingThread:
    """A thread that draws the latest frame."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._frames: SimpleQueue[tuple[Frame, bool]] = SimpleQueue()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # A daemon: Python waits for other threads at exit, and this one may be blocked forever.
        threading.Thread(target=self._draw, name="openai-async-progress", daemon=True).start()

    def show(self, frame: Frame) -> None:
        if self._frames.empty():  # else it is blocked, and can skip this frame
            self._frames.put((frame, False))

    async def finish(self, frame: Frame) -> None:
        """Draw the last frame, unless the terminal is blocked."""
        self._frames.put((frame, True))
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_TIMEOUT):
                await self._ended.wait()

    def _draw(self) -> None:
        last = False
        with suppress(OSError, ValueError):  # the terminal is gone
            while not last:
                frame, last = self._frames.get()
                self._view.draw(frame, last=last)
        with suppress(RuntimeError):  # the loop is closed: it has stopped waiting
            self._loop.call_soon_threadsafe(self._ended.set)
