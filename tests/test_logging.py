"""The log: a line for each request at INFO, the bodies at DEBUG, and `OPENAI_LOG`."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import openai_async
from openai_async import (
    APIConnectionError,
    APIError,
    AsyncClient,
    Hooks,
    InvalidArgumentError,
    Request,
    Response,
    RetryPolicy,
    Send,
    StreamInterruptedError,
)
from openai_async.testing import LocalServer
from openai_async.wire import redaction

from .hook_calls import WHOLE, endless
from .raw_server import DONE, Exchange, RawServer, chunk
from .streaming.test_stream import ask

KEY = "a-secret-key-of-mine"
HI: Any = [{"role": "user", "content": "Hi"}]
Lines = Callable[[], list[str]]


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines so far at INFO, with each time as 0.00."""
    caplog.set_level(logging.INFO, "openai_async")

    def lines() -> list[str]:
        assert {record.name for record in caplog.records} <= {"openai_async"}
        return [re.sub(r"\d\.\d\d s", "0.00 s", record.getMessage()) for record in caplog.records]

    return lines


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines so far at DEBUG."""
    caplog.set_level(logging.DEBUG, "openai_async")
    return lambda: [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]


def answer(body: bytes, status: str = "200 OK") -> Callable[[Exchange], Any]:
    return lambda exchange: exchange.whole(body, status=f"{status}\r\nx-request-id: req_1")


USAGE = (
    b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "{\\"usage\\": 3}"}}],'
    b'"usage": {"prompt_tokens": 34, "completion_tokens": 12, "total_tokens": 46}}'
)


# --- INFO ---


async def test_a_request_is_a_line(raw: RawServer, raw_client: AsyncClient, info: Lines) -> None:
    raw.answer = answer(USAGE)
    await raw_client.chat.completions.create(model="gpt-4o", messages=HI)
    assert info() == [
        "POST /v1/chat/completions gpt-4o: 200 in 0.00 s, 1 attempt, req_1, 34 + 12 tokens"
    ]


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"usage": {"prompt_tokens": 1, "total_tokens": 1}}', ", 1 token"),
        (b'{"usage": {"input_tokens": 5, "output_tokens": 6}}', ", 5 + 6 tokens"),
        (b'{"usage": null}', ""),
        (b"{}", ""),
    ],
)
async def test_a_line_has_the_tokens_of_its_answer(
    raw: RawServer, raw_client: AsyncClient, info: Lines, body: bytes, tokens: str
) -> None:
    raw.answer = answer(body)
    await raw_client.request("POST", "/things?key=abc", json={"input": "x"})
    assert info() == [f"POST /v1/things: 200 in 0.00 s, 1 attempt, req_1{tokens}"]


async def test_the_tokens_of_answers_that_are_only_listed_are_not_counted_again(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = answer(b'{"object": "list", "data": [%s]}' % USAGE)
    await raw_client.chat.completions.list()
    assert info() == ["GET /v1/chat/completions: 200 in 0.00 s, 1 attempt, req_1"]


async def test_retries_have_a_line_each(raw: RawServer, info: Lines) -> None:
    async def fail_once(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            await answer(b"{}", "429 Slow down\r\nretry-after-ms: 1")(exchange)
        else:
            await answer(b"{}")(exchange)

    raw.answer = fail_once
    async with AsyncClient(base_url=raw.url, api_key=KEY) as client:
        await client.request("POST", "/chat/completions", json={"model": "gpt-4o"})
    assert info() == [
        "POST /v1/chat/completions gpt-4o: 429 RateLimitError, retry 1 of 2 in 0.00 s",
        "POST /v1/chat/completions gpt-4o: 200 in 0.00 s, 2 attempts, req_1",
    ]


async def test_a_spent_budget_is_a_line(raw: RawServer, info: Lines) -> None:
    raw.answer = answer(b"{}", "500 Broken")
    policy = RetryPolicy(budget=0)
    async with AsyncClient(base_url=raw.url, api_key=KEY, retry=policy) as client:
        with pytest.raises(APIError):
            await client.request("GET", "/models")
    assert info() == [
        "GET /v1/models: 500 InternalServerError, no retry: the budget is used up",
        "GET /v1/models: 500 InternalServerError in 0.00 s, 1 attempt, req_1",
    ]


async def test_failures_have_their_class_and_status(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = answer(b'{"error": {"message": "private"}}', "404 No")
    with pytest.raises(APIError):
        await raw_client.request("GET", "/models")

    async def hang_up(exchange: Exchange) -> None:
        exchange.abort()

    raw.answer = hang_up
    with pytest.raises(APIConnectionError):
        await raw_client.request("GET", "/models")

    def refuse(request: Request) -> None:
        raise KeyError(request.method)

    with pytest.raises(KeyError):
        await raw_client.with_options(hooks=Hooks(on_request=refuse)).request("GET", "/models")
    assert info() == [
        "GET /v1/models: 404 NotFoundError in 0.00 s, 1 attempt, req_1",
        "GET /v1/models: APIConnectionError in 0.00 s, 1 attempt",
        "GET /v1/models: KeyError in 0.00 s",
    ]


async def test_a_cancelled_request_is_a_line(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    arrived = asyncio.Event()

    async def hang(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.Event().wait()

    raw.answer = hang
    task = asyncio.create_task(raw_client.request("GET", "/models"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert info() == ["GET /v1/models: cancelled after 0.00 s"]


STREAM = "POST /v1/chat/completions gpt-4o: 200, stream"


async def test_a_stream_has_its_line_when_it_ends(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = lambda e: e.stream(*WHOLE)
    async with ask(raw_client) as stream:
        await anext(stream)
        assert info() == []
        await stream.completion()
    assert [re.sub(r"\d+ bytes", "N bytes", line) for line in info()] == [
        f"{STREAM} read whole in 0.00 s, first event after 0.00 s, 3 chunks, N bytes, 1 attempt, "
        "5 + 7 tokens"
    ]


async def test_the_line_of_a_stream_says_how_it_ended(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = endless
    async with ask(raw_client) as stream:
        await anext(stream)
    async with ask(raw_client) as stream:
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    raw.answer = lambda e: e.stream(chunk("a"))
    with pytest.raises(StreamInterruptedError):
        await ask(raw_client).completion()
    assert [line.partition(", first")[0] for line in info()] == [
        f"{STREAM} left after 0.00 s",
        f"{STREAM} cancelled after 0.00 s",
        f"{STREAM} failed after 0.00 s with StreamInterruptedError",
    ]
    assert re.search(r", 1 attempt, req_1, about \d+ \+ 1 tokens$", info()[0])


async def test_the_name_of_a_model_cannot_begin_a_line(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = answer(b"{}")
    await raw_client.request("POST", "/chat/completions", json={"model": "a\nb"})
    assert info()[0].startswith("POST /v1/chat/completions 'a\\nb': 200 in")


@pytest.mark.parametrize(
    ("field", "wrong", "line"),
    [
        ("url", "http://api.test/?key=abc", "POST ? gpt-4o: InvalidArgumentError in 0.00 s"),
        ("params", ["gpt-4o"], "POST /v1/x: 200 in 0.00 s, 1 attempt, req_1"),
    ],
    ids=["url", "params"],
)
async def test_a_wrong_value_that_a_middleware_sets_does_not_break_the_log(
    raw: RawServer, raw_client: AsyncClient, info: Lines, field: str, wrong: object, line: str
) -> None:
    async def change(request: Request, send: Send) -> Response:
        setattr(request, field, wrong)
        return await send(request)

    raw.answer = answer(b"{}")
    changed = raw_client.with_options(middlewares=[change])
    with suppress(InvalidArgumentError):
        await changed.request("POST", "/x", json={"model": "gpt-4o"})
    assert info() == [line]


async def test_a_request_id_cannot_control_the_terminal(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = lambda e: e.whole(b"{}", status="200 OK\r\nx-request-id: \x1b[2Jreq")
    await raw_client.request("GET", "/models")
    assert info() == [r"GET /v1/models: 200 in 0.00 s, 1 attempt, '\x1b[2Jreq'"]


# --- DEBUG ---


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


# --- OPENAI_LOG ---

PROGRAM = """\
import asyncio, logging, sys
from openai_async import AsyncClient, Response
exec(" ".join(sys.argv[1:]))  # what a program does to set up logging

