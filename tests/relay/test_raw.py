"""What a browser gets of an answer in the form "raw": the server's bytes, and how they ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_async import AsyncClient

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..web.browser import Browser
from ..web.servers import SERVERS
from ..web.test_relaying import until_hung_up
from .relayed import MESSAGES

pytestmark = pytest.mark.virtual_time

FIRST = sse(chunk("Hel"))
BROKE_OFF = (
    b'event: error\ndata: {"error":{"message":"The answer broke off before it was complete.",'
    b'"type":"server_error","param":null,"code":null}}\n\n'
)


@pytest.fixture
def stream(raw_client: AsyncClient) -> Any:
    return raw_client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)


async def read(stream: Any, **options: Any) -> bytes:
    return b"".join([data async for data in stream.sse(form="raw", **options)])


async def test_bytes_are_relayed_as_they_come(stream: Any, raw: RawServer) -> None:
    sent = b": hello\r\n\r\nevent: message\r\ndata:" + FIRST[5:] + DONE
    raw.answer = lambda exchange: exchange.stream(sent)
    assert await read(stream) == sent


@pytest.mark.parametrize(
    ("sent", "between"),
    [(FIRST, b""), (FIRST[:-1], b"\n\n"), (FIRST + b"data: {", b"\n\n")],
    ids=["after-an-event", "in-a-blank-line", "in-an-event"],
)
@pytest.mark.parametrize("how", ["ends", "is-reset"])
async def test_events_that_break_off_are_followed_by_an_error(
    stream: Any, raw: RawServer, sent: bytes, between: bytes, how: str
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sent)
        if how == "ends":
            await exchange.end()
        else:
            exchange.abort()

    raw.answer = answer
    assert await read(stream) == sent + between + BROKE_OFF


async def test_its_content_type_is_that_of_the_server(stream: Any, raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"mp3", content_type="audio/mpeg")
    relay = stream.sse(form="raw")
    await relay.begin(3)
    assert relay.headers["Content-Type"] == "audio/mpeg"
    assert relay.headers["Cache-Control"] == "no-cache, no-transform"
    assert [data async for data in relay] == [b"mp3"]


async def test_a_stream_that_falls_silent_is_followed_by_an_error(
    stream: Any, raw: RawServer
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(FIRST)
        await until_hung_up(exchange)

    raw.answer = answer
    body = await read(stream, keep_alive=None)
    assert body.startswith(FIRST + b"event: error\n")
    assert b"The service took too long to answer." in body


async def test_an_answer_of_a_kind_without_an_end_marker_is_complete(
    raw_client: AsyncClient, raw: RawServer
) -> None:
    sent = sse({"type": "image_generation.completed", "b64_json": "AAAA"})
    raw.answer = lambda exchange: exchange.stream(sent)
    stream = raw_client.stream("POST", "/images/generations", json={"stream": True})
    assert b"".join([data async for data in stream.sse()]) == sent


@pytest.mark.parametrize("server", ["aiohttp", "starlette"])
async def test_an_early_error_has_the_text_of_the_server_but_not_the_key(
    raw: RawServer, server: str
) -> None:
    sent = b'{"error":{"message":"No model gpt-4o for %b.","code":"model_not_found"}}'
    raw.answer = lambda exchange: exchange.whole(sent % b"sk-1234567890", status="404 No")
    async with AsyncClient(base_url=raw.url, api_key="sk-1234567890") as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        async with SERVERS[server](lambda: stream, form="raw") as url, Browser(url) as browser:
            assert await browser.begin() == 404
            assert await browser.rest() == sent % b"[api_key]"


async def test_an_early_error_that_is_not_json_has_a_safe_text(stream: Any, raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"<h1>10.0.0.1</h1>", status="403 No")
    async with SERVERS["aiohttp"](lambda: stream, form="raw") as url, Browser(url) as browser:
        assert await browser.begin() == 403
        assert json.loads(await browser.rest())["error"]["message"].startswith("The service")
