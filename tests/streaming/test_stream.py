"""Streams over real sockets: the three ways to read one, its end, and the ways it fails."""

from __future__ import annotations

import asyncio
import gc
import pickle
import time
import weakref
import zlib
from contextlib import aclosing, nullcontext
from typing import Any

import aiohttp
import pytest

from openai_async import (
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    BadRequestError,
    ChatCompletionStream,
    InternalServerError,
    OpenAIError,
    RateLimitError,
    Request,
    Response,
    Send,
    StreamInterruptedError,
    Timeout,
)
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.chat import ChatCompletionChunk
from openai_async.types.chat_params import ChatCompletionMessageParam

from ..raw_server import DONE, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

FINISH = chunk(finish="stop")


def ask(client: AsyncClient, **params: Any) -> ChatCompletionStream:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    create: Any = client.chat.completions.create
    stream: ChatCompletionStream = create(model="gpt-4o", messages=hi, stream=True, **params)
    return stream


async def texts(stream: ChatCompletionStream) -> list[str]:
    return [text async for text in stream.text()]


async def chunks(stream: ChatCompletionStream) -> list[ChatCompletionChunk]:
    return [piece async for piece in stream]


async def test_a_failure_that_arrives_with_the_first_chunk_hangs_up_at_once(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Even if nobody reads on: its slot and connection are needed by others."""

    error: dict[str, object] = {"error": {"message": "overloaded"}}

    async def fail(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk(role="assistant")) + sse(error))
        protocol: Any = exchange.writer.transport.get_protocol()
        await protocol._stream_reader.read(1)
        hung_up.set()

    hung_up = asyncio.Event()
    raw.answer = fail
    stream = await ask(raw_client)
    async with asyncio.timeout(5):
        await hung_up.wait()
    assert (await anext(stream)).choices[0].delta.role == "assistant"
    with pytest.raises(APIError, match="overloaded"):
        await anext(stream)


# --- the three ways -----------------------------------------------------------------------------


async def test_iterating_sends_the_request(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("one two"))
    stream = ask(client)
    assert server.requests == []
    assert "".join([chunk.text async for chunk in stream]) == "one two"
    assert server.requests[0].json["stream"] is True


async def test_awaiting_opens_the_stream(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("one two"))
    stream = await ask(client)
    assert stream.meta.status == 200
    assert "".join([chunk.text async for chunk in stream]) == "one two"


async def test_entering_opens_the_stream_and_leaving_closes_it(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=2))
    async with ask(client) as stream:
        first = await anext(stream)
        assert first.choices[0].delta.role == "assistant"
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_chunks_come_as_the_server_sends_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("first")))
        await go_on.wait()
        await exchange.part(sse(chunk("second")) + sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    read = []
    async for text in ask(raw_client).text():
        read.append(text)
        go_on.set()  # the second is not sent before the first was read
    assert read == ["first", "second"]


async def test_meta_describes_how_the_stream_arrived(
    server: LocalServer, client: AsyncClient
) -> None:
    stream = ask(client)
    with pytest.raises(OpenAIError, match="not open yet"):
        _ = stream.meta
    async with stream:
        assert stream.meta.request_id
        assert stream.meta.attempts == 1
        assert stream.meta.rate_limits is not None


# --- putting together ---------------------------------------------------------------------------


async def test_completion_is_what_a_plain_request_gets(
    server: LocalServer, client: AsyncClient
) -> None:
    params: dict[str, Any] = {"n": 2, "logprobs": True, "top_logprobs": 2}
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    plain = await client.chat.completions.create(model="gpt-4o", messages=hi, stream=None, **params)
    streamed = await ask(client, stream_options={"include_usage": True}, **params).completion()
    assert [c.message.content for c in streamed.choices] == [
        c.message.content for c in plain.choices
    ]
    assert [c.logprobs for c in streamed.choices] == [c.logprobs for c in plain.choices]
    assert [c.finish_reason for c in streamed.choices] == ["stop", "stop"]
    assert (streamed.usage, streamed.object) == (plain.usage, "chat.completion")
    assert streamed.meta.request_id


async def test_completion_after_reading_has_everything(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply("one two three"))
    async with ask(client) as stream:
        await anext(stream)
        await anext(stream)
        assert (await stream.completion()).text == "one two three"
        assert (await stream.completion()).text == "one two three"


async def test_completion_has_tool_calls(server: LocalServer, client: AsyncClient) -> None:
    calls = [{"name": "add", "arguments": '{"a": 1}'}, {"name": "sub", "arguments": '{"b": 22}'}]
    server.script(Reply(tool_calls=calls))
    message = (await ask(client).completion()).choices[0].message
    assert message.tool_calls is not None
    assert [
        (call.function.name, call.function.arguments)
        for call in message.tool_calls
        if call.type == "function"
    ] == [("add", '{"a": 1}'), ("sub", '{"b": 22}')]


async def test_completion_has_custom_tool_calls_without_a_type(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [{"index": 0, "id": "a", "custom": {"name": "c", "input": "x"}}]
    more = [{"index": 0, "custom": {"input": "y"}}]
    raw.answer = lambda e: e.stream(chunk(tool_calls=pieces), chunk(tool_calls=more), FINISH, DONE)
    calls = (await ask(raw_client).completion()).choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "custom"
    assert calls[0].custom.input == "xy"


async def test_completion_has_refusals_and_vendor_fields(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(refusal="I will not."), Reply("x", extra={"reasoning_content": "Hm, well"}))
    assert (await ask(client).completion()).choices[0].message.refusal == "I will not."
    message = (await ask(client).completion()).choices[0].message
    assert message.extra["reasoning_content"] == "Hm, well"


# --- the end ------------------------------------------------------------------------------------


async def test_streams_in_a_row_share_a_connection(
    server: LocalServer, client: AsyncClient
) -> None:
    for _ in range(5):
        await ask(client).completion()
    assert server.connections == 1


async def test_after_done_the_iterator_ends_though_the_server_lingers(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    client_is_done = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH) + DONE)
        await client_is_done.wait()
        await exchange.end()

    raw.answer = answer
    assert await texts(ask(raw_client)) == ["a"]
    client_is_done.set()


async def test_what_follows_done_is_ignored(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), DONE + sse(chunk("b")))
    assert await texts(ask(raw_client)) == ["a"]


async def test_a_stream_without_done_ends_with_its_finish_reasons(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(
        chunk("a"), chunk("b", index=1), FINISH, chunk(finish="stop", index=1)
    )
    assert (await ask(raw_client, n=2).completion()).choices[1].message.content == "b"


async def test_a_last_event_without_its_blank_line_counts(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), sse(FINISH).rstrip())
    assert await texts(ask(raw_client)) == ["a"]


async def test_a_finished_stream_ends_again_when_read_again(
    server: LocalServer, client: AsyncClient
) -> None:
    stream = await ask(client)
    assert [chunk async for chunk in stream]
    assert [chunk async for chunk in stream] == []
    assert len(server.requests) == 1


# --- leaving early ------------------------------------------------------------------------------


async def test_break_hangs_up_at_once(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=2))
    async for _ in ask(client):
        break
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_break_hangs_up_even_if_the_stream_is_still_referenced(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=2))
    stream = await ask(client)
    async for _ in stream:
        break
    await server.requests[0].finished()
    assert server.requests[0].disconnected
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)


async def test_break_from_text_hangs_up(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=2))
    async for _ in ask(client).text():
        break
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_break_from_text_without_think_tags_hangs_up(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=2))
    async for _ in ask(client).text(think_tags=True):
        break
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_an_exception_in_the_loop_hangs_up(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=2))
    with pytest.raises(LookupError):
        async for _ in ask(client):
            raise LookupError
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_cancellation_hangs_up_and_is_passed_on(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=1))
    waiting = asyncio.Event()

    async def read() -> None:
        async for text in ask(client).text():
            assert text
            waiting.set()

    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_aclosing_closes_a_stream(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=2))
    async with asyncio.timeout(5), aclosing(ask(client)) as stream:
        await anext(stream)
    async with asyncio.timeout(5):
        await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_close_hangs_up_and_may_be_repeated(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=2))
    stream = await ask(client)
    await stream.close()
    await stream.close()
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_closing_the_client_is_the_reason_its_streams_give(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=1))
    stream = await ask(client)
    reading = asyncio.create_task(stream.completion())
    await server.received()
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(StreamInterruptedError, match="client was closed"):
        await reading


@pytest.mark.parametrize("read", [0, 1])
async def test_dropping_a_stream_hangs_up(
    server: LocalServer, client: AsyncClient, read: int
) -> None:
    server.script(Failure(stall_after=2))
    stream = await ask(client)
    for _ in range(read):
        await anext(stream)
    del stream
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_a_stream_has_one_reader_that_others_do_not_disturb(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))
        await go_on.wait()
        await exchange.part(sse(chunk("b")) + sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    stream = await ask(raw_client)
    first = asyncio.create_task(texts(stream))
    await asyncio.sleep(0)
    with pytest.raises(OpenAIError, match="one reader"):
        await anext(stream)
    with pytest.raises(OpenAIError, match="one reader"):
        await texts(stream)
    with pytest.raises(OpenAIError, match="one reader"):
        await stream.completion()
    go_on.set()
    assert await first == ["a", "b"]


@pytest.mark.parametrize("headers", [False, True])
async def test_closing_a_stream_while_it_opens_ends_the_opening(
    raw: RawServer, raw_client: AsyncClient, headers: bool
) -> None:
    """Before its headers are there, and between them and the first event."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if headers:
            await exchange.start_stream()
        arrived.set()
        await go_on.wait()
        await exchange.stream(chunk("a"), FINISH, DONE)

    raw.answer = answer
    stream = ask(raw_client, max_retries=2)
    opening = asyncio.create_task(stream.completion())
    await arrived.wait()
    if headers:
        await asyncio.sleep(0.05)  # the headers are on their way, and nothing tells of them
    await stream.close()
    go_on.set()
    with pytest.raises(OpenAIError, match="closed before its end") as caught:
        await opening
    assert type(caught.value) is OpenAIError
    assert len(raw.exchanges) == 1


async def test_a_stream_that_was_closed_before_its_headers_came_holds_no_slot(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        arrived.set()
        await go_on.wait()
        await exchange.start_stream()
        await asyncio.Event().wait()

    raw.answer = answer
    stream = ask(raw_client)
    opening = asyncio.create_task(stream.completion())
    await arrived.wait()
    await stream.close()
    go_on.set()
    with pytest.raises(OpenAIError, match="closed before its end"):
        await opening
    [pool] = raw_client._transport._pools._pools.values()
    assert (len(pool.streams), pool.slots.free) == (0, 1000)


async def test_leaving_a_stream_whose_end_came_with_its_first_chunk_keeps_the_connection(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        whole = sse(chunk("a")) + sse(FINISH) + DONE
        await exchange.send(f"{len(whole):x}\r\n".encode() + whole + b"\r\n0\r\n\r\n")

    raw.answer = answer
    for _ in range(2):
        stream = await ask(raw_client)
        await anext(stream)
        await stream.close()
    assert raw.connections == 1


async def test_the_answer_so_far_includes_all_that_came_with_the_first_chunk(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(chunk("b")) + sse(chunk("c")))
        await asyncio.Event().wait()

    raw.answer = answer
    async with ask(raw_client) as stream:
        assert (await anext(stream)).text == "a"
        assert stream.partial.text == "abc"
        assert [(await anext(stream)).text for _ in range(2)] == ["b", "c"]


async def test_an_open_stream_does_not_hold_what_was_asked(
    server: LocalServer, client: AsyncClient
) -> None:
    class Messages(list[ChatCompletionMessageParam]):
        """A list that a weak reference can look for."""

    messages = Messages([{"role": "user", "content": "Hi"}])
    held = weakref.ref(messages)
    create: Any = client.chat.completions.create
    stream = await create(model="gpt-4o", messages=messages, stream=True)
    del messages
    assert held() is None
    await stream.close()


async def test_a_read_after_a_cancelled_one_names_the_cancellation(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=0))
    stream = ask(client)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await stream
    server.script(Failure(stall_after=1))
    stream = await ask(client)
    await anext(stream)
    await anext(stream)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await anext(stream)
    with pytest.raises(StreamInterruptedError, match="reader was cancelled"):
        await anext(stream)


async def test_a_middleware_that_fails_behind_an_open_stream_leaves_none(
    server: LocalServer, client: AsyncClient
) -> None:
    async def fail(request: Request, send: Send) -> Response:
        await send(request)
        raise LookupError

    server.script(Failure(stall_after=1))
    with pytest.raises(LookupError):
        await ask(client.with_options(middlewares=[fail]))
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def twice(request: Request, send: Send) -> Response:
    await send(request)
    return await send(request)


async def test_a_middleware_may_send_a_stream_again(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply("first"), Reply("second"))
    stream = await ask(client.with_options(middlewares=[twice]))
    assert (await stream.completion()).text == "second"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"data: {", id="half an event"),
        pytest.param(b"data: {\n\n", id="a failure"),
        pytest.param(sse(FINISH) + DONE, id="the end"),
    ],
)
async def test_nothing_of_the_first_answer_remains_when_a_middleware_resends(
    raw: RawServer, raw_client: AsyncClient, first: bytes
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) > 1:
            await exchange.stream(chunk("b"), FINISH, DONE)
        else:
            await exchange.start_stream()
            await exchange.part(sse(chunk("a")) + first)
            await asyncio.Event().wait()

    raw.answer = answer
    assert await texts(ask(raw_client.with_options(middlewares=[twice]))) == ["b"]


