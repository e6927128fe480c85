"""`client.chat.completions`"""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest
from PIL import Image

from openai_async import (
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    UnprocessableEntityError,
    image_part,
)
from openai_async.options import REQUEST_OPTIONS
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.chat_params import ChatCompletionMessageParam, ChatCompletionParams

pytestmark = pytest.mark.virtual_time

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]

# Every parameter of the API's description, with a value of its kind.
ALL_PARAMETERS: dict[str, Any] = {
    "messages": HI,
    "model": "gpt-4o",
    "audio": {"voice": "ash", "format": "mp3"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 5,
    "max_tokens": 5,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "Hi"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "text"},
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["x"],
    "store": False,
    "stream": False,
    "stream_options": None,
    "temperature": 0.5,
    "tool_choice": "none",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}


async def test_an_answer(client: AsyncClient) -> None:
    result = await client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
    )
    assert "Why is the sky blue?" in result.text
    assert result.choices[0].message.content == result.text
    assert result.usage is not None
    assert result.usage.total_tokens == result.usage.prompt_tokens + result.usage.completion_tokens
    assert result.meta.request_id
    assert result.meta.attempts == 1
    assert result.meta.elapsed > 0
    assert result.meta.rate_limits is not None


def test_the_37_parameters_are_typed() -> None:
    typed = {*get_type_hints(ChatCompletionParams), "stream"} - REQUEST_OPTIONS
    assert typed == ALL_PARAMETERS.keys()
    assert len(typed) == 37


async def test_every_parameter_is_sent_as_it_is(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply("ok"))
    await client.chat.completions.create(**ALL_PARAMETERS)
    assert server.requests[0].json == ALL_PARAMETERS


async def test_what_is_left_out_is_not_sent_and_none_is_null(
    client: AsyncClient, server: LocalServer
) -> None:
    await client.chat.completions.create(model="gpt-4o", messages=HI, stop=None)
    assert server.requests[0].json == {"model": "gpt-4o", "messages": HI, "stop": None}


async def test_extra_body_is_merged_in_last(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply("ok"))
    await client.chat.completions.create(
        model="gpt-4o", messages=HI, seed=1, extra_body={"top_k": 5, "seed": 2}
    )
    sent = server.requests[0].json
    assert (sent["top_k"], sent["seed"], "extra_body" in sent) == (5, 2, False)


async def test_an_answer_may_go_into_the_next_question(
    client: AsyncClient, server: LocalServer
) -> None:
    messages = list(HI)
    first = await client.chat.completions.create(model="gpt-4o", messages=messages)
    messages += [first.choices[0].message, {"role": "user", "content": "And then?"}]
    await client.chat.completions.create(model="gpt-4o", messages=messages)
    assert server.requests[1].json["messages"][1]["content"] == first.text


async def test_a_picture_is_seen(client: AsyncClient) -> None:
    result = await client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    await image_part(Image.new("RGB", (30, 20), "red")),
                ],
            }
        ],
    )
    assert "PNG" in result.text
    assert "30 x 20" in result.text
    assert "red" in result.text


async def test_tools_may_come_from_a_generator(client: AsyncClient, server: LocalServer) -> None:
    tools: Any = ({"type": "function", "function": {"name": name}} for name in ("add", "divide"))
    await client.chat.completions.create(model="gpt-4o", messages=HI, tools=tools)
    sent = server.requests[0].json["tools"]
    assert [tool["function"]["name"] for tool in sent] == ["add", "divide"]


async def test_tool_calls(client: AsyncClient, server: LocalServer) -> None:
    server.script(Reply(tool_calls=[{"name": "add", "arguments": {"a": 1}}]))
    result = await client.chat.completions.create(
        model="gpt-4o",
        messages=HI,
        tools=[{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
    )
    assert result.text == ""
    assert result.choices[0].finish_reason == "tool_calls"
    assert result.choices[0].message.tool_calls is not None
    (call,) = result.choices[0].message.tool_calls
    assert call.type == "function"
    assert call.function.name == "add"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "messages is empty"),
        ((), "messages is empty"),
        ("Hi", "messages has type str"),
        ({"role": "user", "content": "Hi"}, "messages has type dict"),
        (None, "messages has type NoneType"),
        (["Hi"], r"messages\[0\] has type str"),
        ([HI[0], None], r"messages\[1\] has type NoneType"),
    ],
)
async def test_invalid_messages_are_refused_when_create_is_called(
    client: AsyncClient, server: LocalServer, messages: Any, complaint: str
) -> None:
    for stream in (False, True):
        with pytest.raises(InvalidArgumentError, match=complaint):
            client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)
    assert server.requests == []


