"""The usage of a stream: asked for where the server takes the question, and never in the way."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from typing import Any

import msgspec
import pytest

from openai_async import (
    APIStatusError,
    AsyncClient,
    BadRequestError,
    OpenAIError,
    Request,
    Response,
    RetryPolicy,
    Send,
    StreamInterruptedError,
)
from openai_async.resources.usage_refusals import MAX_DOUBTS, MAX_PLACES
from openai_async.testing import LocalServer
from openai_async.types.chat import CompletionUsage

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .test_stream import ask, texts

pytestmark = pytest.mark.virtual_time

QUESTION = {"include_usage": True}
TOKENS = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
USAGE: dict[str, Any] = {**chunk(), "choices": [], "usage": TOKENS}


def body(exchange: Exchange) -> Any:
    return msgspec.json.decode(exchange.body)


def asked(raw: RawServer) -> list[bool]:
    """Which requests have asked for the usage."""
    return [body(exchange).get("stream_options") == QUESTION for exchange in raw.exchanges]


async def answer(exchange: Exchange) -> None:
    await exchange.stream(chunk("Hi"), chunk(finish="stop"), USAGE, DONE)


# What servers answer that do not know `stream_options`.
MISTRAL: dict[str, object] = {
    "object": "error",
    "message": {
        "detail": [
            {
                "type": "extra_forbidden",
                "loc": ["body", "stream_options", "include_usage"],
                "msg": "Extra inputs are not permitted",
                "input": True,
            }
        ]
    },
}
AZURE: dict[str, object] = {
    "error": {"message": "Validation error at #/stream_options: Extra inputs are not permitted"}
}
OLD_AZURE: dict[str, object] = {
    "error": {"message": "Unrecognized request argument supplied: stream_options"}
}
NEW_API: dict[str, object] = {
    "error": {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options"}
}
GATEWAY: dict[str, object] = {
    "detail": [{"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}]
}
UNKNOWN_FIELD = 'unknown field "stream_options"'
VLLM = "{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'input': {}}"
REFUSALS = [
    ("422 Unprocessable", MISTRAL),
    ("400 Bad Request", AZURE),
    ("400 Bad Request", OLD_AZURE),
    ("400 Bad Request", NEW_API),
    ("422 Unprocessable", GATEWAY),
    ("400 Bad Request", {"error": "unknown field in request"}),
    ("501 Not Implemented", {"error": {"message": "stream_options is not implemented"}}),
    # continuedev/continue 12936, BerriAI/litellm 11696 and 9916, higress-group/higress 3041
    ("400 Bad Request", {"error_code": "BAD_REQUEST", "message": f"json: {UNKNOWN_FIELD}"}),
    ("400 Bad Request", {"error": {"code": "Invalid input", "message": json.dumps(MISTRAL)}}),
    ("400 Bad Request", {"message": "extraneous key [include_usage] is not permitted"}),
    ("400 Bad Request", {"object": "error", "message": f"[{VLLM}]", "param": None, "code": 400}),
]
# What does not say what it is about.
OPAQUE = [
    ("400 Bad Request", {"error_code": "BAD_REQUEST", "message": "extra inputs"}),
    ("400 Bad Request", {"error": {"message": "Bad Request", "param": None, "code": 400}}),
    ("400 Bad Request", {"message": "The user's model provider refused the request."}),
    ("422 Unprocessable", {}),
    ("400 Bad Request", "invalid request"),
    ("400 Bad Request", b"<html><head><title>400 Bad Request</title></head></html>"),
    ("400 Bad Request", b""),
]


def refusing(status: str, error: object) -> Any:
    text = error if isinstance(error, bytes) else msgspec.json.encode(error)

    async def refuse(exchange: Exchange) -> None:
        if "stream_options" in body(exchange):
            await exchange.whole(text, status=status)
        else:
            await exchange.stream(chunk("Hi"), chunk(finish="stop"), DONE)

    return refuse


# --- where the server takes the question --------------------------------------------------------


async def test_usage_is_asked_for_and_in_the_completion(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answer
    stream = ask(raw_client)
    completion = await stream.completion()
    assert asked(raw) == [True]
    assert completion.usage == stream.usage == CompletionUsage.from_dict(TOKENS)
    assert completion.usage is not None
    assert not completion.usage.estimated


async def test_a_loop_does_not_meet_a_chunk_without_choices_that_it_has_not_asked_for(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Programs read `chunk.choices[0]`; llama.cpp used to send the chunk to all of them."""
    raw.answer = answer
    stream = ask(raw_client)
    assert [one.choices[0].delta.content async for one in stream] == ["Hi", None]
    assert stream.usage is not None
    assert stream.usage.total_tokens == 12