async def test_the_completion_is_that_of_the_last_answer_when_a_middleware_sends_again(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("ab"[len(raw.exchanges) - 1]), FINISH, DONE)
    stream = ask(raw_client.with_options(middlewares=[twice]))
    assert (await stream.completion()).text == "b"


async def test_an_error_instead_of_a_resent_stream_is_raised(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) > 1:
            error = b'{"error": {"message": "m", "code": 429}}'
            await exchange.whole(error, content_type="text/event-stream")
        else:
            await exchange.stream(chunk("a"), FINISH, DONE)

    raw.answer = answer
    with pytest.raises(RateLimitError):
        await ask(raw_client.with_options(middlewares=[twice]))


async def test_the_first_answer_is_closed_when_a_middleware_resends(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(stall_after=1), Failure(stall_after=1))
    stream = await ask(client.with_options(middlewares=[twice]))
    async with asyncio.timeout(10):
        await server.requests[0].finished()
    assert server.requests[0].disconnected
    await stream.close()


async def test_a_partial_event_of_a_failed_attempt_is_not_part_of_the_next(
    raw: RawServer, raw_client: AsyncClient, waits: list[float]
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) > 1:
            await exchange.stream(chunk("b"), FINISH, DONE)
        else:
            await exchange.start_stream()
            await exchange.part(b"data: {")
            exchange.writer.close()

    raw.answer = answer
    assert await texts(ask(raw_client, max_retries=1)) == ["b"]


