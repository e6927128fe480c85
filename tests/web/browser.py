"""A browser that can be slow, leave, and see what exactly has arrived."""

from __future__ import annotations

import asyncio
import socket
from typing import Self
from urllib.parse import urlsplit

from multidict import CIMultiDict


class Browser:
    """One GET request on a connection of its own."""

    status: int
    headers: CIMultiDict[str]

    def __init__(self, url: str, *, receive_buffer: int | None = None, **headers: str) -> None:
        self._url = urlsplit(url)
        self._receive_buffer = receive_buffer
        self._headers = headers

    async def __aenter__(self) -> Self:
        """Connect, and send the request."""
        connection = socket.socket()
        if self._receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(
            connection, ("127.0.0.1", self._url.port or 80)
        )
        limit = self._receive_buffer or 2**16
        self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=limit)
        more = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in self._headers.items())
        target = self._url.path + (f"?{self._url.query}" if self._url.query else "")
        self._writer.write(f"GET {target} HTTP/1.1\r\nHost: test\r\n{more}\r\n".encode())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close the connection, as a browser whose tab is closed."""
        self._writer.transport.abort()

    async def begin(self) -> int:
        """Wait for the status and the headers."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(head[0].split()[1])
        lines = (line.partition(":") for line in head[1:] if line)
        self.headers = CIMultiDict((name, value.strip()) for name, _, value in lines)
        return self.status

    async def part(self) -> bytes:
        """The next part of the body; b"" at its end."""
        size = int((await self._reader.readline()).partition(b";")[0], 16)
        data = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return data

    async def rest(self) -> bytes:
        """The body to its end."""
        if "content-length" in self.headers:
            return await self._reader.readexactly(int(self.headers["content-length"]))
        if self.headers.get("transfer-encoding") != "chunked":
            return b""
        parts = []
        while data := await self.part():
            parts.append(data)
        return b"".join(parts)
