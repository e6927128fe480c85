"""The relays that are written by hand, in docs/examples, do the same as ours where docs/web.md
compares their lengths.
"""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attrs import define

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..streaming.events import call
from .browser import Browser
from .programs import BY_HAND, EXAMPLES, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@define
class Pair:
    """An app whose relay is written by hand, the app with ours, and the server that they ask."""

    urls: list[str]
    upstream: RawServer

    async def answers(self) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
        by_hand, ours = await asyncio.gather(*[answer(url) for url in self.urls])
        return by_hand, ours


async def answer(url: str) -> tuple[int, bytes]:
    async with Browser(f"{url}answer?q=Why") as browser:
        return await browser.begin(), await browser.rest()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BY_HAND)
async def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    logs = tmp_path_factory.mktemp("apps")
    async with (
        RawServer() as upstream,
        running(request.param, upstream.url, logs / "by_hand.txt") as by_hand,
        running(BY_HAND[request.param], upstream.url, logs / "ours.txt") as ours,
    ):
        yield Pair([by_hand.url, ours.url], upstream)


async def test_both_send_the_same_events(pair: Pair) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    sent = [
        sse(chunk("", role="assistant")),
        sse(chunk(reasoning="Hm")),
        sse(chunk("Hel")),
        sse(chunk("lo")),
        sse(chunk(tool_calls=[call(0, '{"x":1}', "f", "c1")])),
        sse(chunk(finish="tool_calls") | {"usage": usage}),
        DONE,
    ]
    pair.upstream.answer = lambda exchange: exchange.stream(*sent)
    by_hand, ours = await pair.answers()
    assert by_hand == ours
    assert by_hand[1].count(b"data: ") == 6


async def test_both_pass_an_early_status_on(pair: Pair) -> None:
    pair.upstream.answer = lambda exchange: exchange.whole(b"{}", status="401 No")
    for status, body in await pair.answers():
        assert status == 401
        assert json.loads(body)["error"]["message"].startswith("The service did not accept")


async def test_both_end_a_broken_answer_with_an_error(pair: Pair) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))
        exchange.abort()

    pair.upstream.answer = broken
    by_hand, ours = await pair.answers()
    assert by_hand == ours
    assert b"event: error" in by_hand[1]


async def test_the_docs_say_how_many_lines_they_take() -> None:
    text = (EXAMPLES.parent / "web.md").read_text(encoding="utf-8")
    for framework, by_hand in [("aiohttp", "by_hand_aiohttp"), ("FastAPI", "by_hand_fastapi")]:
        row = f"| {framework} | {relay_lines(by_hand)} | {relay_lines(BY_HAND[by_hand])} |"
        assert row in text


def relay_lines(name: str) -> int:
    """The lines of a relay: of all functions but that of the page, and of what they use."""
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    count = 0
    for node in ast.parse(source).body:
        begin = node.lineno
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name != "page":
                begin -= len(node.decorator_list)
            case ast.Assign(targets=[ast.Name("HEADERS")]):
                pass
            case _:
                continue
        lines = source.splitlines()[begin - 1 : node.end_lineno]
        count += sum(bool(line.strip()) for line in lines)
    return count
