"""Reads the events of a stream of given chunks, and says what they say, in short."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

from openai_async import AsyncClient
from openai_async.streaming.events import ChatCompletionEventStream
from openai_async.types.chat import (
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageToolCall,
)
from openai_async.types.chat_events import (
    ChatCompletionStreamEvent,
    ContentDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
)

from ..raw_server import RawServer, chunk

Event = ChatCompletionStreamEvent[Any]

FINISH = chunk(finish="stop")
USAGE: dict[str, object] = {
    **chunk(),
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def ask(client: AsyncClient, **params: Any) -> ChatCompletionEventStream[None]:
    """Ask for the events of a stream; with all its chunks, that of the usage included."""
    return client.chat.completions.stream(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Hi"}],
        stream_options={"include_usage": True},
        **params,
    )


async def read(raw: RawServer, client: AsyncClient, *sent: Any, **params: Any) -> list[Event]:
    """The events of a stream of these chunks, which add up to its completion."""
    raw.answer = lambda exchange: exchange.stream(*sent)
    async with ask(client, **params) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_completion()
    chunks = [event for event in events if event.type == "chunk"]
    assert chunks[-1].snapshot.to_dict() == final.to_dict()
    for choice in final.choices:
        deltas = [e for e in events if isinstance(e, ContentDeltaEvent)]
        text = "".join(e.delta for e in deltas if e.choice_index == choice.index)
        assert text == (choice.message.content or "")
        told_calls = {
            e.index: (e.name, e.arguments)
            for e in events
            if isinstance(e, FunctionToolCallArgumentsDoneEvent) and e.choice_index == choice.index
        }
        functions = [held.function for held in choice.message.tool_calls or [] if is_call(held)]
        assert [*told_calls.values()] == [(f.name, f.arguments) for f in functions]
    return events


def chunk_with(field: str, text: str, **delta: Any) -> dict[str, object]:
    """A chunk with a text in this field of its delta."""
    return chunk(**delta, **{field: text})  # type: ignore[arg-type]


def call(
    index: int | None = 0,
    arguments: Any = None,
    name: str | None = None,
    call_id: str | None = None,
) -> dict[str, object]:
    """A piece of a tool call."""
    function = {"name": name, "arguments": arguments}
    piece: dict[str, object] = {"function": {k: v for k, v in function.items() if v is not None}}
    if index is not None:
        piece["index"] = index
    if call_id is not None:
        piece |= {"id": call_id, "type": "function"}
    return piece


def is_call(
    held: ChatCompletionMessageToolCall,
) -> TypeGuard[ChatCompletionMessageFunctionToolCall]:
    return isinstance(held, ChatCompletionMessageFunctionToolCall)


def told(events: Iterable[Event], *, chunks: bool = False) -> list[tuple[object, ...]]:
    """What the events say, in short."""
    short: list[tuple[object, ...]] = []
    for event in events:
        match event.type:
            case "chunk":
                if chunks:
                    short.append((event.type,))
            case "content.delta" | "refusal.delta" | "reasoning.delta":
                short.append((event.type, event.delta))
            case "content.done":
                short.append((event.type, event.content))
            case "refusal.done":
                short.append((event.type, event.refusal))
            case "reasoning.done":
                short.append((event.type, event.reasoning))
            case "tool_calls.function.arguments.delta":
                short.append(("call.delta", event.index, event.name, event.arguments_delta))
            case "tool_calls.function.arguments.done":
                short.append(("call.done", event.index, event.name, event.arguments))
            case "logprobs.content.delta" | "logprobs.content.done":
                short.append((event.type, [token.token for token in event.content]))
            case "logprobs.refusal.delta" | "logprobs.refusal.done":
                short.append((event.type, [token.token for token in event.refusal]))
    return short
