"""Many requests through one client of this package: `gather`, `run_requests`, `run_batch`.

Each sends the same requests through the same client, whose pool is as large as the concurrency:
`asyncio.gather` starts all of them at once, and the pool holds them back.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

import machine
from openai_async import AsyncClient
from openai_async.batch import run_batch, run_requests

from . import MESSAGES, MODEL, Sent

_BODY = {"model": MODEL, "messages": MESSAGES}


def _lines(requests: int) -> Iterator[dict[str, Any]]:
    for index in range(requests):
        yield {
            "custom_id": f"request-{index}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": _BODY,
        }


def write(path: Path, requests: int) -> None:
    """A batch file."""
    with path.open("wb") as file:
        for line in _lines(requests):
            file.write(orjson.dumps(line) + b"\n")


async def _gather(client: AsyncClient, requests: int) -> list[int]:
    async def one() -> int:
        response = await client.request("POST", "/chat/completions", json=_BODY)
        return int(response.json()["usage"]["total_tokens"])

    return await asyncio.gather(*(one() for _ in range(requests)))


async def _by_gather(client: AsyncClient, requests: int, concurrency: int) -> Sent:
    started = machine.cpu_seconds()
    tokens = await _gather(client, requests)
    return Sent(machine.cpu_seconds() - started, len(tokens), sum(tokens))


async def _by_run_requests(client: AsyncClient, requests: int, concurrency: int) -> Sent:
    started = machine.cpu_seconds()
    answers = tokens = 0
    async for result in run_requests(client, _lines(requests), concurrency=concurrency):
        answers += not result.failed
        tokens += result.tokens
    return Sent(machine.cpu_seconds() - started, answers, tokens)


async def _by_run_batch(client: AsyncClient, requests: int, concurrency: int) -> Sent:
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name) / "in.jsonl", Path(name) / "out.jsonl"
        write(source, requests)
        started = machine.cpu_seconds()
        report = await run_batch(client, source, output, concurrency=concurrency)
        cpu = machine.cpu_seconds() - started
        with output.open("rb") as file:
            return Sent(cpu, sum(1 for _ in file), report.tokens)


_WAYS: dict[str, Callable[[AsyncClient, int, int], Awaitable[Sent]]] = {
    "gather": _by_gather,
    "run-requests": _by_run_requests,
    "run-batch": _by_run_batch,
}


async def send(client: AsyncClient, way: str, requests: int, concurrency: int) -> Sent:
    """Send them in one of these ways, over connections that are already open."""
    await _gather(client, concurrency)
    return await _WAYS[way](client, requests, concurrency)
