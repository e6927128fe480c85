"""The stores of broadcasts: joining an answer by its id, when it expires, and stores that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from openai_async import AsyncClient, ConflictError, InvalidArgumentError, OpenAIError
from openai_async.web import Broadcast, MemoryStore

from ..raw_server import DONE, RawServer
from .browser import Browser
from .servers import SERVERS
from .test_broadcast import PIECES, WHOLE, Upstream, broadcast, joined, upstream
from .test_relaying import ask

__all__ = ("broadcast", "upstream")

pytestmark = pytest.mark.virtual_time


async def test_it_can_be_joined_by_its_id(raw_client: AsyncClient, upstream: Upstream) -> None:
    store = MemoryStore()
    async with Broadcast(ask(raw_client), store=store, id="a-7"):
        upstream.write(*PIECES)
        upstream.end()
        joined = Broadcast.join("a-7", store=store)
        assert b"".join([data async for data in joined.sse()]) == WHOLE


async def test_an_unknown_id_is_a_404() -> None:
    joined = Broadcast.join("a-7", store=MemoryStore())
    async with SERVERS["aiohttp"](lambda: joined) as url, Browser(url) as browser:
        assert await browser.begin() == 404


async def test_a_store_forgets_an_answer_some_time_after_its_end(
    raw_client: AsyncClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", asyncio.get_running_loop().time)
    store = MemoryStore(keep=30)
    async with Broadcast(ask(raw_client), store=store, id="a-7") as broadcast:
        upstream.write(*PIECES)
        upstream.end()
        assert b"".join([data async for data in broadcast.sse()]) == WHOLE
        await asyncio.sleep(29)
        assert b"".join([data async for data in broadcast.sse()]) == WHOLE
        await asyncio.sleep(2)
        async with SERVERS["aiohttp"](lambda: broadcast) as url, Browser(url) as browser:
            assert await browser.begin() == 404


@pytest.mark.parametrize(("options", "seconds"), [({}, 360), ({"idle": 20}, 20)])
async def test_a_reader_gives_up_on_a_process_that_writes_no_more(
    options: dict[str, Any], seconds: float
) -> None:
    store = MemoryStore()
    await store.append("a-7", b'{"object":"broadcast.start","n":1,"tools":false}')
    joined = Broadcast.join("a-7", store=store, **options)
    begun = asyncio.get_running_loop().time()
    parts = [data async for data in joined.sse(keep_alive=None)]
    assert b"took too long" in b"".join(parts)
    assert asyncio.get_running_loop().time() - begun == pytest.approx(seconds, abs=1)


async def test_a_reader_may_wait_forever() -> None:
    store = MemoryStore()
    await store.append("a-7", b'{"object":"broadcast.start","n":1,"tools":false}')
    reader = anext(Broadcast.join("a-7", store=store, idle=None).sse(keep_alive=None))
    reading = asyncio.ensure_future(reader)
    await asyncio.sleep(100_000)  # of virtual time
    await store.end("a-7", b'{"object":"broadcast.end","usage":null,"error":null}')
    assert await reading == b"id: 2\n" + DONE


class BrokenStore(MemoryStore):
    """Has no room for chunks."""

    async def append(self, id: str, record: bytes) -> None:
        if b"chat.completion.chunk" in record:
            raise ConnectionError("no route")
        await super().append(id, record)


async def test_a_store_that_fails_is_an_error_for_the_readers(
    raw_client: AsyncClient, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    broadcast = Broadcast(ask(raw_client), store=BrokenStore())
    parts = [data async for data in broadcast.sse()]
    assert b"".join(parts).startswith(b"event: error\n")
    assert "no route" in caplog.text


async def test_an_end_that_cannot_be_stored_is_logged(
    raw_client: AsyncClient, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    class Endless(MemoryStore):
        async def end(self, id: str, record: bytes) -> None:
            raise ConnectionError("no route")

    upstream.write(*PIECES)
    upstream.end()
    ended = asyncio.Event()
    broadcast = await Broadcast(ask(raw_client), store=Endless()).start()
    broadcast.add_done_callback(lambda _: ended.set())
    await ended.wait()
    assert "The end of a broadcast could not be stored" in caplog.text


async def test_a_memory_store_reads_what_follows_up_to_the_last_record() -> None:
    store = MemoryStore()
    await store.append("a-7", b"1")
    await store.append("a-7", b"2")
    await store.end("a-7", b"3")
    assert [record async for record in store.read("a-7", 1)] == [b"2", b"3"]


async def test_a_keep_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="keep is '60': pass a number of seconds"):
        MemoryStore("60")  # type: ignore[arg-type]


async def test_without_a_store_it_can_be_joined_as_long_as_it_is_there(
    broadcast: Broadcast, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    assert await joined(broadcast) == WHOLE
    later = time.monotonic() + 3600
    monkeypatch.setattr("openai_async.web.stores.time", SimpleNamespace(monotonic=lambda: later))
    assert await joined(broadcast) == WHOLE


class FullStore(MemoryStore):
    """Takes nothing, or only an end."""

    def __init__(self, *, takes_end: bool) -> None:
        super().__init__()
        self._takes_end = takes_end

    async def append(self, id: str, record: bytes) -> None:
        raise ConnectionError("no room")

    async def end(self, id: str, record: bytes) -> None:
        await asyncio.sleep(0.1)
        if not self._takes_end:
            raise ConnectionError("no room")
        await super().append(id, record)


@pytest.mark.parametrize("takes_end", [True, False])
async def test_a_store_that_does_not_take_the_answer_fails_its_start(
    raw_client: AsyncClient, raw: RawServer, takes_end: bool
) -> None:
    broadcast = Broadcast(ask(raw_client), store=FullStore(takes_end=takes_end))
    with pytest.raises(OpenAIError, match="The store of the broadcast failed"):
        await broadcast.start()
    async with SERVERS["aiohttp"](lambda: broadcast) as url, Browser(url) as browser:
        assert await browser.begin() == 503
    assert raw.exchanges == []


async def test_an_id_is_used_once(
    raw_client: AsyncClient, raw: RawServer, upstream: Upstream
) -> None:
    store = MemoryStore()
    upstream.write(*PIECES)
    upstream.end()
    async with Broadcast(ask(raw_client), store=store, id="a-7"):
        again = Broadcast(ask(raw_client), store=store, id="a-7")
        with pytest.raises(ConflictError, match="already has a broadcast 'a-7'"):
            await again.start()
        joined = Broadcast.join("a-7", store=store)
        assert b"".join([data async for data in joined.sse()]) == WHOLE
    assert len(raw.exchanges) == 1


@pytest.mark.parametrize("idle", [None, 360])
async def test_a_timeout_in_the_store_is_a_failure_of_the_store(idle: float | None) -> None:
    class SlowStore(MemoryStore):
        async def read(self, id: str, after: int) -> AsyncIterator[bytes]:
            raise TimeoutError("reading from redis")
            yield b""

    joined = Broadcast.join("a-7", store=SlowStore(), idle=idle)
    with pytest.raises(OpenAIError, match="The store of the broadcast failed: TimeoutError"):
        await joined.sse().begin(3)
