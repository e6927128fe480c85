"""The long run: does anything pile up over 200,000 requests and 2,000,000 streamed chunks?

    python benchmarks/long_run.py [--requests 200000] [--chunks 2000000]

A canned server runs in a process of its own. After the warm-up, the first 10 % of each kind of
work, memory may not grow by 2 MB, descriptors not at all, and no more connections may have been
opened than there were requests at once; otherwise the exit code is 1. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import orjson

from openai_async import AsyncClient, Timeout
from openai_async.types.chat_params import UserMessage

REQUESTS_AT_ONCE = 32
STREAMS_AT_ONCE = 8
CHUNKS_A_STREAM = 1000
MAX_GROWTH_MB = 2.0
READINGS = 10
QUESTION: list[UserMessage] = [{"role": "user", "content": "Say something."}]

Work = Callable[[AsyncClient], Awaitable[int]]
"""Does one piece of work; returns how many operations it was."""


# --- the server ---


def _answers() -> tuple[bytes, bytes]:
    """A whole chat completion, and a streamed one with each event in an HTTP chunk of its own."""
    head = {"id": "chatcmpl-1", "created": 1700000000, "model": "gpt-4o"}
    message = {"role": "assistant", "content": "All is well, and has been so for hours."}
    body = orjson.dumps(
        head
        | {"object": "chat.completion"}
        | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        | {"usage": {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}}
    )
    start = "HTTP/1.1 200 OK\r\nX-Request-Id: req_1\r\nContent-Type: "
    plain = f"{start}application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    events = []
    for number in range(1, CHUNKS_A_STREAM + 1):
        last = number == CHUNKS_A_STREAM
        delta = {} if last else {"content": f" word{number}"}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if last else None}
        chunk = head | {"object": "chat.completion.chunk", "choices": [choice]}
        events.append(b"data: " + orjson.dumps(chunk) + b"\n\n")
    events.append(b"data: [DONE]\n\n")
    pieces = [f"{len(event):x}\r\n".encode() + event + b"\r\n" for event in events]
    stream = f"{start}text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return plain, stream + b"".join(pieces) + b"0\r\n\r\n"


class CannedServer(asyncio.Protocol):
    """One connection: answers each request with what is ready, reading as little as it can."""

    connections = 0
    plain, stream = _answers()

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        CannedServer.connections += 1
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        _, _, length = head.lower().partition(b"content-length: ")
        size = int(length.split(b"\r\n", 1)[0]) if length else 0
        if len(rest) < size:
            return
        self._received = b""  # no client of ours sends a request before the last is answered
        self._transport.write(self._answer(head, rest))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET"):
            count = str(self.connections).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(count), count)
        return self.stream if orjson.loads(body).get("stream") else self.plain


async def serve() -> None:
    """Listen, print the port, and serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(CannedServer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@asynccontextmanager
async def running_server() -> AsyncIterator[str]:
    """The server in a process of its own; gives its base URL."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stdin.close()
        await process.wait()


# --- what is measured ---


@attrs.frozen
class Reading:
    """How much this process holds, and has used, at one moment."""

    rss_mb: float
    descriptors: int
    cpu: float
    clock: float

    @classmethod
    def now(cls) -> Reading:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            rss_mb=pages * resource.getpagesize() / 1e6,
            descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only to count
            cpu=time.process_time(),
            clock=time.perf_counter(),
        )


@attrs.define
class Phase:
    """One kind of work, done over and over."""

    name: str
    total: int
    at_once: int
    work: Work
    done: int = 0
    failed: Counter[str] = attrs.field(factory=Counter)
    readings: list[Reading] = attrs.field(factory=list)
    """The first is the end of the warm-up."""

    async def run(self, client: AsyncClient) -> None:
        for part in range(1, READINGS + 1):
            goal = self.total * part // READINGS
            async with asyncio.TaskGroup() as group:
                for _ in range(self.at_once):
                    group.create_task(self._worker(client, goal))
            self.readings.append(Reading.now())

    async def _worker(self, client: AsyncClient, goal: int) -> None:
        size = CHUNKS_A_STREAM if self.work is read_stream else 1
        while self.done + size <= goal:
            self.done += size  # taken before it is done, or all workers would take the last one
            try:
                came = await self.work(client)
                if came != size:
                    self.failed[f"{came} instead of {size}"] += 1
            except Exception as error:
                self.failed[type(error).__name__] += 1

    @property
    def growth_mb(self) -> float:
        """The highest later reading against the warm-up's: no dip at the end hides a leak."""
        first, *later = self.readings
        return max(reading.rss_mb for reading in later) - first.rss_mb

    @property
    def more_descriptors(self) -> int:
        return self.readings[-1].descriptors - self.readings[0].descriptors

    @property
    def row(self) -> str:
        first, last = self.readings[0], self.readings[-1]
        measured = self.done * (READINGS - 1) / READINGS
        rate = measured / (last.clock - first.clock)
        micros = (last.cpu - first.cpu) / measured * 1e6
        final = last.rss_mb - first.rss_mb
        return (
            f"| {self.name} | {self.done:,} | {sum(self.failed.values())} | {rate:,.0f} "
            f"| {micros:.1f} | {first.rss_mb:.1f} | {final:+.2f} | {self.growth_mb:+.2f} "
            f"| {first.descriptors} → {last.descriptors} |"
        )


async def ask(client: AsyncClient) -> int:
    """One plain chat completion."""
    result = await client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    return 1 if result.text else 0


async def read_stream(client: AsyncClient) -> int:
    """One streamed chat completion, chunk by chunk."""
    stream = client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
    count = 0
    async for _ in stream:
        count += 1
    return count


# --- the report ---


def report(phases: list[Phase], connections: int) -> list[str]:
    """Print the table; returns what is wrong."""
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, "
        f"orjson {orjson.__version__}\n"
    )
    print(
        "| work | operations | failed | a second | CPU µs each | RSS MB, warm | at the end "
        "| at most | descriptors |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for phase in phases:
        print(phase.row)
    print(f"\nConnections accepted by the server: {connections}.")
    wrong = []
    for phase in phases:
        if phase.failed:
            wrong.append(f"{phase.name} failed: {dict(phase.failed)}")
        if phase.growth_mb >= MAX_GROWTH_MB:
            series = ", ".join(f"{reading.rss_mb:.1f}" for reading in phase.readings)
            wrong.append(f"{phase.name}: memory grew: {series} MB")
        if phase.more_descriptors > 0:
            wrong.append(f"{phase.name}: {phase.more_descriptors} more descriptors are open")
    if connections > REQUESTS_AT_ONCE:
        wrong.append(f"{connections} connections for {REQUESTS_AT_ONCE} requests at once")
    return wrong


async def measure(requests: int, chunks: int) -> list[str]:
    phases = [
        Phase("requests", requests, REQUESTS_AT_ONCE, ask),
        Phase("streamed chunks", chunks, STREAMS_AT_ONCE, read_stream),
    ]
    timeout = Timeout(total=30, connect=5, idle=30)
    async with (
        running_server() as url,
        # Without retries: a failure is to be seen.
        AsyncClient(base_url=url, api_key="local", timeout=timeout, max_retries=0) as client,
    ):
        for phase in phases:
            await phase.run(client)
        connections = (await client.request("GET", "/connections")).json()
    return report(phases, connections)


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if (number := int(text)) < least:
            msg = f"at least {least}, for {READINGS} readings"
            raise argparse.ArgumentTypeError(msg)
        return number

    return count


def main() -> int:
    parser = argparse.ArgumentParser(description="Does anything pile up over a long run?")
    parser.add_argument("--requests", type=_count(10 * REQUESTS_AT_ONCE), default=200_000)
    parser.add_argument("--chunks", type=_count(READINGS * CHUNKS_A_STREAM), default=2_000_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return 0
    wrong = asyncio.run(measure(arguments.requests, arguments.chunks))
    for line in wrong:
        print(f"FAILED: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
