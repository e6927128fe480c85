"""LocalServer calls tools, answers schemas, reasons, and refuses what strict mode refuses."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from openai_async.structured.strict_schemas import parameters_problem
from openai_async.testing import LocalServer, Reply

from .asking import HELLO, chat, content
from .json_schemas import fits

pytestmark = pytest.mark.virtual_time


def a_tool(name: str, *, strict: bool | None = None, **properties: Any) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    function: dict[str, Any] = {"name": name, "parameters": parameters}
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


WEATHER = a_tool("get_weather", strict=True, city={"type": "string"})
TIME = a_tool("local_time", strict=True, city={"type": "string"}, hours={"type": "integer"})
MAIL = a_tool("sendMail", to={"type": "string", "format": "email"})
TOOLS = [WEATHER, TIME, MAIL]


def asking(question: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}], **fields}


def called(answer: dict[str, Any]) -> list[str]:
    calls = answer["choices"][0]["message"].get("tool_calls", [])
    return [call["function"]["name"] for call in calls]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Use get_weather for Paris", ["get_weather"]),
        ("What is the weather in Paris?", ["get_weather"]),
        ("The WEATHER in Paris, and the time there?", ["get_weather", "local_time"]),
        ("Please mail it to Ada.", ["sendMail"]),
        ("sendMail(to=Ada)", ["sendMail"]),
        ("Who was Ada?", []),
        ("Is this timely?", []),
        ("forget_weather_now", []),
    ],
)
async def test_the_tools_that_the_question_mentions_are_called(
    server: LocalServer, http: aiohttp.ClientSession, question: str, names: list[str]
) -> None:
    _, answer = await chat(server, http, **asking(question, tools=TOOLS))
    assert called(answer) == names
    assert answer["choices"][0]["finish_reason"] == ("tool_calls" if names else "stop")


BOTH = "The weather and the time in Paris?"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"tool_choice": "none"}, []),
        ({"tool_choice": "auto"}, ["get_weather", "local_time"]),
        ({"tool_choice": "required"}, ["get_weather", "local_time"]),
        ({"tool_choice": {"type": "function", "function": {"name": "sendMail"}}}, ["sendMail"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
        ({"parallel_tool_calls": True}, ["get_weather", "local_time"]),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "local_time"}}],
                    },
                }
            },
            ["local_time"],
        ),
    ],
)
async def test_tool_choice_and_parallel_tool_calls_are_respected(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], names: list[str]
) -> None:
    _, answer = await chat(server, http, **asking(BOTH, tools=TOOLS, **fields))
    assert called(answer) == names


async def test_a_required_tool_is_called_even_if_it_is_not_mentioned(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, **asking("Hi", tools=TOOLS, tool_choice="required"))
    assert called(answer) == ["get_weather"]


async def test_arguments_are_words_of_the_question_and_vary_with_the_seed(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    arguments = []
    for seed in (0, 0, 1):
        _, answer = await chat(server, http, **asking(BOTH, tools=[TIME], seed=seed))
        (call,) = answer["choices"][0]["message"]["tool_calls"]
        arguments.append(json.loads(call["function"]["arguments"]))
    assert arguments[0] == arguments[1] == {"city": "Paris", "hours": 1}
    assert fits(arguments[2], TIME["function"]["parameters"])
    assert arguments[2] != arguments[0]


async def test_calls_have_ids_of_their_own(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, **asking(BOTH, tools=TOOLS, n=2))
    ids = [call["id"] for one in answer["choices"] for call in one["message"]["tool_calls"]]
    assert len(set(ids)) == 4


async def test_after_several_results_the_answer_quotes_them_all(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for call_id in "012"
    ]
    messages = [
        {"role": "user", "content": BOTH},
        {"role": "assistant", "content": None, "tool_calls": calls[:1]},
        {"role": "tool", "tool_call_id": "0", "content": "An older one."},
        {"role": "assistant", "content": None, "tool_calls": calls[1:]},
        {"role": "tool", "tool_call_id": "1", "content": "Sunny."},
        {"role": "tool", "tool_call_id": "2", "content": "Noon."},
    ]
    _, answer = await chat(server, http, messages=messages, tools=TOOLS)
    assert "The tools came back with: “Sunny.” and “Noon.”" in content(answer)
    assert "An older one" not in content(answer)


def a_format(schema: Any, name: str = "answer", **fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, **fields}}


@pytest.mark.parametrize("seed", range(4))
async def test_a_schema_is_answered_with_json_that_fits(
    server: LocalServer, http: aiohttp.ClientSession, seed: int
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "people": {"type": "array", "items": {"$ref": "#/$defs/person"}, "minItems": 1},
            "when": {"type": "string", "format": "date-time"},
            "mood": {"anyOf": [{"enum": ["good", "bad"], "type": "string"}, {"type": "null"}]},
        },
        "required": ["people", "when", "mood"],
        "additionalProperties": False,
        "$defs": {
            "person": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "boss": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
                },
                "required": ["name", "boss"],
                "additionalProperties": False,
            }
        },
    }
    response_format = a_format(schema, strict=True)
    _, answer = await chat(server, http, response_format=response_format, seed=seed, n=2)
    values = [json.loads(content(answer, index)) for index in (0, 1)]
    assert all(fits(value, schema) for value in values)
    assert values[0] != values[1]
    assert values[0]["people"][0]["name"] in {"Paris", "weather"}


@pytest.mark.parametrize("strict", [False, None])
async def test_without_strict_any_schema_is_answered(
    server: LocalServer, http: aiohttp.ClientSession, strict: bool | None
) -> None:
    response_format = a_format({"type": "array", "items": {"type": "integer"}}, strict=strict)
    _, answer = await chat(server, http, response_format=response_format)
    assert json.loads(content(answer)) == [1, 2]


OPEN = {"type": "object", "properties": {"x": {"type": "object"}}, "required": ["x"]}


async def test_strict_mode_refuses_a_response_format_with_openais_error(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    schema = {**OPEN, "additionalProperties": False}
    status, answer = await chat(server, http, response_format=a_format(schema, strict=True))
    assert status == 400
    assert answer["error"] == {
        "message": "Invalid schema for response_format 'answer': In context=('properties', 'x'), "
        "'additionalProperties' is required to be supplied and to be false.",
        "type": "invalid_request_error",
        "param": "response_format",
        "code": None,
    }


async def test_strict_mode_refuses_the_parameters_of_a_tool_with_openais_error(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": OPEN, "strict": True}}
    status, answer = await chat(server, http, tools=[WEATHER, tool])
    assert status == 400
    assert answer["error"] == {
        "message": f"Invalid schema for function 'f': {parameters_problem(OPEN)}",
        "type": "invalid_request_error",
        "param": "tools[1].function.parameters",
        "code": "invalid_function_parameters",
    }


async def test_a_strict_tool_needs_no_parameters(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    tool = {"type": "function", "function": {"name": "stop", "strict": True}}
    _, answer = await chat(server, http, tools=[tool], tool_choice="required")
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": a_format(OPEN, "no spaces")}, "response_format.json_schema.name"),
        ({"response_format": a_format(OPEN, "x" * 65)}, "response_format.json_schema.name"),
        ({"response_format": a_format(OPEN, "")}, "response_format.json_schema.name"),
        (
            {"response_format": a_format(OPEN, strict="yes")},
            "response_format.json_schema.strict",
        ),
        ({"response_format": a_format(None, strict=True)}, "response_format"),
        ({"tools": [a_tool("a.b")]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools[0].function.name"),
        ({"tools": [a_tool("a", strict=5)]}, "tools[0].function.strict"),  # type: ignore[arg-type]
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"reasoning_effort": "a lot"}, "reasoning_effort"),
    ],
)
async def test_an_invalid_field_is_named(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], param: str
) -> None:
    status, answer = await chat(server, http, **fields)
    assert (status, answer["error"]["param"]) == (400, param)


async def deltas(
    server: LocalServer, http: aiohttp.ClientSession, **fields: Any
) -> list[dict[str, Any]]:
    body = {**HELLO, **fields, "stream": True}
    async with http.post(f"{server.url}/chat/completions", json=body) as response:
        *events, done, _ = (await response.text()).split("\n\n")
    assert done == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


async def test_streamed_json_comes_in_odd_pieces(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    text = json.dumps({"text": 'A "quoted"\nword\u00e9', "number": -1234567.891e-20})
    server.script(Reply(text))
    pieces = [one["content"] for one in await deltas(server, http) if one.get("content")]
    assert "".join(pieces) == text
    assert any(piece.endswith("\\") for piece in pieces)  # within an escape
    assert any(piece.startswith("u00e9") for piece in pieces)
    assert "." in pieces  # within a number


async def test_streamed_calls_come_one_after_the_other_by_index(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    fields = asking(BOTH, tools=TOOLS)
    _, plain = await chat(server, http, **fields)
    seen = await deltas(server, http, **fields)
    calls = [one["tool_calls"][0] for one in seen if "tool_calls" in one]
    assert [call["index"] for call in calls] == sorted(call["index"] for call in calls)
    for index, call in enumerate(plain["choices"][0]["message"]["tool_calls"]):
        first, *rest = [one for one in calls if one["index"] == index]
        assert (first["id"], first["function"]["name"]) == (call["id"], call["function"]["name"])
        assert all(one.keys() == {"index", "function"} for one in rest)
        assert len(rest) > 2
        text = "".join(one["function"]["arguments"] for one in (first, *rest))
        assert text == call["function"]["arguments"]


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"reasoning_effort": "high"}, True),
        ({"model": "deepseek-reasoner"}, True),
        ({"model": "kimi-k2-thinking"}, True),
        ({"model": "DeepSeek-R1"}, True),
        ({"model": "deepseek-r1", "reasoning_effort": "none"}, False),
        ({}, False),
        ({"model": "gpt-4o", "reasoning_effort": None}, False),
    ],
)
async def test_reasoning_is_given_for_an_effort_or_a_reasoning_model(
    http: aiohttp.ClientSession, fields: dict[str, Any], reasons: bool
) -> None:
    async with LocalServer() as server:
        _, answer = await chat(server, http, **fields)
    message, usage = answer["choices"][0]["message"], answer["usage"]
    assert ("reasoning_content" in message) == reasons
    assert (usage["completion_tokens_details"]["reasoning_tokens"] > 0) == reasons


async def test_more_effort_is_more_reasoning(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    efforts = ("minimal", "low", "medium", "high")
    answers = [(await chat(server, http, reasoning_effort=effort))[1] for effort in efforts]
    lengths = [
        answer["usage"]["completion_tokens_details"]["reasoning_tokens"] for answer in answers
    ]
    assert lengths == sorted(set(lengths))


async def test_reasoning_is_streamed_token_by_token_before_the_answer(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, plain = await chat(server, http, reasoning_effort="low")
    seen = await deltas(server, http, reasoning_effort="low")
    thoughts = [one["reasoning_content"] for one in seen if "reasoning_content" in one]
    assert len(thoughts) > 5
    assert "".join(thoughts) == plain["choices"][0]["message"]["reasoning_content"]
    kinds = ["content" if one.get("content") else "thought" for one in seen[1:-1]]
    assert kinds == sorted(kinds, reverse=True)


async def test_reasoning_uses_up_the_tokens_of_the_answer(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, reasoning_effort="high", max_completion_tokens=5)
    choice, usage = answer["choices"][0], answer["usage"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 5
    assert usage["completion_tokens"] == 5


async def test_a_scripted_reply_has_its_reasoning(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply("Hi", reasoning="Let me think."), times=2)
    _, answer = await chat(server, http)
    assert answer["choices"][0]["message"]["reasoning_content"] == "Let me think."
    seen = await deltas(server, http)
    thoughts = [one["reasoning_content"] for one in seen if "reasoning_content" in one]
    assert thoughts == ["Let", " me", " think", "."]
    with pytest.raises(ValueError, match="reasoning"):
        Reply(reasoning=5)  # type: ignore[arg-type]
