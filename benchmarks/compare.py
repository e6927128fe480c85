"""Everything at once: this package, the same by hand, and the official SDK, side by side.

    python benchmarks/compare.py [--quick] [--only chat,stream] [--peers ours,by-hand] [--write]

Peers take turns in every round, each round beginning with another one, so that whatever else the
machine does hits them alike. What counts is the CPU time of the client's process.
"""

from __future__ import annotations

import argparse
import signal
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
import processes
import report
from figures import Figures
from peers import PEERS
from processes import Servers, Worker, WorkerError, running_worker
from works import MEMORY, WORKS, MemoryWork, Work

MEMORY_ROUNDS = 2  # memory hardly varies, and each of them takes seconds
DOCS = Path(__file__).parents[1] / "docs"
NAMES = (*WORKS, *MEMORY, "imports")
SECONDS = 0.3  # of CPU time for one work of one peer in one round


@frozen
class Plan:
    rounds: int
    share: float
    """How much is done in one round, as a share of a round of a whole run."""
    only: Sequence[str]
    peers: Sequence[str]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to measure."""
        works = (*WORKS.values(), *(MEMORY.values() if machine.has_proc else ()))
        peers = {peer for work in works if work.name in self.only for peer in work.peers}
        return "imports" not in self.only and peers.isdisjoint(self.peers)


def measure_times(plan: Plan, servers: Servers, figures: Figures) -> None:
    """Microseconds of CPU time an operation."""
    chosen = [work for work in WORKS.values() if work.name in plan.only]
    with ExitStack() as stack:
        workers: dict[tuple[str, str], Worker] = {}
        for group, works in groupby(chosen, key=lambda work: work.group):
            pairs = [(work, peer) for work in works for peer in work.peers if peer in plan.peers]
            for work, peer in pairs:
                if (key := (peer, work.server)) not in workers:
                    worker = running_worker(peer, servers[work.server])
                    workers[key] = stack.enter_context(worker)
            if not pairs:
                continue
            turns = [(work, peer, workers[peer, work.server]) for work, peer in pairs]
            with _progress(group):
                _take_turns(plan, turns, figures)


def _take_turns(plan: Plan, turns: list[tuple[Work, str, Worker]], figures: Figures) -> None:
    operations = [_operations(work, worker, plan.share) for work, _, worker in turns]
    counted = list(zip(turns, operations, strict=True))
    for number in range(plan.rounds):
        first = number % len(counted)
        for (work, peer, worker), count in counted[first:] + counted[:first]:
            answer = _ask(work, worker, count)
            figures.add((work.name, peer), answer["cpu"] / answer["operations"] * 1e6)


def _ask(work: Work, worker: Worker, operations: int) -> Any:
    return worker.ask(work=work.name, operations=operations, concurrency=work.concurrency)


def _operations(work: Work, worker: Worker, share: float) -> int:
    """How many operations fit into the time: at least four calls for each that runs at once. With
    fewer, mostly the beginning and the end would be measured.
    """
    if work.operations is not None:
        return int(work.operations * share)
    least = 4 * work.concurrency * work.size if work.concurrency > 1 else work.size
    tried = _ask(work, worker, least)
    # Where the server sets the pace, no more than four times as long by the clock.
    longest = max(tried["cpu"], tried["wall"] / 4)
    return max(least, int(share * SECONDS / longest * tried["operations"]))


def measure_memory(plan: Plan, servers: Servers, figures: Figures) -> None:
    """Each figure from a process of its own."""
    chosen = [work for work in MEMORY.values() if work.name in plan.only]
    if chosen and not machine.has_proc:
        print("memory: left out, there is no /proc here", flush=True)
        return
    for work in chosen:
        with _progress(work.name):
            for _ in range(min(plan.rounds, MEMORY_ROUNDS)):
                _measure_memory(work, plan, servers, figures)


def _measure_memory(work: MemoryWork, plan: Plan, servers: Servers, figures: Figures) -> None:
    for peer in work.peers:
        if peer in plan.peers:
            with running_worker(peer, servers["plain"]) as worker:
                figures.add((work.name, peer), worker.ask(**work.command)["value"])


@contextmanager
def _progress(name: str) -> Iterator[None]:
    print(f"{name} ...", end=" ", flush=True)
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        print(flush=True)  # what is said next has a line of its own
        raise
    print(f"{time.monotonic() - begun:.0f} s", flush=True)


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def some(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        if wrong := [name for name in names if name not in known]:
            msg = f"{', '.join(wrong)}: not among {', '.join(known)}"
            raise argparse.ArgumentTypeError(msg)
        return names

    return some


def _rounds(text: str) -> int:
    try:
        rounds = int(text)
    except ValueError:
        rounds = 0
    if rounds < 1:
        msg = f"{text}: not a number from 1"
        raise argparse.ArgumentTypeError(msg)
    return rounds


def _installed(peers: Sequence[str]) -> list[str]:
    """The peers that can run here; says which cannot."""
    return [name for name in peers if _can(name, PEERS[name].missing)]


def _possible(names: Sequence[str]) -> list[str]:
    """The workloads that can be run here; prints which cannot."""
    return [name for name in names if name not in WORKS or _can(name, WORKS[name].missing)]


def _can(name: str, missing: list[str]) -> bool:
    if missing:
        print(f'{name}: left out, needs {" and ".join(missing)}: pip install -e ".[bench]"')
    return not missing


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What does this package cost?")
    parser.add_argument("--rounds", type=_rounds, help="how often each peer has its turn (9)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds: for a first look")
    parser.add_argument("--only", type=_some_of(NAMES), help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--peers", type=_some_of([*PEERS]), help=f"some of {', '.join(PEERS)}")
    parser.add_argument("--write", action="store_true", help="into performance.md and .svg")
    parser.add_argument("--output", type=Path, help="the directory that --write writes into (docs)")
    return parser


def _output(parser: argparse.ArgumentParser, arguments: argparse.Namespace, whole: bool) -> Path:
    """The directory to write into, which can be written."""
    if arguments.output is None and not whole:
        parser.error(
            "--write without --output needs a whole run, with every peer and without --quick, "
            "--only and --peers: it would replace the figures of a whole run"
        )
    directory: Path = arguments.output or DOCS
    try:
        report.prepare(directory)
    except OSError as error:
        parser.error(f"{directory} cannot be written: {error.strerror}")
    return directory


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.output and not arguments.write:
        parser.error("--output says where --write writes: it needs --write")
    plan = Plan(
        rounds=arguments.rounds or (3 if arguments.quick else 9),
        share=1 / 3 if arguments.quick else 1.0,
        only=_possible(arguments.only or NAMES),
        peers=_installed(arguments.peers or [*PEERS]),
    )
    if plan.empty:
        print("Nothing to measure: no chosen peer does any of the chosen works.", file=sys.stderr)
        sys.exit(2)
    everything = len(plan.peers) == len(PEERS) and len(plan.only) == len(NAMES)
    whole = everything and not arguments.quick
    output = _output(parser, arguments, whole) if arguments.write else None
    figures = Figures()
    try:
        with Servers() as servers:
            measure_times(plan, servers, figures)
            measure_memory(plan, servers, figures)
            if "imports" in plan.only:
                with _progress("imports"):
                    rounds = 3 if arguments.quick else imports.ROUNDS
                    imports.measure(figures, servers["plain"][0], rounds)
    except WorkerError as error:
        sys.exit(str(error))
    print(f"\n{report.circumstances(figures, plan.rounds)}\n\n{report.tables(figures)}")
    if output is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all of it, or nothing
        report.write(output, figures, plan.rounds)


if __name__ == "__main__":
    processes.run(main)
