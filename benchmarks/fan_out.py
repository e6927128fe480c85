"""What the fan-out adds to the requests themselves: CPU time, and memory for a million lines.

    python benchmarks/fan_out.py [--rounds 5] [--requests 20000] [--memory 1000000]

Three ways to send the same requests through the same client, in turns: `asyncio.gather` with all
of them at once, `run_requests`, and `run_batch` from a file to a file. The canned server has a
process and a core of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

import machine
import processes
from openai_async import AsyncClient
from openai_async.batch import run_batch, run_requests
from peers import KEY, MESSAGES, MODEL

CONCURRENCY = 64
BODY = {"model": MODEL, "messages": MESSAGES}


def lines(number: int) -> Iterator[dict[str, Any]]:
    for index in range(number):
        yield {
            "custom_id": f"request-{index}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": BODY,
        }


def write(path: Path, number: int) -> None:
    with path.open("wb") as file:
        for line in lines(number):
            file.write(orjson.dumps(line) + b"\n")


async def by_gather(client: AsyncClient, number: int) -> int:
    async def one() -> int:
        response = await client.request("POST", "/chat/completions", json=BODY)
        return int(response.json()["usage"]["total_tokens"])

    return sum(await asyncio.gather(*(one() for _ in range(number))))


async def by_run_requests(client: AsyncClient, number: int) -> int:
    tokens = 0
    async for result in run_requests(client, lines(number), concurrency=CONCURRENCY):
        tokens += result.tokens
    return tokens


async def by_run_batch(client: AsyncClient, number: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in.jsonl"
        write(source, number)
        started = machine.cpu_seconds()
        report = await run_batch(client, source, Path(name) / "out.jsonl", concurrency=CONCURRENCY)
        by_run_batch.cpu = machine.cpu_seconds() - started  # type: ignore[attr-defined]
        return report.tokens


async def compare(url: str, rounds: int, number: int) -> None:
    """CPU microseconds a request, and how often that of gather."""
    ways: list[Callable[[AsyncClient, int], Awaitable[int]]] = [
        by_gather,
        by_run_requests,
        by_run_batch,
    ]
    figures: dict[str, list[float]] = {way.__name__: [] for way in ways}
    async with AsyncClient(base_url=url, api_key=KEY, max_connections=CONCURRENCY) as client:
        expected = await by_gather(client, number)
        for round in range(rounds):
            for way in ways[round % 3 :] + ways[: round % 3]:
                gc.collect()
                started = machine.cpu_seconds()
                assert await way(client, number) == expected
                cpu = machine.cpu_seconds() - started
                if way is by_run_batch:
                    cpu = by_run_batch.cpu  # type: ignore[attr-defined]
                figures[way.__name__].append(cpu / number * 1e6)
    print("| | CPU a request | of gather | on one core |\n| --- | --: | --: | --: |")
    for name, values in figures.items():
        ratios = [a / b for a, b in zip(values, figures["by_gather"], strict=True)]
        median = statistics.median(values)
        print(
            f"| {name.removeprefix('by_')} | {median:.0f} µs | {statistics.median(ratios):.2f}x "
            f"| {1e6 / median:,.0f} a second |"
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
            assert report.completed == number
            print(
                f"{number:,} lines, {concurrency} at once: at most "
                f"{machine.peak_memory() / 2**20:.0f} MiB, {time.perf_counter() - started:.0f} s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--memory", type=int, default=0, metavar="LINES")
    options = parser.parse_args()
    machine.pin(0)
    machine.allow_many_files()
    with processes.running_server("--no-limits") as url:
        if options.rounds:
            asyncio.run(compare(url, options.rounds, options.requests))
        if options.memory:
            asyncio.run(remember(url, options.memory))
    sys.stdout.flush()


if __name__ == "__main__":
    processes.run(main)
