"""What a browser gets of the web pages that an answer cites."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_async import AsyncClient
from openai_async.relay.forms import SSEForm

from ..raw_server import DONE, RawServer, chunk
from ..streaming.events import call
from .relayed import MESSAGES, answering, calling, lines, relayed

pytestmark = pytest.mark.virtual_time

CAT = {"url": "https://cats.example/a", "title": "Cats"}
DOG = {"url": "https://dogs.example/b", "title": "Dogs"}


def cited(*pages: dict[str, str]) -> list[dict[str, Any]]:
    return [{"type": "url_citation", "url_citation": {"start_index": 0, **p}} for p in pages]


def with_all(**fields: Any) -> list[dict[str, object]]:
    """An answer whose chunks all have these fields."""
    return [{**one, **fields} for one in (chunk("Me"), chunk("ow"), chunk(finish="stop"))]


ANSWERS = {
    "annotations": [chunk("Meow"), chunk(annotations=cited(CAT, DOG)), chunk(finish="stop")],
    "repeated annotations": [
        chunk("Me", annotations=cited(CAT)),
        chunk("ow", annotations=cited(CAT, DOG)),
        chunk(finish="stop"),
    ],
    "search results": with_all(search_results=[CAT, DOG], citations=[CAT["url"], DOG["url"]]),
}


async def sources(
    raw: RawServer, client: AsyncClient, form: SSEForm, answer: list[Any]
) -> list[dict[str, Any]]:
    body = await relayed(raw, client, form, *answer, DONE)
    events = [json.loads(line[6:]) for line in lines(body) if line != "data: [DONE]"]
    return [event for event in events if event["type"].startswith("source")]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_each_page_is_sent_once_as_text(
    raw: RawServer, raw_client: AsyncClient, answer: list[Any]
) -> None:
    assert await sources(raw, raw_client, "text", answer) == [
        {"type": "source", **CAT},
        {"type": "source", **DOG},
    ]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_each_page_is_a_part_of_the_ai_sdk(
    raw: RawServer, raw_client: AsyncClient, answer: list[Any]
) -> None:
    assert await sources(raw, raw_client, "ui", answer) == [
        {"type": "source-url", "sourceId": "source-1", **CAT},
        {"type": "source-url", "sourceId": "source-2", **DOG},
    ]


async def test_a_page_may_have_no_title(raw: RawServer, raw_client: AsyncClient) -> None:
    answer = with_all(citations=[CAT["url"]])
    url = CAT["url"]
    assert await sources(raw, raw_client, "text", answer) == [
        {"type": "source", "url": url, "title": ""}
    ]
    assert await sources(raw, raw_client, "ui", answer) == [
        {"type": "source-url", "sourceId": "source-1", "url": url}
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"citations": "https://cats.example"},
        {"citations": [7, None, "javascript:alert(1)", "/a"]},
        {"search_results": [None, {"url": 7}, {"title": "Cats"}]},
    ],
)
async def test_what_is_not_a_link_is_left_out(
    raw: RawServer, raw_client: AsyncClient, fields: dict[str, Any]
) -> None:
    assert await sources(raw, raw_client, "text", with_all(**fields)) == []


async def test_the_pages_of_a_run_are_sent_after_the_answer_that_cites_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def clock() -> str:
        return "noon"

    raw.answer = answering(
        [chunk(annotations=cited(CAT)), calling(call(0, "{}", "clock", "c1")), DONE],
        [chunk("Noon.", annotations=cited(CAT, DOG)), chunk(finish="stop"), DONE],
    )
    run = raw_client.chat.completions.run_tools(model="gpt-4o", messages=MESSAGES, tools=[clock])
    body = b"".join([data async for data in run.sse(form="text")])
    events = [json.loads(line[6:]) for line in lines(body)]
    told = [event.get("title", event["type"]) for event in events]
    assert told == ["tool_call", "Cats", "tool_result", "text", "Dogs", "usage", "done"]
