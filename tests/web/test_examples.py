"""The apps of docs/examples: with 200 browsers at once, some of which leave or stall, and with a
server that fails.

Each runs as a process of its own, for all tests.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import define

from ..raw_server import DONE, Answer, Exchange, RawServer, chunk, sse
from .browser import Browser
from .programs import APPS, Program, running
from .test_relaying import until_hung_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).with_name("page.mjs")
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
HELLO = (sse(chunk("Hel")), sse(chunk("lo", finish="stop") | {"usage": USAGE}), DONE)
EVENTS = (
    b'data: {"type":"text","text":"Hel"}\n\n'
    b'data: {"type":"text","text":"lo"}\n\n'
    b'data: {"type":"usage","prompt_tokens":7,"completion_tokens":3,"total_tokens":10}\n\n'
    b'data: {"type":"done","finish_reason":"stop"}\n\n'
)


@define
class Site:
    """An app, and the server that it asks."""

    program: Program
    upstream: RawServer

    @property
    def answer(self) -> str:
        return f"{self.program.url}answer?q=Why"

    def answers(self, answer: Answer) -> None:
        self.upstream.answer = answer


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=APPS)
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    log = tmp_path_factory.mktemp("app") / "log.txt"
    async with RawServer() as upstream, running(request.param, upstream.url, log) as program:
        yield Site(program, upstream)
        program.stop()
        await program.ended()
        assert "Traceback" not in log.read_text(encoding="utf-8")


async def read(url: str) -> bytes:
    """The events of an answer, without the comments between them."""
    async with Browser(url) as browser:
        assert await browser.begin() == 200
        return (await browser.rest()).replace(b":\n\n", b"")


async def test_it_has_a_page(site: Site) -> None:
    async with Browser(site.program.url) as browser:
        assert await browser.begin() == 200
        assert b"</script>" in await browser.rest()
    assert browser.headers["content-type"].startswith("text/html")


async def test_the_answer_arrives_as_events(site: Site) -> None:
    site.answers(lambda exchange: exchange.stream(*HELLO))
    assert await read(site.answer) == EVENTS
    (message,) = json.loads(site.upstream.exchanges[-1].body)["messages"]
    assert message == {"role": "user", "content": "Why"}


async def test_proxies_are_told_to_pass_events_on(site: Site) -> None:
    site.answers(lambda exchange: exchange.stream(*HELLO))
    async with Browser(site.answer) as browser:
        await browser.begin()
    assert browser.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert browser.headers["cache-control"] == "no-cache, no-transform"
    assert browser.headers["x-accel-buffering"] == "no"


async def test_each_token_arrives_before_the_next_is_written(site: Site) -> None:
    arrived = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await arrived.wait()
        await exchange.part(HELLO[1] + DONE)
        await exchange.end()

    site.answers(answer)
    async with Browser(site.answer) as browser:
        await browser.begin()
        assert b"Hel" in await browser.part()
        arrived.set()
        assert b"lo" in await browser.rest()


async def test_two_hundred_browsers_at_once(site: Site) -> None:
    together = asyncio.Barrier(200)

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await together.wait()
        await exchange.part(HELLO[1] + DONE)
        await exchange.end()

    site.answers(answer)
    assert {*await asyncio.gather(*(read(site.answer) for _ in range(200)))} == {EVENTS}


async def test_a_browser_that_disconnects_before_the_first_token_hangs_up(site: Site) -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        await until_hung_up(exchange)
        hung_up.set()

    site.answers(answer)
    async with Browser(site.answer) as browser:
        await asked.wait()
        browser.leave()
        async with asyncio.timeout(10):
            await hung_up.wait()


async def test_a_browser_that_disconnects_in_the_middle_hangs_up(site: Site) -> None:
    hung_up = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await until_hung_up(exchange)
        hung_up.set()

    site.answers(answer)
    async with Browser(site.answer) as browser:
        await browser.begin()
        await browser.part()
        browser.leave()
        async with asyncio.timeout(10):
            await hung_up.wait()


async def test_a_browser_that_stalls_and_leaves_delays_nobody(site: Site) -> None:
    full, hung_up = asyncio.Event(), asyncio.Event()
    site.answers(endless(full, hung_up))
    async with Browser(site.answer, receive_buffer=4096) as slow:
        await slow.begin()
        await full.wait()
        site.answers(lambda exchange: exchange.stream(*HELLO))
        assert await read(site.answer) == EVENTS
        slow.leave()
        async with asyncio.timeout(10):
            await hung_up.wait()


def endless(full: asyncio.Event, hung_up: asyncio.Event) -> Answer:
    """Writes until nothing more is taken."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        try:
            while True:
                async with asyncio.timeout(1):
                    await exchange.part(sse(chunk("x" * 100_000)))
        except TimeoutError:
            full.set()
        try:
            await until_hung_up(exchange)
        finally:  # the connection is reset, as there are bytes that nobody has read
            hung_up.set()

    return answer


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_an_early_error_has_its_status_and_a_safe_text(site: Site, status: int) -> None:
    body = b'{"error": {"message": "sk-secret of org-7 at http://internal"}}'
    site.answers(lambda exchange: exchange.whole(body, status=f"{status} No"))
    async with Browser(site.answer) as browser:
        assert await browser.begin() == status
        error = json.loads(await browser.rest())["error"]
    assert error["message"].startswith("The service")


