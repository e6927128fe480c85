"""Progress as text: a bar of two lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TextIO

from attrs import frozen

from .report import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# A plain line is written when this many seconds have passed and this share of the requests is done
# since the last one; and after the longer interval in any case, so that a log does not look hung.
MIN_LINE_INTERVAL = 10.0
MIN_LINE_SHARE = 0.1
MAX_LINE_INTERVAL = 600.0
# In characters. A shorter bar says less than the percentage beside it.
MAX_BAR_WIDTH = 40
MIN_BAR_WIDTH = 10
LEFT_WIDTH = len("59 min 59 s left")


@frozen(kw_only=True)
class Frame:
    """What to show at one moment. Rates are per second; `left` is in seconds."""

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


class View(Protocol):
    def draw(self, frame: Frame, *, last: bool) -> None:
        """Write the frame if it is due; raises OSError or ValueError if that fails."""


def choose_view(file: TextIO | None) -> View | None:
    """A bar if the file is a terminal that can show one, else lines; `None` if it is closed."""
    try:
        if file is None:
            return None
        if not file.isatty() or find_spec("rich") is None:
            return _Lines(file)
    except (OSError, ValueError):  # it is closed
        return None
    from rich.console import Console

    console = Console(file=file, markup=False, highlight=False, emoji=False)
    # A bar needs a cursor that can be moved.
    return _Lines(file) if console.is_dumb_terminal or console.legacy_windows else _Bar(console)


class _Lines:
    """A line at the start, at the end, and now and then in between."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._shown: Frame | None = None

    def draw(self, frame: Frame, *, last: bool) -> None:
        before = self._shown
        if before is not None and not last:
            elapsed = frame.at - before.at
            moved = frame.share - before.share >= MIN_LINE_SHARE
            if elapsed < MIN_LINE_INTERVAL or not (moved or elapsed >= MAX_LINE_INTERVAL):
                return
        if before is not None and last and before.done == frame.done:
            return  # as in a run that had nothing to do
        self._shown = frame
        head = f"{frame.done:,} of {frame.total:,} done ({_percent(frame)})"
        parts = [head, _failed(frame), _requests(frame), _tokens(frame), _left(frame), frame.limit]
        self._file.write(", ".join(filter(None, parts)) + "\n")
        self._file.flush()


class _Bar:
    """Two lines that are redrawn in place.

    The cursor stays at their start: other output of the program remains on the screen, and the bar
    continues below it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def draw(self, frame: Frame, *, last: bool) -> None:
        lines = self._lines(frame)
        end = "\n" if last else f"\r\x1b[{len(lines) - 1}A"
        file = self._console.file
        file.write("\r" + "\x1b[K\n".join(lines) + "\x1b[J" + end)
        file.flush()

    def _lines(self, frame: Frame) -> list[str]:
        from rich.text import Text

        width = self._console.width - 1  # some terminals wrap in the last column
        head, percent = f" {frame.done:,}/{frame.total:,} ", f" {_percent(frame):>5}"
        # Of constant width, so that the bar does not jitter.
        left = f"  {_left(frame):<{LEFT_WIDTH}}" if frame.left else ""
        room = width - len(head) - len(percent)
        if len(left.rstrip()) > room:
            left = ""
        bar = min(room - len(left), MAX_BAR_WIDTH)
        bar = bar if bar >= MIN_BAR_WIDTH else 0
        filled = math.floor(frame.share * bar)
        full, empty = ("━", "─") if self._console.encoding.startswith("utf") else ("#", "-")
        first = Text.assemble(
            head, (full * filled, "green"), (empty * (bar - filled), "bright_black"), percent, left
        )
        paused = "yellow" if frame.limit.startswith("paused") else ""
        # The least important last: they are left out on a narrow terminal.
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


def _requests(frame: Frame) -> str:
    return f"{_rate(frame.rate)} requests/s" if frame.rate else ""


def _tokens(frame: Frame) -> str:
    return f"{_rate(frame.tokens)} tokens/s" if frame.tokens else ""


def _left(frame: Frame) -> str:
    return f"{seconds_left(frame.left)} left" if frame.left else ""


def _failed(frame: Frame) -> str:
    return f"{frame.failed:,} failed" if frame.failed else ""


def _percent(frame: Frame) -> str:
    return f"{math.floor(frame.share * 100)} %"  # 100 only once all are done


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 9.95 else f"{per_second:.1f}"


def seconds_left(seconds: float) -> str:
    """A wait in words, in whole seconds."""
    return duration(seconds) if seconds >= 60 else f"{math.ceil(seconds)} s"
