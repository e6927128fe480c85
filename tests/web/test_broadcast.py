"""A Broadcast: several browsers read one answer, each from its beginning, while it is written."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError, OpenAIError
from openai_async.web import Broadcast, MemoryStore

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..streaming.events import USAGE
from .browser import Browser
from .servers import SERVERS
from .test_relaying import ask, until_hung_up

pytestmark = pytest.mark.virtual_time

PIECES = [chunk("Hel"), chunk("lo "), chunk("you", finish="stop")]
WHOLE = b"".join(
    [
        *(
            b"id: %d\n" % number + sse(piece)
            for number, piece in zip(range(2, 5), PIECES, strict=True)
        ),
        b"id: 5\n" + DONE,
    ]
)


class Upstream:
    """Writes a piece of the answer whenever it is told to."""

    def __init__(self, raw: RawServer) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked = asyncio.Event()
        raw.answer = self._answer

    def write(self, *pieces: bytes | dict[str, object]) -> None:
        for piece in pieces:
            self._pieces.put_nowait(piece if isinstance(piece, bytes) else sse(piece))

    def end(self) -> None:
        self.write(DONE)
        self._pieces.put_nowait(None)

    async def _answer(self, exchange: Exchange) -> None:
        self.asked.set()
        await exchange.start_stream()
        async with asyncio.TaskGroup() as tasks:
            hung_up = tasks.create_task(until_hung_up(exchange))
            hung_up.add_done_callback(lambda _: self._pieces.put_nowait(None))
            while (piece := await self._pieces.get()) is not None:
                await exchange.part(piece)
            if not hung_up.done():
                await exchange.end()
                hung_up.cancel()


@pytest.fixture
def upstream(raw: RawServer) -> Upstream:
    return Upstream(raw)


@pytest.fixture
async def broadcast(raw_client: AsyncClient) -> AsyncIterator[Broadcast]:
    broadcast = Broadcast(ask(raw_client))
    yield broadcast
    await broadcast.aclose()


@pytest.fixture(params=["aiohttp", "starlette"])
async def page(request: pytest.FixtureRequest, broadcast: Broadcast) -> AsyncIterator[str]:
    """The URL of a page that sends the broadcast to whoever asks."""
    async with SERVERS[request.param](lambda: broadcast) as url:
        yield url


async def begun(stack: AsyncExitStack, url: str) -> Browser:
    browser = await stack.enter_async_context(Browser(url))
    await browser.begin()
    return browser


async def test_a_reader_that_joins_late_gets_the_answer_from_its_beginning(
    page: str, upstream: Upstream, raw: RawServer
) -> None:
    async with AsyncExitStack() as stack:
        upstream.write(PIECES[0])
        first = await begun(stack, page)
        assert await first.part() == b"id: 2\n" + sse(PIECES[0])
        upstream.write(PIECES[1])
        assert await first.part() == b"id: 3\n" + sse(PIECES[1])
        late = await begun(stack, page)
        assert await late.part() == b"id: 2\n" + sse(PIECES[0]) + b"id: 3\n" + sse(PIECES[1])
        upstream.write(PIECES[2])
        upstream.end()
        assert await first.rest() == await late.rest()
        assert await (await begun(stack, page)).rest() == WHOLE
    assert len(raw.exchanges) == 1


async def test_a_browser_that_comes_back_gets_what_follows_its_last_event(
    page: str, upstream: Upstream
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    for seen in range(1, 5):
        async with Browser(page, last_event_id=str(seen)) as browser:
            assert await browser.begin() == 200
            expected = WHOLE[WHOLE.index(b"id: %d" % (seen + 1)) :]
            assert await browser.rest() == expected


async def test_a_browser_that_has_seen_the_end_is_told_to_stop(
    page: str, upstream: Upstream
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    async with Browser(page, last_event_id="5") as browser:
        assert await browser.begin() == 204


async def test_a_last_event_id_that_we_did_not_send_is_ignored(
    page: str, upstream: Upstream
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    async with Browser(page, last_event_id="x-7") as browser:
        assert await browser.begin() == 200
        assert await browser.rest() == WHOLE


@pytest.mark.parametrize("form", ["text", "ui"])
async def test_a_form_with_a_state_resumes_as_if_it_had_not_stopped(
    form: Any, broadcast: Broadcast, upstream: Upstream
) -> None:
    upstream.write(chunk(reasoning_content="Hm. "), *PIECES)
    upstream.end()
    whole = b"".join([data async for data in broadcast.sse(form=form)])
    ids = [int(line[4:]) for line in whole.split(b"\n") if line.startswith(b"id: ")]
    assert len(ids) > 3
    for seen in ids[:-1]:
        relay = broadcast.sse(form=form, last_event_id=str(seen))
        rest = b"".join([data async for data in relay])
        assert whole.endswith(rest)
        after = whole.index(b"id: %d\n" % seen)
        assert len(rest) == len(whole) - (whole.index(b"\n\n", after) + 2)


async def test_a_browser_that_comes_back_late_does_not_hold_up_others() -> None:
    store = MemoryStore()
    await store.append("a-7", b'{"object":"broadcast.start","n":1,"tools":false}')
    for _ in range(1000):
        await store.append("a-7", json.dumps(chunk("x")).encode())
    relay = Broadcast.join("a-7", store=store).sse(last_event_id="1000")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await anext(relay)
    task.cancel()
    await relay.aclose()
    assert turns > 9


@pytest.mark.parametrize("usage", [None, b'{"prompt_tokens":1,"total_tokens":NaN}'])
@pytest.mark.parametrize("form", ["text", "ui"])
async def test_the_usage_is_that_of_a_relay_without_a_broadcast(
    form: Any, usage: bytes | None, raw: RawServer, raw_client: AsyncClient
) -> None:
    """Also if it is an estimate, or contains NaN."""
    last = [] if usage is None else [b'data: {"id":"1","choices":[],"usage":%b}\n\n' % usage]
    raw.answer = lambda exchange: exchange.stream(*PIECES, *last, DONE)
    direct = b"".join([data async for data in ask(raw_client).sse(form=form)])
    whole = b"".join([data async for data in Broadcast(ask(raw_client)).sse(form=form)])
    assert re.sub(rb"id: [0-9]+\n", b"", whole) == direct


async def test_a_browser_that_comes_back_gets_the_same_form(
    broadcast: Broadcast, upstream: Upstream
) -> None:
    upstream.write(*PIECES)
    upstream.end()
    async with (
        SERVERS["aiohttp"](lambda: broadcast, form="text") as url,
        Browser(url, last_event_id="3") as browser,
    ):
        await browser.begin()
        assert (await browser.rest()).startswith(b'id: 4\ndata: {"type":"text","text":"you"}\n\n')


async def test_the_answer_goes_on_when_all_readers_have_left(page: str, upstream: Upstream) -> None:
    upstream.write(PIECES[0])
    async with Browser(page) as browser:
        await browser.begin()
        await browser.part()
    upstream.write(*PIECES[1:])
    upstream.end()
    async with Browser(page) as browser:
        await browser.begin()
        assert await browser.rest() == WHOLE


async def test_it_is_read_without_any_reader(broadcast: Broadcast, upstream: Upstream) -> None:
    await broadcast.start()
    await upstream.asked.wait()


async def test_an_early_error_is_the_status_for_every_reader(page: str, raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status="429 No")
    for _ in range(2):
        async with Browser(page) as browser:
            assert await browser.begin() == 429
            assert b"The service is busy" in await browser.rest()
    assert len(raw.exchanges) == 1


async def test_a_later_failure_is_the_last_event_for_every_reader(
    page: str, raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(PIECES[0]))
        exchange.abort()

    raw.answer = answer
    for _ in range(2):
        async with Browser(page) as browser:
            assert await browser.begin() == 200
            body = await browser.rest()
            assert body.startswith(b"id: 2\n" + sse(PIECES[0]) + b"event: error\n")
            assert b"broke off" in body
    assert caplog.text.count("The answer of a broadcast failed: ") == 1


async def test_closing_it_hangs_up_and_ends_its_readers_with_an_error(
    broadcast: Broadcast, upstream: Upstream, raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.write(PIECES[0])
    relay = broadcast.sse()
    assert await anext(relay) == b"id: 2\n" + sse(PIECES[0])
    await broadcast.aclose()
    last = await anext(relay)
    assert last.startswith(b"event: error\n")
    assert b"The answer broke off before it was complete." in last
    assert "while it was relayed: The broadcast was closed before" in caplog.text
    await raw.hung_up.wait()


async def test_closing_it_while_its_end_is_stored_does_not_lose_the_end(
    raw_client: AsyncClient, upstream: Upstream
) -> None:
    ending = asyncio.Event()

    class SlowStore(MemoryStore):
        async def end(self, id: str, record: bytes) -> None:
            ending.set()
            await asyncio.sleep(1)
            await super().end(id, record)

    upstream.write(*PIECES)
    upstream.end()
    broadcast = await Broadcast(ask(raw_client), store=SlowStore()).start()
    await ending.wait()
    await broadcast.aclose()
    assert await joined(broadcast) == WHOLE


async def test_closing_the_client_ends_its_readers_with_an_error(
    broadcast: Broadcast, upstream: Upstream, raw_client: AsyncClient
) -> None:
    upstream.write(PIECES[0])
    relay = broadcast.sse()
    await anext(relay)
    await raw_client.close()
    assert (await anext(relay)).startswith(b"event: error\n")


async def test_dropping_it_hangs_up(
    raw_client: AsyncClient, upstream: Upstream, raw: RawServer
) -> None:
    broadcast = Broadcast(ask(raw_client))
    await broadcast.start()
    await upstream.asked.wait()
    del broadcast
    await raw.hung_up.wait()


async def test_a_reader_keeps_it_alive(raw_client: AsyncClient, upstream: Upstream) -> None:
    broadcast = Broadcast(ask(raw_client))
    upstream.write(PIECES[0])
    relay = broadcast.sse()
    await anext(relay)
    del broadcast
    gc.collect()
    upstream.write(*PIECES[1:])
    upstream.end()
    assert b"".join([data async for data in relay]).endswith(DONE)


async def test_comments_are_sent_while_it_is_silent(
    broadcast: Broadcast, upstream: Upstream
) -> None:
    upstream.write(PIECES[0])
    async with broadcast.sse(keep_alive=1) as relay:
        await anext(relay)
        begun = asyncio.get_running_loop().time()
        assert await anext(relay) == b":\n\n"
        assert asyncio.get_running_loop().time() - begun == pytest.approx(1, abs=0.3)


async def test_its_usage_is_relayed_and_empty_events_have_no_id(
    broadcast: Broadcast, upstream: Upstream
) -> None:
    upstream.write(chunk("", role="assistant"), chunk("Hi", finish="stop"), USAGE)
    upstream.end()
    body = b"".join([data async for data in broadcast.sse(form="text")])
    assert body.decode() == (
        'id: 3\ndata: {"type":"text","text":"Hi"}\n\n'
        'data: {"type":"usage","prompt_tokens":1,"completion_tokens":2,"total_tokens":3}\n\n'
        'id: 4\ndata: {"type":"done","finish_reason":"stop"}\n\n'
    )


async def test_only_the_first_of_several_choices_is_relayed(
    raw_client: AsyncClient, upstream: Upstream
) -> None:
    upstream.write(chunk("no", index=1), chunk(finish="stop", index=1), *PIECES)
    upstream.end()
    stream = raw_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True, n=2
    )
    async with Broadcast(stream) as broadcast:
        body = b"".join([data async for data in broadcast.sse(form="text")])
    assert b"no" not in body
    assert b"Hel" in body


async def test_an_early_429_says_when_to_try_again(page: str, raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}", status="429 No\r\nRetry-After: 7")
    async with Browser(page) as browser:
        assert await browser.begin() == 429
    assert browser.headers["retry-after"] == "7"


async def test_it_has_the_headers_of_its_form(broadcast: Broadcast) -> None:
    assert broadcast.sse(form="ui").headers["x-vercel-ai-ui-message-stream"] == "v1"


async def test_what_is_not_a_chat_is_refused(raw_client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"stream has type str: pass what chat"):
        Broadcast("answer")  # type: ignore[arg-type]


async def test_leaving_its_block_hangs_up(
    raw_client: AsyncClient, upstream: Upstream, raw: RawServer
) -> None:
    async with Broadcast(ask(raw_client)):
        await upstream.asked.wait()
    await raw.hung_up.wait()


async def test_raw_is_refused(broadcast: Broadcast) -> None:
    with pytest.raises(InvalidArgumentError, match="is not for a Broadcast"):
        broadcast.sse(form="raw")  # type: ignore[arg-type]


async def test_a_broadcast_that_was_closed_before_it_began_says_so(
    broadcast: Broadcast,
) -> None:
    await broadcast.aclose()
    with pytest.raises(OpenAIError, match="make another"):
        await broadcast.start()


async def test_its_end_calls_back(raw_client: AsyncClient, upstream: Upstream) -> None:
    running = set()
    ended = asyncio.Event()
    broadcast = await Broadcast(ask(raw_client)).start()
    running.add(broadcast)
    broadcast.add_done_callback(running.discard)
    broadcast.add_done_callback(lambda _: ended.set())
    upstream.write(*PIECES)
    upstream.end()
    await ended.wait()
    assert running == set()


async def test_it_calls_back_only_once_it_has_begun(broadcast: Broadcast) -> None:
    with pytest.raises(OpenAIError, match=r"await its start\(\) first"):
        broadcast.add_done_callback(print)


async def test_closing_it_at_once_does_not_keep_its_reader_waiting(
    broadcast: Broadcast, upstream: Upstream
) -> None:
    relay = broadcast.sse(keep_alive=None)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(broadcast.start())
        tasks.create_task(broadcast.aclose())  # before it has done anything
    with pytest.raises(OpenAIError):
        await relay.begin(3)


async def joined(broadcast: Broadcast) -> bytes:
    return b"".join([data async for data in broadcast.sse()])
