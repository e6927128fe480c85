"""A run of tools on its way to a browser, in each kind of web server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from openai_async import AsyncClient, ToolRun

from ..raw_server import DONE, RawServer, chunk
from ..relay.relayed import MESSAGES, answering, calling
from ..streaming.events import call
from .browser import Browser
from .servers import SERVERS, Serve

pytestmark = pytest.mark.virtual_time

ASKED = [chunk("Let me see."), calling(call(0, '{"city":"Oslo"}', "weather", "c1")), DONE]
ANSWERED = [chunk("Rain.", finish="stop"), DONE]


def run(client: AsyncClient, tool: Callable[..., Awaitable[str]]) -> ToolRun[None]:
    return client.chat.completions.run_tools(model="gpt-4o", messages=MESSAGES, tools=[tool])


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Serve:
    return SERVERS[request.param]


async def test_a_run_is_relayed_to_its_end(
    serve: Serve, raw: RawServer, raw_client: AsyncClient
) -> None:
    async def weather(city: str) -> str:
        return f"rain in {city}"

    raw.answer = answering(ASKED, ANSWERED)
    async with serve(lambda: run(raw_client, weather)) as url, Browser(url) as browser:
        assert await browser.begin() == 200
        body = await browser.rest()
    assert b'{"type":"tool_result","index":0,"content":"rain in Oslo"}' in body
    assert b'{"type":"text","text":"Rain."}' in body
    assert body.endswith(b'{"type":"done","finish_reason":"stop"}\n\n')


async def test_a_browser_that_leaves_while_a_tool_works_cancels_it(
    serve: Serve, raw: RawServer, raw_client: AsyncClient
) -> None:
    working, cancelled = asyncio.Event(), asyncio.Event()

    async def weather(city: str) -> str:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return city

    raw.answer = answering(ASKED)
    async with serve(lambda: run(raw_client, weather)) as url:
        async with Browser(url) as browser:
            await browser.begin()
            await working.wait()
        async with asyncio.timeout(1):
            await cancelled.wait()


async def test_comments_are_sent_while_a_tool_works(
    serve: Serve, raw: RawServer, raw_client: AsyncClient
) -> None:
    commented = asyncio.Event()

    async def weather(city: str) -> str:
        await commented.wait()
        return city

    raw.answer = answering(ASKED, ANSWERED)
    async with serve(lambda: run(raw_client, weather)) as url, Browser(url) as browser:
        await browser.begin()
        while await browser.part() != b":\n\n":
            pass
        commented.set()
        assert (await browser.rest()).endswith(b'"finish_reason":"stop"}\n\n')
