"""One peer in a process of its own: commands in, CPU seconds out.

    python benchmarks/worker.py ours http://127.0.0.1:1234/v1

reads lines like {"work": "chat", "operations": 2000, "concurrency": 32} and answers each with a
line of JSON. One loop and one client for all of them, so that connections are warm, as in a server.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson

import machine
import memory
from peers import PEERS, Peer
from works import WORKS

Answer = dict[str, float]


async def measure(peer: Peer, work: str, operations: int, concurrency: int) -> Answer:
    """So many operations, so many at a time: what they cost this process."""
    plan = WORKS[work]
    calls = max(1, operations // plan.size)
    # Connections that were dropped while this peer waited for its turn are no part of the work.
    await _repeat(peer.chat, concurrency, concurrency)
    gc.collect()
    threshold = gc.get_threshold()
    if plan.gc_threshold is not None:
        gc.set_threshold(plan.gc_threshold)
    clock, cpu = time.perf_counter(), machine.cpu_seconds()
    await _repeat(lambda: plan.call(peer), calls, concurrency)
    answer = {
        "cpu": machine.cpu_seconds() - cpu,
        "wall": time.perf_counter() - clock,
        "operations": calls * plan.size,
    }
    gc.set_threshold(*threshold)
    return answer


async def _repeat(call: Callable[[], Awaitable[object]], times: int, concurrency: int) -> None:
    turns = iter(range(times))  # shared: who is free takes the next

    async def task() -> None:
        for _ in turns:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(times, concurrency)):
            group.create_task(task())


async def _open_streams(peer: Peer, streams: int) -> Answer:
    return {"value": await memory.open_streams(peer, streams) / 1000}


async def _image_peak(peer: Peer) -> Answer:
    return {"value": await memory.image_peak(peer)}


def work(peer: Peer, command: dict[str, Any]) -> Coroutine[Any, Any, Answer]:
    """What a command asks for."""
    if command["work"] == "open-streams":
        return _open_streams(peer, command["streams"])
    if command["work"] == "image-peak":
        return _image_peak(peer)
    return measure(peer, **command)


def main() -> None:
    name, url = sys.argv[1:]
    kind = PEERS[name]
    machine.pin(0)
    machine.allow_many_files()
    factory = None
    if kind.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        peer = kind.make(url)
        for line in sys.stdin:
            answer = runner.run(work(peer, orjson.loads(line)))
            print(orjson.dumps(answer).decode(), flush=True)
        runner.run(peer.close())


if __name__ == "__main__":
    main()
