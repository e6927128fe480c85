"""How streams of events end: completely, in failure, or because they are left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openai_async import (
    APIError,
    APIResponseValidationError,
    AsyncClient,
    BadRequestError,
    OpenAIError,
    StreamInterruptedError,
)
from openai_async.testing import Failure, LocalServer, Reply

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .events import FINISH, USAGE, Event, ask, call, read, told

pytestmark = pytest.mark.virtual_time

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
        assert stream.current_completion_snapshot == plain
    assert final.to_dict() == plain.to_dict()
    async with ask(raw_client) as stream:
        events = [event async for event in stream]
        assert (await stream.get_final_completion()).to_dict() == plain.to_dict()
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
