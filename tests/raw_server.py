"""A server that sends exactly the given bytes: aiohttp.web is too well behaved for faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import msgspec

Answer = Callable[["Exchange"], Awaitable[None]]

# A crowd connects at once. Beyond the backlog the kernel drops a SYN, which comes again a second
# later.
BACKLOG = 2048


class Exchange:
    """One request, and the connection to answer it on."""

    def __init__(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self.writer = writer

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def whole(
        self, body: bytes, *, status: str = "200 OK", content_type: str = "application/json"
    ) -> None:
        """A complete, well-formed response."""
        await self.send(
            f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    async def start_stream(self, extra_headers: str = "") -> None:
        await self.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + extra_headers.encode()
            + b"Transfer-Encoding: chunked\r\n\r\n"
        )

    async def part(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def stream(self, *events: bytes | dict[str, object]) -> None:
        """A whole stream of these events: bytes as they are, objects as `data:` lines."""
        await self.start_stream()
        for event in events:
            await self.part(event if isinstance(event, bytes) else sse(event))
        await self.end()

    def abort(self) -> None:
        """A TCP reset: with SO_LINGER 0 the kernel sends RST, not FIN."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class RawServer:
    """Answers each request by `server.answer`, an async function of the `Exchange`."""

    def __init__(self) -> None:
        self.answer: Answer = _refuse
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        """Set when a client closes a connection."""

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            # asyncio's server logs a traceback for a task that ends by our own cancel().
            with suppress(ConnectionError, asyncio.CancelledError):
                while head := await _read_head(reader):
                    exchange = Exchange(head, b"", writer)
                    size = int(exchange.headers.get("content-length", 0))
                    exchange.body = await reader.readexactly(size)
                    self.exchanges.append(exchange)
                    await self.answer(exchange)
        finally:
            self.hung_up.set()
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


async def _read_head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip()
    except asyncio.IncompleteReadError:
        return ""


async def _refuse(exchange: Exchange) -> None:
    await exchange.whole(b'{"error": {"message": "no answer is set"}}', status="501 Not Set")


def sse(value: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def chunk(
    content: str | None = None, *, finish: str | None = None, index: int = 0, **delta: object
) -> dict[str, object]:
    """A chunk of a chat completion."""
    if content is not None:
        delta["content"] = content
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-4o",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }
