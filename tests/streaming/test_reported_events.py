"""Streams that other clients were reported to misread, and the events that they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import AsyncClient, BadRequestError

from ..raw_server import DONE, RawServer, chunk
from .events import FINISH, ask, call, chunk_with, read, told

pytestmark = pytest.mark.virtual_time

END = chunk(finish="tool_calls")


def calls(*pieces: dict[str, Any]) -> dict[str, object]:
    return chunk(None, tool_calls=list(pieces))


def whole(name: str, arguments: str, index: int = 0) -> list[tuple[object, ...]]:
    """What is told of a call that arrives in one piece."""
    return [("call.delta", index, name, arguments), ("call.done", index, name, arguments)]


Case = tuple[list[dict[str, object]], list[tuple[object, ...]]]

CALLS: dict[str, Case] = {
    # The word for a missing name is written as one, with the type in capitals.
    "BerriAI/litellm 12513": (
        [
            calls({**call(0, '{"path": ".', "ls", "c1"), "type": "FUNCTION"}),
            calls({**call(0, '"}', "null", ""), "type": "FUNCTION"}),
            calls({**call(0, "", "null", ""), "type": "FUNCTION"}),
        ],
        [
            ("call.delta", 0, "ls", '{"path": ".'),
            ("call.delta", 0, "ls", '"}'),
            ("call.done", 0, "ls", '{"path": "."}'),
        ],
    ),
    # Later pieces have an empty id and an empty name.
    "anomalyco/opencode 37841": (
        [calls(call(0, '{"a": ', "f", "c1")), calls(call(0, "2}", "", ""))],
        [
            ("call.delta", 0, "f", '{"a": '),
            ("call.delta", 0, "f", "2}"),
            ("call.done", 0, "f", '{"a": 2}'),
        ],
    ),
    "agentgateway/agentgateway 1988": (
        [
            calls({"index": 0, "id": "c1", "function": {"name": "f", "arguments": None}}),
            calls(call(0, '{"a": 1}')),
        ],
        [("call.delta", 0, "f", ""), *whole("f", '{"a": 1}')],
    ),
    # The name arrives after the first arguments.
    "vercel/ai 16507": (
        [calls(call(0, "", "", "c1")), calls(call(0, '{"a"')), calls(call(0, ": 1}", "f"))],
        [
            ("call.delta", 0, "", '{"a"'),
            ("call.delta", 0, "f", ": 1}"),
            ("call.done", 0, "f", '{"a": 1}'),
        ],
    ),
    # LM Studio: each piece has an id of its own.
    "NousResearch/hermes-agent 5254": (
        [calls(call(0, "", "f", "c1"))]
        + [calls(call(0, piece, "", f"c{n}")) for n, piece in enumerate(("{", '"a"', ": 1}"), 2)],
        [
            ("call.delta", 0, "f", ""),
            ("call.delta", 0, "f", "{"),
            ("call.delta", 0, "f", '"a"'),
            ("call.delta", 0, "f", ": 1}"),
            ("call.done", 0, "f", '{"a": 1}'),
        ],
    ),
    # Each piece has the name once more.
    "ggml-org/llama.cpp 13774": (
        [calls(call(0, '{"a"', "the_result", "c1")), calls(call(0, ": 1}", "the_result", "c1"))],
        [
            ("call.delta", 0, "the_result", '{"a"'),
            ("call.delta", 0, "the_result", ": 1}"),
            ("call.done", 0, "the_result", '{"a": 1}'),
        ],
    ),
    # Two calls under one index and one id; then one of them is sent again.
    "open-webui/open-webui 22235": (
        [calls(call(0, text, "f", "c1")) for text in ('{"q": "A"}', '{"q": "B"}', '{"q": "B"}')],
        [*whole("f", '{"q": "A"}'), *whole("f", '{"q": "B"}', 1)],
    ),
    # Ollama: both calls have the index 0, and their arguments are objects.
    "BerriAI/litellm 37792": (
        [
            calls(call(0, {"city": "A"}, "f", "c1")),
            calls(call(0, {"city": "B"}, "f", "c2")),
        ],
        [*whole("f", '{"city": "A"}'), *whole("f", '{"city": "B"}', 1)],
    ),
    # All of the arguments arrive at once, and then an empty piece.
    "vllm-project/vllm 39615": (
        [calls(call(0, '{"a": 1}', "f", "c1")), calls(call(0, ""))],
        whole("f", '{"a": 1}'),
    ),
}


@pytest.mark.parametrize(("sent", "expected"), CALLS.values(), ids=CALLS.keys())
async def test_calls_are_told_apart_and_put_together(
    raw: RawServer,
    raw_client: AsyncClient,
    sent: list[dict[str, object]],
    expected: list[tuple[object, ...]],
) -> None:
    assert told(await read(raw, raw_client, *sent, END, DONE)) == expected


async def test_a_chunk_may_have_the_end_of_the_reasoning_and_the_start_of_the_text(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """vllm-project/vllm 43933: elsewhere the first token of the answer was lost."""
    both = chunk("Ans", reasoning_content="ght.")
    sent = [chunk_with("reasoning_content", "A thou"), both, chunk("wer"), FINISH]
    assert told(await read(raw, raw_client, *sent, DONE)) == [
        ("reasoning.delta", "A thou"),
        ("reasoning.delta", "ght."),
        ("reasoning.done", "A thought."),
        ("content.delta", "Ans"),
        ("content.delta", "wer"),
        ("content.done", "Answer"),
    ]


async def test_thinking_without_a_signature_is_reasoning_too(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """BerriAI/litellm 33034: it was dropped when the pieces were put together."""
    pieces = [
        chunk(None, thinking_blocks=[{"type": "thinking", "thinking": text}])
        for text in ("Let ", "me.")
    ]
    events = await read(raw, raw_client, *pieces, chunk("Hi"), FINISH, DONE)
    assert told(events)[:3] == [
        ("reasoning.delta", "Let "),
        ("reasoning.delta", "me."),
        ("reasoning.done", "Let me."),
    ]


async def test_geminis_calls_keep_their_signature(raw: RawServer, raw_client: AsyncClient) -> None:
    """open-webui/computer 224: no index, arguments in pieces, `stop` at the end."""
    extra = {"google": {"thought_signature": "c2ln"}}
    first = {**call(None, '{"city": ', "weather", "c1"), "extra_content": extra}
    sent = [calls(first), calls(call(None, '"Sydney"}')), FINISH]
    events = await read(raw, raw_client, *sent, DONE)
    assert told(events)[-1] == ("call.done", 0, "weather", '{"city": "Sydney"}')
    (last,) = [event for event in events if event.type == "chunk"][-1:]
    (held,) = last.snapshot.choices[0].message.tool_calls or []
    assert held.to_dict()["extra_content"] == extra


async def test_an_empty_finish_reason_is_none(raw: RawServer, raw_client: AsyncClient) -> None:
    """ollama/ollama 4357."""
    sent = [chunk("a", finish=""), chunk("b", finish=""), FINISH]
    assert told(await read(raw, raw_client, *sent, DONE)) == [
        ("content.delta", "a"),
        ("content.delta", "b"),
        ("content.done", "ab"),
    ]


async def test_log_probabilities_may_come_without_text(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """vllm-project/vllm 37795: the token opens a call."""
    token = {"token": "<tool_call>", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    choice = {"index": 0, "delta": {}, "logprobs": {"content": [token]}, "finish_reason": None}
    sent = [{**chunk(), "choices": [choice]}, calls(call(0, '{"a": 1}', "f", "c1")), END]
    events = told(await read(raw, raw_client, *sent, DONE))
    assert events[0] == ("logprobs.content.delta", ["<tool_call>"])
    assert ("logprobs.content.done", ["<tool_call>"]) in events


async def test_an_error_with_status_200_is_raised_by_its_code(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """sgl-project/sglang 20027: a prompt that is too long."""
    error = {"message": "Input is longer than the context.", "code": 400}
    raw.answer = lambda exchange: exchange.stream({"error": error}, DONE)
    with pytest.raises(BadRequestError, match="longer than the context"):
        async with ask(raw_client):
            pytest.fail("there is nothing to read")
