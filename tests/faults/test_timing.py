"""Time limits under load, and `asyncio.timeout` around whatever a call may be waiting for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openai_async import APITimeoutError, AsyncClient, RateLimitError, Timeout
from openai_async.http.body import RECHECK_DELAY

from ..raw_server import Exchange, RawServer, chunk, sse
from .fault_server import hang
from .parts import events, good, raw
from .test_faults import ask, check_clean, no_complaints, plain_list

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def silent() -> AsyncIterator[RawServer]:
    """A server that takes requests and says nothing."""
    async with RawServer() as server:
        server.answer = hang
        yield server


async def timed(call: Any) -> tuple[BaseException | None, float]:
    """How a call ended, and after how many seconds."""
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        await call
    except Exception as error:
        return error, clock() - started
    return None, clock() - started


STALLS = {
    "before the headers": hang,
    "before the first chunk": events(then=hang),
    "after a chunk": events(sse(chunk("h")), then=hang),
}


@pytest.mark.parametrize(
    ("timeout", "stalls", "ends"),
    [
        (1, "before the headers", 1),
        (1, "before the first chunk", 300 + RECHECK_DELAY),
        (1, "after a chunk", 300 + RECHECK_DELAY),
        (Timeout(idle=1), "before the headers", 600),
        (Timeout(idle=1), "before the first chunk", 1 + RECHECK_DELAY),
        (Timeout(idle=1), "after a chunk", 1 + RECHECK_DELAY),
        (Timeout(total=2, idle=1), "before the headers", 2),
    ],
    ids=str,
)
async def test_a_number_bounds_the_start_of_a_stream_and_idle_its_silence(
    raw: RawServer, timeout: Timeout | float, stalls: str, ends: float
) -> None:
    raw.answer = STALLS[stalls]
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0, timeout=timeout) as client:
        error, took = await timed(ask(client).completion())
    assert isinstance(error, APITimeoutError)
    assert took == pytest.approx(ends)


@pytest.mark.parametrize("stalls", STALLS)
async def test_a_number_bounds_a_plain_call_wherever_it_stalls(raw: RawServer, stalls: str) -> None:
    raw.answer = STALLS[stalls]
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0, timeout=1) as client:
        error, took = await timed(client.models.list())
    assert isinstance(error, APITimeoutError)
    assert took == pytest.approx(1)


async def test_the_timeout_of_a_call_inherits_nothing_from_the_client(raw: RawServer) -> None:
    raw.answer = STALLS["after a chunk"]
    async with AsyncClient(
        base_url=raw.url, api_key="k", max_retries=0, timeout=Timeout(idle=1)
    ) as client:
        call = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True, timeout=5
        )
        _, took = await timed(call.completion())
    assert took == pytest.approx(300 + RECHECK_DELAY)


async def check_no_tasks(before: set[asyncio.Task[Any]]) -> None:
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left, timeout=0.05)


async def test_a_thousand_calls_without_an_answer() -> None:
    before = asyncio.all_tasks()
    timeout = Timeout(total=1.0, connect=5, idle=5)
    with no_complaints():
        async with RawServer() as server:
            server.answer = hang
            async with AsyncClient(
                base_url=server.url, api_key="local", max_retries=0, timeout=timeout
            ) as client:
                ends = await asyncio.gather(*(timed(client.models.list()) for _ in range(1000)))
                assert {type(error) for error, _ in ends} == {APITimeoutError}
                assert [took for _, took in ends] == [pytest.approx(1.0)] * 1000
                await check_clean(client)
        await check_no_tasks(before)


async def test_three_hundred_stalled_streams() -> None:
    before = asyncio.all_tasks()
    timeout = Timeout(total=10, connect=5, idle=0.5)
    with no_complaints():
        async with RawServer() as server:
            server.answer = events(sse(chunk("h")), then=hang)
            async with AsyncClient(
                base_url=server.url, api_key="local", max_retries=0, timeout=timeout
            ) as client:
                ends = await asyncio.gather(*(timed(ask(client).completion()) for _ in range(300)))
                assert {type(error) for error, _ in ends} == {APITimeoutError}
                assert [took for _, took in ends] == [pytest.approx(0.5 + RECHECK_DELAY)] * 300
                await check_clean(client)
        await check_no_tasks(before)


async def test_timeout_around_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*args: object, **kwargs: object) -> list[Any]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    before = asyncio.all_tasks()
    with no_complaints():
        async with AsyncClient(base_url="https://slow.test/v1", api_key="local") as client:
            error, took = await timed(within(0.2, client.models.list()))
            assert type(error) is TimeoutError
            assert took == pytest.approx(0.2)
            await check_clean(client)
        await check_no_tasks(before)


async def within(seconds: float, call: Any) -> None:
    async with asyncio.timeout(seconds):
        await call


async def test_timeout_around_a_retry_wait() -> None:
    before = asyncio.all_tasks()
    busy = b"HTTP/1.1 429 No\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    with no_complaints():
        async with RawServer() as server:
            server.answer = raw(busy)
            async with AsyncClient(base_url=server.url, api_key="local") as client:
                error, took = await timed(within(0.3, client.models.list()))
                assert type(error) is TimeoutError
                assert took == pytest.approx(0.3)
                await check_clean(client)
                assert len(server.exchanges) == 1
                with pytest.raises(RateLimitError):
                    await client.models.list(max_retries=0)
        await check_no_tasks(before)


async def test_timeout_around_waiting_for_the_pool(silent: RawServer) -> None:
    before = asyncio.all_tasks()
    with no_complaints():
        async with AsyncClient(
            base_url=silent.url, api_key="local", max_connections=1, max_retries=0
        ) as client:
            arrived = asyncio.Event()

            async def answer(exchange: Exchange) -> None:
                arrived.set()
                await hang(exchange)

            silent.answer = answer
            first = asyncio.create_task(plain_list(client))
            async with asyncio.timeout(5):
                await arrived.wait()
            error, took = await timed(within(0.2, client.models.list()))
            assert type(error) is TimeoutError
            assert took == pytest.approx(0.2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await check_clean(client)
            assert len(silent.exchanges) == 1
            silent.answer = good
            assert (await plain_list(client))[0] == "hi"
        await check_no_tasks(before | silent._tasks)


@pytest.mark.parametrize("streamed", [False, True])
async def test_timeout_around_an_answer(silent: RawServer, streamed: bool) -> None:
    with no_complaints():
        async with AsyncClient(base_url=silent.url, api_key="local") as client:
            call = ask(client).completion() if streamed else client.models.list()
            error, took = await timed(within(0.2, call))
            assert type(error) is TimeoutError
            assert took == pytest.approx(0.2)
            await check_clean(client)
            async with asyncio.timeout(1):
                await silent.hung_up.wait()


async def test_timeout_around_a_tls_handshake() -> None:
    """The port accepts connections and never answers the TLS hello."""
    before = asyncio.all_tasks()
    with no_complaints(), socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/v1"
        timeout = Timeout(total=5, connect=0.3, idle=5)
        async with AsyncClient(
            base_url=url, api_key="local", max_retries=0, timeout=timeout
        ) as client:
            error, took = await timed(within(0.2, client.models.list()))
            assert type(error) is TimeoutError
            assert took == pytest.approx(0.2)
            error, took = await timed(client.models.list())
            assert type(error) is APITimeoutError
            assert took == pytest.approx(0.3)
            await check_clean(client)
        await check_no_tasks(before)
