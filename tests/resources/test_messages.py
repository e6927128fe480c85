"""Messages on their way back to a server: the arguments of tool calls are text."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import msgspec
import pydantic
import pytest

from openai_async import AsyncClient, StreamInterruptedError
from openai_async.types.chat import ChatCompletionMessage

from ..raw_server import Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

CITY = {"city": "Oslo"}
HI: Any = {"role": "user", "content": "hi"}


def function(arguments: object) -> dict[str, Any]:
    return {"name": "f", "arguments": arguments, "x": 1}


def calls(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [*tools], "y": 2}


MESSAGES: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    (calls({"id": "a", "function": function(CITY)}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function([])}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function({})}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function(5)}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function('"t"')}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function("")}), ("tool_calls", 0, "function", "arguments")),
    (calls({"id": "a", "function": function(None)}), ("tool_calls", 0, "function", "arguments")),
    (
        calls({"id": "a", "function": function("{}")}, {"id": "b", "function": function(CITY)}),
        ("tool_calls", 1, "function", "arguments"),
    ),
    (
        calls({"id": "a", "type": "custom", "custom": {"name": "c", "input": CITY}}),
        ("tool_calls", 0, "custom", "input"),
    ),
    (
        {"role": "assistant", "content": None, "function_call": function(CITY)},
        ("function_call", "arguments"),
    ),
]


async def sent(raw: RawServer, client: AsyncClient, message: Any) -> Any:
    async def answer(exchange: Exchange) -> None:
        await exchange.whole(b'{"choices": []}')

    raw.answer = answer
    await client.chat.completions.create(model="m", messages=[HI, message, HI])
    return json.loads(raw.exchanges[-1].body)["messages"]


async def answered(raw: RawServer, client: AsyncClient, message: Any) -> ChatCompletionMessage:
    """The message as an object, as it comes out of an answer."""
    body = msgspec.json.encode({"choices": [{"message": message}]})
    raw.answer = lambda exchange: exchange.whole(body)
    result = await client.chat.completions.create(model="m", messages=[HI])
    return result.choices[0].message


@pytest.mark.parametrize(("message", "path"), MESSAGES)
@pytest.mark.parametrize("form", ["dict", "mapping", "object", "to_dict()", "dict of objects"])
async def test_arguments_go_back_as_text_and_all_else_as_it_came(
    raw: RawServer, raw_client: AsyncClient, message: dict[str, Any], path: Any, form: str
) -> None:
    given: Any = message
    if form == "mapping":
        given = MappingProxyType(message)
    elif form != "dict":
        given = await answered(raw, raw_client, message)
    if form == "to_dict()":
        given = given.to_dict()
    elif form == "dict of objects":
        given = {**message, **{k: getattr(given, k) for k in (path[0],)}}
    before = msgspec.json.encode(message)
    first, back, last = await sent(raw, raw_client, given)
    assert (first, last) == (HI, HI)
    place: Any = back
    expected: Any = json.loads(before)
    for step in path[:-1]:
        place, expected = place[step], expected[step]
    text, value = place.pop(path[-1]), expected.pop(path[-1])
    if value is None or isinstance(value, str):
        assert text == value
    else:
        assert json.loads(text) == value
    place[path[-1]] = expected[path[-1]] = "compared"
    whole = json.loads(before)
    part = whole
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = "compared"
    assert back == whole
    assert msgspec.json.encode(message) == before


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "tool_calls": None},
        {"role": "assistant", "tool_calls": "x"},
        {"role": "assistant", "tool_calls": [None, 5, {"function": None}, {"function": "f"}]},
        {"role": "assistant", "function_call": None},
        {"role": "assistant", "function_call": "auto"},
    ],
)
async def test_what_is_not_a_tool_call_is_sent_as_it_is(
    raw: RawServer, raw_client: AsyncClient, message: Any
) -> None:
    assert (await sent(raw, raw_client, message))[1] == message


class Part(pydantic.BaseModel):
    type: str
    text: str


class Message(pydantic.BaseModel):
    role: str
    content: str | list[Part]
    name: str | None = None


async def test_of_a_pydantic_model_the_fields_that_were_set_are_sent(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    message: Any = Message(role="user", content="Hi")
    assert (await sent(raw, raw_client, message))[1] == {"role": "user", "content": "Hi"}


async def test_a_message_may_hold_pydantic_models(raw: RawServer, raw_client: AsyncClient) -> None:
    message: Any = {"role": "user", "content": [Part(type="text", text="Hi")]}
    back = (await sent(raw, raw_client, message))[1]
    assert back == {"role": "user", "content": [{"type": "text", "text": "Hi"}]}


# --- what the stream knows of the request ---


async def one_choice_then_cut(exchange: Exchange) -> None:
    """One whole choice, and then the connection breaks: the end only if no other was asked for."""
    await exchange.start_stream()
    await exchange.part(sse(chunk("a")) + sse(chunk(finish="stop")))
    exchange.writer.close()


@pytest.mark.parametrize(
    "params", [{"n": 2}, {"extra_body": {"n": 2}}, {"n": 1, "extra_body": {"n": 2}}]
)
async def test_a_stream_expects_as_many_choices_as_were_asked_for(
    raw: RawServer, raw_client: AsyncClient, params: Any
) -> None:
    raw.answer = one_choice_then_cut
    stream = raw_client.chat.completions.create(model="m", messages=[HI], stream=True, **params)
    with pytest.raises(StreamInterruptedError, match="1 of 2 choices"):
        await stream.completion()


@pytest.mark.parametrize("params", [{"extra_body": {"n": 1}}, {"n": 2, "extra_body": {"n": 1}}])
async def test_n_in_extra_body_takes_precedence(
    raw: RawServer, raw_client: AsyncClient, params: Any
) -> None:
    raw.answer = one_choice_then_cut
    stream = raw_client.chat.completions.create(model="m", messages=[HI], stream=True, **params)
    assert (await stream.completion()).text == "a"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"extra_body": {"stream_options": {"include_usage": True}}}, True),
        (
            {
                "stream_options": {"include_usage": True},
                "extra_body": {"stream_options": {"include_usage": False}},
            },
            False,
        ),
        ({"stream_options": {"include_usage": True}, "extra_body": {"a": 1}}, True),
    ],
)
async def test_usage_requested_in_extra_body_must_arrive_too(
    raw: RawServer, raw_client: AsyncClient, params: Any, expected: bool
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a", finish="stop")))
        exchange.writer.close()  # in the middle of the body

    raw.answer = answer
    stream = raw_client.chat.completions.create(model="m", messages=[HI], stream=True, **params)
    with pytest.raises(StreamInterruptedError) if expected else nullcontext():
        assert (await stream.completion()).text == "a"
