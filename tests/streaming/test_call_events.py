"""The events of tool calls, however servers send them."""

from __future__ import annotations

from typing import Any

import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
)
from openai_async.streaming.events import ChatCompletionEventStream
from openai_async.types.chat_events import (
    FunctionToolCallArgumentsDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
)

from ..raw_server import DONE, RawServer, chunk
from .events import call, read, told

pytestmark = pytest.mark.virtual_time


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
    with pytest.raises(
        APIResponseValidationError, match="for the tool f do not match its parameters: they are not"
    ):
        _ = done.parsed_arguments


async def test_a_call_that_the_token_limit_cuts_off_is_done_with_what_was_written(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = chunk(None, tool_calls=[call(0, '{"city": "Ro', "f", "c1")])
    events = await read(raw, raw_client, sent, chunk(finish="length"), DONE)
    (done,) = (e for e in events if isinstance(e, FunctionToolCallArgumentsDoneEvent))
    assert done.arguments == '{"city": "Ro'
    with pytest.raises(APIResponseValidationError, match="for the tool f do not match"):
        _ = done.parsed_arguments


async def test_custom_tools_are_in_the_chunks_and_the_completion_only(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    custom = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    sent = chunk(None, tool_calls=[custom])
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    assert told(events, chunks=True) == [("chunk",), ("chunk",)]


async def test_a_name_and_the_first_argument_in_two_entries_are_one_call(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """As vLLM sends them with speculative decoding: openai-python issue 3201."""
    begin = chunk(None, tool_calls=[call(0, None, "list", "c1"), call(0, ' {"')])
    rest = chunk(None, tool_calls=[call(0, 'path": "."}')])
    events = await read(raw, raw_client, begin, rest, chunk(finish="tool_calls"), DONE)
    assert told(events) == [
        ("call.delta", 0, "list", ' {"'),
        ("call.delta", 0, "list", 'path": "."}'),
        ("call.done", 0, "list", ' {"path": "."}'),
    ]


async def test_a_call_in_the_last_chunk_is_done(raw: RawServer, raw_client: AsyncClient) -> None:
    """openai-ruby issue 573."""
    whole = chunk(None, finish="tool_calls", tool_calls=[call(0, '{"a": 1}', "f", "c1")])
    events = await read(raw, raw_client, chunk(role="assistant"), whole, DONE)
    assert told(events) == [
        ("call.delta", 0, "f", '{"a": 1}'),
        ("call.done", 0, "f", '{"a": 1}'),
    ]


async def test_a_call_is_done_once_whatever_follows_its_finish_reason(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Azure sends annotations there (openai-node issue 2658); vLLM, empty arguments."""
    note = {**chunk(), "id": "", "object": "", "choices": [{"index": 0, "content_filter": {}}]}
    sent = chunk(None, tool_calls=[call(0, '{"a": 1}', "f", "c1")])
    finish = chunk(None, finish="tool_calls", tool_calls=[call(0, "")])
    events = await read(raw, raw_client, sent, finish, note, note, DONE)
    assert told(events) == [
        ("call.delta", 0, "f", '{"a": 1}'),
        ("call.done", 0, "f", '{"a": 1}'),
    ]


async def test_calls_that_are_numbered_from_1_keep_their_numbers(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = chunk(None, tool_calls=[call(1, '{"a": 1}', "f", "c1")])
    events = await read(raw, raw_client, sent, chunk(finish="tool_calls"), DONE)
    assert told(events)[-1] == ("call.done", 1, "f", '{"a": 1}')


async def test_a_call_with_a_number_that_is_taken_gets_the_next_free_one(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    numbers = [1, 0, 0]
    sent = [call(n, "{}", "f", f"c{place}") for place, n in enumerate(numbers)]
    events = await read(raw, raw_client, chunk(None, finish="tool_calls", tool_calls=sent), DONE)
    assert [event[1] for event in told(events) if event[0] == "call.done"] == [1, 0, 2]


async def test_tool_arguments_are_decoded_by_name(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = chunk(None, tool_calls=[call(0, '{"a": 1}', "f", "c1")])
    raw.answer = lambda exchange: exchange.stream(sent, chunk(finish="tool_calls"), DONE)
    plain = raw_client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    stream = ChatCompletionEventStream(plain, decode_arguments=lambda name, text: (name, text))
    (done,) = [e async for e in stream if e.type == "tool_calls.function.arguments.done"]
    assert done.parsed_arguments == ("f", '{"a": 1}')
