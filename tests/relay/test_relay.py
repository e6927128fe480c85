"""What `stream.sse()` returns: an async iterator of bytes, which hangs up if it is left early."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from openai_async import (
    AsyncClient,
    AuthenticationError,
    Hooks,
    InvalidArgumentError,
    OpenAIError,
    Request,
    StreamEnd,
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


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_begin_raises_an_early_error_at_once_and_nothing_follows(
    stream: Any, raw: RawServer
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status="401 No")
    relay = stream.sse()
    begun = now()
    with pytest.raises(AuthenticationError):
        await relay.begin(1000)
    assert now() - begun < 1
    assert [data async for data in relay] == []


async def test_begin_returns_once_the_answer_begins_even_without_an_event(
    stream: Any, raw: RawServer
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("", role="assistant")))
        await until_hung_up(exchange)

    raw.answer = answer
    async with stream.sse(form="text") as relay:
        begun = now()
        assert await relay.begin(200)
        assert now() - begun < 1


async def test_begin_of_a_closed_relay_returns_at_once(stream: Any) -> None:
    relay = stream.sse()
    relay.close()
    begun = now()
    assert await relay.begin(1000)
    assert now() - begun < 1


async def test_closing_a_relay_makes_its_begin_return(stream: Any, raw: RawServer) -> None:
    asked = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        await until_hung_up(exchange)

    raw.answer = answer
    relay = stream.sse()
    beginning = asyncio.create_task(relay.begin(1000))
    await asked.wait()
    relay.close()
    assert await beginning


@pytest.mark.parametrize("first", ["begin", "anext"])
async def test_a_bug_in_a_middleware_is_raised(raw: RawServer, first: str) -> None:
    async def buggy(request: Request, send: Any) -> Any:
        raise ZeroDivisionError

    async with AsyncClient(base_url=raw.url, api_key="local", middlewares=[buggy]) as client:
        chats = client.chat.completions
        relay = chats.create(model="gpt-4o", messages=MESSAGES, stream=True).sse()
        with pytest.raises(ZeroDivisionError):
            await (relay.begin(3) if first == "begin" else anext(relay))


async def test_aclose_returns_once_the_stream_has_ended(stream: Any, raw: RawServer) -> None:
    ends: list[StreamEnd] = []
    hooks = Hooks(on_stream_end=lambda request, end: ends.append(end))
    async with AsyncClient(base_url=raw.url, api_key="local", hooks=hooks) as client:
        chats = client.chat.completions
        relay = chats.create(model="gpt-4o", messages=MESSAGES, stream=True).sse()
        await anext(relay)
        await relay.aclose()
        assert len(ends) == 1
    assert relay.cut


async def test_closing_a_relay_that_was_read_whole_does_not_cut_it(
    stream: Any, raw: RawServer
) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("Hi", finish="stop"), DONE)
    async with stream.sse() as relay:
        assert b"".join([data async for data in relay]).endswith(DONE)
    assert not relay.cut


async def test_a_late_failure_is_a_warning_in_the_log(
    stream: Any, raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("Hel"))
    assert [data async for data in stream.sse()]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("openai_async", "WARNING")
    assert record.getMessage().startswith("The answer broke off while it was relayed: ")


async def test_begin_does_not_wait_for_long(stream: Any, raw: RawServer) -> None:
    raw.answer = lambda exchange: asyncio.sleep(1000)
    relay = stream.sse()
    begun = now()
    assert await relay.begin(3)
    assert now() - begun == pytest.approx(3, abs=0.3)
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


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
async def test_a_blank_line_that_arrives_in_two_pieces_ends_a_raw_event(
    stream: Any, raw: RawServer, end: bytes
) -> None:
    received = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"data: {}" + end)
        await received.wait()
        await exchange.part(end)
        await until_hung_up(exchange)

    raw.answer = answer
    async with stream.sse(form="raw") as relay:
        assert await anext(relay) == b"data: {}" + end
        received.set()
        assert await anext(relay) == end
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
    """As in the other forms; not all servers end the body properly, or at all."""
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


async def test_no_more_than_64_kib_wait_for_a_slow_browser(stream: Any, raw: RawServer) -> None:
    sent = [sse(chunk("x" * 1000))] * 1000 + [sse(chunk(finish="stop")), DONE]
    raw.answer = lambda exchange: exchange.stream(*sent)
    async with stream.sse() as relay:
        await relay.begin(3)
        await asyncio.sleep(1)  # of virtual time: it reads ahead
        first = await anext(relay)
        assert 64 * 1024 <= len(first) < 64 * 1024 + 2000
        assert first + b"".join([data async for data in relay]) == b"".join(sent)


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
