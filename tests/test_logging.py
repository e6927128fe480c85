"""The log at INFO: a line for each request."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

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

from .hook_calls import WHOLE, endless
from .log_records import HI, KEY, Lines, answer, info
from .raw_server import Exchange, RawServer, chunk
from .streaming.test_stream import ask

__all__ = ("info",)


USAGE = (
    b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "{\\"usage\\": 3}"}}],'
    b'"usage": {"prompt_tokens": 34, "completion_tokens": 12, "total_tokens": 46}}'
)


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


async def test_a_line_stays_one_whatever_the_path(
    raw: RawServer, raw_client: AsyncClient, info: Lines
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    await raw_client.request("GET", "/files/a%0AINFO%20forged")
    (line,) = info()
    assert line.startswith("GET /v1/files/a%0AINFO%20forged: 200")
