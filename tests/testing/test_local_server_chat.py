"""LocalServer's models and chat completions: what is refused, and what is answered."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from openai_async.testing import LocalServer
from openai_async.testing.tokens import tokenize

from .asking import QUESTION, chat, content

pytestmark = pytest.mark.virtual_time

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 2},
                "unit": {"enum": ["celsius", "kelvin"]},
                "hours": {"type": "array", "items": {"type": "number"}},
                "where": {
                    "type": "object",
                    "properties": {"indoors": {"type": "boolean"}},
                    "required": ["indoors"],
                },
                "optional": {"type": "string"},
            },
            "required": ["city", "days", "unit", "hours", "where"],
        },
    },
}
ARGUMENTS = {
    "city": "Paris",
    "days": 2,
    "unit": "celsius",
    "hours": [2, 2.5],
    "where": {"indoors": True},
}


async def test_models_are_listed(server: LocalServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/models") as response:
        models = await response.json()
    assert models["object"] == "list"
    assert {"gpt-4o", "dall-e-3"} <= {model["id"] for model in models["data"]}
    assert set(models["data"][0]) == {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("path", ["org/llama", "org%2Fllama"])
async def test_a_model_id_may_hold_a_slash(http: aiohttp.ClientSession, path: str) -> None:
    async with (
        LocalServer(models=["org/llama"]) as server,
        http.get(f"{server.url}/models/{path}") as response,
    ):
        assert (await response.json())["id"] == "org/llama"


async def test_a_strict_server_refuses_a_model_that_is_not_listed(
    http: aiohttp.ClientSession,
) -> None:
    async with LocalServer(strict_models=True) as server:
        async with http.get(f"{server.url}/models/nope") as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "model_not_found"
        status, answer = await chat(server, http, model="nope")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_a_model_that_is_not_listed_is_answered(http: aiohttp.ClientSession) -> None:
    async with LocalServer() as server:
        status, answer = await chat(server, http, model="llama-7")
        async with http.get(f"{server.url}/models/llama-7") as response:
            assert response.status == 404
    assert (status, answer["model"]) == (200, "llama-7")


async def test_a_model_that_was_deleted_is_not_answered(http: aiohttp.ClientSession) -> None:
    async with LocalServer(models=["ft:mine"]) as server:
        assert (await chat(server, http, model="ft:mine"))[0] == 200
        await http.delete(f"{server.url}/models/ft:mine")
        assert (await chat(server, http, model="ft:mine"))[0] == 404


@pytest.mark.parametrize("strict", [1, None, "yes"])
def test_strict_models_is_true_or_false(strict: Any) -> None:
    with pytest.raises(ValueError, match="strict_models must be True or False"):
        LocalServer(strict_models=strict)


async def test_only_models_of_a_user_can_be_deleted(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    async with http.delete(f"{server.url}/models/gpt-4o") as response:
        assert response.status == 403
    url = f"{server.url}/models/ft:gpt-4o-mini:local:demo:1"
    async with http.delete(url) as response:
        assert (await response.json())["deleted"] is True
    async with http.get(url) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": None, "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": None}]}]},
        {"stream": None, "messages": [{"role": "user", "content": [None]}]},
    ],
)
async def test_a_null_is_called_null(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any]
) -> None:
    status, answer = await chat(server, http, **fields)
    assert status == 400
    assert answer["error"]["message"].startswith("Invalid value: null. Supported ")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages.[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.[0].content"),
        ({"messages": [{"role": "user"}]}, "messages.[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages.[0].content.[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.[0].tool_call_id"),
        ({"model": None}, "model"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": 3}, "stop"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)
async def test_an_invalid_field_is_named(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any], param: str
) -> None:
    status, answer = await chat(server, http, **fields)
    assert status == 400
    assert answer["error"]["param"].startswith(param)
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_not_a_json_object_is_400(
    server: LocalServer, http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post(f"{server.url}/chat/completions", data=body) as response:
        assert response.status == 400
        assert "JSON" in (await response.json())["error"]["message"]


async def test_the_answer_shows_that_the_conversation_was_read(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]},
    ]
    _, answer = await chat(server, http, messages=messages)
    for part in ("Why is the sky blue?", "Be kind.", "3 messages", "system, assistant and user"):
        assert part in content(answer)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_the_same_request_has_the_same_answer_and_a_seed_another(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    texts = [content((await chat(server, http, seed=seed))[1]) for seed in (0, 0, 1, 2)]
    assert len(set(texts)) == 3
    assert content((await chat(server, http))[1]) == texts[0]


async def test_the_choices_of_n_differ(server: LocalServer, http: aiohttp.ClientSession) -> None:
    _, answer = await chat(server, http, n=128)
    assert len({content(answer, index) for index in range(128)}) == 128


async def test_usage_counts_tokens(server: LocalServer, http: aiohttp.ClientSession) -> None:
    _, answer = await chat(server, http)
    usage = answer["usage"]
    assert usage["prompt_tokens"] == 3 + len(tokenize(QUESTION["content"]))
    assert usage["completion_tokens"] == len(tokenize(content(answer)))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


async def test_max_tokens_ends_the_answer(server: LocalServer, http: aiohttp.ClientSession) -> None:
    _, answer = await chat(server, http, max_tokens=5)
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"


async def test_stop_ends_the_text_before_it(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    whole = content((await chat(server, http))[1])
    _, answer = await chat(server, http, stop=["Paris", "weather"])
    assert content(answer) == whole[: whole.index("weather")]
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_logprobs_are_given_for_each_token(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, logprobs=True, top_logprobs=2)
    entries = answer["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == content(answer)
    assert bytes(entries[0]["bytes"]).decode() == entries[0]["token"]
    assert len(entries[0]["top_logprobs"]) == 2
    assert entries[0]["top_logprobs"][0]["logprob"] == entries[0]["logprob"] < 0


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            }
        },
        {"messages": [{"role": "user", "content": "Use get_weather for Paris"}]},
    ],
)
async def test_a_tool_is_called_with_arguments_that_fit_its_schema(
    server: LocalServer, http: aiohttp.ClientSession, fields: dict[str, Any]
) -> None:
    _, answer = await chat(server, http, tools=[WEATHER], **fields)
    choice = answer["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == ARGUMENTS
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)


async def test_after_a_tool_result_the_answer_is_text(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    messages = [
        {"role": "user", "content": "Use get_weather for Paris"},
        {"role": "assistant", "content": None, "tool_calls": [a_call("call_1")]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
    ]
    _, answer = await chat(server, http, tools=[WEATHER], messages=messages)
    assert "Sunny." in content(answer)


def a_call(call_id: str) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": "{}"}
    return {"id": call_id, "type": "function", "function": function}


CALLS = {"role": "assistant", "content": None, "tool_calls": [a_call("1"), a_call("2")]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "Sunny."}


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([CALLS], "did not have response messages: 1, 2"),
        ([CALLS, RESULT], "did not have response messages: 2"),
        ([CALLS, RESULT, {"role": "user", "content": "Hi"}], "response messages: 2"),
        ([RESULT], "must be a response to a preceding message with 'tool_calls'"),
        ([CALLS, RESULT, RESULT], "must be a response to a preceding message"),
    ],
)
async def test_a_call_without_its_result_is_refused(
    server: LocalServer,
    http: aiohttp.ClientSession,
    messages: list[dict[str, Any]],
    complaint: str,
) -> None:
    asked = [{"role": "user", "content": "Weather?"}, *messages]
    status, answer = await chat(server, http, tools=[WEATHER], messages=asked)
    assert status == 400
    assert complaint in answer["error"]["message"]


async def test_json_formats_are_answered_with_json(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, response_format={"type": "json_object"})
    assert isinstance(json.loads(content(answer)), dict)
    schema = {"name": "w", "schema": WEATHER["function"]["parameters"]}  # type: ignore[index]
    response_format = {"type": "json_schema", "json_schema": schema}
    _, answer = await chat(server, http, response_format=response_format)
    assert json.loads(content(answer)) == ARGUMENTS


async def test_parameters_of_other_servers_are_let_through(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    assert (await chat(server, http, top_k=3, guided_json={}))[0] == 200


async def test_a_schema_that_refers_to_itself_many_times_is_answered_soon(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    node = {
        "type": "object",
        "properties": {name: {"$ref": "#"} for name in "abcdef"},
        "required": [*"abcdef"],
    }
    tool = {"type": "function", "function": {"name": "tree", "parameters": node}}
    async with asyncio.timeout(20):
        status, answer = await chat(server, http, tools=[tool], tool_choice="required")
    assert status == 200
    call = answer["choices"][0]["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]).keys() == set("abcdef")


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-5.4-mini", "gpt-5.4", "gpt-5.5", "gpt-5.6-sol", "gpt-6.2-sol"]
)
async def test_models_of_then_and_now_answer(
    server: LocalServer, http: aiohttp.ClientSession, model: str
) -> None:
    status, answer = await chat(server, http, model=model, max_completion_tokens=50)
    assert (status, answer["model"]) == (200, model)
