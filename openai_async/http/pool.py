"""The pooled aiohttp sessions of a client: one per event loop and process.

aiohttp's connections belong to the loop they were opened in, so a client that is used in two loops
needs two sets of them, and a forked child must not touch its parent's. A session is opened by the
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
from .aiohttp_internals import Connector, direct_connector, open_session
from .body import ByteStream, running_loop
from .deadlines import Deadlines
from .open_streams import OpenStreams
from .semaphore import FairSemaphore
from .waits import CLOSED, PendingWaits

# Seconds that an idle connection is kept; servers commonly close one after 60 or 75.
KEEPALIVE = 15.0

# In a forked child, the pools of its parent. They are kept forever: if their connections were
# garbage-collected, aiohttp would close them, which removes them from the epoll instance that
# parent and child share. The parent would then never learn of its answers.
_inherited_pools: list[Pool] = []

PoolKey: TypeAlias = tuple[asyncio.AbstractEventLoop, bool, str | None]
"""An event loop, whether the session is our own, and the path of the Unix socket, if it is one."""


@define(eq=False, repr=False)
class Pool:
    """The session of one loop, the semaphore that bounds its requests, and its open streams."""

    session: aiohttp.ClientSession
    owned: bool
    """Whether the session is ours to close."""
    slots: FairSemaphore
    deadlines: Deadlines
    direct: Connector | None
    """For requests that may bypass `session.request`."""
    streams: OpenStreams[ByteStream] = field(factory=OpenStreams)
    """Includes plain answers whose body has not arrived in full."""
    pid: int = field(factory=os.getpid)
    shutdown_hook: AsyncGenerator[None, None] | None = None

    async def close(self) -> None:
        # First: closing the connector would leave the readers of these waiting forever.
        for stream in list(self.streams):
            stream.close(APIConnectionError("The client was closed while this stream was open."))
        self.streams.stop_checking()
        self.deadlines.close()
        if self.owned:
            await self.session.close()

    def close_nowait(self) -> None:
        """All of `close()` that needs no waiting, which is everything but TLS shutdowns.

        It also works in a loop that was closed without `shutdown_asyncgens`: sockets still open are
        then closed, with asyncio's own warning, when they are garbage-collected.
        """
        closing = self.close()
        with suppress(StopIteration, RuntimeError):
            closing.send(None)
        closing.close()


class Pools:
    """The pools of a client.

    A session passed by the user serves its own loop. For downloads, which must not carry that
    session's default headers, one of our own is opened beside it.
    """

    def __init__(self, max_connections: int, session: aiohttp.ClientSession | None) -> None:
        self._max_connections = max_connections
        self._session = session
        self._pools: dict[PoolKey, Pool] = {}
        self.waits = PendingWaits()
        self.closed = False

    def check_open(self, pool: Pool) -> None:
        """Raise `OpenAIError` if the client, or the session of the pool, is closed."""
        if self.closed:
            raise OpenAIError(CLOSED)
        if pool.session.closed:
            msg = "The aiohttp session of this client is closed: create a new one."
            raise OpenAIError(msg)

    def get(self, loop: asyncio.AbstractEventLoop, own: bool, socket: str | None) -> Pool | None:
        """The pool of a loop; `None` if it has to be opened first."""
        if self.closed:
            raise OpenAIError(CLOSED)
        pool = self._pools.get((loop, own or self._session is None, socket))
        return None if pool is None or pool.pid != os.getpid() else pool

    async def open(self, loop: asyncio.AbstractEventLoop, own: bool, socket: str | None) -> Pool:
        """A new pool for the running loop."""
        key = (loop, own or self._session is None, socket)
        self._remove_stale()
        session = None if key[1] else self._session
        if session is None:
            session = open_session(KEEPALIVE, socket)
        slots = FairSemaphore(self._max_connections)
        direct = direct_connector(session) if key[1] else None
        pool = self._pools[key] = Pool(session, key[1], slots, Deadlines(key[0]), direct)
        pool.shutdown_hook = _close_at_shutdown(pool, self._pools, key)
        await anext(pool.shutdown_hook)
        return pool

    def _remove_stale(self) -> None:
        """Close the pools of closed loops; keep a parent process's, untouched, out of the way."""
        for key, pool in list(self._pools.items()):
            if pool.pid == os.getpid() and not key[0].is_closed():
                continue
            self._pools.pop(key, None)
            if pool.pid != os.getpid():
                _inherited_pools.append(pool)
            else:
                pool.close_nowait()

    async def close(self) -> None:
        """Close the sessions of all loops; requests in flight fail."""
        self.closed = True
        self.waits.close()
        self._remove_stale()
        here = running_loop()
        while self._pools:
            (loop, _, _), pool = self._pools.popitem()
            if loop is here:
                await pool.close()
            else:
                # Not waited for: that loop may be busy, stopped, or just closing.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(pool.close_nowait)

    def __del__(self) -> None:
        pools = getattr(self, "_pools", {})
        _inherited_pools.extend(pool for pool in pools.values() if pool.pid != os.getpid())
        mine = [
            (key[0], pool) for key, pool in pools.items() if pool.owned and pool.pid == os.getpid()
        ]
        if not mine:
            return
        msg = "Unclosed AsyncClient: use `async with`, or `await client.close()`."
        warnings.warn(msg, ResourceWarning, source=self, stacklevel=2)
        for loop, pool in mine:
            if loop is running_loop() or loop.is_closed():
                pool.close_nowait()
            # Dropping the last reference lets the loop finalize the hook, which closes the session.
            pool.shutdown_hook = None


async def _close_at_shutdown(
    pool: Pool, pools: dict[PoolKey, Pool], key: PoolKey
) -> AsyncGenerator[None, None]:
    """An async generator that closes the pool when its loop shuts down.

    Event loops have no "on close" hook, but `asyncio.run` and `asyncio.Runner` finalize all open
    async generators before they close the loop (PEP 525, `shutdown_asyncgens`). So a client at
    module level need not be closed between one `asyncio.run` and the next.
    """
    try:
        yield
    finally:
        pools.pop(key, None)
        await pool.close()
