"""Progress: a bar on a terminal, few lines elsewhere, and nothing that could harm the run."""

import asyncio
import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from openai_async.batch import BatchError, BatchResult
from openai_async.batch.progress import Progress, show_progress
from openai_async.batch.report import Tally
from openai_async.types.rate_limits import ModelPace

MODULE = "openai_async.batch.progress"


class Screen(io.StringIO):
    """What was written, and who waits for it."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal
        self._loop = asyncio.get_running_loop()
        self._written = asyncio.Event()

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        count = super().write(text)
        self._loop.call_soon_threadsafe(self._written.set)
        return count

    async def shows(self, text: str) -> None:
        """Wait until `text` has been written, in whatever colours."""
        async with asyncio.timeout(20):
            while text not in self.plain:
                self._written.clear()
                await self._written.wait()

    @property
    def plain(self) -> str:
        """What was written, each line below the one before."""
        return re.sub(r"\r+", "\n", re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", self.getvalue()))

    @property
    def lines(self) -> list[str]:
        return self.plain.split("\n")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A frame every 5 ms, on a terminal of 100 columns."""
    monkeypatch.setattr(f"{MODULE}.FRAME_INTERVAL", 0.005)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


@pytest.fixture
def clock(quick: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time as `progress` sees it: `clock.now`, in seconds."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    quick.setattr(f"{MODULE}.time", clock)
    return clock


def progress(
    total: int = 1000,
    resumed: int = 0,
    pace: Callable[[], dict[str, ModelPace]] = dict,
) -> Progress:
    return Progress(total=total, resumed=resumed, tally=Tally(), pace=pace)


def add(view: Progress, results: int, *, failed: int = 0, tokens: int = 20) -> None:
    error = BatchError(code="bad", message="Bad.")
    for number in range(results):
        one = BatchResult(
            custom_id="id",
            id="id",
            error=error if number < failed else None,
            tokens=0 if number < failed else tokens,
        )
        view.tally.add(one)


def pace(
    requests: float | None = None, tokens: float | None = None, paused: float = 0.0
) -> ModelPace:
    return ModelPace(
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        server=None,
        waiting=0,
        paused=paused,
        rejections=0,
    )


# --- a pipe ---


async def test_a_pipe_gets_a_line_at_the_start_and_one_at_the_end(clock: SimpleNamespace) -> None:
    screen, view = Screen(), progress(resumed=200)
    async with show_progress(view, file=screen):
        await screen.shows("\n")
        clock.now += 5
        add(view, 800, failed=3)
    assert screen.lines == [
        "200 of 1,000 done (20 %)",
        "1,000 of 1,000 done (100 %), 3 failed, 160 requests/s, 3,188 tokens/s",
        "",
    ]


async def test_a_line_in_between_says_how_long_it_will_take(clock: SimpleNamespace) -> None:
    screen, view = Screen(), progress(pace=lambda: {"m": pace(1200)})
    async with show_progress(view, file=screen):
        await screen.shows("(0 %)")
        add(view, 200)
        clock.now += 10
        await screen.shows("(20 %)")
    assert screen.lines[1] == (
        "200 of 1,000 done (20 %), 20 requests/s, 400 tokens/s, 40 s left, limit 1,200/min"
    )


@pytest.mark.parametrize(("seconds", "results"), [(9.0, 500), (500.0, 99)])
async def test_lines_are_rare(clock: SimpleNamespace, seconds: float, results: int) -> None:
    looks, looked_again = 0, asyncio.Event()

    def look() -> dict[str, ModelPace]:
        nonlocal looks
        looks += bool(view.tally.completed)
        if looks == 5:
            looked_again.set()
        return {}

    screen, view = Screen(), progress(pace=look)
    async with asyncio.timeout(20), show_progress(view, file=screen):
        await screen.shows("\n")
        clock.now += seconds
        add(view, results)
        await looked_again.wait()
    start, end, _ = screen.lines
    assert "(0 %)" in start
    assert f"{results} of" in end


async def test_a_line_is_printed_after_a_long_silence(clock: SimpleNamespace) -> None:
    screen, view = Screen(), progress(pace=lambda: {"m": pace(paused=900)})
    async with show_progress(view, file=screen):
        await screen.shows("(0 %)")
        clock.now += 600
        await screen.shows("(0 %), paused 15 min 00 s\n0 of")


async def test_a_run_with_nothing_to_do_is_one_line(clock: SimpleNamespace) -> None:
    screen = Screen()
    async with show_progress(progress(resumed=1000), file=screen):
        await screen.shows("\n")
    assert screen.lines == ["1,000 of 1,000 done (100 %)", ""]


@pytest.mark.parametrize("terminal", [False, True])
async def test_nothing_at_all_is_all_done(quick: pytest.MonkeyPatch, terminal: bool) -> None:
    screen = Screen(terminal=terminal)
    async with show_progress(progress(total=0), file=screen):
        pass
    assert "100 %" in screen.getvalue()


async def test_the_rate_is_the_recent_rate(clock: SimpleNamespace) -> None:
    screen, view = Screen(terminal=True), progress(total=100_000)
    async with show_progress(view, file=screen):
        add(view, 50_000)
        clock.now += 10
        await screen.shows("5,000 requests/s")
        for _ in range(25):  # a slower server
            add(view, 10)
            clock.now += 1
            await screen.shows(f" {view.tally.completed:,}/")
    assert "  82 min" not in screen.getvalue()
    assert " 10 requests/s" in screen.lines[-2]


async def test_without_rich_a_terminal_gets_lines_too(quick: pytest.MonkeyPatch) -> None:
    quick.setattr("openai_async.batch.progress_view.find_spec", lambda name: None)
    screen, view = Screen(terminal=True), progress()
    async with show_progress(view, file=screen):
        await screen.shows("\n")
        add(view, 1000)
    assert "\x1b" not in screen.getvalue()
    assert screen.lines[-2].startswith("1,000 of 1,000 done (100 %)")


async def test_a_terminal_without_cursor_movement_gets_lines_too(quick: pytest.MonkeyPatch) -> None:
    quick.setenv("TERM", "dumb")
    screen = Screen(terminal=True)
    async with show_progress(progress(), file=screen):
        await screen.shows("0 of 1,000 done (0 %)\n")


# --- a terminal ---


async def test_a_terminal_gets_a_bar_that_stays_in_place(clock: SimpleNamespace) -> None:
    screen, view = Screen(terminal=True), progress()
    async with show_progress(view, file=screen):
        await screen.shows("0 %")
        add(view, 500, failed=7)
        clock.now += 10
        await screen.shows("50 %")
        half = screen.plain.rpartition(" 500/1,000")[2]
        assert re.match(r" (━+)─+  50 %  10 s left +\n", half)
        # The cursor goes back to where it began, for whatever else is written.
        assert screen.getvalue().endswith("\r\x1b[1A")
        add(view, 500)
    assert re.fullmatch(r" 1,000/1,000 ━+ 100 %", screen.lines[-3])
    assert screen.lines[-2:] == [" 7 failed  100 requests/s  1,986 tokens/s", ""]


@pytest.mark.parametrize(
    ("width", "first", "second"),
    [
        (20, " 905,000/1,000,000", " 1,234 failed"),
        (40, " 905,000/1,000,000 ━━━━━━━━━━━━──  90 %", " 1,234 failed  500 requests/s"),
        (
            60,
            " 905,000/1,000,000 ━━━━━━━━━━━━━━──  90 %  3 min 10 s left",
            " 1,234 failed  500 requests/s  limit 30,000/min",
        ),
        (
            80,
            f" 905,000/1,000,000 {'━' * 32}────  90 %  3 min 10 s left",
            " 1,234 failed  500 requests/s  limit 30,000/min  7,532 tokens/s",
        ),
    ],
    ids=[20, 40, 60, 80],
)
async def test_a_narrow_terminal_goes_without_the_less_important(
    clock: SimpleNamespace, quick: pytest.MonkeyPatch, width: int, first: str, second: str
) -> None:
    quick.setenv("COLUMNS", str(width))
    screen = Screen(terminal=True)
    view = progress(total=1_000_000, resumed=900_000, pace=lambda: {"m": pace(30_000)})
    async with show_progress(view, file=screen):
        await screen.shows("900,000")
        add(view, 5000, failed=1234)
        clock.now += 10
        await screen.shows("905,000/")
    # A slow machine may have shown the old figures more than once.
    at = next(n for n, line in enumerate(screen.lines) if "905,000/" in line)
    assert [line.rstrip() for line in screen.lines[at : at + 2]] == [first, second]
    assert max(map(len, screen.lines)) < width


async def test_a_terminal_without_unicode_gets_a_bar_of_ascii(quick: pytest.MonkeyPatch) -> None:
    class Ascii(Screen):
        encoding = "ascii"

    screen, view = Ascii(terminal=True), progress()
    add(view, 500)
    async with show_progress(view, file=screen):
        await screen.shows("50 %")
    assert screen.getvalue().isascii()


# --- limits ---


@pytest.mark.parametrize(
    ("paces", "shown"),
    [
        ([pace(1200)], "limit 1,200/min"),
        ([pace(1200), pace(600)], "limit 1,800/min"),
        ([pace(1200, 900_000)], "limit 1,200/min"),
        ([pace(1200, 6000)], "limit 6,000 tokens/min"),
        ([pace(None, 6000)], "limit 6,000 tokens/min"),
        ([pace(1200, paused=11.2)], "paused 12 s"),
        ([pace(1200), pace(600, paused=75)], "paused 1 min 15 s"),
    ],
)
async def test_the_limit_that_slows_the_run_down_is_shown(
    clock: SimpleNamespace, paces: list[ModelPace], shown: str
) -> None:
    known = {str(number): pace for number, pace in enumerate(paces)}
    screen, view = Screen(terminal=True), progress(pace=lambda: known)
    async with show_progress(view, file=screen):
        add(view, 100)
        clock.now += 10
        await screen.shows(f"10 requests/s  {shown}  200 tokens/s")
    assert shown not in screen.lines[-2]  # it is over


@pytest.mark.parametrize("paces", [[], [pace()], [pace(3000)], [pace(None, 60_000)]])
async def test_a_limit_that_holds_nothing_back_is_not(
    clock: SimpleNamespace, paces: list[ModelPace]
) -> None:
    known = {str(number): pace for number, pace in enumerate(paces)}
    screen, view = Screen(terminal=True), progress(pace=lambda: known)
    async with show_progress(view, file=screen):
        add(view, 100)
        clock.now += 10
        await screen.shows("10 requests/s  200 tokens/s")


# --- harm ---


class Broken(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_a_broken_pipe_ends_the_display_and_not_the_run(quick: pytest.MonkeyPatch) -> None:
    view = progress()
    async with show_progress(view, file=Broken()):
        add(view, 10)
    assert view.tally.completed == 10


async def test_a_closed_file_shows_nothing() -> None:
    file = io.StringIO()
    file.close()
    async with show_progress(progress(), file=file):
        pass


async def test_no_stderr_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as for pythonw
    async with show_progress(progress()):
        pass


async def test_a_blocked_terminal_does_not_hold_up_the_run(quick: pytest.MonkeyPatch) -> None:
    quick.setattr(f"{MODULE}.FINISH_TIMEOUT", 0.01)
    held_up, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Held(io.StringIO):
        def write(self, text: str) -> int:
            loop.call_soon_threadsafe(held_up.set)
            go_on.wait()
            return super().write(text)

    try:
        async with asyncio.timeout(20), show_progress(progress(), file=Held()):
            await held_up.wait()
    finally:
        go_on.set()


async def test_a_failed_run_leaves_no_task_behind(quick: pytest.MonkeyPatch) -> None:
    screen, view = Screen(), progress()
    with pytest.raises(ZeroDivisionError):
        async with show_progress(view, file=screen):
            await screen.shows("\n")
            add(view, 100)
            raise ZeroDivisionError
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert screen.lines[-2].startswith("100 of 1,000 done (10 %)")


def test_without_a_terminal_rich_is_not_imported() -> None:
    code = """
import asyncio, sys
from openai_async.batch.progress import Progress, show_progress
from openai_async.batch.report import Tally

async def main():
    async with show_progress(Progress(total=1, resumed=1, tally=Tally(), pace=dict)):
        pass

asyncio.run(main())
assert "rich" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=30, check=True
    )
    assert done.stderr == b"1 of 1 done (100 %)\n"