@pytest.mark.parametrize("name", ["tools", "tool_choice", "stop"])
async def test_none_is_sent_as_null(client: AsyncClient, server: LocalServer, name: str) -> None:
    options: Any = {name: None}
    await client.chat.completions.create(model="gpt-4o", messages=HI, **options)
    assert server.requests[-1].json[name] is None


async def test_an_unknown_parameter_is_a_type_error_that_names_it(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="'temprature': did you mean 'temperature'"):
        client.chat.completions.create(model="gpt-4o", messages=HI, temprature=1)  # type: ignore[call-overload]
    with pytest.raises(
        TypeError, match="'best_of': Pass parameters that are not in the API in extra_body"
    ):
        client.chat.completions.create(model="gpt-4o", messages=HI, best_of=1)  # type: ignore[call-overload]


async def test_a_missing_parameter_is_a_type_error(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'model'"):
        client.chat.completions.create(messages=HI)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", -1),
        ("timeout", float("nan")),
        ("max_retries", -1),
        ("max_retries", None),
        ("temperature", float("nan")),
        ("top_p", float("inf")),
        ("extra_headers", 5),
        ("extra_headers", {"X": "a\nb"}),
        ("extra_query", "a=b"),
        ("extra_body", [1]),
        ("metadata", {"a": object()}),
    ],
)
async def test_invalid_options_are_refused_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, option: str, value: Any
) -> None:
    for stream in (False, True):
        with pytest.raises(InvalidArgumentError):
            await client.chat.completions.create(
                model="gpt-4o", messages=HI, stream=stream, **{option: value}
            )
    assert server.requests == []


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": float("nan")},
        {"metadata": {"a": b"x"}},
        {"extra_body": [1]},
        {"extra_body": {"top_k": float("nan")}},
    ],
    ids=str,
)
async def test_parameters_are_checked_when_create_is_called(
    client: AsyncClient, stream: bool, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError):
        client.chat.completions.create(model="gpt-4o", messages=HI, stream=stream, **wrong)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": -1},
        {"max_retries": -1},
        {"extra_headers": {"X": "a\nb"}},
        {"extra_query": "a=b"},
    ],
    ids=str,
)
async def test_the_options_of_a_call_are_checked_when_it_is_awaited(
    client: AsyncClient, server: LocalServer, stream: bool, wrong: dict[str, Any]
) -> None:
    call = client.chat.completions.create(model="gpt-4o", messages=HI, stream=stream, **wrong)
    with pytest.raises(InvalidArgumentError):
        await call
    assert server.requests == []


async def test_what_the_server_refuses(client: AsyncClient) -> None:
    with pytest.raises(BadRequestError) as bad:
        await client.chat.completions.create(model="gpt-4o", messages=HI, temperature=9)
    assert bad.value.param == "temperature"
    with pytest.raises(NotFoundError) as missing:
        await client.chat.completions.create(model="gpt-0", messages=HI)
    assert missing.value.code == "model_not_found"
    picture: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(UnprocessableEntityError):
        await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": [picture]}]
        )


async def test_a_plain_call_is_a_coroutine(client: AsyncClient) -> None:
    call = client.chat.completions.create(model="gpt-4o", messages=HI)
    assert inspect.iscoroutine(call)
    assert (await call).text


async def test_large_requests_are_sent_without_a_warning(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply("ok"))
    text = "x" * 3_000_000
    await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": text}]
    )
    assert server.requests[0].json["messages"][0]["content"] == text


async def test_a_large_request_is_resent_in_full(
    client: AsyncClient, server: LocalServer, waits: list[float]
) -> None:
    server.script(Failure(500), Reply("ok"))
    text = "x" * 3_000_000
    await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": text}], max_retries=1
    )
    assert server.requests[0].body == server.requests[1].body


async def test_a_forgotten_await_is_reported_by_the_name_of_the_method(client: AsyncClient) -> None:
    call = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert inspect.iscoroutine(call)
    call.close()
    assert call.__qualname__ == "create"  # which is what Python's warning shows
