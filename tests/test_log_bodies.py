"""The log at DEBUG: the bodies, without keys, and with long texts cut."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from openai_async import (
    APIError,
    AsyncClient,
    Request,
    Response,
    Send,
)
from openai_async.testing import LocalServer
from openai_async.wire import redaction

from .log_records import KEY, Lines, answer, debug
from .raw_server import DONE, RawServer, chunk
from .streaming.test_stream import ask

__all__ = ("debug",)


async def test_the_bodies_are_logged_without_keys(raw: RawServer, debug: Lines) -> None:
    raw.answer = answer(b'{"echo": "%s"}' % KEY.encode())
    options: Any = {"api_key": lambda: KEY, "default_headers": {"X-Api-Key": "another-secret"}}
    async with AsyncClient(base_url=raw.url, **options) as client:
        await client.request("POST", "/x", json={"input": f"{KEY} another-secret"})
    assert debug() == [
        'POST /v1/x: sending {"input":"[api_key] [api_key]"}',
        'POST /v1/x: 200, received {"echo":"[api_key]"}',
    ]


async def test_long_texts_lists_and_base64_are_cut(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    data = base64.b64encode(bytes(1000)).decode()
    raw.answer = answer(b"{}")
    body = {
        "text": "a b " * 1000,
        "url": f"data:image/png;base64,{data}",
        "data": data,
        "list": [0.5] * 1536,
        "markdown": f"![cat](data:image/png;base64,{data})",
        "words": "apple\n" * 100,
        "fields": {str(number): number for number in range(100)},
        "short": [0.5] * 50,
    }
    await raw_client.request("POST", "/x", json=body)
    sent = debug()[0]
    assert f'"text":"{"a b " * 250}… 4000 characters"' in sent
    assert '"url":"data:image/png;base64,AAAAAAAAAAAAAAAA… 1358 characters"' in sent
    assert '"data":"AAAAAAAAAAAAAAAA… 1336 characters"' in sent
    assert '0.5,"… 1536 items"]' in sent
    assert '"markdown":"![cat](data:image/png;base64,AAAAAAAAAAAAAAAA… 1366 characters"' in sent
    assert r'apple\napple\n",' in sent
    assert '"49":49,"…":"100 fields"}' in sent
    assert "0.5]" in sent
    assert len(sent) < 4000


async def test_bodies_that_are_not_json_are_shown_as_far_as_they_are_text(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    raw.answer = answer(b"plain\nwords")
    await raw_client.request("POST", "/x", content=bytes(9))
    await raw_client.request("GET", "/x")
    assert debug() == [
        "POST /v1/x: sending <9 bytes>",
        'POST /v1/x: 200, received "plain\\nwords"',
        "GET /v1/x: sending no body",
        'GET /v1/x: 200, received "plain\\nwords"',
    ]


@pytest.mark.parametrize("kind", [str, bytearray, memoryview])
async def test_the_body_that_a_middleware_sets_is_logged_without_keys(
    raw: RawServer, debug: Lines, kind: type
) -> None:
    async def change(request: Request, send: Send) -> Response:
        text = f'{{"input": "{KEY}"}}'
        body: Any = text if kind is str else kind(text.encode())
        request.body = body
        return await send(request)

    raw.answer = answer(b"{}")
    async with AsyncClient(base_url=raw.url, api_key=KEY, middlewares=[change]) as client:
        await client.request("POST", "/x", json={})
    assert debug()[0] == 'POST /v1/x: sending {"input":"[api_key]"}'


async def test_what_is_nested_deep_is_left_out(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    raw.answer = answer(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}")
    await raw_client.request("GET", "/x")
    shown = "[" * 49 + '"…"' + "]" * 49
    assert debug()[1] == f'GET /v1/x: 200, received {{"a":{shown}}}'


async def test_a_form_and_a_refusal_are_logged(
    raw: RawServer, raw_client: AsyncClient, debug: Lines, tmp_path: Path
) -> None:
    raw.answer = answer(b'{"error": {"message": "local is not a key"}}', "401 No")
    (tmp_path / "a.txt").write_text("secret content", encoding="utf-8")
    with pytest.raises(APIError):
        await raw_client.files.create(file=tmp_path / "a.txt", purpose="user_data")
    sent, received = debug()
    assert sent.startswith("POST /v1/files: sending ")
    assert "secret content" not in sent
    assert received == (
        "POST /v1/files: 401 AuthenticationError, received "
        '{"error":{"message":"local is not a key"}}'
    )


async def test_a_stream_is_logged_once_as_its_completion(raw: RawServer, debug: Lines) -> None:
    raw.answer = lambda e: e.stream(chunk(f"a {KEY}"), chunk("b", finish="stop"), DONE)
    async with AsyncClient(base_url=raw.url, api_key=KEY) as client:
        async for _ in ask(client):
            pass
    opening, opened, completion = debug()
    assert opening.startswith('POST /v1/chat/completions gpt-4o: sending {"model":"gpt-4o"')
    assert opened == "POST /v1/chat/completions gpt-4o: 200, received a stream"
    assert '"content":"a [api_key]b"' in completion


async def test_nothing_is_computed_if_nothing_is_logged(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError

    for module in ("middleware.logged", "http.log_lines", "middleware.retry"):
        monkeypatch.setattr(f"openai_async.{module}.named", fail)
    async with AsyncClient(base_url=server.url, api_key=KEY) as client:
        await client.models.list()
        await ask(client).completion()


async def test_the_keys_of_other_services_are_not_shown(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    raw.answer = answer(b'{"tools": [{"client_secret": "hidden-4"}], "token": "Hel"}')
    tool = {"type": "mcp", "authorization": "hidden-1", "headers": {"X-API-Key": "hidden-2"}}
    keys = {"api_key": "hidden-3", "access_token": "hidden-5", "password": "hidden-6"}
    body = {**keys, "APIKey": "hidden-7", "tools": [tool]}
    await raw_client.request("POST", "/responses", json=body)
    assert "hidden" not in "".join(debug())
    assert '"token":"Hel"' in "".join(debug())


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Oslo", "api_key": "hidden"}',
        '{\\"password\\": \\"hidden\\"}',
        'curl -H "Authorization: Bearer hidden"',
        "Incorrect token: Bearer hidden-hidden-hidden",
        "https://api.test/v1?access_token=hidden&x=1",
        "http://user:hidden@proxy:3128",
        "sk-proj-hidden-hidden-hidden",
    ],
    ids=["json", "escaped", "header", "bearer", "query", "password", "pasted"],
)
async def test_keys_within_texts_are_not_shown(
    raw: RawServer, raw_client: AsyncClient, debug: Lines, text: str
) -> None:
    raw.answer = lambda exchange: exchange.whole(text.encode(), status="400 No")
    with pytest.raises(APIError):
        await raw_client.request("POST", "/x", json={"arguments": text})
    assert len(debug()) == 2
    assert all("hidden" not in line and "[secret]" in line for line in debug())


async def test_words_about_keys_are_shown(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    raw.answer = answer(b"{}")
    text = "The Bearer of news at http://host:8080/a@b has a secret and 4 max_tokens=5."
    schema = {"properties": {"password": {"type": "string"}}}
    await raw_client.request("POST", "/x", json={"input": text, "parameters": schema})
    assert debug()[0] == (
        f'POST /v1/x: sending {{"input":"{text}",'
        '"parameters":{"properties":{"password":{"type":"string"}}}}'
    )


async def test_what_is_not_quite_json_is_shown_too(
    raw: RawServer, raw_client: AsyncClient, debug: Lines
) -> None:
    raw.answer = answer(b'{"logprob": NaN, "half": "\\ud83d"}')
    await raw_client.request("GET", "/x")
    assert debug()[1] == 'GET /v1/x: 200, received {"logprob":NaN,"half":"\\ud83d"}'


async def test_what_is_cut_off_is_not_searched_for_keys(
    raw: RawServer, debug: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redacting each number of an answer with vectors took twelve times as long as parsing it."""
    looked: list[object] = []
    replace = redaction._without

    def count(value: Any, key: str) -> Any:
        looked.append(value)
        return replace(value, key)

    monkeypatch.setattr(redaction, "_without", count)
    raw.answer = answer(b"[%s]" % b",".join([b'"x"'] * 10_000))
    async with AsyncClient(base_url=raw.url, api_key=KEY) as client:
        await client.request("GET", "/x")
    assert "10000 items" in debug()[1]
    assert 0 < len(looked) < 100
