"""`parse`, and `create` with msgspec by hand: the CPU time of the client's process for each.

    python benchmarks/parse.py

They take turns in one process; the server is in another. The ratio is the median of all rounds.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import attrs
import msgspec

from openai_async import AsyncClient
from openai_async.structured import response_format

MESSAGES: Any = [{"role": "user", "content": "What is 2 + 2?"}]
# Many short rounds: the speed of a shared machine changes within a tenth of a second. With rounds
# of 200 calls, the median of 25 ratios was between 1.02 and 1.49; with these, from 1.20 to 1.32.
ROUNDS = 300
# Answers of so many steps, how often to ask in one round, and the goal.
WORKS = ((1, 15, 1.3), (4, 15, 1.3), (1500, 2, 2.0))


@attrs.define
class Step:
    explanation: str
    output: int


@attrs.define
class Solution:
    steps: list[Step]
    answer: str


def answer_of(steps: int) -> str:
    step = {"explanation": "Add two and two, and take care.", "output": 4}
    return json.dumps({"steps": [step] * steps, "answer": "four"})


def serve(content: str, port: Connection) -> None:
    """Answer each request with the same completion."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
                (size,) = (line for line in lines if line.startswith(b"content-length:"))
                await reader.readexactly(int(size.partition(b":")[2]))
                writer.write(head % len(body) + body)

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def measured(work: Callable[[], Awaitable[object]], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - begun) / times


async def compare(client: AsyncClient, times: int) -> tuple[float, float, float]:
    """Seconds by hand, seconds of `parse`, and their ratio."""
    chats = client.chat.completions
    decode = msgspec.json.Decoder(Solution).decode
    param: Any = response_format(Solution).param

    async def by_hand() -> object:
        answer = await chats.create(model="m", messages=MESSAGES, response_format=param)
        return decode(answer.choices[0].message.content or "")

    async def ours() -> object:
        answer = await chats.parse(model="m", messages=MESSAGES, response_format=Solution)
        return answer.parsed

    assert await by_hand() == await ours()
    rounds = []
    for number in range(ROUNDS):
        works = [by_hand, ours] if number % 2 else [ours, by_hand]
        taken = {work: await measured(work, times) for work in works}
        rounds.append((taken[by_hand], taken[ours]))
    hand, parse = (min(column) for column in zip(*rounds, strict=True))
    return hand, parse, median(ours / hand for hand, ours in rounds)


async def main() -> None:
    for steps, times, goal in WORKS:
        content = answer_of(steps)
        receiving, sending = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(content, sending), daemon=True)
        server.start()
        try:
            url = f"http://127.0.0.1:{receiving.recv()}/v1"
            async with AsyncClient(base_url=url, api_key="k") as client:
                hand, parse, ratio = await compare(client, times)
        finally:
            server.terminate()
        print(
            f"{len(content):>7,} bytes: by hand {hand * 1e6:.0f} us, parse {parse * 1e6:.0f} us, "
            f"ratio {ratio:.2f} (goal {goal})"
        )


if __name__ == "__main__":
    asyncio.run(main())
