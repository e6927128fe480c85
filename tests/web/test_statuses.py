"""The status of a response whose answer failed before it began, and what its body says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openai_async import AsyncClient, Conversation, InvalidArgumentError, Request

from ..raw_server import RawServer
from .browser import Browser
from .servers import SERVERS
from .test_relaying import HELLO, ask

pytestmark = pytest.mark.virtual_time


async def refusal(client: AsyncClient, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status, and the error object in the body."""
    async with SERVERS["aiohttp"](lambda: ask(client), **options) as url, Browser(url) as browser:
        status = await browser.begin()
        assert browser.headers["content-type"] == "application/json"
        assert browser.headers["cache-control"] == "no-store"
        return status, json.loads(await browser.rest())["error"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (599, "server_error"),
    ],
)
async def test_the_status_is_that_of_the_server_and_the_type_that_of_the_api(
    raw: RawServer, raw_client: AsyncClient, status: int, kind: str
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status=f"{status} No")
    answered, error = await refusal(raw_client)
    assert answered == status
    assert error.pop("message").startswith("The ")
    assert error == {"type": kind, "param": None, "code": None}


@pytest.mark.parametrize("status", [304, 600])
async def test_a_status_that_is_no_error_for_a_browser_is_a_502(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"", status=f"{status} No")
    assert (await refusal(raw_client))[0] == 502


@pytest.mark.parametrize("form", ["chunks", "raw"])
async def test_a_closed_client_is_a_503(raw_client: AsyncClient, form: str) -> None:
    await raw_client.close()
    status, error = await refusal(raw_client, form=form)
    assert status == 503
    assert error["message"] == "The request could not be made."


async def test_a_conversation_in_the_middle_of_a_turn_is_a_409(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """As when its user asks in a second tab. The service is not down, which 503 would say."""
    raw.answer = lambda exchange: exchange.stream(*HELLO)
    conversation = Conversation(raw_client, model="gpt-4o")
    first = conversation.stream("Hi")
    await anext(first)
    second = conversation.stream("And?")
    async with SERVERS["aiohttp"](lambda: second) as url, Browser(url) as browser:
        assert await browser.begin() == 409
        error = json.loads(await browser.rest())["error"]
    assert error["message"] == "The request conflicts with another one."
    await first.aclose()


async def test_an_early_error_is_a_warning_in_the_log(
    raw: RawServer, raw_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status="401 No")
    await refusal(raw_client)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("openai_async", "WARNING")
    assert record.getMessage().startswith("Not relayed: HTTP 401")


@pytest.mark.parametrize("bug", [ZeroDivisionError, InvalidArgumentError])
async def test_a_bug_is_for_the_framework_to_report(raw: RawServer, bug: type[Exception]) -> None:
    async def buggy(request: Request, send: Any) -> Any:
        raise bug

    async with (
        AsyncClient(base_url=raw.url, api_key="local", middlewares=[buggy]) as client,
        SERVERS["aiohttp"](lambda: ask(client)) as url,
        Browser(url) as browser,
    ):
        assert await browser.begin() == 500


@pytest.mark.parametrize("bug", [ZeroDivisionError, ConnectionError])
@pytest.mark.parametrize("server", ["aiohttp", "hypercorn"])
async def test_a_bug_after_the_response_has_begun_does_not_look_like_its_end(
    raw: RawServer, server: str, bug: type[Exception]
) -> None:
    async def buggy(request: Request, send: Any) -> Any:
        await asyncio.sleep(4)
        raise bug

    async with (
        AsyncClient(base_url=raw.url, api_key="local", middlewares=[buggy]) as client,
        SERVERS[server](lambda: ask(client)) as url,
        Browser(url) as browser,
    ):
        assert await browser.begin() == 200
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ValueError)):
            await browser.rest()
