"""`on_stream_end`: told once for each stream that has opened, however it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from openai_async import (
    APIError,
    AsyncClient,
    Conversation,
    Hooks,
    OpenAIError,
    Request,
    Response,
    Send,
    StreamEnd,
    StreamInterruptedError,
)
from openai_async.testing import LocalServer, Reply

from ..hook_calls import WHOLE, Calls, Ends, RefusedError, calls, ended, endless, observed
from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .test_stream import ask

__all__ = ("calls", "observed")

pytestmark = pytest.mark.virtual_time


# --- what is told of a stream ---


async def test_the_end_of_a_stream_that_was_read_whole(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.stream(*WHOLE)
    chunks = [piece async for piece in ask(observed)]
    end = ended(calls)
    assert calls.names == ["request", "response", "end"]
    assert len({*calls.requests}) == 1
    assert (end.complete, end.error, end.chunks) == (True, None, len(chunks))
    assert end.bytes == len(b"".join(e if isinstance(e, bytes) else sse(e) for e in WHOLE))
    assert end.meta.status == 200
    assert 0 < end.first_event <= end.elapsed
    assert end.completion is not None
    assert (end.completion.text, end.completion.meta) == ("ab", end.meta)
    assert end.completion is end.completion
    assert end.usage is not None
    assert (end.usage.total_tokens, end.usage.estimated, end.total_tokens) == (12, False, 12)


@pytest.mark.parametrize("parsed", [True, False], ids=["parsed", "bytes"])
async def test_the_first_event_of_a_streaming_response_is_not_its_headers(
    calls: Calls, observed: AsyncClient, raw: RawServer, parsed: bool
) -> None:
    opened = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await opened.wait()
        for event in WHOLE:
            await exchange.part(event if isinstance(event, bytes) else sse(event))
        await exchange.end()

    raw.answer = answer
    hi: Any = [{"role": "user", "content": "Hi"}]
    completions = observed.chat.completions.with_streaming_response
    async with completions.create(model="gpt-4o", messages=hi, stream=True) as response:
        headers = response.elapsed
        opened.set()
        async for _ in await response.parse() if parsed else response.iter_bytes():
            pass
    end = ended(calls)
    assert headers < timedelta(seconds=end.first_event) <= timedelta(seconds=end.elapsed)


async def test_the_end_of_a_stream_that_broke_off(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.stream(chunk("a"))
    stream = ask(observed)
    with pytest.raises(StreamInterruptedError) as caught:
        await stream.completion()
    end = ended(calls)  # although the stream is still there
    assert (end.complete, end.error) == (False, caught.value)
    assert end.completion is not None
    assert end.completion.text == "a"
    assert end.usage is not None
    assert end.usage.estimated
    assert end.total_tokens is None
    with pytest.raises(StreamInterruptedError):
        await stream.completion()
    await stream.close()
    assert len(calls.ends) == 1


async def test_a_failure_that_was_not_read_is_the_error(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    error: dict[str, object] = {"error": {"message": "overloaded"}}
    raw.answer = lambda e: e.stream(sse(chunk("a")) + sse(error))
    async with ask(observed) as stream:
        await anext(stream)
    assert "overloaded" in str(ended(calls).error)


async def test_a_stream_that_never_opened_has_no_end(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.stream(DONE)
    with pytest.raises(APIError):
        await ask(observed)
    ask(observed)
    assert calls.names == ["request", "error"]


async def test_a_stream_that_needed_a_retry_has_one_end(calls: Calls, raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.stream(*(WHOLE if len(raw.exchanges) > 1 else ()))

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=calls.hooks) as client:
        await ask(client).completion()
    assert calls.names == ["request", "retry", "response", "end"]
    assert ended(calls).meta.attempts == 2


# --- however a stream is left, its end is told once ---


async def leave_by_break(client: AsyncClient) -> None:
    stream = ask(client)
    async for _ in stream:
        break
    await asyncio.sleep(1)  # virtual: longer than the pause


async def leave_by_break_and_drop(client: AsyncClient) -> None:
    async for _ in ask(client):
        break


async def leave_by_error(client: AsyncClient) -> None:
    with pytest.raises(RefusedError):
        async for _ in ask(client):
            raise RefusedError


async def leave_by_close(client: AsyncClient) -> None:
    stream = await ask(client)
    await stream.close()
    await stream.aclose()


async def leave_block(client: AsyncClient) -> None:
    async with ask(client) as stream:
        await anext(stream)


async def leave_by_drop(client: AsyncClient) -> None:
    await ask(client)


async def leave_events(client: AsyncClient) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    async with client.chat.completions.stream(model="gpt-4o", messages=hi) as stream:
        async for _ in stream:
            break


async def leave_text(client: AsyncClient) -> None:
    async for _ in ask(client).text():
        break


async def leave_parsed(client: AsyncClient) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    create: Any = client.chat.completions.parse
    async with create(model="gpt-4o", messages=hi, response_format=list[int], stream=True) as s:
        await anext(s)


async def leave_run(client: AsyncClient) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    hi: Any = [{"role": "user", "content": "Hi"}]
    run = client.chat.completions.run_tools(model="gpt-4o", messages=hi, tools=[add])
    async with run:
        async for _ in run:
            break


async def leave_conversation(client: AsyncClient) -> None:
    conversation = Conversation(client, model="gpt-4o")
    async with conversation.stream("Hi") as stream:
        async for _ in stream:
            break


async def leave_response(client: AsyncClient) -> None:
    async with client.stream("GET", "/files") as response:
        await anext(response)


async def leave_content(client: AsyncClient) -> None:
    await client.files.content("file-1")


async def leave_content_early(client: AsyncClient) -> None:
    async for _ in (await client.files.content("file-1")).iter_bytes():
        break
    await asyncio.sleep(0)  # the loop closes asynchronous generators in its next turns
    await asyncio.sleep(0)


async def leave_streaming_response(client: AsyncClient) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    completions = client.chat.completions.with_streaming_response
    async with completions.create(model="gpt-4o", messages=hi, stream=True) as response:
        async for _ in await response.parse():
            break


async def leave_streaming_response_unread(client: AsyncClient) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    completions = client.chat.completions.with_streaming_response
    async with completions.create(model="gpt-4o", messages=hi):
        pass


async def leave_pictures(client: AsyncClient) -> None:
    stream: Any = client.images.generate(model="gpt-image-1", prompt="x", stream=True)
    await stream
    await stream.close()


@pytest.mark.parametrize(
    "leave",
    [
        *(leave_by_break, leave_by_break_and_drop, leave_by_error, leave_by_close, leave_block),
        *(leave_by_drop, leave_events, leave_text, leave_parsed, leave_run, leave_conversation),
        *(leave_response, leave_content, leave_content_early, leave_streaming_response),
        *(leave_streaming_response_unread, leave_pictures),
    ],
    ids=lambda leave: leave.__name__,
)
async def test_a_stream_that_is_left_ends_once_without_an_error(
    calls: Calls,
    observed: AsyncClient,
    raw: RawServer,
    leave: Callable[[AsyncClient], Awaitable[None]],
) -> None:
    raw.answer = endless
    gc.disable()
    try:
        await leave(observed)
        end = ended(calls)
    finally:
        gc.enable()
    assert (end.complete, end.error, end.meta.request_id) == (False, None, "req_1")
    assert end.bytes == len(sse(chunk("a")))
    await raw.hung_up.wait()
    gc.collect()
    assert calls.names == ["request", "response", "end"]


async def test_a_cancelled_reader_is_the_error(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = endless
    stream = await ask(observed)
    await anext(stream)
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)  # virtual
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(ended(calls).error, asyncio.CancelledError)
    await stream.close()
    assert len(calls.ends) == 1


@pytest.mark.parametrize("kind", ["chat", "bytes"])
@pytest.mark.parametrize("reading", [True, False])
async def test_closing_the_client_ends_its_streams(
    calls: Calls, observed: AsyncClient, raw: RawServer, kind: str, reading: bool
) -> None:
    raw.answer = endless
    stream: Any = ask(observed) if kind == "chat" else observed.stream("GET", "/files")
    async with stream:
        await anext(stream)
        task = asyncio.ensure_future(anext(stream)) if reading else None
        await asyncio.sleep(0.01)  # virtual
        await observed.close()
        if task is not None:
            with pytest.raises(OpenAIError):
                await task
        end = ended(calls)
        assert "client was closed" in str(end.error)
    assert len(calls.ends) == 1


async def test_a_stream_dropped_in_another_thread_ends_in_its_own_loop(
    observed: AsyncClient, raw: RawServer
) -> None:
    threads: list[int] = []
    told = asyncio.Event()

    def end(request: Request, end: StreamEnd) -> None:
        threads.append(threading.get_ident())
        told.set()

    raw.answer = endless
    held = [await ask(observed.with_options(hooks=Hooks(on_stream_end=end)))]
    await asyncio.to_thread(held.clear)
    async with asyncio.timeout(5):
        await told.wait()
    assert threads == [threading.get_ident()]


def test_a_stream_that_outlives_its_loop_ends_where_it_is_dropped(calls: Calls) -> None:
    held: list[Any] = []
    client = AsyncClient(api_key="local", hooks=calls.hooks)

    async def main() -> None:
        async with RawServer() as server:
            server.answer = endless
            held.append(await ask(client.with_options(base_url=server.url)))

    asyncio.run(main())
    held.clear()
    assert len(calls.ends) == 1
    asyncio.run(client.close())


async def test_a_file_that_was_read_is_complete(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.whole(b"abc")
    assert await (await observed.files.content("file-1")).read() == b"abc"
    end = ended(calls)
    assert (end.complete, end.bytes, end.chunks) == (True, 3, 1)
    assert (end.completion, end.usage, end.total_tokens) == (None, None, None)


async def test_a_raw_file_ends_once_however_often_it_is_parsed(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.whole(b"abc")
    response = await observed.files.with_raw_response.content("file-1")
    assert await response.parse().read() == b"abc"
    assert ended(calls).complete


async def test_each_round_of_tools_and_each_turn_has_an_end(
    calls: Calls, server: LocalServer
) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    hi: Any = [{"role": "user", "content": "Hi"}]
    async with AsyncClient(base_url=server.url, api_key="k", hooks=calls.hooks) as client:
        server.script(
            Reply(tool_calls=[{"name": "add", "arguments": {"a": 1, "b": 2}}]),
            Reply("3"),
            Reply("4"),
        )
        async for _ in client.chat.completions.run_tools(model="gpt-4o", messages=hi, tools=[add]):
            pass
        assert [end.complete for end in calls.ends] == [True, True]
        async with Conversation(client, model="gpt-4o").stream("Hi") as stream:
            assert "".join([text async for text in stream]) == "4"
    completions = [end.completion for end in calls.ends]
    assert [each.text for each in completions if each is not None] == ["", "3", "4"]
    assert calls.names == ["request", "response", "end"] * 3


async def test_a_middleware_learns_of_the_end_of_a_stream_that_it_replaces(
    calls: Calls, raw: RawServer
) -> None:
    """The hooks, which are outside of it, see one stream."""
    ends: Ends = []

    async def twice(request: Request, send: Send) -> Response:
        first = await send(request)
        first.on_stream_end.append(ends.append)
        return await send(request)

    raw.answer = lambda e: e.stream(*WHOLE)
    async with AsyncClient(
        base_url=raw.url, api_key="k", hooks=calls.hooks, middlewares=[twice]
    ) as client:
        chunks = [piece async for piece in ask(client)]
    assert [(end.complete, end.chunks) for end in ends] == [(False, 1)]
    assert (ended(calls).complete, ended(calls).chunks) == (True, len(chunks))


async def test_a_middleware_learns_of_the_end_if_another_makes_a_new_response_of_its_stream(
    observed: AsyncClient, raw: RawServer
) -> None:
    ends: Ends = []

    async def renew(request: Request, send: Send) -> Response:
        response = await send(request)
        return Response(status=200, headers={}, stream=response.stream)

    async def watch(request: Request, send: Send) -> Response:
        response = await send(request)
        response.on_stream_end.append(ends.append)
        return response

    raw.answer = lambda e: e.stream(*WHOLE)
    await ask(observed.with_options(middlewares=[renew, watch])).completion()
    assert [end.complete for end in ends] == [True]


async def test_the_times_of_a_response_that_a_middleware_makes(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    async def renew(request: Request, send: Send) -> Response:
        response = await send(request)
        return Response(status=200, headers={}, stream=response.stream)

    raw.answer = lambda e: e.stream(*WHOLE)
    begun = time.perf_counter()
    await ask(observed.with_options(middlewares=[renew])).completion()
    end = ended(calls)
    assert 0 < end.first_event <= end.elapsed <= time.perf_counter() - begun


# --- nothing is kept ---


async def test_hooks_do_not_keep_a_stream(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = endless
    gc.disable()
    try:
        stream = await ask(observed)
        dropped = weakref.ref(stream)
        del stream
        assert dropped() is None
        assert len(calls.ends) == 1
    finally:
        gc.enable()


async def test_a_request_is_not_kept_after_its_stream(
    observed: AsyncClient, raw: RawServer
) -> None:
    requests: list[weakref.ref[Request]] = []
    hooks = Hooks(
        on_request=lambda request: requests.append(weakref.ref(request)),
        on_stream_end=lambda request, end: None,
    )
    raw.answer = lambda e: e.stream(*WHOLE)
    gc.disable()
    try:
        stream = ask(observed.with_options(hooks=hooks))
        await stream.completion()
        assert [request() for request in requests] == [None]
    finally:
        gc.enable()
