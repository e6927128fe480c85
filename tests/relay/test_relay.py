"""What `stream.sse()` returns: an async iterator of bytes, which hangs up if it is left early."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from openai_async import AsyncClient, AuthenticationError, InvalidArgumentError

from ..raw_server import Exchange, RawServer, chunk, sse
from ..web.test_relaying import until_hung_up
from .relayed import MESSAGES

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def stream(raw: RawServer, raw_client: AsyncClient) -> Any:
    """An answer that stalls after its first chunk."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))
        await until_hung_up(exchange)

    raw.answer = answer
    return raw_client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)


async def test_close_hangs_up_from_any_thread(stream: Any, raw: RawServer) -> None:
    relay = stream.sse()
    await anext(relay)
    await asyncio.to_thread(relay.close)
    assert [data async for data in relay] == []
    await raw.hung_up.wait()


async def test_a_relay_that_is_dropped_hangs_up(stream: Any, raw: RawServer) -> None:
    relay = stream.sse()
    await anext(relay)
    del relay
    await raw.hung_up.wait()


async def test_a_relay_that_is_closed_before_it_begins_sends_no_request(
    stream: Any, raw: RawServer
) -> None:
    relay = stream.sse()
    relay.close()
    assert [data async for data in relay] == []
    assert raw.exchanges == []


async def test_begin_raises_an_early_error(stream: Any, raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status="401 No")
    with pytest.raises(AuthenticationError):
        await stream.sse().begin(3)


async def test_begin_does_not_wait_for_long(stream: Any, raw: RawServer) -> None:
    raw.answer = lambda exchange: asyncio.sleep(1000)
    relay = stream.sse()
    begun = asyncio.get_running_loop().time()
    assert await relay.begin(3)
    assert asyncio.get_running_loop().time() - begun == pytest.approx(3, abs=0.3)
    await relay.aclose()


async def test_a_wrong_argument_is_refused_and_leaves_nothing_behind(stream: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="keep_alive is 0"):
        stream.sse(keep_alive=0)
    gc.collect()
