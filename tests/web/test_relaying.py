"""A relay to a browser, in each kind of web server: statuses, comments, and browsers that leave."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from openai_async import AsyncClient
from openai_async.web import SSEResponse

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .browser import Browser
from .servers import SERVERS, Serve

pytestmark = pytest.mark.virtual_time

HELLO = (sse(chunk("Hel")), sse(chunk("lo", finish="stop")), DONE)


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Serve:
    return SERVERS[request.param]


@pytest.fixture
def streams(raw_client: AsyncClient) -> Callable[[], Any]:
    return lambda: ask(raw_client)


def ask(client: AsyncClient) -> Any:
    return client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )


async def until_hung_up(exchange: Exchange) -> None:
    protocol: Any = exchange.writer.transport.get_protocol()
    await protocol._stream_reader.read(1)
    exchange.writer.close()


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_chunks_arrive_as_the_api_sends_them(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    async with serve(streams) as url, Browser(url) as browser:
        assert await browser.begin() == 200
        assert await browser.rest() == b"".join(HELLO)
    assert browser.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert browser.headers["cache-control"] == "no-cache, no-transform"
    assert browser.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_an_early_error_becomes_the_status_with_a_safe_text(
    serve: Serve, raw: RawServer, streams: Callable[[], Any], status: int
) -> None:
    body = b'{"error": {"message": "sk-secret of org-7 at http://internal"}}'
    raw.answer = lambda exchange: exchange.whole(body, status=f"{status} No")
    async with serve(streams) as url, Browser(url) as browser:
        assert await browser.begin() == status
        answer = await browser.rest()
    assert browser.headers["content-length"] == str(len(answer))
    assert browser.headers["content-type"] == "application/json"
    assert b"secret" not in answer
    assert b"internal" not in answer
    assert json.loads(answer)["error"]["message"].startswith("The service")


async def test_a_429_says_when_to_try_again(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 429 No\r\nRetry-After-Ms: 1500\r\nContent-Length: 2\r\n\r\n{}"
        )

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        assert await browser.begin() == 429
    assert browser.headers["retry-after"] == "2"


async def test_a_refused_connection_is_a_502(serve: Serve) -> None:
    client = AsyncClient(base_url="http://127.0.0.1:1/v1", api_key="local", max_retries=0)
    async with (
        client,
        serve(lambda: ask(client)) as url,
        Browser(url) as browser,
    ):
        assert await browser.begin() == 502


async def test_a_server_that_does_not_begin_in_time_is_a_504(
    serve: Serve, raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = until_hung_up
    client = raw_client.with_options(timeout=2)
    async with (
        serve(lambda: ask(client)) as url,
        Browser(url) as browser,
    ):
        assert await browser.begin() == 504


async def test_an_error_within_the_answer_is_its_last_event(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        exchange.abort()

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        assert await browser.begin() == 200
        body = await browser.rest()
    assert body == (
        HELLO[0] + b'event: error\ndata: {"error":{"message":"The answer broke off before it was '
        b'complete.","type":"server_error","param":null,"code":null}}\n\n'
    )


async def test_after_three_seconds_of_thinking_the_response_begins_with_comments(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(12)
        await exchange.stream(*HELLO)

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        begun = now()
        assert await browser.begin() == 200
        assert now() - begun == pytest.approx(3, abs=0.3)
        assert await browser.part() == b":\n\n"
        assert now() - begun == pytest.approx(8, abs=0.3)
        assert await browser.rest() == b"".join(HELLO)


async def test_an_error_after_the_response_has_begun_is_an_event(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(4)
        await exchange.whole(b"{}", status="401 No")

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        assert await browser.begin() == 200
        body = await browser.rest()
    assert body.startswith(b'event: error\ndata: {"error":{"message":"The service did not accept')


async def test_both_waits_can_be_set(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(3.5)
        await exchange.stream(*HELLO)

    raw.answer = answer
    async with serve(streams, first_event=0, keep_alive=1) as url, Browser(url) as browser:
        begun = now()
        await browser.begin()
        assert now() - begun == pytest.approx(0, abs=0.3)
        assert (await browser.rest()).startswith(b":\n\n" * 3 + HELLO[0])


async def test_a_browser_that_disconnects_before_the_first_token_hangs_up_within_a_second(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    asked = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        await until_hung_up(exchange)

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        await asked.wait()
        browser.leave()
        left = now()
        await raw.hung_up.wait()
        assert now() - left < 1


async def test_a_browser_that_disconnects_in_the_middle_hangs_up_within_a_second(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await until_hung_up(exchange)

    raw.answer = answer
    async with serve(streams) as url, Browser(url) as browser:
        await browser.begin()
        assert await browser.part() == HELLO[0]
        browser.leave()
        left = now()
        await raw.hung_up.wait()
        assert now() - left < 1


async def test_a_slow_browser_slows_only_itself(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    sent = {}

    async def answer(exchange: Exchange) -> None:
        number = len(raw.exchanges)
        sent[number] = 0
        await exchange.start_stream()
        for _ in range(256):
            await exchange.part(sse(chunk("x" * 100_000)))
            sent[number] += 1
        await exchange.part(sse(chunk(finish="stop")) + DONE)
        await exchange.end()

    raw.answer = answer
    async with (
        serve(streams) as url,
        Browser(url, receive_buffer=4096) as slow,
        Browser(url) as fast,
    ):
        await slow.begin()
        await fast.begin()
        assert len(await fast.rest()) > 25_000_000
        # The server has been stopped by backpressure, long before its 25 MB.
        assert min(sent.values()) < 150
        assert len(await slow.rest()) > 25_000_000


async def test_two_hundred_browsers_at_once(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    together = asyncio.Barrier(200)

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await together.wait()
        await exchange.part(b"".join(HELLO[1:]))
        await exchange.end()

    async def browse(url: str) -> bytes:
        async with Browser(url) as browser:
            await browser.begin()
            return (await browser.rest()).replace(b":\n\n", b"")

    raw.answer = answer
    async with serve(streams) as url:
        bodies = await asyncio.gather(*(browse(url) for _ in range(200)))
    assert set(bodies) == {b"".join(HELLO)}


@pytest.mark.parametrize("status", [200, 401])
async def test_nothing_is_left_for_the_garbage_collector(
    serve: Serve,
    raw: RawServer,
    streams: Callable[[], Any],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)  # records would hold the error, and so its traceback
    made: list[weakref.ref[Any]] = []

    def remembered() -> Any:
        stream = streams()
        made.append(weakref.ref(stream))
        return stream

    async def answer(exchange: Exchange) -> None:
        if status == 200:
            await exchange.stream(*HELLO)
        else:
            await exchange.whole(b"{}", status="401 No")

    raw.answer = answer
    async with serve(remembered) as url:
        gc.disable()
        try:
            async with Browser(url) as browser:
                assert await browser.begin() == status
                await browser.rest()
            await asyncio.sleep(1)  # of virtual time: the server is done with it
            assert made[0]() is None
        finally:
            gc.enable()


async def test_a_browser_that_reconnects_is_told_to_stop(
    serve: Serve, raw: RawServer, streams: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(streams) as url, Browser(url, last_event_id="7") as browser:
        assert await browser.begin() == 204
    assert raw.exchanges == []
    assert caplog.records == []


async def test_a_stalled_browser_whose_connection_is_reset_is_no_error(
    serve: Serve, raw: RawServer, streams: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        with suppress(ConnectionError):
            while True:
                await exchange.part(sse(chunk("x" * 100_000)))

    raw.answer = answer
    async with serve(streams) as url:
        async with Browser(url, receive_buffer=4096) as browser:
            await browser.begin()
            await asyncio.sleep(1)  # of virtual time: until all that is between them is full
        await raw.hung_up.wait()
    assert caplog.records == []


async def test_a_head_request_gets_the_headers_and_sends_no_request(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    if serve is SERVERS["fastapi"]:
        pytest.skip("a route for GET of FastAPI refuses HEAD")
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    async with serve(streams) as url, aiohttp.ClientSession() as session:
        for _ in range(2):  # on one connection, in which no body may follow
            async with session.head(url) as response:
                assert response.status == 200
                assert response.headers["x-accel-buffering"] == "no"
    assert raw.exchanges == []


@pytest.mark.parametrize("form", ["chunks", "raw"])
async def test_a_disconnect_that_the_server_only_reports_does_not_look_like_the_end(
    raw: RawServer, streams: Callable[[], Any], form: str
) -> None:
    """uvicorn 0.43 to 0.45 reports one when it shuts down."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await until_hung_up(exchange)

    raw.answer = answer
    stopping = asyncio.Event()
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await stopping.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if HELLO[0] in sent:
            stopping.set()

    scope = {"type": "http", "method": "GET", "headers": []}
    await SSEResponse(streams(), form=form)(scope, receive, send)
    assert sent[-1].startswith(b"event: error\n")
    await raw.hung_up.wait()


