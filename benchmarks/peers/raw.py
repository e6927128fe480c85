"""The floor: a socket, a request made beforehand, and an answer cut out by its Content-Length.

Nobody should write this. It shows what asyncio, the kernel and the JSON parser cost by themselves.
"""

from __future__ import annotations

import asyncio
from typing import cast

import orjson
from yarl import URL

from . import KEY, MESSAGES, MODEL, Peer

_LENGTH = b"\r\nContent-Length: "


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self.transport.write(request)
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        _, _, length = head.partition(_LENGTH)
        if len(body) >= int(length.partition(b"\r\n")[0]) and self._answer is not None:
            self._received = b""
            self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())


class Raw(Peer):
    def __init__(self, url: str) -> None:
        base = URL(url)
        self._address = base.host or "", base.port or 80
        body = orjson.dumps({"model": MODEL, "messages": MESSAGES})
        self._request = (
            f"POST {base.path}/chat/completions HTTP/1.1\r\nHost: {base.authority}\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._idle: list[_Connection] = []

    async def chat(self) -> int:
        connection = self._idle.pop() if self._idle else await self._connect()
        result = orjson.loads(await connection.ask(self._request))
        self._idle.append(connection)
        return len(result["choices"][0]["message"]["content"])

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, *self._address)
        return connection

    async def close(self) -> None:
        for connection in self._idle:
            connection.transport.close()