async def answer(request, send):
    return Response(status=200, headers={}, body=b"{}")

async def main():
    async with AsyncClient(api_key="k", middlewares=[answer]) as client:
        await client.request("GET", "/models")

asyncio.run(main())
"""


def stderr_with(level: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        env={"OPENAI_LOG": level, "PYTHONPATH": str(Path(openai_async.__file__).parents[1])},
        timeout=30,
        check=True,
    )
    return done.stderr.decode()


@pytest.mark.parametrize("level", ["info", "INFO", "debug"])
def test_openai_log_shows_the_log(level: str) -> None:
    line = r"\S+ \S+ openai_async INFO GET /v1/models: 200 in \d\.\d\d s, 1 attempt\n"
    assert re.fullmatch(line, stderr_with(level))


OWN = "logging.basicConfig(format='own: %(message)s')"
OWN_OF_THE_PACKAGE = """\
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("own: %(message)s"))
logging.getLogger("openai_async").addHandler(handler)
"""


@pytest.mark.parametrize("setup", [OWN, OWN_OF_THE_PACKAGE], ids=["root", "package"])
def test_a_program_that_has_set_up_logging_shows_each_line_once(setup: str) -> None:
    line = r"own: GET /v1/models: 200 in \d\.\d\d s, 1 attempt\n"
    assert re.fullmatch(line, stderr_with("info", setup))


@pytest.mark.parametrize(
    "setup",
    [
        f"{OWN}; logging.getLogger('openai_async').propagate = False",
        "logging.getLogger().addHandler(logging.NullHandler())",
    ],
    ids=["no propagation", "null handler"],
)
def test_openai_log_shows_the_log_if_no_handler_of_the_program_does(setup: str) -> None:
    assert re.search(r" openai_async INFO GET /v1/models: 200 in ", stderr_with("info", setup))


def test_without_openai_log_nothing_is_shown() -> None:
    assert stderr_with("") == ""


def test_another_level_is_explained() -> None:
    warning = "UserWarning: OPENAI_LOG is 'warn': set it to info or debug. Nothing is logged."
    assert warning in stderr_with("warn")


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


async def test_a_line_stays_one_whatever_the_path(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    await raw_client.request("GET", "/files/a%0AINFO%20forged")
    (line,) = info()
    assert line.startswith("GET /v1/files/a%0AINFO%20forged: 200")


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