async def test_a_middleware_cannot_answer_a_stream_by_itself(client: AsyncClient) -> None:
    async def answer(request: Request, send: Send) -> Response:
        return Response(status=200, headers={})

    with pytest.raises(OpenAIError, match="middleware"):
        await ask(client.with_options(middlewares=[answer]))


# --- faults -------------------------------------------------------------------------------------


async def test_a_truncated_stream_is_an_error_with_what_arrived(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(cut_after=3))
    read = []
    with pytest.raises(StreamInterruptedError, match="before the answer was complete") as caught:
        async for text in ask(client).text():
            read.append(text)
    assert len(read) == 3
    assert caught.value.partial is not None
    assert caught.value.partial.text == "".join(read)
    assert caught.value.partial.meta.request_id == caught.value.request_id
    assert pickle.loads(pickle.dumps(caught.value)).partial == caught.value.partial
    assert caught.value.request_id


async def test_a_stream_that_just_ends_is_interrupted(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"))
    with pytest.raises(StreamInterruptedError):
        await ask(raw_client).completion()


@pytest.mark.parametrize("torn", [b'data: {"choices": [{"ind', b"data: {"])
async def test_a_stream_that_ends_inside_an_event_is_interrupted(
    raw: RawServer, raw_client: AsyncClient, torn: bytes
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), torn)
    with pytest.raises(StreamInterruptedError) as caught:
        await ask(raw_client).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


