"""`Timeout(first=...)`: how long a stream may take to begin, apart from silence later on."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from openai_async import APITimeoutError, AsyncClient, InvalidArgumentError, Timeout

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .test_stream import ask, texts

pytestmark = pytest.mark.virtual_time


def slow(*, headers: float = 0, first: float = 0, then: float = 0, comments: bool = False) -> Any:
    """An answer with these waits, in seconds: before headers, first chunk and second chunk."""

    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(headers)
        await exchange.start_stream()
        for _ in range(int(first) if comments else 0):
            await asyncio.sleep(1)
            await exchange.part(b": still thinking\n\n")
        await asyncio.sleep(0 if comments else first)
        await exchange.part(sse(chunk("a")))
        await asyncio.sleep(then)
        await exchange.part(sse(chunk("b", finish="stop")) + DONE)
        await exchange.end()

    return answer


async def seconds(reading: Any) -> float:
    """How long it takes until the stream times out."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(APITimeoutError) as caught:
        await reading
    assert f"within {5:g} s" in str(caught.value)
    assert "Timeout(first=...)" in str(caught.value)
    return loop.time() - began


async def test_the_first_chunk_may_take_longer_than_a_silence_later(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Reasoning models think for minutes, and then write without a pause."""
    raw.answer = slow(first=100)
    assert await texts(ask(raw_client, timeout=Timeout(first=200, idle=5))) == ["a", "b"]
    raw.answer = slow(first=100, then=10)
    stream = ask(raw_client, timeout=Timeout(first=200, idle=5))
    assert (await anext(stream)).text == "a"
    with pytest.raises(APITimeoutError, match="silent for 5 s"):
        await anext(stream)


async def test_a_silence_later_may_be_longer_than_the_wait_for_the_first_chunk(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = slow(then=100)
    assert await texts(ask(raw_client, timeout=Timeout(first=5))) == ["a", "b"]


@pytest.mark.parametrize(
    "waits",
    [
        {"headers": 100},
        {"first": 100},
        {"headers": 3, "first": 3},
        {"first": 100, "comments": True},
    ],
    ids=str,
)
async def test_a_stream_that_does_not_begin_in_time_fails(
    raw: RawServer, raw_client: AsyncClient, waits: Any
) -> None:
    """Counted from sending, and however many comments keep the connection alive."""
    raw.answer = slow(**waits)
    assert await seconds(ask(raw_client, timeout=Timeout(first=5))) == pytest.approx(5, abs=0.1)
    await raw.hung_up.wait()


async def test_it_is_retried_as_other_timeouts_are(
    raw: RawServer, raw_client: AsyncClient, waits: list[float]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await slow(first=0 if len(raw.exchanges) > 2 else 100)(exchange)

    raw.answer = answer
    stream = await ask(raw_client, timeout=Timeout(first=5), max_retries=2)
    assert (stream.meta.attempts, len(waits)) == (3, 2)
    assert await texts(stream) == ["a", "b"]


async def test_the_headers_still_have_to_come_within_total(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = slow(headers=100)
    with pytest.raises(APITimeoutError, match=r"within 5 s. Raise timeout="):
        await ask(raw_client, timeout=Timeout(total=5, first=50))


async def test_without_it_idle_and_total_apply_to_the_first_chunk_too(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = slow(first=100)
    with pytest.raises(APITimeoutError, match="silent for 5 s"):
        await ask(raw_client, timeout=Timeout(idle=5))


async def test_it_does_not_apply_to_a_plain_call(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(100)
        await exchange.whole(b'{"object": "list", "data": []}')

    raw.answer = answer
    assert len(await raw_client.with_options(timeout=Timeout(first=5)).models.list()) == 0


async def test_it_applies_to_the_first_bytes_of_a_raw_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = slow(first=100)
    client = raw_client.with_options(timeout=Timeout(first=5, idle=500))
    assert await seconds(client.stream("POST", "/x", json={}).__aenter__()) == pytest.approx(5, 0.1)


async def test_cancelling_while_it_waits_is_no_timeout(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = slow(first=100)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await ask(raw_client, timeout=Timeout(first=5))
    await raw.hung_up.wait()


@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf"), 1e10])
def test_it_is_checked_as_the_others_are(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="first is .*: pass a positive number"):
        Timeout(first=value)


def test_it_is_shown_where_it_is_set() -> None:
    assert repr(Timeout()) == "Timeout(total=600.0, connect=10.0, idle=300.0)"
    timeout = Timeout(first=5)
    assert repr(timeout) == "Timeout(total=600.0, connect=10.0, idle=300.0, first=5)"
    assert copy.copy(timeout) == timeout != Timeout()
