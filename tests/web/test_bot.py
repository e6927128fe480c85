"""The bot of docs/examples, a process of its own, with a bot API on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from attrs import define

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from .programs import Program, running
from .test_relaying import until_hung_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = (sse(chunk("Hel")), sse(chunk("lo", finish="stop")), DONE)


class BotAPI:
    """What Telegram's does, with the messages of each chat as they look now."""

    def __init__(self) -> None:
        self._updates: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._known = 0
        self._changed = asyncio.Condition()
        self.chats: dict[int, list[str]] = {}
        self.edits: list[tuple[float, float]] = []
        """When each edit arrived, and when the answer to it was sent."""
        self.refusals = 0
        """So many edits are too fast."""

    def ask(self, chat: int, text: str) -> None:
        self._known += 1
        message = {"chat": {"id": chat}, "text": text}
        self._updates.put_nowait({"update_id": self._known, "message": message})

    async def shows(self, chat: int, *texts: str) -> None:
        """Wait until a chat has these messages."""
        await self.until(lambda: self.chats.get(chat) == [*texts])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/bot/getUpdates", self._get_updates)
        app.router.add_post("/bot/sendMessage", self._send_message)
        app.router.add_post("/bot/editMessageText", self._edit_message)
        return app

    async def _get_updates(self, request: web.Request) -> web.Response:
        asked = await request.json()
        updates = [await self._updates.get()]
        while not self._updates.empty():
            updates.append(self._updates.get_nowait())
        # As they are forgotten here, the bot must have handled all that it was sent before.
        assert asked["offset"] in (0, updates[0]["update_id"])
        return web.json_response({"ok": True, "result": updates})

    async def _send_message(self, request: web.Request) -> web.Response:
        asked = await request.json()
        messages = self.chats.setdefault(asked["chat_id"], [])
        messages.append(asked["text"])
        return await self._done({"message_id": len(messages) - 1})

    async def _edit_message(self, request: web.Request) -> web.Response:
        arrived, asked = asyncio.get_running_loop().time(), await request.json()
        if self.refusals:
            self.refusals -= 1
            parameters = {"retry_after": 1}
            refusal = {"ok": False, "error_code": 429, "parameters": parameters}
            return web.json_response(refusal, status=429)
        assert 0 < len(asked["text"]) <= 4096
        assert self.chats[asked["chat_id"]][asked["message_id"]] != asked["text"]
        self.chats[asked["chat_id"]][asked["message_id"]] = asked["text"]
        self.edits.append((arrived, asyncio.get_running_loop().time()))
        return await self._done({})

    async def _done(self, result: dict[str, Any]) -> web.Response:
        async with self._changed:
            self._changed.notify_all()
        return web.json_response({"ok": True, "result": result})


@define
class World:
    """A bot, and the two servers that it talks to."""

    bot: Program
    api: BotAPI
    upstream: RawServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with started(tmp_path_factory.mktemp("bot") / "log.txt") as world:
        yield world


@asynccontextmanager
async def started(log: Path) -> AsyncIterator[World]:
    api = BotAPI()
    runner = web.AppRunner(api.app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    async with RawServer() as upstream, running("bot", upstream.url, log, BOT_URL=url) as bot:
        yield World(bot, api, upstream)
    await runner.cleanup()
    assert "Traceback" not in log.read_text(encoding="utf-8")


async def test_it_answers(world: World) -> None:
    world.upstream.answer = lambda exchange: exchange.stream(*HELLO)
    world.api.ask(1, "Why?")
    await world.api.shows(1, "Hello")
    assert b"Why?" in world.upstream.exchanges[-1].body


async def test_the_message_grows_and_is_edited_at_most_once_a_second(world: World) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        while not seen.is_set():
            await exchange.part(sse(chunk("x")))
            await asyncio.sleep(0.02)  # a model that writes 50 tokens a second
        await exchange.part(sse(chunk("!", finish="stop")) + DONE)
        await exchange.end()

    world.upstream.answer = answer
    world.api.edits.clear()
    world.api.ask(2, "Write x.")
    await world.api.until(lambda: len(world.api.edits) == 2)
    seen.set()
    await world.api.until(lambda: world.api.chats[2][0].endswith("!"))
    pauses = [after[0] - before[1] for before, after in pairwise(world.api.edits)]
    assert len(pauses) >= 2
    assert min(pauses) > 0.99


async def test_a_bot_that_is_too_fast_for_the_api_waits_and_loses_nothing(world: World) -> None:
    world.upstream.answer = lambda exchange: exchange.stream(*HELLO)
    world.api.refusals = 1
    world.api.ask(3, "Why?")
    await world.api.shows(3, "Hello")
    assert world.api.refusals == 0


async def test_a_long_answer_takes_several_messages(world: World) -> None:
    pieces = [sse(chunk("x" * 2500)) for _ in range(3)]
    world.upstream.answer = lambda exchange: exchange.stream(*pieces, *HELLO)
    world.api.ask(4, "Write x.")
    await world.api.shows(4, "x" * 4000, "x" * 3500 + "Hello")


async def test_an_early_error_is_shown_as_a_safe_text(world: World) -> None:
    body = b'{"error": {"message": "sk-secret"}}'
    world.upstream.answer = lambda exchange: exchange.whole(body, status="401 No")
    world.api.ask(5, "Why?")
    await world.api.shows(5, "The service did not accept our credentials.")


async def test_an_error_within_the_answer_follows_what_has_arrived(world: World) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        exchange.abort()

    world.upstream.answer = answer
    world.api.ask(6, "Why?")
    await world.api.shows(6, "Hel\nThe answer broke off before it was complete.")


async def test_two_hundred_chats_at_once(world: World) -> None:
    world.upstream.answer = lambda exchange: exchange.stream(*HELLO)
    for chat in range(100, 300):
        world.api.ask(chat, "Why?")
    await asyncio.gather(*[world.api.shows(chat, "Hello") for chat in range(100, 300)])


async def test_sigterm_ends_it_and_hangs_up(tmp_path: Path) -> None:
    writing, hung_up = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(HELLO[0])
        writing.set()
        await until_hung_up(exchange)
        hung_up.set()

    async with started(tmp_path / "log.txt") as world:
        world.upstream.answer = answer
        world.api.ask(1, "Why?")
        await writing.wait()
        world.bot.stop()
        await world.bot.ended()
        assert world.bot.process.returncode == 0
        async with asyncio.timeout(10):
            await hung_up.wait()