async def test_a_stream_that_failed_before_its_first_event_keeps_what_has_arrived(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(sse(chunk("a", finish="error")))
    stream = ask(raw_client)
    with pytest.raises(APIError, match="finish_reason 'error'") as caught:
        await stream
    assert caught.value.partial is not None
    assert (caught.value.partial.text, stream.partial.text) == ("a", "a")


async def test_a_torn_done_after_the_finish_reason_is_the_end(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), FINISH, b"data: [DON")
    assert await texts(ask(raw_client)) == ["a"]


async def test_silence_after_the_end_of_the_answer_does_not_keep_it_open(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.streaming.base.FINISH_GRACE", 0.05)

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH))
        await asyncio.Event().wait()

    raw.answer = answer
    async with asyncio.timeout(0.1):  # not only when silence is checked next, after a second
        assert (await ask(raw_client).completion()).text == "a"


@pytest.mark.parametrize(("usage", "reported"), [(None, [None]), ({"total_tokens": 7}, [7])])
async def test_only_usage_that_has_arrived_is_reported(
    raw: RawServer, raw_client: AsyncClient, usage: Any, reported: list[int | None]
) -> None:
    tokens: list[int | None] = []

    async def counting(request: Request, send: Send) -> Response:
        response = await send(request)
        response.on_stream_end.append(lambda end: tokens.append(end.total_tokens))
        return response

    raw.answer = lambda e: e.stream(chunk("a"), {**chunk(finish="stop"), "usage": usage}, DONE)
    assert await texts(ask(raw_client.with_options(middlewares=[counting]))) == ["a"]
    assert tokens == reported


