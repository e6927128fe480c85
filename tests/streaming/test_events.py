"""`client.chat.completions.stream(...)`: which events there are, when, and what they add up to."""

from __future__ import annotations

import json
import pickle
from datetime import date
from typing import Any

import attrs
import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
)
from openai_async.streaming.events import ChatCompletionEventStream
from openai_async.testing import LocalServer, Reply
from openai_async.types.chat_events import (
    ContentDeltaEvent,
    ContentDoneEvent,
)

from ..raw_server import DONE, RawServer, chunk, sse
from .events import FINISH, USAGE, ask, chunk_with, read, told

pytestmark = pytest.mark.virtual_time

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
    plain = raw_client.chat.completions.parse(
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


async def test_an_answer_that_was_cut_off_by_its_length_fails_only_where_it_is_decoded(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """The official SDK fails in the loop: openai-python issues 1763 and 3263."""

    def decode(text: str) -> int:
        raise APIResponseValidationError(f"{text!r} is cut off.")

    raw.answer = lambda exchange: exchange.stream(chunk('{"a'), chunk(finish="length"), DONE)
    plain = raw_client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    events = [event async for event in ChatCompletionEventStream(plain, decode=decode)]
    (done,) = (event for event in events if event.type == "content.done")
    assert done.content == '{"a'
    with pytest.raises(APIResponseValidationError, match="cut off"):
        _ = done.parsed


async def test_a_character_in_two_halves_is_parsed_once_it_is_whole(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [sse(chunk("TEXT")).replace(b"TEXT", half) for half in (b"\\ud83d", b"\\ude00!")]
    pieces = [sse(chunk('"')), *pieces, sse(chunk('"'))]
    raw.answer = lambda exchange: exchange.stream(*pieces, FINISH, DONE)
    plain = raw_client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    events = [event async for event in ChatCompletionEventStream(plain, decode=str)]
    parsed = [event.parsed for event in events if event.type == "content.delta"]
    assert parsed == ["", "\ufffd", "\U0001f600!", "\U0001f600!"]


async def test_events_cannot_be_changed_and_can_be_pickled(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    events = await read(raw, raw_client, chunk("a"), chunk("b"), FINISH, DONE)
    deltas = [event for event in events if event.type == "content.delta"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        deltas[0].delta = "b"  # type: ignore[misc]
    assert [event.snapshot for event in pickle.loads(pickle.dumps(deltas))] == ["a", "ab"]
    assert repr(deltas[1]) == "ContentDeltaEvent(delta='b')"


# --- types and functions ------------------------------------------------------------------------


async def test_with_a_type_the_content_and_the_completion_are_parsed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(
        chunk('{"value": '), chunk("[1, 2]}"), FINISH, DONE
    )
    async with raw_client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "Hi"}], response_format=list[int]
    ) as stream:
        (done,) = [event async for event in stream if event.type == "content.done"]
        assert done.parsed == [1, 2]
        assert (await stream.get_final_completion()).parsed == [1, 2]
    sent = json.loads(raw.exchanges[-1].body)["response_format"]
    assert sent["json_schema"]["name"] == "list_int"


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (list[int], ['{"val', 'ue": ', "[1, 2", "]}"], [None, None, [1, 2], [1, 2]]),
        (str, ['{"value": "He', 'llo"}'], ["He", "Hello"]),
        (int, ["4", "2"], [4, 42]),  # a server that ignores the schema
        (list[int], ["Here:\n```json\n", '{"value": [1', "]}\n```"], [None, [1], [1]]),
    ],
    ids=["list", "str", "bare", "code block"],
)
async def test_the_value_so_far_is_what_is_inside_the_object_around_it(
    raw: RawServer, raw_client: AsyncClient, kind: Any, texts: list[str], expected: list[Any]
) -> None:
    raw.answer = lambda exchange: exchange.stream(*map(chunk, texts), FINISH, DONE)
    async with raw_client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "Hi"}], response_format=kind
    ) as stream:
        deltas = [event async for event in stream if event.type == "content.delta"]
    assert [event.parsed for event in deltas] == expected
    assert [event.parsed for event in pickle.loads(pickle.dumps(deltas))] == expected


async def test_with_a_type_what_is_before_the_json_is_not_part_of_the_value(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    texts = ["<think>```json\n[3", "]\n```</think>", "\n```json\n[1", ", 2]", "\n```"]
    raw.answer = lambda exchange: exchange.stream(*map(chunk, texts), FINISH, DONE)
    async with raw_client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "Hi"}], response_format=list[int]
    ) as stream:
        events = [event async for event in stream]
    deltas = [event.parsed for event in events if event.type == "content.delta"]
    assert deltas == [None, None, [1], [1, 2], [1, 2]]
    (done,) = (event for event in events if event.type == "content.done")
    assert done.content == "".join(texts)
    assert done.parsed == [1, 2]


async def test_the_arguments_of_a_function_are_parsed_by_its_signature(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    def remind(day: date) -> str:
        return day.isoformat()

    call = {"index": 0, "id": "c1", "type": "function"}
    sent = call | {"function": {"name": "remind", "arguments": '{"day": "2030-01-31"}'}}
    raw.answer = lambda exchange: exchange.stream(
        chunk(None, tool_calls=[sent]), chunk(finish="tool_calls"), DONE
    )
    async with raw_client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "Hi"}], tools=[remind]
    ) as stream:
        events = [event async for event in stream]
        (done,) = [e for e in events if e.type == "tool_calls.function.arguments.done"]
        assert done.parsed_arguments == {"day": date(2030, 1, 31)}
        final = await stream.get_final_completion()
    (parsed,) = final.choices[0].message.tool_calls or []
    assert parsed.type == "function"
    assert parsed.parsed_arguments == {"day": date(2030, 1, 31)}


async def test_content_that_does_not_fit_its_type_fails_where_it_is_parsed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk('{"value": ["x"]}'), FINISH, DONE)
    async with raw_client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "Hi"}], response_format=list[int]
    ) as stream:
        (done,) = [event async for event in stream if event.type == "content.done"]
        with pytest.raises(APIResponseValidationError, match="does not match") as caught:
            _ = done.parsed
        assert caught.value.path == "[0]"


# --- reasoning ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        [{"reasoning_details": [{"type": "reasoning.text", "text": text}]} for text in ("a", "b")],
        [{"content": [{"type": "thinking", "thinking": text}]} for text in ("a", "b")],
        [{"reasoning": text, "reasoning_content": text} for text in ("a", "b")],
    ],
    ids=["details", "parts", "twice"],
)
async def test_reasoning_has_events_whatever_its_vendor_calls_it(
    raw: RawServer, raw_client: AsyncClient, pieces: list[dict[str, Any]]
) -> None:
    first, second = (chunk(piece.pop("content", None), **piece) for piece in pieces)
    events = await read(raw, raw_client, first, second, chunk("Hi"), FINISH, USAGE, DONE)
    found = [event for event in events if event.type.startswith("reasoning")]
    assert [getattr(event, "delta", None) for event in found] == ["a", "b", None]
    assert getattr(found[-1], "reasoning", None) == "ab"
