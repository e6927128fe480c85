"""A TCP proxy between client and server that damages what passes, at random but from a seed.

Each connection draws from a `Random` of its own, so what happens to it does not depend on the
others. It knows no HTTP but one header: the client's `X-Call`, which names the call whose answer
is on its way, so that it can tell which calls got an answer with changed bytes.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import Self

# The chance of each fault for one piece of data, either way. The rest passes unharmed.
CHANCES = {
    "delay": 0.05,
    "split": 0.05,
    "cut": 0.02,
    "reset": 0.02,
    "stall": 0.01,
}
# For a piece of the server's answer besides.
CORRUPT = 0.05
# For a connection.
REFUSE = 0.1

# A TCP connection that is closed with this set sends a reset.
_NO_LINGER = struct.pack("ii", 1, 0)
_CALL = re.compile(rb"\r\nX-Call: (\d+)\r\n", re.IGNORECASE)
# A request's header is shorter: enough to find its X-Call, if it comes in two pieces.
_TAIL = 2048
_PIECE = 65536
# A peer that does not take the last bytes within this many seconds loses them.
_FAREWELL = 1.0


class _EndedError(Exception):
    """This connection is to end: raised to stop both of its directions."""


class ChaosProxy:
    """Listens on `port`, passes data on to `target`, with faults.

    Attributes:
        faults: how often each fault was done.
        changed: the calls whose answer had bytes flipped, in any of their attempts.
    """

    def __init__(self, target: int, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self.changed: set[int] = set()
        self._target = target
        self._seed = seed
        self._count = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
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
        self._count += 1
        chance = random.Random(f"{self._seed}/{self._count}")
        # asyncio's server logs a traceback for a task that ends by our own cancel().
        with suppress(ConnectionError, asyncio.CancelledError):
            try:
                if chance.random() < REFUSE:
                    self.faults["refuse"] += 1
                    return
                await self._connect(reader, writer, chance)
            finally:
                await _close(writer)

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
    ) -> None:
        """Join both ends until either hangs up, or a fault ends it."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        link = _Link(self, chance)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.pass_requests(reader, up_writer))
                group.create_task(link.pass_answers(up_reader, writer))
        except* (_EndedError, ConnectionError):
            pass
        finally:
            await _close(up_writer)


class _Link:
    """One connection: both directions, and the call in flight."""

    def __init__(self, proxy: ChaosProxy, chance: random.Random) -> None:
        self._faults = proxy.faults
        self._changed = proxy.changed
        self._chance = chance
        self._call: int | None = None

    async def pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        tail = b""
        while data := await reader.read(_PIECE):
            tail = tail[-_TAIL:] + data
            if found := _CALL.findall(tail):
                self._call = int(found[-1])
            fault = self._draw()
            if fault == "stall":
                # Nothing more goes on, but the client's hanging up is noticed.
                while await reader.read(_PIECE):
                    pass
                break
            await self._pass(data, writer, fault)
        raise _EndedError

    async def pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_PIECE):
            if self._chance.random() < CORRUPT:
                data = self._flip(data)
            fault = self._draw()
            if fault == "stall":
                # Forever: pass_requests() sees the client hang up, and ends both.
                await asyncio.Event().wait()
            await self._pass(data, writer, fault)
        raise _EndedError

    def _draw(self) -> str | None:
        """The fault for the next piece of data."""
        draw = self._chance.random()
        for fault, chance in CHANCES.items():
            if draw < chance:
                self._faults[fault] += 1
                return fault
            draw -= chance
        return None

    def _flip(self, data: bytes) -> bytes:
        """Flip one to three bits, and record the call."""
        self._faults["corrupt"] += 1
        if self._call is not None:
            self._changed.add(self._call)
        flipped = bytearray(data)
        for _ in range(self._chance.randint(1, 3)):
            flipped[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return bytes(flipped)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, fault: str | None) -> None:
        if fault == "delay":
            await asyncio.sleep(self._chance.uniform(0.001, 0.01))
        elif fault == "split":
            return await self._split(data, writer)
        elif fault in ("cut", "reset"):
            writer.write(data[: self._chance.randrange(len(data))])
            if fault == "reset":
                _reset(writer)
            raise _EndedError
        writer.write(data)
        await writer.drain()
        return None

    async def _split(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """In up to 20 pieces, each on its own way: the other side runs in between."""
        size = self._chance.randint(1, 200)
        for start in range(0, min(len(data), 20 * size), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(data[20 * size :])
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Send what is left, and close; a peer that does not read it is disconnected."""
    writer.close()
    try:
        async with asyncio.timeout(_FAREWELL):
            await writer.wait_closed()
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