async def test_a_message_that_repeats_the_text_adds_no_piece(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    whole = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    raw.answer = lambda e: e.stream(chunk("a"), {"choices": [whole]}, DONE)
    assert await texts(ask(raw_client)) == ["a"]


async def test_each_event_after_the_last_finish_reason_extends_the_wait_for_done(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.streaming.base.FINISH_GRACE", 0.5)

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH))
        for _ in range(3):
            await asyncio.sleep(0.3)
            await exchange.part(sse({"choices": [], "note": "x"}))
        await asyncio.Event().wait()

    raw.answer = answer
    async with asyncio.timeout(5):
        chunks = [received async for received in ask(raw_client)]
    assert [received.extra.get("note") for received in chunks[2:]] == ["x", "x", "x"]


async def test_a_stream_closed_while_it_opens_is_closed_though_all_of_it_has_arrived(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), FINISH, DONE)

    async def closing(request: Request, send: Send) -> Response:
        response = await send(request)
        await stream.close()
        return response

    stream = ask(raw_client.with_options(middlewares=[closing]))
    with pytest.raises(OpenAIError, match="closed before its end"):
        await stream


async def test_pings_after_the_end_of_the_answer_do_not_keep_it_open(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.streaming.base.FINISH_GRACE", 0.2)

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH))
        while True:
            await exchange.part(b": ping\n\n")
            await asyncio.sleep(0.02)

    raw.answer = answer
    assert await texts(ask(raw_client)) == ["a"]


@pytest.mark.parametrize("asked", [True, False])
async def test_a_stream_that_breaks_before_the_usage_that_was_asked_for(
    raw: RawServer, raw_client: AsyncClient, asked: bool
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH))
        exchange.writer.close()

    raw.answer = answer
    reading = ask(raw_client, stream_options={"include_usage": asked}).completion()
    if asked:
        with pytest.raises(StreamInterruptedError) as caught:
            await reading
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a"
    else:
        assert (await reading).text == "a"


async def test_a_choice_without_its_finish_reason_is_interrupted(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), FINISH, chunk("b", index=1))
    with pytest.raises(StreamInterruptedError, match="complete: 2 of 2 choices have begun"):
        await ask(raw_client, n=2).completion()


async def test_a_server_that_ignores_n_gives_a_whole_answer_with_fewer_choices(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), FINISH)
    completion = await ask(raw_client, n=2).completion()
    assert [choice.message.content for choice in completion.choices] == ["a"]


async def test_a_stream_that_breaks_before_all_choices_have_come_is_interrupted(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + sse(FINISH))
        exchange.writer.close()

    raw.answer = answer
    with pytest.raises(StreamInterruptedError, match="1 of 2 choices") as caught:
        await ask(raw_client, n=2).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


