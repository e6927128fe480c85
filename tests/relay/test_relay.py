"""What `stream.sse()` returns: an async iterator of bytes, which hangs up if it is left early."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from openai_async import (
    AsyncClient,
    AuthenticationError,
    InvalidArgumentError,
    OpenAIError,
    StreamInterruptedError,
)

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..web.test_relaying import ask, until_hung_up
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


async def test_closing_it_at_once_ends_its_reader(stream: Any) -> None:
    relay = stream.sse(keep_alive=None)

    async def read() -> list[bytes]:
        return [data async for data in relay]

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read())
        tasks.create_task(relay.aclose())  # before the relay has done anything
    assert reading.result() == []


async def test_a_blank_line_that_arrives_in_two_pieces_ends_a_raw_event(
    stream: Any, raw: RawServer
) -> None:
    received = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"data: {}\r\n")
        await received.wait()
        await exchange.part(b"\r\n")
        await until_hung_up(exchange)

    raw.answer = answer
    async with stream.sse(form="raw") as relay:
        assert await anext(relay) == b"data: {}\r\n"
        received.set()
        assert await anext(relay) == b"\r\n"
        async with asyncio.timeout(10):
            assert await anext(relay) == b":\n\n"


async def test_nothing_is_put_into_a_raw_answer_that_has_no_events(
    stream: Any, raw: RawServer
) -> None:
    """It fails instead, so that the browser does not take it for complete."""

    async def answer(exchange: Exchange) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 9\r\n\r\n"
        await exchange.send(head.encode() + b"mp3\n\n")
        await asyncio.sleep(20)  # longer than without a comment
        exchange.writer.close()

    raw.answer = answer
    async with stream.sse(form="raw") as relay:
        assert await anext(relay) == b"mp3\n\n"
        with pytest.raises(StreamInterruptedError):
            await anext(relay)


@pytest.mark.parametrize("then", ["reset", "silence"])
async def test_a_raw_answer_ends_with_its_done(stream: Any, raw: RawServer, then: str) -> None:
    """As it does in any other form; not all servers end the body properly, or at all."""
    received = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(DONE)
        if then == "reset":
            await received.wait()
            exchange.abort()
        else:
            await until_hung_up(exchange)

    raw.answer = answer
    async with stream.sse(form="raw") as relay:
        assert await anext(relay) == DONE
        received.set()
        assert [data async for data in relay] == []
    await raw.hung_up.wait()


async def test_a_raw_answer_gives_its_connection_back(
    stream: Any, raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(DONE)
    for again in (stream, ask(raw_client)):
        async for _ in again.sse(form="raw"):
            pass
    assert raw.connections == 1


async def test_a_second_reader_is_refused(stream: Any) -> None:
    relay = stream.sse(keep_alive=None)
    await anext(relay)
    first = asyncio.create_task(anext(relay))
    await asyncio.sleep(0.01)  # of virtual time: it is waiting
    with pytest.raises(OpenAIError, match="Another task is reading this relay"):
        await anext(relay)
    await relay.aclose()
    with pytest.raises(StopAsyncIteration):
        await first


async def test_a_refused_raw_relay_leaves_the_stream_as_it_was(stream: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="keep_alive"):
        stream.sse(form="raw", keep_alive=0)
    async with stream.sse(form="raw") as relay:
        assert await anext(relay) == sse(chunk("Hel"))
