"""Figures as Markdown, and into the place that a document keeps for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

import chart
import imports
import machine
from figures import Figures, Spread
from goals import GOALS
from peers import PEERS
from works import MEMORY, WORKS

_PAGE, _PICTURE = "performance.md", "performance.svg"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_MAIN = ("ours", "by-hand", "official-aiohttp", "official-httpx", "official-ours")
_OTHERS = ("ours-uvloop", "by-hand-uvloop", "by-hand-tuned", "wreq", "pyreqwest", "raw")
_TIMES = "CPU time of one operation, and its ratio to by hand (where half of the rounds lie)"


def tables(figures: Figures) -> str:
    """All that was measured."""
    parts = [
        _titled(_TIMES, _times(figures, _MAIN)),
        _titled(
            "With uvloop, with more work by hand, over HTTP in Rust, and without HTTP",
            _times(figures, _OTHERS),
        ),
        _titled("Memory", _memory(figures)),
        _titled("Starting, CPU and wall time, and the ratio of CPU time", _starts(figures)),
        _titled("Goals", _goals(figures)),
    ]
    return "\n\n".join(part for part in parts if part)


def circumstances(figures: Figures, rounds: int) -> str:
    """When, where and with what, in one paragraph."""
    versions = machine.versions(_packages(figures))
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, {rounds} rounds. {machine.describe()}. {packages}."


def _packages(figures: Figures) -> set[str]:
    """What those were made of that were measured."""
    kinds = [kind.packages for name, kind in PEERS.items() if figures.has(name)]
    starts = [start.needs for start in imports.STARTS if figures.has(start.name)]
    return {package for packages in (*kinds, *starts) for package in packages}


def prepare(directory: Path) -> None:
    """Make the directory, and try whether it can be written: an `OSError` if not."""
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=directory):
        pass
    for path in (directory / _PAGE, directory / _PICTURE):
        if path.exists():
            path.open("ab").close()


def write(directory: Path, figures: Figures, rounds: int) -> None:
    """Into performance.md between its two markers, and performance.svg beside it."""
    page = directory / _PAGE
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        before, after = text and text.rstrip() + "\n\n", "\n"
    picture = chart.draw(figures)
    image = f"![CPU time of one operation]({_PICTURE})\n\n" if picture else ""
    content = f"{image}{circumstances(figures, rounds)}\n\n{tables(figures)}"
    page.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}", encoding="utf-8")
    if picture:
        (directory / _PICTURE).write_text(picture, encoding="utf-8")


def _titled(title: str, table: str) -> str:
    return f"**{title}**\n\n{table}" if table else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---", *("--:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _times(figures: Figures, peers: Sequence[str]) -> str:
    cells = [
        (work.label, [_time(figures, work.name, peer) for peer in peers]) for work in WORKS.values()
    ]
    rows = [[label, *row] for label, row in cells if any(row)]
    return _table(["", *(PEERS[peer].label for peer in peers)], rows)


def _time(figures: Figures, work: str, peer: str) -> str:
    value = figures.median((work, peer))
    return "" if value is None else chart.micros(value) + _spread(figures, work, peer)


def _spread(figures: Figures, work: str, peer: str) -> str:
    """Of the ratio to by hand; for by hand itself, and where it does not take part, of the time."""
    ratio = figures.spread((work, peer), (work, "by-hand"))
    if ratio is not None and peer != "by-hand":
        return f", {_times_as_much(ratio)}"
    time = figures.spread((work, peer))
    return "" if time is None else f" ({_range(chart.micros(time.low), chart.micros(time.high))})"


def _range(low: str, high: str) -> str:
    """From one time to another, with the unit once if it is the same."""
    value, _, unit = low.partition(" ")
    return f"{value if high.endswith(f' {unit}') else low} to {high}"


def _times_as_much(ratio: Spread) -> str:
    return f"{ratio.median:.2f}x ({ratio.low:.2f} to {ratio.high:.2f})"


def _memory(figures: Figures) -> str:
    rows = []
    for work in MEMORY.values():
        values = [figures.median((work.name, peer)) for peer in _MAIN]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.1f} {work.unit}" for value in values]
            rows.append([work.label, *cells])
    return _table(["", *(PEERS[peer].label for peer in _MAIN)], rows)


def _starts(figures: Figures) -> str:
    rows = []
    for start in imports.STARTS:
        cpu, wall = (figures.median((work, start.name)) for work in ("import", "import-wall"))
        ratio = figures.spread(("import", start.name), ("import", "by-hand"))
        if cpu is not None and wall is not None and ratio is not None:
            cells = [f"{cpu:.0f} ms", f"{wall:.0f} ms", _times_as_much(ratio)]
            rows.append([start.label, *cells])
    return _table(["", "CPU", "wall", "ratio"], rows)


def _goals(figures: Figures) -> str:
    rows = []
    for goal in GOALS:
        measured = goal.measured(figures)
        if measured is None:
            continue
        middle_half = f"{measured.low:.2f} to {measured.high:.2f}"  # of the rounds
        met = "met" if measured.median <= goal.most else "**not met**"
        value = f"{measured.median:.2f} {goal.unit}"
        rows.append([goal.what, goal.limit, value, middle_half, met])
    return _table(["", "goal", "measured", "middle half", ""], rows)
