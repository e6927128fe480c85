"""A loop over a stream that was left by `break` is continued by another, or the stream is closed.

Time is virtual, so "at once" means that none has passed.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    ChatCompletionStream,
    InvalidArgumentError,
    OpenAIError,
)
from openai_async.streaming.life_cycle import PAUSE, State
from openai_async.testing import LocalServer, Reply

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from . import events
from .test_parsed import asked
from .test_stream import ask

pytestmark = pytest.mark.virtual_time

FINISH = chunk(finish="stop")
ITEMS = ["[1, 2", "2, ", "333", ", 4, 5", "5, 6]"]
THINKING = [
    chunk(reasoning_content="Let "),
    chunk(reasoning_content="me see."),
    chunk(reasoning_content=" Yes.", content="It "),
    chunk("is "),
    chunk("blue."),
]


async def endless(exchange: Exchange) -> None:
    """Chunks, and then silence until the client hangs up."""
    await exchange.start_stream()
    for number in range(3):
        await exchange.part(sse(chunk(f"{number} ")))
    await until_hung_up(exchange)


async def until_hung_up(exchange: Exchange) -> None:
    protocol: Any = exchange.writer.transport.get_protocol()
    await protocol._stream_reader.read(1)
    exchange.writer.close()


async def in_one_packet(exchange: Exchange, *sent: dict[str, object]) -> None:
    await exchange.start_stream()
    await exchange.part(b"".join(map(sse, sent)) + DONE)
    await exchange.end()


async def in_many_packets(exchange: Exchange, *sent: dict[str, object]) -> None:
    await exchange.start_stream()
    for event in sent:
        await exchange.part(sse(event))
        await asyncio.sleep(0.01)
    await exchange.part(DONE)
    await exchange.end()


each_packing = pytest.mark.parametrize("packing", [in_one_packet, in_many_packets])
Packing = Callable[..., Awaitable[None]]


def now() -> float:
    return asyncio.get_running_loop().time()


async def hung_up_after(raw: RawServer) -> float:
    """How long it takes until the client has hung up."""
    begin = now()
    async with asyncio.timeout(5):
        await raw.hung_up.wait()
    return now() - begin


def timers() -> list[asyncio.TimerHandle]:
    """The timers of paused streams."""
    loop: Any = asyncio.get_running_loop()
    waiting = [timer for timer in loop._scheduled if not timer.cancelled()]
    return [timer for timer in waiting if "_end_pause" in str(timer)]


# --- what a second loop reads -------------------------------------------------------------------


def told(value: Any) -> Any:
    """What an item says, for a comparison."""
    return value.to_dict() if hasattr(value, "to_dict") else value


READERS: dict[str, tuple[Callable[[AsyncClient], Any], Callable[[Any], AsyncIterator[Any]]]] = {
    "chunks": (ask, aiter),
    "text": (ask, lambda stream: stream.text()),
    "text without thinking": (ask, lambda stream: stream.text(think_tags=True)),
    "reasoning": (ask, lambda stream: stream.reasoning()),
    "thinking": (ask, lambda stream: stream.reasoning(think_tags=True)),
    "events": (events.ask, aiter),
    "items": (lambda client: asked(client, list[int]), lambda stream: stream.items()),
    "snapshots": (lambda client: asked(client, list[int]), lambda stream: stream.snapshots()),
}
SENT: dict[str, list[dict[str, object]]] = {
    "text without thinking": [chunk(text) for text in ("<thi", "nk>a </", "think> b", " c", "d")],
    "thinking": [chunk(text) for text in ("<thi", "nk>a ", " b", " c</thi", "nk>d")],
    "reasoning": THINKING,
}


@each_packing
@pytest.mark.parametrize("kind", READERS)
async def test_it_continues_with_what_comes_next(
    raw: RawServer, raw_client: AsyncClient, kind: str, packing: Packing
) -> None:
    sent = SENT.get(kind) or [chunk(text) for text in ITEMS]
    raw.answer = lambda exchange: packing(exchange, *sent, FINISH)
    make, reader = READERS[kind]
    whole = [told(item) async for item in reader(make(raw_client))]
    assert len(whole) > 1
    for stop in range(1, len(whole) + 1):
        stream = make(raw_client)
        first = []
        async for item in reader(stream):
            first.append(told(item))
            if len(first) == stop:
                break
        assert first + [told(item) async for item in reader(stream)] == whole


async def test_each_chunk_may_have_a_loop_of_its_own(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: in_many_packets(exchange, *map(chunk, "abcd"), FINISH)
    stream = ask(raw_client)
    texts: list[str] = []
    while len(texts) < 5:
        async for piece in stream:
            texts.append(piece.text)
            break
    assert texts == ["a", "b", "c", "d", ""]
    assert [piece async for piece in stream] == []


@each_packing
async def test_single_chunks_may_be_taken_between_loops(
    raw: RawServer, raw_client: AsyncClient, packing: Packing
) -> None:
    raw.answer = lambda exchange: packing(exchange, *map(chunk, "abcd"), FINISH)
    stream = ask(raw_client)
    async for piece in stream:
        assert piece.text == "a"
        break
    assert (await anext(stream)).text == "b"
    await asyncio.sleep(10 * PAUSE)  # as without a loop, the stream is open until it is closed
    assert [text async for text in stream.text()] == ["c", "d"]


@each_packing
async def test_single_events_may_be_taken_between_loops(
    raw: RawServer, raw_client: AsyncClient, packing: Packing
) -> None:
    raw.answer = lambda exchange: packing(exchange, *map(chunk, "abc"), FINISH)
    stream = events.ask(raw_client)
    async for event in stream:
        assert event.type == "chunk"
        break
    assert (await anext(stream)).type == "content.delta"
    await asyncio.sleep(10 * PAUSE)
    kinds = [event.type async for event in stream]
    assert kinds == ["chunk", "content.delta"] * 2 + ["chunk", "content.done"]


@each_packing
@pytest.mark.parametrize("kind", ["chunks", "events"])
async def test_the_whole_answer_is_there_after_a_break(
    raw: RawServer, raw_client: AsyncClient, packing: Packing, kind: str
) -> None:
    raw.answer = lambda exchange: packing(exchange, *map(chunk, "abc"), FINISH)
    stream = READERS[kind][0](raw_client)
    async for _ in stream:
        break
    whole = stream.completion if kind == "chunks" else stream.get_final_completion
    assert (await whole()).text == "abc"
    assert [item async for item in stream] == []


async def test_a_failure_that_came_meanwhile_is_raised_after_what_came_before_it(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(
        sse(chunk("a")) + sse(chunk("b")) + b"data: {\n\n"
    )
    stream = ask(raw_client)
    async for _ in stream:
        break
    assert (await anext(stream)).text == "b"
    with pytest.raises(APIResponseValidationError, match="JSON"):
        await anext(stream)


# --- the thinking first, the answer after -------------------------------------------------------


@each_packing
async def test_a_loop_over_the_thinking_ends_when_the_answer_begins(
    raw: RawServer, raw_client: AsyncClient, packing: Packing
) -> None:
    raw.answer = lambda exchange: packing(exchange, *THINKING, FINISH)
    stream = ask(raw_client)
    thoughts = answer = ""
    async for piece in stream:
        thoughts += piece.reasoning
        if piece.text:
            answer += piece.text
            break
    async for text in stream.text():
        answer += text
    assert (thoughts, answer) == ("Let me see. Yes.", "It is blue.")


@each_packing
@pytest.mark.parametrize("stop", [1, 2, 3, 4])
async def test_the_answer_is_kept_while_the_reasoning_is_read(
    raw: RawServer, raw_client: AsyncClient, packing: Packing, stop: int
) -> None:
    """With a `break` at each piece, and, at 4, without."""
    raw.answer = lambda exchange: packing(exchange, *THINKING, FINISH)
    stream = ask(raw_client)
    thoughts = []
    async for piece in stream.reasoning():
        thoughts.append(piece)
        if len(thoughts) == stop:
            break
    assert thoughts == ["Let ", "me see.", " Yes."][:stop]
    assert [text async for text in stream.text()] == ["It ", "is ", "blue."]
    assert [text async for text in stream.text()] == []


async def test_reasoning_between_texts_is_read_too(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = [chunk("a"), chunk(reasoning="1"), chunk("b"), chunk(reasoning="2"), chunk("c")]
    raw.answer = lambda exchange: in_many_packets(exchange, *sent, FINISH)
    stream = ask(raw_client)
    async for thought in stream.reasoning():
        assert thought == "1"
        break
    assert [thought async for thought in stream.reasoning()] == ["2"]
    assert [piece.text async for piece in stream] == ["a", "b", "c"]


@each_packing
@pytest.mark.parametrize("think_tags", [True, False])
async def test_the_answer_after_a_think_block_is_kept(
    raw: RawServer, raw_client: AsyncClient, packing: Packing, think_tags: bool
) -> None:
    """Also for a reader that does not know of the tags."""
    texts = ["<think>\nLet", " me ", "see.\n</thi", "nk>\n\nIt is", " </think> blue."]
    raw.answer = lambda exchange: packing(exchange, *map(chunk, texts), FINISH)
    stream = ask(raw_client)
    thoughts = "".join([text async for text in stream.reasoning(think_tags=True)])
    answer = "".join([text async for text in stream.text(think_tags=think_tags)])
    assert (thoughts, answer) == ("Let me see.", "It is </think> blue.")


async def test_text_that_only_looked_like_a_tag_is_kept(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: in_many_packets(exchange, chunk("<thi"), FINISH)
    stream = ask(raw_client)
    assert [text async for text in stream.reasoning(think_tags=True)] == []
    assert [text async for text in stream.text(think_tags=True)] == ["<thi"]


# --- how long it is open ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chunks", "text", "text without thinking", "reasoning", "events"])
async def test_without_another_loop_it_hangs_up_a_quarter_of_a_second_later(
    raw: RawServer, raw_client: AsyncClient, kind: str
) -> None:
    async def think(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a", reasoning="b")))
        await until_hung_up(exchange)

    raw.answer = think
    make, reader = READERS[kind]
    stream = make(raw_client)
    async for _ in reader(stream):
        break
    assert await hung_up_after(raw) == pytest.approx(0.25)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(reader(stream))


@pytest.mark.parametrize("kind", ["items", "snapshots"])
async def test_a_typed_answer_without_another_loop_hangs_up_as_well(
    raw: RawServer, raw_client: AsyncClient, kind: str
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("[1, 2, 3, ")))
        await until_hung_up(exchange)

    raw.answer = answer
    make, reader = READERS[kind]
    stream = make(raw_client)
    async for _ in reader(stream):
        break
    assert await hung_up_after(raw) == pytest.approx(0.25)
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(reader(stream))


async def test_a_loop_that_begins_in_time_keeps_it_open(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))
        await asyncio.sleep(100)
        await exchange.part(sse(chunk("b")) + sse(FINISH) + DONE)
        await exchange.end()

    raw.answer = answer
    stream = ask(raw_client)
    async for _ in stream:
        break
    assert repr(stream) == "<ChatCompletionStream paused>"
    await asyncio.sleep(0.9 * PAUSE)
    assert [piece.text async for piece in stream] == ["b", ""]
    assert repr(stream) == "<ChatCompletionStream ended>"
    assert timers() == []


async def test_a_slow_body_of_the_second_loop_has_all_the_time(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Also if what it reads had arrived before the `break`."""
    raw.answer = endless
    for make in (ask, events.ask):
        stream: Any = make(raw_client)
        async for _ in stream:
            break
        count = 0
        async for _ in stream:
            await asyncio.sleep(10)
            count += 1
            if count == 2:
                break
        assert stream._state is State.PAUSED if make is ask else timers()
        await stream.close()
    assert timers() == []


