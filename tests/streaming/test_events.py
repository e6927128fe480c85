"""`client.chat.completions.stream(...)`: which events there are, when, and what they add up to."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeGuard

import attrs
import pytest

import openai_async
from openai_async import (
    APIError,
    APIResponseValidationError,
    AsyncClient,
    BadRequestError,
    OpenAIError,
    StreamInterruptedError,
)
from openai_async.streaming.call_events import arguments_as_json
from openai_async.streaming.chat import ChatAnswer, ChatCompletionStream
from openai_async.streaming.events import ChatCompletionEventStream, Events
from openai_async.streaming.receiver import Receiver
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.base import ResponseMeta
from openai_async.types.chat import (
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageToolCall,
)
from openai_async.types.chat_events import (
    ChatCompletionStreamEvent,
    ContentDeltaEvent,
    ContentDoneEvent,
    FunctionToolCallArgumentsDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
)
from openai_async.types.growing_text import TextSoFar
from openai_async.wire.assembly import Assembly

from ..raw_server import DONE, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

Event = ChatCompletionStreamEvent[Any]

FINISH = chunk(finish="stop")
USAGE: dict[str, object] = {
    **chunk(),
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def ask(client: AsyncClient, **params: Any) -> ChatCompletionEventStream[None]:
    return client.chat.completions.stream(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], **params
    )


async def read(raw: RawServer, client: AsyncClient, *sent: Any, **params: Any) -> list[Event]:
    """The events of a stream of these chunks, which add up to its completion."""
    raw.answer = lambda exchange: exchange.stream(*sent)
    async with ask(client, **params) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_completion()
    assert [event.snapshot for event in events if event.type == "chunk"][-1] == final
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
    return held.type == "function"


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


# --- texts --------------------------------------------------------------------------------------


async def test_each_chunk_is_an_event_before_what_it_adds(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [chunk("", role="assistant"), chunk("Hel"), chunk("lo"), FINISH, USAGE, DONE]
    events = await read(raw, raw_client, *sent)
    assert told(events, chunks=True) == [
        ("chunk",),
        ("chunk",),
        ("content.delta", "Hel"),
        ("chunk",),
        ("content.delta", "lo"),
        ("chunk",),
        ("content.done", "Hello"),
        ("chunk",),
    ]
    assert [event.chunk.to_dict() for event in events if event.type == "chunk"] == sent[:-1]


async def test_a_local_server_is_read_to_its_end(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("one two three"))
    async with ask(client) as stream:
        texts = [event.delta async for event in stream if event.type == "content.delta"]
    assert "".join(texts) == "one two three"
    assert server.requests[0].json["stream"] is True


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_is_done_when_the_answer_begins(
    raw: RawServer, raw_client: AsyncClient, field: str
) -> None:
    thinking = [chunk_with(field, text) for text in ("Hm", "m", ", so", ".")]
    events = await read(
        raw, raw_client, *thinking, chunk_with(field, "", content="4"), FINISH, DONE
    )
    assert told(events) == [
        ("reasoning.delta", "Hm"),
        ("reasoning.delta", "m"),
        ("reasoning.delta", ", so"),
        ("reasoning.delta", "."),
        ("reasoning.done", "Hmm, so."),
        ("content.delta", "4"),
        ("content.done", "4"),
    ]


async def test_reasoning_sent_under_two_names_is_told_once(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    first = chunk(None, reasoning="", reasoning_content="")
    both = [chunk(None, reasoning=text, reasoning_content=text) for text in ("Hm", ".")]
    events = await read(raw, raw_client, first, *both, FINISH, DONE)
    assert told(events) == [
        ("reasoning.delta", "Hm"),
        ("reasoning.delta", "."),
        ("reasoning.done", "Hm."),
    ]


async def test_a_refusal_has_events_of_its_own(raw: RawServer, raw_client: AsyncClient) -> None:
    refused = [chunk(None, refusal=text) for text in ("", "I ", "can't.")]
    events = await read(raw, raw_client, *refused, FINISH, DONE)
    assert told(events) == [
        ("refusal.delta", "I "),
        ("refusal.delta", "can't."),
        ("refusal.done", "I can't."),
    ]


async def test_empty_pieces_are_no_events(raw: RawServer, raw_client: AsyncClient) -> None:
    empty = chunk("", refusal="", reasoning_content="", tool_calls=[])
    events = await read(raw, raw_client, empty, empty, chunk("a"), empty, FINISH, DONE)
    assert told(events) == [("content.delta", "a"), ("content.done", "a")]


async def test_an_answer_without_any_output_has_only_its_chunks(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    events = await read(raw, raw_client, chunk("", role="assistant"), FINISH, DONE)
    assert told(events, chunks=True) == [("chunk",), ("chunk",)]


async def test_each_choice_has_its_own_events(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = [chunk("a", index=1), chunk("x"), chunk("y"), chunk("z"), chunk("b", index=1)]
    ends = [chunk(finish="stop", index=0), chunk("c", index=1), chunk(finish="stop", index=1)]
    events = await read(raw, raw_client, *sent, *ends, DONE, n=2)
    deltas = [event for event in events if event.type == "content.delta"]
    assert [(event.choice_index, event.delta, event.snapshot) for event in deltas] == [
        (1, "a", "a"),
        (0, "x", "x"),
        (0, "y", "xy"),
        (0, "z", "xyz"),
        (1, "b", "ab"),
        (1, "c", "abc"),
    ]
    done = [event for event in events if event.type == "content.done"]
    assert [(event.choice_index, event.content) for event in done] == [(0, "xyz"), (1, "abc")]
    assert events.index(done[0]) < events.index(deltas[-1])


# --- tool calls ---------------------------------------------------------------------------------


async def test_a_tool_call_is_told_from_its_name_to_its_last_argument(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [call(0, "", "add", "call_1"), call(0, '{"a": '), call(0, "[1, 2"), call(0, "]}")]
    sent = [chunk(None, tool_calls=[piece]) for piece in pieces]
    events = await read(raw, raw_client, *sent, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("call.delta", 0, "add", ""),
        ("call.delta", 0, "add", '{"a": '),
        ("call.delta", 0, "add", "[1, 2"),
        ("call.delta", 0, "add", "]}"),
        ("call.done", 0, "add", '{"a": [1, 2]}'),
    ]
    deltas = [e for e in events if isinstance(e, FunctionToolCallArgumentsDeltaEvent)]
    assert [event.arguments for event in deltas] == [
        "",
        '{"a": ',
        '{"a": [1, 2',
        '{"a": [1, 2]}',
    ]
    assert [event.parsed_arguments for event in deltas] == [None, {}, {"a": [1, 2]}, {"a": [1, 2]}]
    (done,) = (e for e in events if isinstance(e, FunctionToolCallArgumentsDoneEvent))
    assert done.parsed_arguments == {"a": [1, 2]}


async def test_a_text_is_done_before_a_tool_call_and_a_call_before_the_next(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [
        chunk("Let me see."),
        chunk(None, tool_calls=[call(0, '{"a": 1}', "one", "c1")]),
        chunk(None, tool_calls=[call(1, '{"b"', "two", "c2")]),
        chunk(None, tool_calls=[call(1, ": 2}")]),
    ]
    events = await read(raw, raw_client, *sent, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("content.delta", "Let me see."),
        ("content.done", "Let me see."),
        ("call.delta", 0, "one", '{"a": 1}'),
        ("call.done", 0, "one", '{"a": 1}'),
        ("call.delta", 1, "two", '{"b"'),
        ("call.delta", 1, "two", ": 2}"),
        ("call.done", 1, "two", '{"b": 2}'),
    ]


async def test_calls_whose_pieces_alternate_are_done_at_the_end(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [
        chunk(None, tool_calls=[call(0, '{"a"', "one", "c1"), call(1, '{"b"', "two", "c2")]),
        chunk(None, tool_calls=[call(0, ": 1}"), call(1, ": 2}")]),
    ]
    events = await read(raw, raw_client, *sent, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("call.delta", 0, "one", '{"a"'),
        ("call.delta", 1, "two", '{"b"'),
        ("call.delta", 0, "one", ": 1}"),
        ("call.delta", 1, "two", ": 2}"),
        ("call.done", 0, "one", '{"a": 1}'),
        ("call.done", 1, "two", '{"b": 2}'),
    ]


@pytest.mark.parametrize("index", [0, None], ids=["all-numbered-0", "not-numbered"])
async def test_whole_calls_in_one_chunk_are_told_apart(
    raw: RawServer, raw_client: AsyncClient, index: int | None
) -> None:
    """Gemini numbered all calls 0: openai-python issue 2806."""
    both = [call(index, '{"a": 1}', "one", "c1"), call(index, '{"a": 2}', "one", "c2")]
    sent = chunk(None, finish="tool_calls", tool_calls=both)
    events = await read(raw, raw_client, sent, DONE)
    assert told(events) == [
        ("call.delta", 0, "one", '{"a": 1}'),
        ("call.done", 0, "one", '{"a": 1}'),
        ("call.delta", 1, "one", '{"a": 2}'),
        ("call.done", 1, "one", '{"a": 2}'),
    ]


async def test_pieces_of_calls_in_two_entries_for_one_choice_are_told(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = chunk("Hm.")
    for place, text in enumerate(['{"a": 1}', '{"a": 2}']):
        entry = chunk(None, tool_calls=[call(place, text, "f", f"c{place}")])["choices"]
        sent["choices"] += entry  # type: ignore[operator]
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("content.delta", "Hm."),
        ("content.done", "Hm."),
        ("call.delta", 0, "f", '{"a": 1}'),
        ("call.done", 0, "f", '{"a": 1}'),
        ("call.delta", 1, "f", '{"a": 2}'),
        ("call.done", 1, "f", '{"a": 2}'),
    ]


async def test_an_empty_object_before_the_arguments_is_not_one_of_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [call(0, "{}", "f", "c1"), call(0, '{"a"'), call(0, ": 1}")]
    sent = [chunk(None, tool_calls=[piece]) for piece in pieces]
    events = await read(raw, raw_client, *sent, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("call.delta", 0, "f", ""),
        ("call.delta", 0, "f", '{"a"'),
        ("call.delta", 0, "f", ": 1}"),
        ("call.done", 0, "f", '{"a": 1}'),
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [("{}", "{}"), ({}, "{}"), ({"a": 1}, '{"a": 1}'), ("", "")],
    ids=["empty-object", "empty-dict", "dict", "nothing"],
)
async def test_the_deltas_of_a_call_add_up_to_its_arguments(
    raw: RawServer, raw_client: AsyncClient, arguments: Any, wanted: str
) -> None:
    sent = chunk(None, tool_calls=[call(0, arguments, "f", "c1")])
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    deltas = [e for e in events if isinstance(e, FunctionToolCallArgumentsDeltaEvent)]
    (done,) = (e for e in events if isinstance(e, FunctionToolCallArgumentsDoneEvent))
    assert "".join(event.arguments_delta for event in deltas) == wanted == done.arguments
    assert done.parsed_arguments == ({"a": 1} if "a" in wanted else {})


async def test_arguments_sent_anew_replace_those_before_and_leave_earlier_events_as_they_were(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    growing = [{"a": 1}, {"a": 1, "b": 2}]
    sent = [chunk(None, tool_calls=[call(0, arguments, "f", "c1")]) for arguments in growing]
    events = await read(raw, raw_client, *sent, chunk(finish="tool_calls"), DONE)
    deltas = [e for e in events if isinstance(e, FunctionToolCallArgumentsDeltaEvent)]
    (done,) = (e for e in events if isinstance(e, FunctionToolCallArgumentsDoneEvent))
    assert [event.parsed_arguments for event in deltas] == growing
    assert done.parsed_arguments == growing[-1]


async def test_arguments_that_are_not_json_fail_where_they_are_parsed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = chunk(None, tool_calls=[call(0, '{"a": oops}', "f", "c1")])
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    (done,) = (e for e in events if isinstance(e, FunctionToolCallArgumentsDoneEvent))
    assert done.arguments == '{"a": oops}'
    with pytest.raises(APIResponseValidationError, match=r"^The model called 'f' with arguments"):
        _ = done.parsed_arguments


async def test_custom_tools_are_in_the_chunks_and_the_completion_only(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    custom = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    sent = chunk(None, tool_calls=[custom])
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    assert told(events, chunks=True) == [("chunk",), ("chunk",)]


# --- log probabilities --------------------------------------------------------------------------


async def test_logprobs_have_events_of_their_own(raw: RawServer, raw_client: AsyncClient) -> None:
    def probable(kind: str, *tokens: str) -> dict[str, object]:
        sent = chunk_with(kind, "".join(tokens))
        logprobs = {kind: [{"token": token, "logprob": -0.5} for token in tokens]}
        sent["choices"][0]["logprobs"] = logprobs  # type: ignore[index]
        return sent

    content = [probable("content", "He", "l"), probable("content", "lo")]
    refusal = [probable("refusal", "No"), probable("refusal", ".")]
    events = await read(raw, raw_client, *content, *refusal, FINISH, DONE, logprobs=True)
    assert [short for short in told(events) if str(short[0]).startswith("logprobs")] == [
        ("logprobs.content.delta", ["He", "l"]),
        ("logprobs.content.delta", ["lo"]),
        ("logprobs.refusal.delta", ["No"]),
        ("logprobs.refusal.delta", ["."]),
        ("logprobs.content.done", ["He", "l", "lo"]),
        ("logprobs.refusal.done", ["No", "."]),
    ]
    deltas = [event for event in events if event.type == "logprobs.content.delta"]
    assert [[token.token for token in event.snapshot] for event in deltas] == [
        ["He", "l"],
        ["He", "l", "lo"],
    ]


# --- snapshots ----------------------------------------------------------------------------------


async def test_a_snapshot_of_a_text_is_what_it_was_whenever_it_is_read(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    texts = [*"one two three"]
    events = await read(raw, raw_client, *map(chunk, texts), FINISH, DONE)
    deltas = [event for event in events if event.type == "content.delta"]
    wanted = ["".join(texts[: end + 1]) for end in range(len(texts))]
    assert [event.snapshot for event in reversed(deltas)] == wanted[::-1]
    assert [event.snapshot for event in deltas] == wanted


async def test_the_snapshot_of_a_chunk_is_the_completion_so_far(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Not ahead of the events, however many chunks have arrived."""
    texts = [*"abcdefghij"]
    body = b"".join(sse(chunk(text)) for text in texts) + sse(FINISH) + DONE
    raw.answer = lambda exchange: exchange.stream(body)
    snapshots = []
    async with ask(raw_client) as stream:
        async for event in stream:
            if event.type == "chunk":
                snapshots.append(event.snapshot.text)
                assert stream.current_completion_snapshot == event.snapshot
                assert event.snapshot.meta.status == 200
        assert stream.current_completion_snapshot.choices[0].finish_reason == "stop"
    assert snapshots == [*("abcdefghij"[:end] for end in range(1, 11)), "abcdefghij"]