async def test_a_caller_who_asks_gets_the_chunk(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answer
    chunks = [one async for one in ask(raw_client, stream_options=QUESTION)]
    assert [len(one.choices) for one in chunks] == [1, 1, 0]
    assert chunks[-1].usage is not None


async def test_other_chunks_without_choices_are_given_out(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Azure's first one is about the prompt."""
    first = {**chunk(), "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    raw.answer = lambda e: e.stream(first, {**chunk("Hi", finish="stop"), "usage": TOKENS}, DONE)
    chunks = [one async for one in ask(raw_client)]
    assert [len(one.choices) for one in chunks] == [0, 1]
    assert chunks[1].usage is not None


async def test_a_plain_call_does_not_ask(server: LocalServer, client: AsyncClient) -> None:
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert "stream_options" not in server.requests[0].json


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
        ({"stream_options": None}, None),
        ({"extra_body": {"stream_options": {}}}, {}),
    ],
)
async def test_what_the_caller_passes_is_sent_as_it_is(
    raw: RawServer, raw_client: AsyncClient, params: Any, sent: object
) -> None:
    raw.answer = answer
    chunks = [one async for one in ask(raw_client, **params)]
    assert body(raw.exchanges[0])["stream_options"] == sent
    assert len(chunks[-1].choices) == 0, "a chunk was hidden that we have not asked for"


async def test_the_rest_of_the_body_is_as_ever(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answer
    await ask(raw_client, temperature=0, extra_body={"top_k": 3}).completion()
    assert body(raw.exchanges[0]) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
        "stream": True,
        "top_k": 3,
        "stream_options": QUESTION,
    }


async def test_usage_that_only_we_have_asked_for_may_be_missing(
    raw: RawServer, raw_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "openai_async")

    async def cut(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hi", finish="stop")))
        exchange.writer.close()  # in the middle of the body

    raw.answer = cut
    assert (await ask(raw_client).completion()).text == "Hi"
    assert {record.levelname for record in caplog.records} == {"DEBUG", "INFO"}
    # The body of the request and the completion are logged too; the question is in the former.
    assert "without the usage" not in caplog.text
    assert "stream read whole" in caplog.text
    with pytest.raises(StreamInterruptedError):
        await ask(raw_client, stream_options=QUESTION).completion()


async def test_usage_that_only_we_have_asked_for_is_not_waited_for(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hi", finish="stop")))
        await asyncio.Event().wait()

    raw.answer = silent
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await ask(raw_client).completion()).usage is None
    assert loop.time() - began == pytest.approx(10, abs=0.1)  # as without the question


# --- where it does not --------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error"), REFUSALS + OPAQUE)
async def test_a_server_that_refuses_is_asked_once_without_using_up_a_retry(
    raw: RawServer, raw_client: AsyncClient, waits: list[float], status: str, error: object
) -> None:
    raw.answer = refusing(status, error)
    assert await texts(ask(raw_client)) == ["Hi"]  # with max_retries=0
    assert await texts(ask(raw_client)) == ["Hi"]
    assert asked(raw) == [True, False, False]
    assert waits == []


async def test_the_time_of_a_call_counts_from_its_first_request(raw: RawServer) -> None:
    raw.answer = refusing("422 No", MISTRAL)
    started: list[float] = []

    async def spy(request: Request, send: Send) -> Response:
        started.append(request.started)
        return await send(request)

    async with AsyncClient(base_url=raw.url, api_key="k", middlewares=[spy]) as client:
        await ask(client).completion()
    first, second = started
    assert first == second


async def test_the_request_is_sent_again_as_it_was(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = refusing("422 No", MISTRAL)
    messages = [{"role": "user", "content": "Hi"}]
    create: Any = raw_client.chat.completions.create
    stream = create(model="m", messages=messages, stream=True)
    messages.append({"role": "user", "content": "too late"})
    await stream
    first, second = map(body, raw.exchanges)
    assert first == {**second, "stream_options": QUESTION}
    assert len(second["messages"]) == 1
    assert stream.meta.attempts == 2


async def test_copies_of_a_client_know_what_it_has_learned(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = refusing("422 No", MISTRAL)
    await ask(raw_client.with_options(max_retries=1)).completion()
    await ask(raw_client).completion()
    assert asked(raw) == [True, False, False]
    async with AsyncClient(base_url=raw.url, api_key="k") as another:
        await ask(another).completion()
    assert asked(raw)[3:] == [True, False]


async def test_another_model_or_server_is_asked(raw: RawServer, raw_client: AsyncClient) -> None:
    """A gateway may take it for some of its models only."""
    raw.answer = refusing("422 No", MISTRAL)
    await ask(raw_client).completion()
    await ask(raw_client, extra_body={"model": "other"}).completion()
    assert asked(raw) == [True, False, True, False]
    await ask(raw_client.with_options(base_url=raw.url + "/x")).completion()
    assert asked(raw)[4:] == [True, False]


async def test_not_too_many_refusals_are_remembered(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = refusing("422 No", MISTRAL)
    for n in range(MAX_PLACES + 5):
        await ask(raw_client, extra_body={"model": f"m{n}"}).completion()
    assert len(raw_client._usage_standings) == MAX_PLACES


@pytest.mark.parametrize("status", ["422 No", "503 Busy"])
async def test_an_error_that_quotes_the_question_is_no_refusal(
    raw: RawServer, raw_client: AsyncClient, status: str
) -> None:
    """FastAPI's errors quote the whole request: that says nothing about any one part of it."""

    async def refuse(exchange: Exchange) -> None:
        detail = [{"loc": ["body", "model"], "msg": "no such model", "input": body(exchange)}]
        await exchange.whole(msgspec.json.encode({"detail": detail}), status=status)

    raw.answer = refuse
    with pytest.raises(APIStatusError) as caught:
        await ask(raw_client, max_retries=0)
    assert caught.value.attempts == 1
    assert asked(raw) == [True]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", {"error": {"message": "max_tokens is too large: 5"}}),
        ("400 Bad Request", {"error": {"message": "Invalid model"}}),
        ("401 No", {"error": {"message": "wrong key; stream_options ..."}}),
        ("429 Slow", {"error": {"message": "stream_options ..."}}),
    ],
)
async def test_other_failures_are_reported_at_once(
    raw: RawServer, raw_client: AsyncClient, status: str, error: object
) -> None:
    raw.answer = lambda e: e.whole(msgspec.json.encode(error), status=status)
    with pytest.raises(APIStatusError):
        await ask(raw_client)
    assert len(raw.exchanges) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Unsupported value: 'stream' does not support true with this model."},
        {"message": "The prompt is too long.", "param": "messages"},
        {"message": "max_completion_tokens: 5 > 4"},
        {"message": "messages must alternate between user and assistant"},
        {"message": "no such model"},
        {"message": "OpenAI: no.", "type": "invalid_request_error", "param": None, "code": None},
    ],
    ids=lambda error: error["message"].split()[0],
)
async def test_an_error_about_another_parameter_is_no_refusal(
    raw: RawServer, raw_client: AsyncClient, error: dict[str, Any]
) -> None:
    answer = msgspec.json.encode({"error": error})
    raw.answer = lambda exchange: exchange.whole(answer, status="400 Bad Request")
    with pytest.raises(BadRequestError):
        await ask(raw_client)
    assert asked(raw) == [True]


def replying(raw: RawServer, *replies: str) -> None:
    """Answer one request after another: "ok", or a failure with this message."""
    left = iter(replies)

    async def reply(exchange: Exchange) -> None:
        if (message := next(left)) == "ok":
            await exchange.stream(chunk("Hi", finish="stop"), DONE)
        else:
            text = msgspec.json.encode({"error": {"message": message}})
            await exchange.whole(text, status="400 Bad Request")

    raw.answer = reply


async def test_a_server_that_has_taken_the_question_does_not_get_its_errors_twice(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    replying(raw, "ok", "Bad Request", "Extra inputs are not permitted", "ok")
    await ask(raw_client).completion()
    for _ in range(2):
        with pytest.raises(BadRequestError) as caught:
            await ask(raw_client)
        assert caught.value.attempts == 1
    await ask(raw_client).completion()
    assert asked(raw) == [True] * 4


async def test_a_refusal_by_name_counts_even_then(raw: RawServer, raw_client: AsyncClient) -> None:
    """A gateway may pass the next request on to another server."""
    replying(raw, "ok", "Unknown parameter: 'stream_options'.", "ok", "ok")
    for _ in range(3):
        assert await texts(ask(raw_client)) == ["Hi"]
    assert asked(raw) == [True, True, False, False]


async def test_if_the_second_request_fails_too_its_error_is_raised(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """It is about what the caller has asked for."""
    replying(raw, "first", "second")
    with pytest.raises(BadRequestError, match="second") as caught:
        await ask(raw_client)
    assert caught.value.attempts == 2
    assert asked(raw) == [True, False]


async def test_errors_about_something_else_are_not_asked_for_twice_again_and_again(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    replying(raw, "bad", "bad", "bad", "bad", "ok", "ok", "bad", "ok")
    for _ in range(3):
        with pytest.raises(BadRequestError):
            await ask(raw_client)
    assert asked(raw) == [True, False, False, False]
    await ask(raw_client).completion()  # a request has succeeded: the next may ask
    await ask(raw_client).completion()
    with pytest.raises(BadRequestError):
        await ask(raw_client)
    await ask(raw_client).completion()
    assert asked(raw)[4:] == [False, True, True, True]


async def test_a_server_that_refuses_in_bad_requests_only_is_in_the_end_not_asked(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Each costs a request; here every other one is bad for a reason of its own."""
    replying(raw, *["bad", "bad", "ok"] * MAX_DOUBTS, *["bad", "ok"] * 5)
    for _ in range(MAX_DOUBTS + 5):
        with pytest.raises(BadRequestError):
            await ask(raw_client)
        await ask(raw_client).completion()
    assert asked(raw) == [True, False, False] * MAX_DOUBTS + [False] * 10


async def test_requests_that_fail_at_the_same_time_are_one_doubt(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    both = asyncio.Barrier(2 * MAX_DOUBTS)

    async def fail(exchange: Exchange) -> None:
        async with both:
            await exchange.whole(b"{}", status="400 Bad Request")

    raw.answer = fail
    streams = [ask(raw_client) for _ in range(2 * MAX_DOUBTS)]
    failures = await asyncio.gather(*streams, return_exceptions=True)
    assert all(isinstance(failure, BadRequestError) for failure in failures)
    replying(raw, "ok", "ok")
    await ask(raw_client).completion()
    await ask(raw_client).completion()
    assert asked(raw)[-2:] == [False, True]


async def test_a_caller_whose_own_question_is_refused_gets_the_error(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = refusing("400 Bad Request", OLD_AZURE)
    with pytest.raises(BadRequestError):
        await ask(raw_client, stream_options=QUESTION)
    assert len(raw.exchanges) == 1


async def test_a_refusal_inside_the_stream_is_one_too(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Some gateways begin the answer before they look at the request."""

    async def refuse(exchange: Exchange) -> None:
        if "stream_options" in body(exchange):
            await exchange.stream(NEW_API, DONE)
        else:
            await exchange.stream(chunk("Hi", finish="stop"), DONE)

    raw.answer = refuse
    assert await texts(ask(raw_client)) == ["Hi"]
    assert asked(raw) == [True, False]


async def test_both_requests_go_through_the_middlewares_and_retries(
    raw: RawServer, waits: list[float]
) -> None:
    seen: list[bytes] = []

    async def watch(request: Request, send: Send) -> Response:
        assert isinstance(request.body, bytes)
        seen.append(request.body)
        return await send(request)

    async def flaky(exchange: Exchange) -> None:
        if len(raw.exchanges) in (1, 3):
            await exchange.whole(b"{}", status="503 Busy")
        else:
            await refusing("422 No", MISTRAL)(exchange)

    raw.answer = flaky
    async with AsyncClient(
        base_url=raw.url,
        api_key="k",
        middlewares=[watch],
        max_retries=1,
        retry=RetryPolicy(budget=10),
    ) as client:
        stream = await ask(client)
        assert (await stream.completion()).text == "Hi"
    assert [b"stream_options" in sent for sent in seen] == [True, False]
    assert asked(raw) == [True, True, False, False]
    assert (stream.meta.attempts, len(waits)) == (4, 2)


# --- what a stream has used ---------------------------------------------------------------------


async def test_a_stream_that_is_left_early_has_an_estimate(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start_stream()
        for _ in range(10):
            await exchange.part(sse(chunk("four" * 10)))
        await asyncio.Event().wait()

    raw.answer = endless
    messages: list[Any] = [{"role": "user", "content": "x" * 4000}]
    create: Any = raw_client.chat.completions.create
    came = 0
    async with create(model="gpt-4o", messages=messages, stream=True) as stream:
        async for text in stream.text():
            came += len(text)
            if came == 400:
                break
    usage = stream.usage
    assert usage.estimated
    assert usage.prompt_tokens == pytest.approx(1000, abs=40)
    assert usage.completion_tokens == 100
    assert usage.total_tokens == usage.prompt_tokens + 100
    assert "EstimatedUsage" in repr(usage)
    assert pickle.loads(pickle.dumps(usage)).estimated


async def test_reasoning_and_calls_count_as_written(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f" * 8, "arguments": "a" * 40}}
    events = [chunk(reasoning="r" * 40), chunk("t" * 40), chunk(tool_calls=[call])]
    raw.answer = lambda e: e.stream(*events, chunk(finish="tool_calls"), DONE)
    stream = ask(raw_client)
    await stream.completion()
    assert stream.usage is not None
    assert (stream.usage.estimated, stream.usage.completion_tokens) == (True, 32)


async def test_usage_of_zero_is_no_usage(raw: RawServer, raw_client: AsyncClient) -> None:
    zero = dict.fromkeys(TOKENS, 0)
    raw.answer = lambda e: e.stream({**chunk("Hi", finish="stop"), "usage": zero}, DONE)
    stream = ask(raw_client)
    await stream.completion()
    assert stream.usage is not None
    assert stream.usage.estimated


async def test_a_picture_counts_as_one_whatever_its_bytes(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("Hi", finish="stop"), DONE)
    create: Any = raw_client.chat.completions.create
    data = "A" * 1_000_000
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    audio = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    message = {"role": "user", "content": [picture, audio, {"type": "text", "text": "x" * 4000}]}
    stream = create(model="m", messages=[message], stream=True)
    await stream.completion()
    assert stream.usage.prompt_tokens == pytest.approx(2 * 765 + 1000, abs=100)


async def test_a_data_url_where_bare_base64_belongs_does_not_count_twice(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("Hi", finish="stop"), DONE)
    create: Any = raw_client.chat.completions.create
    data = "data:audio/wav;base64," + "A" * 1_000_000
    audio = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    stream = create(model="m", messages=[{"role": "user", "content": [audio]}], stream=True)
    await stream.completion()
    assert stream.usage.prompt_tokens >= 0


async def test_a_stream_that_is_not_open_has_used_nothing(raw_client: AsyncClient) -> None:
    stream = ask(raw_client)
    assert stream.usage is None
    await stream.close()
    with pytest.raises(OpenAIError):
        await stream
