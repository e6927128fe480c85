"""LocalServer's streamed chat completions."""

import json
from typing import Any

import aiohttp
import pytest

from openai_async.testing import LocalServer, Reply

from .asking import HELLO, chat, content

pytestmark = pytest.mark.virtual_time

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ARGUMENTS = {"city": "Paris"}


async def chunks(
    server: LocalServer, http: aiohttp.ClientSession, **fields: Any
) -> list[dict[str, Any]]:
    body = {**HELLO, **fields, "stream": True}
    async with http.post(f"{server.url}/chat/completions", json=body) as response:
        assert response.content_type == "text/event-stream"
        *events, done, rest = (await response.text()).split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_a_stream_says_what_the_plain_answer_says(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, n=2)
    seen = await chunks(server, http, n=2)
    deltas = [choice for chunk in seen for choice in chunk["choices"]]
    for index in (0, 1):
        mine = [one for one in deltas if one["index"] == index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert "".join(one["delta"].get("content", "") for one in mine) == content(answer, index)
        assert [one["finish_reason"] for one in mine][-2:] == [None, "stop"]
    assert len({(chunk["id"], chunk["created"]) for chunk in seen}) == 1
    assert all(chunk["system_fingerprint"] for chunk in seen)
    assert [one["index"] for one in deltas[:6]] == [0, 1, 0, 1, 0, 1]
    assert "usage" not in seen[0]


async def test_include_usage_adds_a_last_chunk_without_choices(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    *others, last = await chunks(server, http, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"] == (await chat(server, http))[1]["usage"]
    assert all(chunk["usage"] is None for chunk in others)


async def test_a_streamed_tool_call_comes_in_pieces(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    seen = await chunks(server, http, tools=[WEATHER], tool_choice="required")
    deltas = [choice["delta"] for chunk in seen for choice in chunk["choices"]]
    first, *rest = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert first["function"] == {"name": "get_weather", "arguments": ""}
    assert first["id"]
    assert json.loads("".join(one["function"]["arguments"] for one in rest)) == ARGUMENTS
    assert deltas[0]["content"] is None
    assert seen[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_scripted_reply_is_streamed_token_by_token(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply("Hello there, friend", extra={"reasoning_content": "Hm."}))
    seen = await chunks(server, http)
    deltas = [choice["delta"] for chunk in seen for choice in chunk["choices"]]
    texts = [delta["content"] for delta in deltas if delta.get("content")]
    assert texts == ["Hello", " there", ",", " friend"]
    assert deltas[1] == {"reasoning_content": "Hm."}


async def test_streamed_tokens_carry_their_logprobs(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    _, answer = await chat(server, http, logprobs=True)
    seen = await chunks(server, http, logprobs=True)
    entries = [
        entry
        for chunk in seen
        for choice in chunk["choices"]
        if choice["logprobs"]
        for entry in choice["logprobs"]["content"]
    ]
    assert entries == answer["choices"][0]["logprobs"]["content"]
