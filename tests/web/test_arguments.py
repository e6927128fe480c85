"""The arguments of `sse_response` and `SSEResponse`: what they do, and what is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.web import Broadcast, SSEResponse

from ..raw_server import RawServer
from .browser import Browser
from .servers import SERVERS, Serve
from .test_relaying import HELLO, ask, serve, streams

__all__ = ("serve", "streams")

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "json"}, r'form is .json.: pass "chunks", "text", "ui" or "raw"'),
        ({"first_event": -1}, r"first_event is -1: pass a number of seconds, 0 or more"),
        ({"first_event": "3"}, r"first_event is .3.: pass a number of seconds"),
        ({"keep_alive": 0.01}, r"keep_alive is 0.01: pass at least 0.1 seconds"),
        ({"headers": ["a"]}, r"Headers have type list"),
        ({"headers": {"a": 1}}, r"Header .a. is not text"),
        ({"headers": {"a": "b\r\nc: d"}}, r"contains a line break"),
    ],
    ids=["form", "negative", "first_event", "keep_alive", "list", "number", "line break"],
)
async def test_a_wrong_argument_is_refused_before_anything_is_sent(
    raw: RawServer, streams: Callable[[], Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        SSEResponse(streams(), **arguments)
    assert raw.exchanges == []


async def test_an_answer_that_is_not_streamed_is_refused(raw_client: AsyncClient) -> None:
    asked: Any = raw_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
    )
    with pytest.raises(InvalidArgumentError, match=r"call create\(\.\.\., stream=True\)"):
        SSEResponse(asked)


def test_what_is_not_a_stream_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^stream has type str: pass what create"):
        SSEResponse("Hi")  # type: ignore[arg-type]


async def test_a_stream_that_has_been_read_is_refused(
    raw: RawServer, streams: Callable[[], Any]
) -> None:
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    stream = streams()
    await stream.completion()
    with pytest.raises(InvalidArgumentError, match="nothing left to relay"):
        SSEResponse(stream)


async def test_a_response_that_has_been_sent_is_refused(
    raw: RawServer, streams: Callable[[], Any]
) -> None:
    """The second browser would take the nothing that is left for a complete answer."""
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    response = SSEResponse(streams())

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "headers": []}
    await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="make one for each request"):
        await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]


async def test_headers_of_the_app_replace_those_of_the_relay(
    serve: Serve, raw: RawServer, streams: Callable[[], Any]
) -> None:
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    own = {"cache-control": "no-store", "X-Answer": "7"}
    async with serve(streams, headers=own) as url, Browser(url) as browser:
        await browser.begin()
    assert browser.headers.getall("cache-control") == ["no-store"]
    assert browser.headers["x-answer"] == "7"


@pytest.mark.parametrize(("last_event_id", "status"), [("", 429), ("7", 204)])
async def test_headers_of_the_app_are_in_responses_without_a_stream_too(
    serve: Serve, raw: RawServer, streams: Callable[[], Any], last_event_id: str, status: int
) -> None:
    """Without those for CORS, a page could not read the error."""
    raw.answer = lambda exchange: exchange.whole(b"{}", status="429 No")
    async with (
        serve(streams, headers={"Access-Control-Allow-Origin": "*"}) as url,
        Browser(url, last_event_id=last_event_id) as browser,
    ):
        assert await browser.begin() == status
        assert browser.headers["access-control-allow-origin"] == "*"


def test_headers_of_the_app_are_sent_without_starlette() -> None:
    code = """
import asyncio, sys
sys.modules["starlette.responses"] = None
from openai_async import AsyncClient
from openai_async.web import SSEResponse

async def main():
    async with AsyncClient(base_url="http://127.0.0.1:1", api_key="local") as client:
        stream = client.stream("POST", "/responses", json={})
        async def send(message):
            print(message.get("headers"))
        scope = {"type": "http", "method": "HEAD", "headers": []}
        await SSEResponse(stream, headers={"X-Answer": "7"})(scope, None, send)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert "(b'x-answer', b'7')" in done.stdout, done.stderr
    assert "(b'content-type', b'text/event-stream; charset=utf-8')" in done.stdout


async def test_a_background_task_follows_the_response(
    raw: RawServer, streams: Callable[[], Any]
) -> None:
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    ended = asyncio.Event()

    async def background() -> None:
        ended.set()

    async with SERVERS["starlette"](streams, background=background) as url, Browser(url) as browser:
        await browser.begin()
        await browser.rest()
        await ended.wait()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": 5}, "id is 5: pass a string"),
        ({"id": ""}, "id is .*: pass a string"),
        ({"store": {}}, "store has type dict: pass a BroadcastStore"),
        ({"idle": 0}, "idle is 0: pass a number of seconds above 0"),
        ({"idle": "9"}, "idle is '9': pass a number of seconds above 0"),
    ],
    ids=["id", "empty-id", "store", "idle", "idle-text"],
)
async def test_a_wrong_argument_of_a_broadcast_is_refused(
    raw_client: AsyncClient, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Broadcast(ask(raw_client), **arguments)
