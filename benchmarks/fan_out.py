"""What the fan-out adds to the requests themselves: CPU time, and memory for a million lines.

    python benchmarks/fan_out.py [--rounds 5] [--memory 1000000]

Three ways to send the same 20,000 requests through the same client, in turns: see peers/many.py.
compare.py measures them too, against their goals.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import compare
import machine
import processes
from calls import check
from figures import Figures
from openai_async import AsyncClient
from openai_async.batch import run_batch
from peers import KEY
from peers.many import write
from works import WORKS

WAYS = ("gather", "run-requests", "run-batch")


def measure(servers: processes.Servers, rounds: int) -> None:
    """CPU microseconds a request, and how often that of gather."""
    figures = Figures()
    plan = compare.Plan(rounds=rounds, share=1.0, only=WAYS, peers=["ours"])
    compare.measure_times(plan, servers, figures)
    print("| | CPU a request | of gather | on one core |\n| --- | --: | --: | --: |")
    for way in WAYS:
        time_of = figures.spread((way, "ours"))
        ratio = figures.spread((way, "ours"), ("gather", "ours"))
        assert time_of is not None
        assert ratio is not None
        print(
            f"| {WORKS[way].label} | {time_of.median:.0f} µs "
            f"| {ratio.median:.2f}x ({ratio.low:.2f} to {ratio.high:.2f}) "
            f"| {1e6 / time_of.median:,.0f} a second |"
        )


async def remember(url: str, number: int) -> None:
    """The peak of memory of a whole run."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in.jsonl"
        write(source, number)
        for concurrency in (256, 1000):
            output = Path(name) / "out.jsonl"
            with contextlib.suppress(FileNotFoundError):
                output.unlink()
            started = time.perf_counter()
            machine.reset_peak()
            async with AsyncClient(base_url=url, api_key=KEY) as client:
                report = await run_batch(client, source, output, concurrency=concurrency)
            check(report.completed, number)
            print(
                f"{number:,} lines, {concurrency} at once: at most "
                f"{machine.peak_memory() / 2**20:.0f} MiB, {time.perf_counter() - started:.0f} s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=0, metavar="LINES")
    options = parser.parse_args()
    try:
        with processes.Servers() as servers:
            if options.rounds:
                measure(servers, options.rounds)
            if options.memory:
                url = servers["no-limits"][0]  # started first: otherwise it would share this core
                machine.pin(0)
                machine.allow_many_files()
                asyncio.run(remember(url, options.memory))
    except processes.WorkerError as error:
        sys.exit(str(error))
    sys.stdout.flush()


if __name__ == "__main__":
    processes.run(main)
