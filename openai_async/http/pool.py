"""The pooled aiohttp sessions of a client: one per event loop and process.

aiohttp's connections belong to the loop they were opened in, so a client that is used in two loops
needs two sets of them, and a forked child must leave its parent's alone. A session is opened at the
first request of its loop, and closed with the client or with the loop, whichever comes first.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TypeAlias

import aiohttp
from attrs import define, field

from ..errors import APIConnectionError, OpenAIError
from .aiohttp_internals import open_session
from .body import ByteStream, running_loop
from .deadlines import Deadlines
from .semaphore import FairSemaphore
from .waits import CLOSED, Waits

# Seconds that an idle connection is kept; servers commonly close it after 60 or 75.
KEEPALIVE = 15.0

# Pools of a parent process, in its forked child. Kept for ever: when their connections were
# collected, aiohttp would close them, and so take them out of the epoll instance that parent and
# child share. The parent would wait for answers that nobody tells it of.
_of_parents: list[Pool] = []

Place: TypeAlias = tuple[asyncio.AbstractEventLoop, bool]
"""A loop, and whether the session is our own."""


@define(eq=False)
class Pool:
    """The session of one loop, the slots that bound its requests, and what is open."""

    session: aiohttp.ClientSession
    owned: bool
    """Whether the session is ours to close."""
    slots: FairSemaphore
    deadlines: Deadlines
    streams: set[ByteStream] = field(factory=set)
    """Also plain answers whose body is on its way."""
    pid: int = field(factory=os.getpid)
    keeper: AsyncGenerator[None, None] | None = None

    async def close(self) -> None:
        # First: a closed connector would leave the readers of bodies waiting.
        for stream in list(self.streams):
            stream.hang_up(APIConnectionError("The client was closed while this stream was open."))
        self.deadlines.close()
        if self.owned:
            await self.session.close()

    def close_without_waiting(self) -> None:
        """Do of `close()` what needs no waiting, which is all but the farewells of TLS.

        In a loop that was closed without `shutdown_asyncgens` too: the sockets it has left open are
        then closed, with asyncio's own warning, when they are collected.
        """
        closing = self.close()
        with suppress(StopIteration, RuntimeError):
            closing.send(None)
        closing.close()


class Pools:
    """The pools of a client. With a session of the user's, that one serves the loop it belongs to,
    and one of our own is opened for what must not carry its default headers: downloads.
    """

    def __init__(self, max_connections: int, session: aiohttp.ClientSession | None) -> None:
        self._max_connections = max_connections
        self._session = session
        self._pools: dict[Place, Pool] = {}
        self.waits = Waits()
        self.closed = False

    def check_open(self, pool: Pool) -> None:
        """`OpenAIError` if the client is closed, or the session of the pool."""
        if self.closed:
            raise OpenAIError(CLOSED)
        if pool.session.closed:
            msg = "The aiohttp session of this client is closed: create a new one."
            raise OpenAIError(msg)

    def get(self, *, own: bool) -> Pool | None:
        """The pool of the running loop; `None` before its first use, which has to `open()` it."""
        if self.closed:
            raise OpenAIError(CLOSED)
        pool = self._pools.get((asyncio.get_running_loop(), own or self._session is None))
        return None if pool is None or pool.pid != os.getpid() else pool

    async def open(self, *, own: bool) -> Pool:
        """A new pool for the running loop."""
        place = (asyncio.get_running_loop(), own or self._session is None)
        self._sweep()
        session = None if place[1] else self._session
        if session is None:
            session = open_session(KEEPALIVE)
        slots = FairSemaphore(self._max_connections)
        pool = self._pools[place] = Pool(session, place[1], slots, Deadlines(place[0]))
        pool.keeper = _keep(pool, self._pools, place)
        await anext(pool.keeper)
        return pool

    def _sweep(self) -> None:
        """Forget the pools of closed loops; set those of a parent process aside, untouched.

        Closing a parent's connections in its forked child would take them out of the epoll
        instance that both share.
        """
        for place, pool in list(self._pools.items()):
            if pool.pid == os.getpid() and not place[0].is_closed():
                continue
            self._pools.pop(place, None)
            if pool.pid != os.getpid():
                _of_parents.append(pool)
            else:
                pool.close_without_waiting()

    async def close(self) -> None:
        """Close the sessions of all loops; what is still under way fails."""
        self.closed = True
        self.waits.close()
        self._sweep()
        here = running_loop()
        while self._pools:
            (loop, _), pool = self._pools.popitem()
            if loop is here:
                await pool.close()
            else:
                # Told, not waited for: it may be busy, stand still, or end at this moment.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(pool.close_without_waiting)

    def __del__(self) -> None:
        pools = getattr(self, "_pools", {})
        _of_parents.extend(pool for pool in pools.values() if pool.pid != os.getpid())
        mine = [
            (place[0], pool)
            for place, pool in pools.items()
            if pool.owned and pool.pid == os.getpid()
        ]
        if not mine:
            return
        msg = "Unclosed AsyncClient: use `async with`, or `await client.close()`."
        warnings.warn(msg, ResourceWarning, source=self, stacklevel=2)
        for loop, pool in mine:
            if loop is running_loop() or loop.is_closed():
                pool.close_without_waiting()
            # The last reference to the keeper: its loop takes it over, and closes the session.
            pool.keeper = None


async def _keep(pool: Pool, pools: dict[Place, Pool], place: Place) -> AsyncGenerator[None, None]:
    """Closes the pool when its loop ends.

    A loop has no "on close" hook, but `asyncio.run` and `asyncio.Runner` finish the async
    generators that are still open before they close the loop (PEP 525, `shutdown_asyncgens`).
    So a client at module level needs no closing between one `asyncio.run` and the next.
    """
    try:
        yield
    finally:
        pools.pop(place, None)
        await pool.close()
