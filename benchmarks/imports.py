"""How long a fresh interpreter takes to the first client, and to `--help`.

    python benchmarks/imports.py

Interpreters take turns over several rounds; the median counts. CPU time is what is compared, since
the wall time of the first program to run says most about the disk.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from importlib.util import find_spec

from attrs import frozen

import processes
from figures import Figures

ROUNDS = 11
# Else every start would compile what has changed since it was installed.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@frozen
class Start:
    """A program that ends at once."""

    name: str
    label: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()


def _code(name: str, code: str, *needs: str) -> Start:
    return Start(name, f"`{code}`", ("-c", code), needs)


STARTS = (
    _code("dependencies", "import aiohttp, cattrs, orjson"),
    _code("ours", "import openai_async; openai_async.AsyncClient(api_key='x')"),
    Start(
        "help",
        "`python -m openai_async --help`",
        ("-m", "openai_async", "--help"),
        ("cyclopts", "rich"),
    ),
    _code("official-import", "import openai", "openai"),
    _code("official", "import openai; openai.AsyncOpenAI(api_key='x')", "openai"),
)


def measure(figures: Figures, rounds: int = ROUNDS) -> None:
    """Milliseconds, under the works "import" (CPU time) and "import-wall"."""
    starts = [start for start in STARTS if all(map(find_spec, start.needs))]
    for start in starts:
        _run(start)  # which compiles what is not compiled yet
    for number in range(rounds):
        first = number % len(starts)
        for start in starts[first:] + starts[:first]:
            cpu, wall = _run(start)
            figures.add(("import", start.name), cpu * 1e3)
            figures.add(("import-wall", start.name), wall * 1e3)


def _run(start: Start) -> tuple[float, float]:
    """Seconds of CPU and wall time."""
    clock, cpu = time.perf_counter(), _children()
    command = [sys.executable, *start.arguments]
    # In a session of its own, so that Ctrl-C does not make it say anything.
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        start_new_session=True,
    )
    return _children() - cpu, time.perf_counter() - clock


def _children() -> float:
    """CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="How long does a fresh interpreter take?")
    parser.parse_args()
    figures = Figures()
    measure(figures)
    for start in STARTS:
        cpu, wall = (figures.median((work, start.name)) for work in ("import", "import-wall"))
        ratio = figures.spread(("import", start.name), ("import", "dependencies"))
        if cpu is None or wall is None or ratio is None:
            print(f"left out: {start.label} needs {', '.join(start.needs)}")
        else:
            print(f"{cpu:5.0f} ms CPU  {wall:5.0f} ms wall  {ratio.median:4.2f} x  {start.label}")


if __name__ == "__main__":
    processes.run(main)
