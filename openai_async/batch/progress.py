"""How far a run is, on stderr: a bar on a terminal, a line now and then everywhere else.

What is shown is looked up on the event loop, and written by a thread: a terminal that takes nothing
(Ctrl-S, a connection that was lost) or that is gone ends the display, and never the run.
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
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from attrs import define, evolve, frozen

from ..types.rate_limits import ModelPace
from .report import Tally, duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Seconds between two looks. Often enough for a bar to move, and some 1 % of a core.
INTERVAL = 0.25
# Rates are of at least so many seconds and results: recent, but not those of a single answer.
RECENT = 20.0
FEWEST = 20
# Plain lines come when both have passed; at the latest, so that a log does not look like a hang,
# after SILENCE.
LINE_SECONDS = 10.0
LINE_SHARE = 0.1
SILENCE = 600.0
# How long the end of a run waits for a terminal that takes nothing.
PATIENCE = 2.0
# A limit that is so many times as high as the rate holds nothing back.
FAR_AWAY = 4

# In characters. A shorter bar says less than the number beside it.
WIDEST_BAR = 40
NARROWEST_BAR = 10
LEFT_WIDTH = len("59 min 59 s left")


@define(kw_only=True)
class Progress:
    """What is shown; all of it may change meanwhile.

    Attributes:
        total: requests in the input.
        resumed: how many of them were done before this run.
        tally: what has come in this run.
        pace: looks up what is known of each model's limits.
    """

    total: int
    resumed: int
    tally: Tally
    pace: Callable[[], Mapping[str, ModelPace]]


@asynccontextmanager
async def show_progress(progress: Progress, *, file: TextIO | None = None) -> AsyncIterator[None]:
    """Show how far a run is while the block is carried out.

    Args:
        progress: what to show.
        file: where to; `None` for `sys.stderr`.
    """
    view = _view(sys.stderr if file is None else file)
    if view is None:
        yield
        return
    recent = _Recent()
    painter = _Painter(view)
    timer = asyncio.create_task(_keep_showing(progress, recent, painter))
    try:
        yield
    finally:
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
        # What is left, and what held the run back, is of no interest any more.
        await painter.finish(evolve(_frame(progress, recent), left=None, limit=""))


async def _keep_showing(progress: Progress, recent: _Recent, painter: _Painter) -> None:
    while True:
        painter.show(_frame(progress, recent))
        await asyncio.sleep(INTERVAL)


# --- what is shown ---


@frozen(kw_only=True)
class _Frame:
    """All there is to show at a moment. Rates are per second; `left` is in seconds."""

    at: float
    total: int
    done: int
    failed: int
    rate: float
    tokens: float
    left: float | None
    limit: str

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 1.0


class _Sample(NamedTuple):
    at: float
    results: int
    tokens: int


class _Recent:
    """Results and tokens a second, lately."""

    def __init__(self) -> None:
        self._samples = deque([_Sample(time.monotonic(), 0, 0)])

    def rates(self, now: _Sample) -> tuple[float, float]:
        samples = self._samples
        while len(samples) > 1 and (
            now.at - samples[1].at >= RECENT and now.results - samples[1].results >= FEWEST
        ):
            samples.popleft()
        then = samples[0]
        if now.results > samples[-1].results:
            samples.append(now)
        seconds = max(now.at - then.at, 0.001)
        return (now.results - then.results) / seconds, (now.tokens - then.tokens) / seconds


def _frame(progress: Progress, recent: _Recent) -> _Frame:
    tally, now = progress.tally, time.monotonic()
    results = tally.completed + tally.failed
    done = min(progress.resumed + results, progress.total)
    rate, tokens = recent.rates(_Sample(now, results, tally.tokens))
    return _Frame(
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
    """A pause, or what may hold back a run of this `rate`: of several models, all together."""
    if (paused := max((pace.paused for pace in paces), default=0.0)) > 0:
        return f"paused {_wait(paused)}"
    requests = sum(pace.requests_per_minute or 0 for pace in paces) or math.inf
    tokens = sum(pace.tokens_per_minute or 0 for pace in paces) or math.inf
    # In requests, of what they take on average: of the two, the lower one counts.
    by_tokens = tokens * tally.completed / tally.tokens if tally.tokens else math.inf
    if min(requests, by_tokens) > (rate * FAR_AWAY or sys.float_info.max):
        return ""
    if by_tokens < requests:
        return f"limit {tokens:,.0f} tokens/min"
    return f"limit {requests:,.0f}/min"


def _requests(frame: _Frame) -> str:
    return f"{_rate(frame.rate)} requests/s" if frame.rate else ""


def _tokens(frame: _Frame) -> str:
    return f"{_rate(frame.tokens)} tokens/s" if frame.tokens else ""


def _left(frame: _Frame) -> str:
    return f"{_wait(frame.left)} left" if frame.left else ""


def _failed(frame: _Frame) -> str:
    return f"{frame.failed:,} failed" if frame.failed else ""


def _percent(frame: _Frame) -> str:
    return f"{math.floor(frame.share * 100)} %"  # 100 is when all are done


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 9.95 else f"{per_second:.1f}"


def _wait(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{math.ceil(seconds)} s"


# --- where it is shown ---


class _View(Protocol):
    def draw(self, frame: _Frame, *, last: bool) -> None:
        """Write the frame, if it is time to; raises OSError or ValueError if that fails."""


def _view(file: TextIO | None) -> _View | None:
    """The best there is for this file; `None` if it is closed, or there is none."""
    try:
        if file is None or file.closed:
            return None
        if not file.isatty() or find_spec("rich") is None:
            return _Lines(file)
    except (OSError, ValueError):
        return None
    from rich.console import Console

    console = Console(file=file, markup=False, highlight=False, emoji=False)
    # Where the cursor cannot be moved, there is no bar.
    return _Lines(file) if console.is_dumb_terminal or console.legacy_windows else _Bar(console)


class _Lines:
    """A line at the start, at the end, and rarely in between."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._shown: _Frame | None = None

    def draw(self, frame: _Frame, *, last: bool) -> None:
        before = self._shown
        if before is not None and not last:
            silence = frame.at - before.at
            moved = frame.share - before.share >= LINE_SHARE
            if silence < LINE_SECONDS or not (moved or silence >= SILENCE):
                return
        if before is not None and last and before.done == frame.done:
            return  # as after a run that had nothing to do
        self._shown = frame
        head = f"{frame.done:,} of {frame.total:,} done ({_percent(frame)})"
        parts = [head, _failed(frame), _requests(frame), _tokens(frame), _left(frame), frame.limit]
        self._file.write(", ".join(filter(None, parts)) + "\n")
        self._file.flush()