async def test_before_the_first_event_the_snapshot_is_an_empty_completion(
    client: AsyncClient,
) -> None:
    async with ask(client) as stream:
        assert stream.current_completion_snapshot.text == ""


async def test_without_a_type_nothing_is_parsed(raw: RawServer, raw_client: AsyncClient) -> None:
    events = await read(raw, raw_client, chunk("[1]"), FINISH, DONE)
    parsed = [e.parsed for e in events if isinstance(e, ContentDeltaEvent | ContentDoneEvent)]
    assert parsed == [None, None]


async def test_with_a_type_the_json_so_far_is_parsed_and_the_whole_is_decoded(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    decoded = []

    def decode(text: str) -> list[str]:
        decoded.append(text)
        return text.split()

    texts = ["", " ", '{"name', '": "Ann', " Lee", '", "age": 4', "2}"]
    raw.answer = lambda exchange: exchange.stream(*map(chunk, texts), FINISH, DONE)
    plain = raw_client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    stream = ChatCompletionEventStream(plain, decode=decode)
    events = [event async for event in stream]
    assert [event.parsed for event in events if event.type == "content.delta"] == [
        None,
        {},
        {"name": "Ann"},
        {"name": "Ann Lee"},
        {"name": "Ann Lee", "age": 4},
        {"name": "Ann Lee", "age": 42},
    ]
    (done,) = (event for event in events if event.type == "content.done")
    assert decoded == []  # only when it is read, and once
    assert done.parsed is done.parsed
    assert decoded == [done.content]


async def test_a_character_in_two_halves_is_parsed_once_it_is_whole(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [sse(chunk("TEXT")).replace(b"TEXT", half) for half in (b"\\ud83d", b"\\ude00!")]
    pieces = [sse(chunk('"')), *pieces, sse(chunk('"'))]
    raw.answer = lambda exchange: exchange.stream(*pieces, FINISH, DONE)
    plain = raw_client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    events = [event async for event in ChatCompletionEventStream(plain, decode=str)]
    parsed = [event.parsed for event in events if event.type == "content.delta"]
    assert parsed == ["", "\ufffd", "\U0001f600!", "\U0001f600!"]


async def test_tool_arguments_are_decoded_by_name(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = chunk(None, tool_calls=[call(0, '{"a": 1}', "f", "c1")])
    raw.answer = lambda exchange: exchange.stream(sent, chunk(finish="tool_calls"), DONE)
    plain = raw_client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    stream = ChatCompletionEventStream(plain, decode_arguments=lambda name, text: (name, text))
    (done,) = [e async for e in stream if e.type == "tool_calls.function.arguments.done"]
    assert done.parsed_arguments == ("f", '{"a": 1}')


async def test_events_cannot_be_changed_and_can_be_pickled(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    events = await read(raw, raw_client, chunk("a"), chunk("b"), FINISH, DONE)
    deltas = [event for event in events if event.type == "content.delta"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        deltas[0].delta = "b"  # type: ignore[misc]
    assert [event.snapshot for event in pickle.loads(pickle.dumps(deltas))] == ["a", "ab"]
    assert repr(deltas[1]) == "ContentDeltaEvent(delta='b')"


# --- the work it takes --------------------------------------------------------------------------


def steps(run: Callable[[], object]) -> int:
    """How many functions the package calls, and how many are called by it, its lines apart."""
    package, count = str(Path(openai_async.__file__).parent), 0

    def step(frame: Any, event: str, _: object) -> None:
        nonlocal count
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(package):
            count += 1

    sys.setprofile(step)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def answer_in_pieces(kind: str, count: int) -> list[dict[str, Any]]:
    """The chunks of a long answer."""
    match kind:
        case "text":
            chunks = [chunk(f"{number:05} ") for number in range(count)]
        case "tool call":
            pieces = [call(0, f"{number:05} ") for number in range(count)]
            begin = chunk(None, tool_calls=[call(0, "", "f", "c1")])
            chunks = [begin, *(chunk(None, tool_calls=[piece]) for piece in pieces)]
        case "two choices":
            chunks = [chunk(f"{number:05} ", index=number % 2) for number in range(count)]
        case _:
            chunks = [chunk(f"{number:05} ") for number in range(count)]
            for sent in chunks:
                token = {"token": "t", "logprob": -1.0}
                sent["choices"][0]["logprobs"] = {"content": [token]}  # type: ignore[index]
    return [*chunks, FINISH]


@pytest.mark.parametrize("kind", ["text", "tool call", "two choices", "logprobs"])
def test_the_work_grows_with_the_length_of_the_stream(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 2 if kind == "two choices" else 1
    joined = copied = 0
    between, after = TextSoFar.between, TextSoFar.after

    def counted_between(self: TextSoFar, start: int, end: int) -> str:
        nonlocal joined
        joined += end - start
        return between(self, start, end)

    def counted_after(self: TextSoFar, count: int) -> str:
        nonlocal copied
        text = after(self, count)
        copied += len(text)
        return text

    monkeypatch.setattr(TextSoFar, "between", counted_between)
    monkeypatch.setattr(TextSoFar, "after", counted_after)
    monkeypatch.setattr(Assembly, "completion", lambda _: pytest.fail("put together unasked"))

    def work(count: int) -> tuple[int, int, int, int]:
        nonlocal joined, copied
        joined = copied = 0
        receiver = Receiver(ChatAnswer(n, False), ResponseMeta(), None)
        stream = ChatCompletionStream(None, n=n)  # type: ignore[arg-type] # it is never opened
        values = receiver.receive_data(b"".join(map(sse, answer_in_pieces(kind, count))))
        received = [(value, stream._structure(value)) for value in values]
        events = Events(n == 1, None, arguments_as_json)
        made: list[Event] = []

        def run() -> None:
            for value, structured in received:
                made.extend(events.of(value, structured))
            made.extend(events.last(complete=True))

        return steps(run), len(made), joined, copied

    work(10)  # makes what is made once
    tenth, whole = work(2_000), work(20_000)
    assert whole[1] > 40_000
    for shorter, longer in zip(tenth, whole, strict=True):
        assert longer <= 10.01 * shorter
    assert whole[2] <= 2 * 20_002  # each piece once when it arrives, and once at the end


def test_reading_every_snapshot_joins_each_piece_once() -> None:
    class Pieces(list[str]):
        taken = 0

        def __getitem__(self, part: Any) -> Any:
            found = super().__getitem__(part)
            self.taken += len(found)
            return found

    pieces = Pieces("abcdefghij" * 2_000)
    text = TextSoFar(pieces, 0)
    for count in range(1, len(pieces) + 1):
        assert len(text.after(count)) == count
    assert pieces.taken == 20_000
    assert text.after(5) == "abcde"


def test_partial_json_is_read_by_a_library_that_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, openai_async.streaming.events\n"
        "before = 'jiter' in sys.modules\n"
        "from openai_async.types.growing_text import partial_json\n"
        "print(before, partial_json('[1, 2'), 'jiter' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, timeout=30
    )
    assert shown.stdout.decode().strip() == "False [1, 2] True"


# --- the end ------------------------------------------------------------------------------------


async def test_a_finish_reason_with_each_chunk_ends_nothing(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    texts = ["a", "b", "c"]
    events = await read(raw, raw_client, *(chunk(text, finish="stop") for text in texts), DONE)
    assert told(events) == [
        *(("content.delta", text) for text in texts),
        ("content.done", "abc"),
    ]


async def test_a_stream_without_any_finish_reason_is_done_at_its_end(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    events = await read(raw, raw_client, chunk("a"), DONE)
    assert told(events) == [("content.delta", "a"), ("content.done", "a")]


async def test_a_text_that_goes_on_after_a_tool_call_is_done_again_as_a_whole(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    tool = chunk(None, tool_calls=[call(0, "{}", "f", "c1")])
    events = await read(raw, raw_client, chunk("a"), tool, chunk("b"), FINISH, DONE)
    assert told(events) == [
        ("content.delta", "a"),
        ("content.done", "a"),
        ("call.delta", 0, "f", ""),
        ("content.delta", "b"),
        ("content.done", "ab"),
        ("call.delta", 0, "f", "{}"),
        ("call.done", 0, "f", "{}"),
    ]


async def test_texts_that_are_not_in_deltas_are_told_too(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Some gateways stream whole messages, each with the text so far."""

    def message(text: str, finish: str | None = None) -> dict[str, object]:
        sent = chunk(finish=finish)
        sent["choices"] = [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        ]
        return sent

    events = await read(raw, raw_client, message("Hel"), message("Hello"), message("Hello", "stop"))
    assert told(events) == [
        ("content.delta", "Hel"),
        ("content.delta", "lo"),
        ("content.done", "Hello"),
    ]


async def test_parts_instead_of_a_text_are_told_as_text(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    parts = [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hel"}]
    sent = chunk(None)
    sent["choices"][0]["delta"] = {"content": parts}  # type: ignore[index]
    events = await read(raw, raw_client, sent, chunk("lo"), FINISH, DONE)
    assert told(events) == [
        ("content.delta", "Hel"),
        ("content.delta", "lo"),
        ("content.done", "Hello"),
    ]


async def test_chunks_of_azures_content_filter_add_nothing(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """They have no choices, or choices without deltas, and an empty `object`."""
    first: dict[str, object] = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    first["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": {}}]
    late = {**first, "choices": [{"index": 0, "content_filter_offsets": {"end_offset": 44}}]}
    del late["prompt_filter_results"]
    events = await read(raw, raw_client, first, chunk("a"), late, FINISH, late, DONE)
    assert told(events) == [("content.delta", "a"), ("content.done", "a")]
    assert len([event for event in events if event.type == "chunk"]) == 5


async def test_a_chunk_with_another_object_is_read_too(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [{**chunk(text), "object": "chat.completion"} for text in ("a", "b")]
    events = await read(raw, raw_client, *sent, FINISH, DONE)
    assert told(events)[-1] == ("content.done", "ab")


# --- failures -----------------------------------------------------------------------------------


async def test_the_events_before_a_cut_come_and_then_the_error(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(sse(chunk("a")) + sse(chunk("b")))
    events: list[Event] = []
    async with ask(raw_client) as stream:
        with pytest.raises(StreamInterruptedError) as caught:
            async for event in stream:
                events.append(event)
        assert told(events) == [("content.delta", "a"), ("content.delta", "b")]
        assert caught.value.partial is not None
        assert caught.value.partial.text == "ab"
        assert stream.current_completion_snapshot.text == "ab"
        with pytest.raises(StreamInterruptedError):
            await anext(stream)
        with pytest.raises(StreamInterruptedError):
            await stream.get_final_completion()


async def test_what_was_complete_before_a_failure_is_done(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    error: dict[str, object] = {"error": {"message": "overloaded"}}
    sent = [chunk("a"), chunk("b", index=1), chunk(finish="stop"), error]
    raw.answer = lambda exchange: exchange.stream(*sent)
    events: list[Event] = []
    with pytest.raises(APIError, match="overloaded"):
        async for event in ask(raw_client, n=2):
            events.append(event)
    assert told(events) == [("content.delta", "a"), ("content.delta", "b"), ("content.done", "a")]


async def test_a_refused_request_fails_when_the_stream_is_entered(client: AsyncClient) -> None:
    with pytest.raises(BadRequestError):
        async with ask(client, temperature=9):
            pytest.fail("entered")


async def test_a_chunk_of_the_wrong_shape_is_an_error_after_the_events_before_it(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    wrong = {**chunk(), "choices": [{"index": 0, "delta": "text"}]}
    events: list[Event] = []
    raw.answer = lambda exchange: exchange.stream(chunk("a"), wrong, DONE)
    with pytest.raises(APIResponseValidationError):
        async for event in ask(raw_client):
            events.append(event)
    assert told(events) == [("content.delta", "a")]


# --- leaving ------------------------------------------------------------------------------------


async def endless(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.part(sse(chunk("a")))
    protocol: Any = exchange.writer.transport.get_protocol()
    await protocol._stream_reader.read(1)  # returns when the client has hung up
    exchange.writer.close()


async def hung_up(raw: RawServer) -> None:
    async with asyncio.timeout(5):
        await raw.hung_up.wait()


async def test_leaving_the_block_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = endless
    async with ask(raw_client) as stream:
        assert (await anext(stream)).type == "chunk"
    await hung_up(raw)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)


async def test_leaving_the_loop_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = endless
    stream = ask(raw_client)
    async for event in stream:
        assert event.type == "chunk"
        break
    await hung_up(raw)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)


async def test_cancelling_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = endless
    read = []

    async def reader() -> None:
        async for event in ask(raw_client):
            read.append(event)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await reader()
    await hung_up(raw)
    assert told(read) == [("content.delta", "a")]


async def test_closing_hangs_up_and_drops_what_was_not_read(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = endless
    stream = ask(raw_client)
    assert (await anext(stream)).type == "chunk"
    await stream.close()
    await stream.close()
    await hung_up(raw)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)
    assert repr(stream) == "<ChatCompletionEventStream closed>"


async def test_leaving_after_the_end_keeps_the_connection(
    server: LocalServer, client: AsyncClient
) -> None:
    for _ in range(2):
        async with ask(client) as stream:
            async for event in stream:
                if event.type == "content.done":
                    break
        assert [event async for event in stream] == []
    assert not any(request.disconnected for request in server.requests)


async def test_a_reader_that_was_never_begun_leaves_the_stream_open(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply("one two"))
    async with ask(client) as stream:
        aiter(stream)
        assert told([event async for event in stream])[-1] == ("content.done", "one two")


# --- the whole answer ---------------------------------------------------------------------------


async def test_the_final_completion_is_that_of_a_plain_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    tool = chunk(None, tool_calls=[call(0, '{"a": 1}', "f", "c1")])
    sent = [chunk("a", reasoning_content="Hm."), chunk("b"), tool, chunk(finish="tool_calls")]
    raw.answer = lambda exchange: exchange.stream(*sent, USAGE, DONE)
    plain = await raw_client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    ).completion()
    async with ask(raw_client) as stream:
        assert (await anext(stream)).type == "chunk"
        final = await stream.get_final_completion()
        assert [event async for event in stream] == []
        assert await stream.get_final_completion() == final
        assert stream.current_completion_snapshot == final
    assert final == plain
    async with ask(raw_client) as stream:
        events = [event async for event in stream]
        assert await stream.get_final_completion() == plain
    (last,) = (event for event in events[-1:] if event.type == "chunk")
    assert last.snapshot == plain


async def test_until_done_reads_to_the_end(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("one two"))
    async with ask(client) as stream:
        assert await stream.until_done() is stream
        assert (await stream.get_final_completion()).text == "one two"


async def test_until_done_raises_what_ends_the_stream(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(cut_after=2))
    async with ask(client) as stream:
        with pytest.raises(StreamInterruptedError):
            await stream.until_done()