async def test_a_silent_stream_times_out(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=1))
    with pytest.raises(APITimeoutError, match=r"silent for 0\.2 s"):
        await ask(client, timeout=Timeout(idle=0.2)).completion()
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_comments_keep_a_stream_alive(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))
        for _ in range(10):  # ten silences, of which two already would be too long
            await asyncio.sleep(0.1)
            await exchange.part(b": ping\n\n")
        await exchange.part(sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    assert await texts(ask(raw_client, timeout=Timeout(idle=0.5))) == ["a"]


async def test_a_slow_reader_does_not_time_out(raw: RawServer, raw_client: AsyncClient) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))
        await go_on.wait()
        await exchange.part(sse(chunk("b")) + sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    async with ask(raw_client, timeout=Timeout(idle=0.1)) as stream:
        await anext(stream)
        await asyncio.sleep(0.3)  # nothing is reading: this does not count as silence
        go_on.set()
        assert await texts(stream) == ["b"]


async def test_a_blocked_loop_is_not_the_servers_silence(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))
        await exchange.part(sse(chunk("b")))
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        await asyncio.sleep(0)
        await exchange.part(sse(chunk("c")) + sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    assert await texts(ask(raw_client, timeout=Timeout(idle=0.2))) == ["a", "b", "c"]


async def test_a_slow_reader_puts_backpressure_on_the_server(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = 0
    stuck = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        nonlocal sent
        exchange.writer.transport.set_write_buffer_limits(0)
        await exchange.start_stream()
        while True:
            sending = asyncio.create_task(exchange.part(sse(chunk("x" * 100_000))))
            done, _ = await asyncio.wait([sending], timeout=0.3)
            if not done:
                stuck.set()
            await sending
            sent += 100_000

    raw.answer = answer
    async with ask(raw_client) as stream:
        await anext(stream)
        await stuck.wait()
        assert sent < 20_000_000
        await anext(stream)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'data: {"error": {"message": "m", "code": 400}}\n\n', BadRequestError),
        (b'data: {"error": {"message": "m", "type": "server_error"}}\n\n', InternalServerError),
        (b'event: error\ndata: {"message": "m", "type": "rate_limit_error"}\n\n', RateLimitError),
        (b'event: error\ndata: {"error": "m"}\n\n', APIError),
        (b"event: error\ndata: m\n\n", APIError),
        (b'data: {"object": "error", "message": "m", "code": 400}\n\n', BadRequestError),
        (b'data: {"choices": [{"del\n\n', APIResponseValidationError),
        (b"data: [1]\n\n", APIResponseValidationError),
        (b"data: null\n\n", APIResponseValidationError),
        (b'data: {"choices": "none"}\n\n', APIResponseValidationError),
    ],
)
async def test_a_malformed_event_is_a_typed_error_after_the_good_ones(
    raw: RawServer, raw_client: AsyncClient, event: bytes, kind: type[APIError]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")) + event)

    raw.answer = answer
    read = []
    with pytest.raises(APIError) as caught:
        async for piece in ask(raw_client):
            read.append(piece.text)
    assert type(caught.value) is kind
    assert read == ["a"]
    await raw.hung_up.wait()


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "bad key sk-secret\\/123456"}}\n\n',
        b"data: bad sk-secret/123456\n\n",
        b'data: ["sk-secret/123456"]\n\n',
        b'data: {"choices": "sk-secret/123456"}\n\n',
        b'data: {"choices": [], "usage": "sk-secret/123456"}\n\n',
        b"event: error\ndata: sk-secret/123456\n\n",
    ],
)
async def test_no_error_of_a_stream_shows_the_key(
    raw: RawServer, raw_client: AsyncClient, event: bytes
) -> None:
    raw.answer = lambda e: e.stream(event)
    client = raw_client.with_options(api_key="sk-secret/123456")
    with pytest.raises(APIError) as caught:
        _ = [piece async for piece in ask(client)]
    error: BaseException | None = caught.value
    while error is not None:
        assert "sk-secret" not in f"{error!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__


async def test_after_a_failure_reading_on_fails_again(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), b"data: {\n\n")
    stream = await ask(raw_client)
    await anext(stream)
    for _ in range(2):
        with pytest.raises(APIResponseValidationError):
            await anext(stream)


