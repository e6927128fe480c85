"""A job under a rate limit: who gets how much of it done, how fast, and at what cost in 429s.

    python benchmarks/pacing.py [--requests 600] [--write]

600 requests, 100 at a time, against a server that allows 1,200 a minute, 20 of them at once, and
answers 429 with `retry-after-ms` beyond. Nobody is told the limit, but where it says so. One run of
each takes 30 seconds at best: here the server sets the time, so one run tells as much as ten.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from attrs import Factory, define

import processes
from openai_async import AsyncClient, OpenAIError, RateLimit
from openai_async.testing import LocalServer, ServerLimits
from pacing_chart import draw
from peers import KEY, MESSAGES

DOCS = Path(__file__).parents[1] / "docs"
MODEL = "gpt-4o-mini"
RATE = 20.0  # requests a second, and the burst
CONCURRENCY = 100
TICK = 1.0  # seconds of one column in the picture

Ask = Callable[[], Awaitable[object]]


@define
class Outcome:
    """What became of one peer's job, and what the server saw each second."""

    label: str
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    rejected: int = 0
    columns: list[tuple[int, int]] = Factory(list)
    """Answered and refused in each tick."""


async def job(
    label: str, requests: int, connect: Callable[[str], tuple[Ask, Ask]], *, headers: bool = True
) -> Outcome:
    """The whole job by one peer."""
    outcome = Outcome(label)
    limits = ServerLimits(requests_per_minute=RATE * 60, headers=headers)
    async with LocalServer(limits=limits) as server:
        ask, close = connect(server.url)
        room = asyncio.Semaphore(CONCURRENCY)

        async def one() -> None:
            async with room:
                try:
                    await ask()
                except Exception as error:  # of whichever package
                    if "429" not in str(error) and not isinstance(error, OpenAIError):
                        raise
                    outcome.failed += 1
                else:
                    outcome.done += 1

        watcher = asyncio.create_task(_watch(server, outcome))
        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(requests)))
        outcome.seconds = time.perf_counter() - started
        outcome.rejected = server.rejections
        watcher.cancel()
        await close()
    return outcome


async def _watch(server: LocalServer, outcome: Outcome) -> None:
    seen = refused = 0
    started = time.perf_counter()
    while True:
        # By the clock: a loop that is busy, as some peers', wakes this up late.
        next_tick = started + TICK * (len(outcome.columns) + 1)
        await asyncio.sleep(max(0.0, next_tick - time.perf_counter()))
        arrived, rejections = len(server.requests), server.rejections
        columns = (arrived - seen - (rejections - refused), rejections - refused)
        outcome.columns.append(columns)
        seen, refused = arrived, rejections


def official(retries: int) -> Callable[[str], tuple[Ask, Ask]]:
    def connect(url: str) -> tuple[Ask, Ask]:
        import openai

        client = openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=retries)
        return (
            lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES),
            client.close,
        )

    return connect


def ours(limit: RateLimit) -> Callable[[str], tuple[Ask, Ask]]:
    def connect(url: str) -> tuple[Ask, Ask]:
        client = AsyncClient(base_url=url, api_key=KEY, rate_limit=limit)
        return (
            lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES),
            client.close,
        )

    return connect


async def measure(requests: int) -> list[Outcome]:
    """All peers, one after the other."""
    outcomes = []
    for label, connect, headers in (
        ("official SDK", official(2), True),
        ("official SDK, `max_retries=10`", official(10), True),
        ("`RateLimit()`", ours(RateLimit()), True),
        ("`RateLimit()`, a server without headers", ours(RateLimit()), False),
        (
            "`RateLimit(requests_per_minute=1200)`",
            ours(RateLimit(requests_per_minute=RATE * 60)),
            True,
        ),
    ):
        print(f"{label} ...", file=sys.stderr)
        outcomes.append(await job(label, requests, connect, headers=headers))
    return outcomes


def table(outcomes: list[Outcome], requests: int) -> str:
    """As Markdown."""
    ideal = (requests - RATE) / RATE
    rows = []
    for o in outcomes:
        ratio = f"{o.seconds / ideal:.2f}x" if o.done == requests else "-"
        rows.append(
            f"| {o.label} | {o.done:,} of {requests:,} | {o.rejected:,} | {o.seconds:.1f} s "
            f"| {ratio} |"
        )
    head = "| | done | answered with 429 | time | of the ideal |\n| --- | --: | --: | --: | --: |\n"
    return head + "\n".join(rows) + "\n"


def write(text: str, picture: str) -> None:
    """Put the figures between the marks in docs/fan-out.md, and the picture beside it."""
    page = DOCS / "fan-out.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- pacing -->\n")
    _, _, after = rest.partition("<!-- /pacing -->")
    page.write_text(f"{before}<!-- pacing -->\n{text}<!-- /pacing -->{after}", encoding="utf-8")
    (DOCS / "pacing.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="into docs/fan-out.md")
    options = parser.parse_args()
    outcomes = asyncio.run(measure(options.requests))
    text = table(outcomes, options.requests)
    print(text)
    if options.write:
        write(text, draw([outcomes[1], outcomes[2]], RATE, TICK))


if __name__ == "__main__":
    processes.run(main)