@pytest.mark.parametrize("how", ["close", "aclose", "drop", "client"])
async def test_closing_or_dropping_a_paused_stream_hangs_up_at_once(
    raw: RawServer, raw_client: AsyncClient, how: str
) -> None:
    raw.answer = endless
    gc.disable()
    try:
        stream = ask(raw_client)
        async for _ in stream:
            break
        assert len(timers()) == 1
        if how == "client":
            await raw_client.close()
        elif how != "drop":
            await getattr(stream, how)()
        if how != "client":
            del stream
            assert timers() == []
        assert await hung_up_after(raw) == 0
    finally:
        gc.enable()


async def test_leaving_the_block_hangs_up_at_once(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = endless
    async with ask(raw_client) as stream:
        async for _ in stream:
            break
        assert repr(stream) == "<ChatCompletionStream paused>"
    assert timers() == []
    assert await hung_up_after(raw) == 0


async def test_nothing_is_kept_open_for_a_stream_that_nothing_holds(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = endless
    async for _ in ask(raw_client):
        break
    assert timers() == []
    assert await hung_up_after(raw) == 0


async def test_each_break_begins_a_new_quarter_of_a_second(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = endless
    stream = ask(raw_client)
    for _ in range(3):
        async for _ in stream:
            break
        await asyncio.sleep(0.8 * PAUSE)
    assert await hung_up_after(raw) == pytest.approx(0.2 * PAUSE)


async def test_after_the_last_event_the_connection_is_released_at_once(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """What arrived and was not read can still be read, at any time."""
    raw.answer = lambda exchange: in_one_packet(exchange, *map(chunk, "abc"), FINISH)
    stream = ask(raw_client)
    async for _ in stream:
        break
    assert repr(stream) == "<ChatCompletionStream ended>"
    [pool] = raw_client._transport._pools._pools.values()
    assert pool.slots.free == 1000
    await asyncio.sleep(10 * PAUSE)
    assert [text async for text in stream.text()] == ["b", "c"]
    await ask(raw_client).completion()
    assert raw.connections == 1


@pytest.mark.parametrize("loops", [1, 2])
async def test_closing_drops_what_arrived_and_was_not_read(
    raw: RawServer, raw_client: AsyncClient, loops: int
) -> None:
    raw.answer = lambda exchange: in_one_packet(exchange, *map(chunk, "abc"), FINISH)
    stream = ask(raw_client)
    async for _ in stream:
        break
    if loops == 2:
        await anext(stream)
    await stream.close()
    assert [piece async for piece in stream] == []


async def test_what_is_wrong_with_a_typed_answer_is_raised_in_each_loop(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"value": [1, 2], "x": 1'), times=2)
    for method in ("items", "snapshots"):
        stream = asked(client, list[int])
        async for _ in getattr(stream, method)():
            break
        for _ in range(2):
            with pytest.raises(APIResponseValidationError):
                async for _ in getattr(stream, method)():
                    pass


# --- everything but `break` and `return` closes it at once --------------------------------------


async def by_exception(stream: ChatCompletionStream) -> None:
    with pytest.raises(LookupError):
        async for _ in stream:
            raise LookupError


async def by_exception_of_a_call(stream: ChatCompletionStream) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        async for _ in stream:
            int("x")


async def by_exception_that_was_caught_first(stream: ChatCompletionStream) -> None:
    with pytest.raises(LookupError):
        async for _ in stream:
            try:
                raise LookupError
            finally:
                await asyncio.sleep(0)


async def by_cancellation(stream: ChatCompletionStream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            async for _ in stream:
                await asyncio.sleep(100)


async def by_cancellation_of_the_read(stream: ChatCompletionStream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            async for _ in stream:
                pass


async def by_closing_a_generator(stream: ChatCompletionStream) -> None:
    async def texts() -> AsyncIterator[str]:
        async for text in stream.text():
            yield text

    async with aclosing(texts()) as reading:  # type: ignore[type-var]
        async for _ in reading:
            break


async def by_dropping_the_iterator(stream: ChatCompletionStream) -> None:
    reading = aiter(stream)
    await anext(reading)
    del reading


@pytest.mark.parametrize(
    "leave",
    [
        by_exception,
        by_exception_of_a_call,
        by_exception_that_was_caught_first,
        by_cancellation,
        by_cancellation_of_the_read,
        by_closing_a_generator,
        by_dropping_the_iterator,
    ],
)
async def test_a_stream_that_is_held_hangs_up_at_once(
    raw: RawServer, raw_client: AsyncClient, leave: Callable[[ChatCompletionStream], Any]
) -> None:
    raw.answer = endless
    stream = ask(raw_client)
    await leave(stream)
    assert timers() == []
    assert await hung_up_after(raw) == 0


async def by_return(stream: ChatCompletionStream) -> str:
    async for piece in stream:
        return piece.text + "!"
    return ""


async def by_break_in_an_except(stream: ChatCompletionStream) -> None:
    async for _ in stream:
        try:
            int("x")
        except ValueError:
            break


async def by_break_out_of_a_block(stream: ChatCompletionStream) -> None:
    async for _ in stream:
        async with AsyncExitStack():
            break


async def by_return_through_a_finally(stream: ChatCompletionStream) -> int:
    try:
        async for _ in stream:
            return 1
    finally:
        await asyncio.sleep(0)
    return 0


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    "leave",
    [by_return, by_break_in_an_except, by_break_out_of_a_block, by_return_through_a_finally],
)
async def test_a_stream_that_is_held_waits_for_another_loop(
    raw: RawServer,
    raw_client: AsyncClient,
    leave: Callable[[ChatCompletionStream], Any],
    traced: bool,
) -> None:
    """Also under a debugger or a coverage tool."""
    raw.answer = endless
    stream = ask(raw_client)
    before = sys.gettrace()
    if traced:
        sys.settrace(lambda *_: lambda *_: None)
    try:
        await leave(stream)
    finally:
        sys.settrace(before)
    async for piece in stream:
        assert piece.text == "1 "
        break


# --- other loops, other threads -----------------------------------------------------------------


async def test_a_paused_stream_may_be_dropped_in_another_thread(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """The garbage collector runs anywhere."""
    raw.answer = endless
    held = [ask(raw_client)]
    async for _ in held[0]:
        break
    begin = now()
    await asyncio.to_thread(held.clear)
    assert await hung_up_after(raw) + now() - begin == 0
    assert timers() == []


async def test_a_break_while_another_task_waits_closes_the_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Nobody knows which of them would continue."""
    raw.answer = endless
    stream = ask(raw_client)
    others = []
    async for piece in stream:
        if piece.text == "2 ":
            others.append(asyncio.create_task(anext(stream)))
            await asyncio.sleep(0)
            break
    assert await hung_up_after(raw) == 0
    with pytest.raises(OpenAIError, match="closed before its end"):
        await others[0]


async def test_a_break_in_a_loop_of_another_thread_closes_the_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """What has arrived can be read there, but nobody could continue after that."""

    async def read() -> None:
        async for piece in stream:
            assert piece.text == "b"
            break

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"".join(sse(chunk(text)) for text in "abc"))
        await until_hung_up(exchange)

    raw.answer = answer
    stream = ask(raw_client)
    async for _ in stream:
        await asyncio.to_thread(asyncio.run, read())
        break
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)


@pytest.mark.parametrize("then", ["read", "close", "drop"])
def test_a_paused_stream_may_outlive_its_loop(then: str) -> None:
    held: list[ChatCompletionStream] = []
    client = AsyncClient(api_key="local")

    async def main() -> None:
        async with RawServer() as server:
            server.answer = endless
            held.append(ask(client.with_options(base_url=server.url)))
            async for _ in held[0]:
                break

    async def later() -> None:
        if then == "read":
            with pytest.raises(OpenAIError):
                async for _ in held[0]:
                    pass
        elif then == "close":
            await held[0].close()
        held.clear()
        gc.collect()
        await client.close()

    asyncio.run(main())
    asyncio.run(later())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_a_stream_cannot_be_copied(
    raw: RawServer, raw_client: AsyncClient, copied: Callable[[Any], Any]
) -> None:
    """Otherwise, dropping the copy would hang up for both."""
    raw.answer = lambda exchange: in_one_packet(exchange, *THINKING, FINISH)
    async with ask(raw_client) as stream:
        with pytest.raises(InvalidArgumentError, match=r"cannot be copied or pickled"):
            copied(stream)
        assert len([chunk async for chunk in stream]) == len(THINKING) + 1
