"""What a browser gets of an answer whose reasoning is in its text, as `<think>...</think>`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_async import AsyncClient, Conversation, InvalidArgumentError
from openai_async.web import Broadcast, SSEResponse

from ..raw_server import DONE, RawServer, chunk
from ..streaming.events import call
from ..web.browser import Browser
from ..web.servers import SERVERS
from .relayed import MESSAGES, answering, calling, lines

pytestmark = pytest.mark.virtual_time

TEXT = "<think>\nHm, 1 < 2.</think>\n\nYes, a <think> is fine."
PIECES = [*(chunk(letter) for letter in TEXT), chunk(finish="stop"), DONE]


def ask(client: AsyncClient) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)


async def texts(stream: Any, **options: Any) -> list[tuple[str, str]]:
    """The texts that the browser gets, in order, each with its kind."""
    body = b"".join([data async for data in stream.sse(form="text", **options)])
    found: list[tuple[str, str]] = []
    for line in lines(body):
        event = json.loads(line.rpartition("data: ")[2])
        if "text" not in event:
            continue
        if found and found[-1][0] == event["type"]:
            found[-1] = event["type"], found[-1][1] + event["text"]
        else:
            found.append((event["type"], event["text"]))
    return found


async def test_the_block_is_reasoning(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(PIECES)
    assert await texts(ask(raw_client), think_tags=True) == [
        ("reasoning", "Hm, 1 < 2."),
        ("text", "Yes, a <think> is fine."),
    ]


async def test_it_follows_reasoning_that_the_server_splits_off(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    first = chunk("<think>2.", reasoning="Hm, 1 < ")
    raw.answer = answering([first, chunk("</think>Yes.", finish="stop"), DONE])
    assert await texts(ask(raw_client), think_tags=True) == [
        ("reasoning", "Hm, 1 < 2."),
        ("text", "Yes."),
    ]


async def test_without_the_option_the_text_is_as_it_came(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(PIECES)
    assert await texts(ask(raw_client)) == [("text", TEXT)]


async def test_the_prompt_may_have_opened_the_block(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering([chunk("Hm.</th"), chunk("ink>Yes."), chunk(finish="stop"), DONE])
    assert await texts(ask(raw_client), think_tags="opened") == [
        ("reasoning", "Hm."),
        ("text", "Yes."),
    ]


async def test_half_a_tag_at_the_end_is_not_lost(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering([chunk("<thi"), chunk(finish="stop"), DONE])
    assert await texts(ask(raw_client), think_tags=True) == [("text", "<thi")]


async def test_the_parts_of_the_ai_sdk(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering([chunk("<think>Hm.</think>Yes."), chunk(finish="stop"), DONE])
    relay = ask(raw_client).sse(form="ui", think_tags=True)
    body = b"".join([data async for data in relay])
    kinds = [json.loads(line.removeprefix("data: "))["type"] for line in lines(body)[:-1]]
    assert kinds[2:-2] == [
        *("reasoning-start", "reasoning-delta", "reasoning-end"),
        *("text-start", "text-delta", "text-end"),
    ]


async def test_each_answer_of_a_run_may_have_a_block(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def clock() -> str:
        return "noon"

    raw.answer = answering(
        [chunk("<think>What time?</thi"), calling(call(0, "{}", "clock", "c1")), DONE],
        [chunk("<think>Noon."), chunk("</think>Noon."), chunk(finish="stop"), DONE],
    )
    run = raw_client.chat.completions.run_tools(model="gpt-4o", messages=MESSAGES, tools=[clock])
    assert await texts(run, think_tags=True) == [
        ("reasoning", "What time?</thiNoon."),
        ("text", "Noon."),
    ]


async def test_a_turn_of_a_conversation(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(PIECES)
    turn = Conversation(raw_client, model="gpt-4o").stream("1 < 2?")
    assert len(await texts(turn, think_tags=True)) == 2


async def test_a_broadcast(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(PIECES)
    async with Broadcast(ask(raw_client)) as broadcast:
        shown = await texts(broadcast, think_tags=True)
        resumed = await texts(broadcast, think_tags=True, last_event_id="10")
    assert shown[1] == resumed[1]
    assert shown[0][1].endswith(resumed[0][1])
    assert shown[0] != resumed[0]


@pytest.mark.parametrize("server", ["aiohttp", "starlette"])
async def test_the_responses_take_the_option(
    raw: RawServer, raw_client: AsyncClient, server: str
) -> None:
    raw.answer = answering(PIECES)
    serve = SERVERS[server](lambda: ask(raw_client), form="text", think_tags=True)
    async with serve as url, Browser(url) as browser:
        await browser.begin()
        assert b'{"type":"reasoning"' in await browser.rest()


@pytest.mark.parametrize("form", ["chunks", "raw"])
async def test_other_forms_do_not_split_texts(raw_client: AsyncClient, form: Any) -> None:
    with pytest.raises(InvalidArgumentError, match='does not take think_tags: pass form="text"'):
        SSEResponse(ask(raw_client), form=form, think_tags=True)
    with pytest.raises(InvalidArgumentError, match=r"think_tags is for chat\.completions"):
        SSEResponse(raw_client.stream("GET", "/x"), think_tags=True)


async def test_an_unknown_option_is_refused(raw_client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="think_tags is 'open': pass True"):
        ask(raw_client).sse(form="text", think_tags="open")