async def test_a_connection_that_breaks_before_the_answer_is_a_502(site: Site) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.abort()

    site.answers(answer)
    async with Browser(site.answer) as browser:
        assert await browser.begin() == 502


async def test_an_error_within_the_answer_is_its_last_event(site: Site) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        exchange.abort()

    site.answers(answer)
    assert await read(site.answer) == (
        b'data: {"type":"text","text":"Hel"}\n\n'
        b"event: error\n"
        b'data: {"type":"error","message":"The answer broke off before it was complete."}\n\n'
    )


async def shown(site: Site) -> str:
    """What the page shows when it has asked; run by node."""
    if (node := shutil.which("node")) is None:
        pytest.skip("needs node")
    program = await asyncio.create_subprocess_exec(
        *(node, str(PAGE), site.program.url), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await program.communicate()
    assert program.returncode == 0
    page = json.loads(output)
    assert page["open"] == 0  # otherwise, the EventSource would ask again
    return str(page["shown"])


async def test_the_page_shows_the_answer(site: Site) -> None:
    site.answers(lambda exchange: exchange.stream(*HELLO))
    assert await shown(site) == "Hello"
    (message,) = json.loads(site.upstream.exchanges[-1].body)["messages"]
    assert message == {"role": "user", "content": "Why?"}


async def test_the_page_shows_that_there_is_no_answer(site: Site) -> None:
    site.answers(lambda exchange: exchange.whole(b"{}", status="401 No"))
    # An EventSource does not say why.
    assert await shown(site) in ("No answer.", "The service did not accept our credentials.")


async def test_the_page_shows_that_the_answer_broke_off(site: Site) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        exchange.abort()

    site.answers(answer)
    assert await shown(site) == "HelThe answer broke off before it was complete."


# hypercorn 0.18 does not end while a connection cannot be written to, whatever the app does.
STALLS = [name for name in APPS if name != "quart_app"]


@pytest.mark.parametrize("name", STALLS)
async def test_sigterm_ends_it_in_spite_of_a_browser_that_stalls(name: str, tmp_path: Path) -> None:
    full, hung_up = asyncio.Event(), asyncio.Event()
    async with RawServer() as upstream, running(name, upstream.url, tmp_path / "log") as program:
        upstream.answer = endless(full, hung_up)
        async with Browser(f"{program.url}answer?q=Why", receive_buffer=4096) as slow:
            await slow.begin()
            await full.wait()
            program.stop()
            await program.ended()
        async with asyncio.timeout(10):
            await hung_up.wait()


@pytest.mark.parametrize("name", APPS)
async def test_sigterm_ends_it_in_spite_of_an_answer_that_stalls(name: str, tmp_path: Path) -> None:
    hung_up = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        await until_hung_up(exchange)
        hung_up.set()

    async with RawServer() as upstream, running(name, upstream.url, tmp_path / "log") as program:
        upstream.answer = answer
        async with Browser(f"{program.url}answer?q=Why") as browser:
            await browser.begin()
            await browser.part()
            program.stop()
            await program.ended()
        async with asyncio.timeout(10):
            await hung_up.wait()