class _Bar:
    """Two lines that stay in place.

    The cursor rests where they begin: what another part of the program writes meanwhile stays on
    the screen, and the bar goes on below it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def draw(self, frame: _Frame, *, last: bool) -> None:
        lines = self._lines(frame)
        end = "\n" if last else f"\r\x1b[{len(lines) - 1}A"
        file = self._console.file
        file.write("\r" + "\x1b[K\n".join(lines) + "\x1b[J" + end)
        file.flush()

    def _lines(self, frame: _Frame) -> list[str]:
        from rich.text import Text

        width = self._console.width - 1  # in the last column some terminals wrap
        head, percent = f" {frame.done:,}/{frame.total:,} ", f" {_percent(frame):>5}"
        # Always as wide, so that the bar does not tremble.
        left = f"  {_left(frame):<{LEFT_WIDTH}}" if frame.left else ""
        room = width - len(head) - len(percent)
        if len(left.rstrip()) > room:
            left = ""
        bar = min(room - len(left), WIDEST_BAR)
        bar = bar if bar >= NARROWEST_BAR else 0
        filled = math.floor(frame.share * bar)
        full, empty = ("━", "─") if self._console.encoding.startswith("utf") else ("#", "-")
        first = Text.assemble(
            head, (full * filled, "green"), (empty * (bar - filled), "bright_black"), percent, left
        )
        paused = "yellow" if frame.limit.startswith("paused") else ""
        # The least important last: that is what a narrow terminal goes without.
        parts = [
            (_failed(frame), "red"),
            (_requests(frame), ""),
            (frame.limit, paused),
            (_tokens(frame), ""),
        ]
        second = Text()
        for text, style in parts:
            if text and len(second) + 2 + len(text) <= width:
                second.append("  " if second else " ").append(text, style)
        return [self._rendered(first, width), self._rendered(second, width)]

    def _rendered(self, line: Text, width: int) -> str:
        line.truncate(width)
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return captured.get()


# --- who writes it ---


class _Painter:
    """A thread that draws the latest frame."""

    def __init__(self, view: _View) -> None:
        self._view = view
        self._frames: SimpleQueue[tuple[_Frame, bool]] = SimpleQueue()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Python waits for its other threads when it exits, and this one may be held up for ever.
        threading.Thread(target=self._paint, name="openai-async-progress", daemon=True).start()

    def show(self, frame: _Frame) -> None:
        if self._frames.empty():  # else it is held up; it need not see what was missed
            self._frames.put((frame, False))

    async def finish(self, frame: _Frame) -> None:
        """Draw the last frame, if that can be done."""
        self._frames.put((frame, True))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._ended.wait()

    def _paint(self) -> None:
        last = False
        with suppress(OSError, ValueError):  # nobody is looking any more
            while not last:
                frame, last = self._frames.get()
                self._view.draw(frame, last=last)
        with suppress(RuntimeError):  # the loop is closed: it has not waited
            self._loop.call_soon_threadsafe(self._ended.set)
