"""Everything at once: this package, the same by hand, and the official SDK, side by side.

    python benchmarks/compare.py [--quick] [--only chat,stream] [--peers ours,by-hand] [--write]

Peers take turns in every round, each round beginning with another one, so that whatever else the
machine does hits them alike. What counts is the CPU time of the client's process.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import frozen

import imports
import machine
import report
from figures import Figures
from peers import PEERS
from processes import Worker, WorkerError, running_server, running_worker
from works import MEMORY, WORKS, MemoryWork, Work

MEMORY_ROUNDS = 2  # memory hardly varies, and each of them takes seconds
NAMES = (*WORKS, *MEMORY, "imports")


@frozen
class Plan:
    rounds: int
    seconds: float
    """CPU time to spend on one work of one peer in one round."""
    only: Sequence[str]
    peers: Sequence[str]


def measure_times(plan: Plan, url: str, figures: Figures) -> None:
    """Microseconds of CPU time an operation."""
    chosen = [work for work in WORKS.values() if work.name in plan.only]
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for group, works in groupby(chosen, key=lambda work: work.group):
            pairs = [(work, peer) for work in works for peer in work.peers if peer in plan.peers]
            for _, peer in pairs:
                if peer not in workers:
                    workers[peer] = stack.enter_context(running_worker(peer, url))
            if not pairs:
                continue
            with _progress(group):
                _take_turns(plan, pairs, workers, figures)


def _take_turns(
    plan: Plan, pairs: list[tuple[Work, str]], workers: dict[str, Worker], figures: Figures
) -> None:
    operations = [_calibrate(work, workers[peer], plan.seconds) for work, peer in pairs]
    turns = list(zip(pairs, operations, strict=True))
    for number in range(plan.rounds):
        first = number % len(turns)
        for (work, peer), count in turns[first:] + turns[:first]:
            answer = _ask(work, workers[peer], count)
            figures.add((work.name, peer), answer["cpu"] / answer["operations"] * 1e6)


def _ask(work: Work, worker: Worker, operations: int) -> Any:
    return worker.ask(work=work.name, operations=operations, concurrency=work.concurrency)


def _calibrate(work: Work, worker: Worker, seconds: float) -> int:
    """How many operations take so long: at least four calls for each that runs at once, since
    with fewer it is the beginning and the end that are measured.
    """
    least = 4 * work.concurrency * work.size if work.concurrency > 1 else work.size
    tried = _ask(work, worker, least)
    # Where the server sets the pace, no more than four times as long by the clock.
    longest = max(tried["cpu"], tried["wall"] / 4)
    return max(least, int(seconds / longest * tried["operations"]))


def measure_memory(plan: Plan, url: str, figures: Figures) -> None:
    """Each figure from a process of its own."""
    chosen = [work for work in MEMORY.values() if work.name in plan.only]
    if chosen and not machine.has_proc:
        print("memory: left out, there is no /proc here", flush=True)
        return
    for work in chosen:
        with _progress(work.name):
            for _ in range(min(plan.rounds, MEMORY_ROUNDS)):
                _measure_memory(work, plan, url, figures)


def _measure_memory(work: MemoryWork, plan: Plan, url: str, figures: Figures) -> None:
    for peer in work.peers:
        if peer in plan.peers:
            with running_worker(peer, url) as worker:
                figures.add((work.name, peer), worker.ask(**work.command)["value"])


@contextmanager
def _progress(name: str) -> Iterator[None]:
    print(f"{name} ...", end=" ", flush=True)
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:.0f} s", flush=True)


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def some(text: str) -> list[str]:
        names = text.split(",")
        if wrong := [name for name in names if name not in known]:
            msg = f"{', '.join(wrong)}: not among {', '.join(known)}"
            raise argparse.ArgumentTypeError(msg)
        return names

    return some


def _installed(peers: Sequence[str]) -> list[str]:
    """The peers that can run here; says which cannot."""
    for name in peers:
        if missing := PEERS[name].missing:
            packages = " and ".join(missing)
            print(f'{name}: left out, needs {packages}: pip install "openai_async[bench]"')
    return [name for name in peers if not PEERS[name].missing]


def main() -> None:
    parser = argparse.ArgumentParser(description="What does this package cost?")
    parser.add_argument("--rounds", type=int, help="how often each peer has its turn (9)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds: for a first look")
    parser.add_argument("--only", type=_some_of(NAMES), default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--peers", type=_some_of([*PEERS]), default=[*PEERS], help=", ".join(PEERS))
    parser.add_argument("--write", action="store_true", help="into docs/performance.md and .svg")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    plan = Plan(
        rounds=arguments.rounds or (3 if arguments.quick else 9),
        seconds=0.1 if arguments.quick else 0.3,
        only=arguments.only,
        peers=_installed(arguments.peers),
    )
    figures = Figures()
    try:
        with running_server() as url:
            measure_times(plan, url, figures)
            measure_memory(plan, url, figures)
    except WorkerError as error:
        sys.exit(f"\n{error}")
    if "imports" in plan.only:
        with _progress("imports"):
            imports.measure(figures, 3 if arguments.quick else imports.ROUNDS)
    print(f"\n{report.circumstances(plan.rounds)}\n\n{report.tables(figures)}")
    if arguments.write:
        report.write(arguments.output, figures, plan.rounds)


if __name__ == "__main__":
    main()