async def test_a_failure_that_is_raised_again_does_not_grow(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"), b"data: {\n\n")
    stream = await ask(raw_client)
    await anext(stream)
    frames = []
    for _ in range(3):
        with pytest.raises(APIResponseValidationError) as caught:
            await anext(stream)
        frames.append(len(caught.traceback))
    assert frames == [frames[0]] * 3


@pytest.mark.parametrize("choices", [5, "x", [None], [5], [{"index": {}}], [{"delta": "x"}], [{}]])
async def test_odd_chunks_are_results_or_typed_errors_whichever_way_they_are_read(
    raw: RawServer, raw_client: AsyncClient, choices: object
) -> None:
    raw.answer = lambda e: e.stream({"choices": choices}, FINISH, DONE)
    good = choices in ([None], [{}], [{"index": {}}])
    for read in (
        lambda: ask(raw_client).completion(),
        lambda: texts(ask(raw_client)),
        lambda: chunks(ask(raw_client)),
    ):
        with nullcontext() if good else pytest.raises(APIResponseValidationError):
            await read()


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/event-stream"])
async def test_a_json_answer_in_place_of_a_stream(
    raw: RawServer, raw_client: AsyncClient, content_type: str
) -> None:
    raw.answer = lambda e: e.whole(b'{"choices": []}', content_type=content_type)
    with pytest.raises(APIResponseValidationError, match="the body is not an event stream"):
        await ask(raw_client)


async def test_an_error_object_in_place_of_a_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.whole(b'{"error": {"message": "m", "code": 429}}')
    with pytest.raises(RateLimitError):
        await ask(raw_client)


async def test_a_failed_status_is_raised_by_opening(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(503, message="Busy."))
    with pytest.raises(InternalServerError, match=r"HTTP 503: Busy\."):
        await ask(client)


async def test_a_stream_that_failed_to_open_is_not_sent_again(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Failure(400))
    stream = ask(client)
    with pytest.raises(APIStatusError):
        await stream
    with pytest.raises(OpenAIError, match="closed"):
        await anext(stream)
    assert len(server.requests) == 1


async def test_a_gzipped_stream(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        packer = zlib.compressobj(wbits=31)
        await exchange.start_stream("Content-Encoding: gzip\r\n")
        for event in (sse(chunk("a")), sse(FINISH), DONE):
            await exchange.part(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))
        await exchange.part(packer.flush())
        await exchange.end()

    raw.answer = answer
    assert await texts(ask(raw_client)) == ["a"]


class Clock:
    """The loop's time, which a test puts forward: what is due by then happens at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time
        self._ahead = 0.0
        monkeypatch.setattr(loop, "time", lambda: now() + self._ahead)

    async def forward(self, seconds: float) -> None:
        self._ahead += seconds
        for _ in range(20):  # turns of the loop: timers, what they wake, and what comes by socket
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Packer:
    """Answers with the given data, gzipped or not."""

    NOTHING = b"\0\0\0\xff\xff"  # a gzip block of no bytes

    def __init__(self, *, gzipped: bool = True) -> None:
        self._packer = zlib.compressobj(wbits=31) if gzipped else None
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.start_stream("Content-Encoding: gzip\r\n" if self._packer else "")
        while True:
            await exchange.part(await self._parts.get())

    def send(self, data: bytes) -> None:
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._parts.put_nowait(data)

    def send_nothing(self) -> None:
        self._parts.put_nowait(self.NOTHING)


async def waiting_reader(
    raw: RawServer, client: AsyncClient, clock: Clock, packer: Packer
) -> asyncio.Task[list[str]]:
    """Has read one event, and allows a minute of silence."""
    raw.answer = packer
    packer.send(sse(chunk("a")))
    stream = await ask(client, timeout=Timeout(idle=60))
    reading = asyncio.create_task(texts(stream))
    await clock.forward(0)
    return reading


@pytest.mark.skipif(
    not hasattr(aiohttp.StreamReader, "total_raw_bytes"), reason="aiohttp counts them since 3.14"
)
async def test_compressed_bytes_that_yield_no_data_yet_are_not_silence(
    raw: RawServer, raw_client: AsyncClient, clock: Clock
) -> None:
    packer = Packer()
    reading = await waiting_reader(raw, raw_client, clock, packer)
    await clock.forward(40)
    packer.send_nothing()
    for seconds in (0, 40, 1):
        await clock.forward(seconds)
    packer.send(sse(FINISH) + DONE)
    assert await reading == ["a"]


async def test_a_compressed_stream_is_silent_when_no_more_bytes_arrive(
    raw: RawServer, raw_client: AsyncClient, clock: Clock
) -> None:
    packer = Packer()
    reading = await waiting_reader(raw, raw_client, clock, packer)
    packer.send_nothing()
    for seconds in (0, 1, 60, 1):
        await clock.forward(seconds)
    assert reading.done()
    with pytest.raises(APITimeoutError):
        await reading


@pytest.mark.parametrize("gzipped", [True, False])
async def test_data_before_a_silence_does_not_extend_it(
    raw: RawServer, raw_client: AsyncClient, clock: Clock, gzipped: bool
) -> None:
    reading = await waiting_reader(raw, raw_client, clock, Packer(gzipped=gzipped))
    for seconds in (60, 1):
        await clock.forward(seconds)
    assert reading.done()
    with pytest.raises(APITimeoutError):
        await reading


# --- retries before the first chunk -------------------------------------------------------------


async def test_a_failure_before_the_first_chunk_is_retried(
    server: LocalServer, client: AsyncClient, waits: list[float]
) -> None:
    server.script(Failure(503), Failure(cut_after=0), Reply("ok"))
    stream = await ask(client, max_retries=2)
    assert await texts(stream) == ["ok"]
    assert stream.meta.attempts == 3


async def test_a_failure_in_the_first_read_knows_the_attempts(
    raw: RawServer, raw_client: AsyncClient, waits: list[float]
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            await exchange.whole(b"", status="503 Busy")
        else:
            await exchange.stream(sse(chunk("a")) + b"data: {\n\n")

    raw.answer = answer
    with pytest.raises(APIResponseValidationError) as caught:
        await ask(raw_client, max_retries=1).completion()
    assert caught.value.attempts == 2


async def test_a_failure_after_the_first_chunk_is_not_retried(
    server: LocalServer, client: AsyncClient, waits: list[float]
) -> None:
    server.script(Failure(cut_after=1))
    with pytest.raises(StreamInterruptedError):
        await ask(client, max_retries=2).completion()
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["cut", "reset", "closed", "silent", "slow"])
async def test_leaving_a_stream_that_was_retried_hangs_up_without_the_garbage_collector(
    raw: RawServer, waits: list[float], fault: str
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            if fault in ("cut", "silent"):
                await exchange.start_stream()
            if fault in ("silent", "slow"):
                await asyncio.Event().wait()
            if fault == "reset":
                exchange.abort()
            else:
                exchange.writer.close()
            return
        raw.hung_up.clear()
        await exchange.start_stream()
        for text in "ab":
            await exchange.part(sse(chunk(content=text)))
        await asyncio.Event().wait()

    raw.answer = answer
    gc.disable()
    try:
        limits = Timeout(
            idle=0.05 if fault == "silent" else 60, total=0.5 if fault == "slow" else 60
        )
        async with AsyncClient(base_url=raw.url, api_key="local", timeout=limits) as client:
            async for _ in ask(client):
                break
            [pool] = client._transport._pools._pools.values()
            assert (len(pool.streams), pool.slots.free) == (0, 1000)
    finally:
        gc.enable()
    assert len(raw.exchanges) == 2


@pytest.mark.parametrize("fault", ["silent", "status"])
async def test_a_stream_that_was_retried_is_dropped_without_the_garbage_collector(
    raw: RawServer, waits: list[float], fault: str
) -> None:
    async def answer(exchange: Exchange) -> None:
        if fault == "status" and len(raw.exchanges) == 1:
            await exchange.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\n{}")
            return
        await exchange.start_stream()
        if len(raw.exchanges) == 2:
            await exchange.part(sse(chunk("a")))
        await asyncio.Event().wait()

    raw.answer = answer
    gc.disable()
    try:
        async with AsyncClient(base_url=raw.url, api_key="k", timeout=Timeout(idle=0.05)) as client:
            stream = await ask(client)
            del stream
            [pool] = client._transport._pools._pools.values()
            assert len(pool.streams) == 0
    finally:
        gc.enable()


def test_a_stream_is_read_in_the_loop_that_opened_it() -> None:
    async def opened() -> tuple[LocalServer, AsyncClient, ChatCompletionStream]:
        server = LocalServer()
        await server.start()
        server.script(Failure(stall_after=1))
        client = AsyncClient(api_key="any", base_url=server.url)
        stream = await ask(client)
        await anext(stream)
        return server, client, stream

    async def close(server: LocalServer, client: AsyncClient, stream: ChatCompletionStream) -> None:
        await stream.close()
        await client.close()
        await server.stop()

    first = asyncio.new_event_loop()
    try:
        server, client, stream = first.run_until_complete(opened())
        with pytest.raises(OpenAIError, match="belongs to another event loop"):
            asyncio.run(stream.completion())
        first.run_until_complete(close(server, client, stream))
    finally:
        first.close()
