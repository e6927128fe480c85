"""Headers that are omitted, and API keys in headers."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import pytest

from openai_async import APIError, AsyncClient, InvalidArgumentError, Request, Response, Send

from .raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

Headers = Mapping[str, str | None]


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"data": []}')


async def sent(raw: RawServer, default: Headers | None, extra: Headers | None) -> dict[str, str]:
    """What goes over the wire of a GET."""
    raw.answer = ok
    async with AsyncClient(
        base_url=raw.url,
        api_key="sk-test-0123456789",
        organization="org-1",
        project="proj-1",
        default_headers=default,
    ) as client:
        await client.models.list(extra_headers=extra)
    return raw.exchanges[-1].headers


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("by_call", [False, True])
async def test_no_authorization_is_sent_if_it_is_none(
    raw: RawServer, name: str, by_call: bool
) -> None:
    headers: Headers = {name: None, "X-API-Key": "k"}
    seen = await sent(raw, None if by_call else headers, headers if by_call else None)
    assert "authorization" not in seen
    assert seen["x-api-key"] == "k"


@pytest.mark.parametrize(
    "name",
    ["User-Agent", "Accept", "Accept-Encoding", "OpenAI-Organization", "OpenAI-Project", "X-Team"],
)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
async def test_none_removes_any_header_of_ours_of_the_defaults_and_of_aiohttp(
    raw: RawServer, name: str, spell: Any
) -> None:
    default = {"X-Team": "search"}
    assert name.lower() in await sent(raw, default, None)
    assert name.lower() not in await sent(raw, default, {spell(name): None})


async def test_the_content_type_of_a_body_can_be_removed(raw: RawServer) -> None:
    raw.answer = ok
    async with AsyncClient(
        base_url=raw.url, api_key="k", default_headers={"content-type": None}
    ) as client:
        await client.request("POST", "/x", json={})
        assert "content-type" not in raw.exchanges[0].headers
        await client.request("POST", "/x", json={}, extra_headers={"Content-Type": "text/x"})
        assert raw.exchanges[1].headers["content-type"] == "text/x"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "User-Agent", "X-Team"])
async def test_a_call_may_put_back_what_the_defaults_remove(raw: RawServer, name: str) -> None:
    seen = await sent(raw, {name: None}, {name.upper(): "Mine abc"})
    assert seen[name.lower()] == "Mine abc"


async def test_removing_lasts_one_call(raw: RawServer) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await client.models.list(extra_headers={"Authorization": None})
        await client.models.list()
    assert ["authorization" in exchange.headers for exchange in raw.exchanges] == [False, True]


async def test_a_copy_may_remove_it_or_put_it_back(raw: RawServer) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        without = client.with_options(default_headers={"Authorization": None})
        await without.models.list()
        await without.with_options(timeout=5).models.list()
        await without.with_options(default_headers=None).models.list()
    seen = ["authorization" in exchange.headers for exchange in raw.exchanges]
    assert seen == [False, False, True]


async def test_a_key_function_is_not_asked_for_a_key_that_is_not_sent(raw: RawServer) -> None:
    raw.answer = ok
    asked = []

    def key() -> str:
        asked.append(1)
        return "k"

    async with AsyncClient(base_url=raw.url, api_key=key) as client:
        await client.models.list(extra_headers={"Authorization": None})
        await client.models.list(extra_headers={"Authorization": "Basic abc"})
        assert asked == []
        await client.models.list()
        assert asked == [1]


@pytest.mark.parametrize("headers", [{"Authorization": None}, {"authorization": "Basic abc"}])
async def test_no_key_is_needed_if_none_is_sent(raw: RawServer, headers: Headers) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, default_headers=headers) as client:
        await client.models.list()
        await client.with_options(timeout=5).models.list()
        with pytest.raises(InvalidArgumentError, match="API key"):
            client.with_options(default_headers=None)
    assert raw.exchanges[0].headers.get("authorization") == headers.get("authorization")


async def test_none_for_the_key_still_means_the_environment(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.answer = ok
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    async with AsyncClient(base_url=raw.url, api_key=None) as client:
        await client.models.list()
    assert raw.exchanges[0].headers["authorization"] == "Bearer sk-env"


async def test_a_middleware_sees_what_is_removed_and_may_put_it_back(raw: RawServer) -> None:
    raw.answer = ok

    async def put_back(request: Request, send: Send) -> Response:
        assert request.removed == {"authorization"}
        request.headers["Authorization"] = "Bearer mine"
        return await send(request)

    async with AsyncClient(
        base_url=raw.url, default_headers={"Authorization": None}, middlewares=[put_back]
    ) as client:
        await client.models.list()
    assert raw.exchanges[0].headers["authorization"] == "Bearer mine"


async def test_a_value_that_is_not_ascii_is_sent_as_utf_8(raw: RawServer) -> None:
    seen = await sent(raw, {"X-Title": "Café 😀"}, None)
    assert seen["x-title"].encode("latin-1").decode() == "Café 😀"


@pytest.mark.parametrize("value", ["half \ud83d", "\udc00"])
async def test_a_lone_surrogate_in_a_header_of_a_call_is_refused(
    raw: RawServer, value: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="X-Title"):
        await sent(raw, None, {"X-Title": value})
    assert not raw.exchanges


# --- keys in headers ---

ECHO = "x-own-secret-0123456789"


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"X-API-Key": ECHO}, ECHO),
        ({"api-key": ECHO}, ECHO),
        ({"x-goog-api-key": ECHO}, ECHO),
        ({"Ocp-Apim-Subscription-Key": ECHO}, ECHO),
        ({"Authorization": ECHO}, ECHO),
        ({"Authorization": f"Bearer {ECHO}"}, ECHO),
        ({"Authorization": f"Bearer two words {ECHO}"}, f"two words {ECHO}"),
        ({"Proxy-Authorization": f"Basic {ECHO}"}, ECHO),
        ({"Authorization": None, "X-API-Key": ECHO}, ECHO),
        ({"X-API-Key": f"sk-test-0123456789{ECHO}"}, f"sk-test-0123456789{ECHO}"),
        ({}, "sk-test-0123456789"),
        ({"X-API-Key": ECHO}, "sk-test-0123456789"),
    ],
)
@pytest.mark.parametrize("by_call", [False, True])
@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK"])
async def test_no_error_shows_a_key_in_a_header(
    raw: RawServer, headers: Headers, secret: str, by_call: bool, status: str
) -> None:
    body = b'{"error": {"message": "not known: %s"}}' % secret.encode()
    raw.answer = lambda exchange: exchange.whole(body, status=status)
    async with AsyncClient(
        base_url=raw.url,
        api_key="sk-test-0123456789",
        max_retries=0,
        default_headers=None if by_call else headers,
    ) as client:
        with pytest.raises(APIError) as caught:
            await client.models.list(extra_headers=headers if by_call else None)
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert secret in raw.exchanges[0].head
    assert "not known: [api_key]" in shown
    assert secret not in shown
    assert ECHO not in shown


@pytest.mark.parametrize("name", ["key", "api_key", "API-Key", "subscription-key", "access_token"])
@pytest.mark.parametrize("answers", ["its path", "the key", "a redirect", "nonsense"])
@pytest.mark.parametrize("by_call", [False, True])
async def test_no_error_shows_a_key_in_the_query(
    raw: RawServer, name: str, answers: str, by_call: bool
) -> None:
    key = "abc+def/ghi=12345"

    async def answer(exchange: Exchange) -> None:
        target = exchange.head.split()[1]
        if answers == "nonsense":
            await exchange.send(b"SSH-2.0\r\n\r\n")
        elif answers == "a redirect":
            head = f"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.test{target}\r\n"
            await exchange.send(f"{head}Content-Length: 0\r\n\r\n".encode())
        else:
            said = target if answers == "its path" else key
            body = b'{"error": {"message": "not known: %s"}}' % said.encode()
            await exchange.whole(body, status="404 Not Found")

    raw.answer = answer
    query = {name: key}
    async with AsyncClient(
        base_url=raw.url,
        api_key="sk-test-0123456789",
        max_retries=0,
        default_query=None if by_call else query,
    ) as client:
        with pytest.raises(APIError) as caught:
            await client.models.list(extra_query=query if by_call else None)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error))
    shown += repr(getattr(error.__cause__, "request_info", ""))
    assert "12345" in raw.exchanges[0].head
    assert "12345" not in shown


@pytest.mark.parametrize("name", ["X-API-Key", "Authorization"])
async def test_the_cause_of_an_error_holds_no_key_of_a_header(raw: RawServer, name: str) -> None:
    raw.answer = lambda exchange: exchange.send(b"SSH-2.0\r\n\r\n")
    async with AsyncClient(
        base_url=raw.url, api_key="k", max_retries=0, default_headers={name: ECHO}
    ) as client:
        with pytest.raises(APIError) as caught:
            await client.models.list()
    cause = caught.value.__cause__
    assert ECHO in raw.exchanges[0].head
    assert ECHO not in f"{cause!r} {vars(cause)}"


@pytest.mark.parametrize(
    ("headers", "warned"),
    [
        ({}, True),
        ({"Authorization": None}, False),
        ({"Authorization": None, "X-API-Key": ECHO}, True),
        ({"Authorization": "Basic x"}, False),
    ],
)
def test_there_is_no_warning_if_no_key_is_sent_in_clear_text(
    headers: Headers, warned: bool
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AsyncClient(
            base_url="http://gpu-box/v1", api_key="sk-test-0123456789", default_headers=headers
        )
    assert len(caught) == warned