async def test_an_error_of_the_app_after_the_response_has_begun_is_raised(raw: RawServer) -> None:
    """Even if it is an `OSError`, which from `send` means that the browser has disconnected."""

    async def find_prompt(request: Any, send: Any) -> Any:
        await asyncio.sleep(4)
        raise FileNotFoundError("prompt.txt")

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        assert message["type"] == "http.response.start"

    scope = {"type": "http", "method": "GET", "headers": []}
    async with AsyncClient(base_url=raw.url, api_key="k", middlewares=[find_prompt]) as client:
        with pytest.raises(FileNotFoundError):
            await SSEResponse(ask(client))(scope, receive, send)


async def test_a_server_that_cannot_send_any_more_hangs_up(
    raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await until_hung_up(exchange)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if "body" in message:
            raise ConnectionResetError

    raw.answer = answer
    scope = {"type": "http", "method": "GET", "headers": []}
    await SSEResponse(streams())(scope, receive, send)
    await raw.hung_up.wait()


async def test_an_error_of_the_app_after_a_disconnect_is_raised(raw: RawServer) -> None:
    """Otherwise, asyncio would log an exception that was never retrieved."""
    asked = asyncio.Event()

    async def cleans_up_badly(request: Any, send: Any) -> Any:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("cache")

    async def receive() -> Any:
        await asked.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "headers": []}
    async with AsyncClient(base_url=raw.url, api_key="k", middlewares=[cleans_up_badly]) as client:
        with pytest.raises(KeyError, match="cache"):
            await SSEResponse(ask(client))(scope, receive, send)


async def test_a_disconnect_that_the_server_only_reports_breaks_off_what_has_no_events(
    raw: RawServer, streams: Callable[[], Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nmp3")
        await until_hung_up(exchange)

    raw.answer = answer
    sending = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await sending.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            sending.set()

    scope = {"type": "http", "method": "GET", "headers": []}
    await SSEResponse(streams(), form="raw")(scope, receive, send)
    assert [message.get("more_body") for message in sent] == [None, True]


async def test_a_failure_of_the_server_to_receive_is_raised(streams: Callable[[], Any]) -> None:
    async def receive() -> dict[str, Any]:
        raise ZeroDivisionError

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "headers": []}
    with pytest.raises(ZeroDivisionError):
        await SSEResponse(streams())(scope, receive, send)
