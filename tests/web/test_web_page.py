"""docs/web.md shows what a browser really gets."""

from __future__ import annotations

import pytest

from openai_async import AsyncClient
from openai_async.relay.forms import SSEForm

from ..raw_server import DONE, RawServer, chunk, sse
from ..relay.relayed import answering
from ..streaming.events import call
from ..test_docs import ROOT, blocks

USAGE = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
ANSWER = [
    sse(chunk(reasoning="Let me see.")),
    sse(chunk("I will ")),
    sse(chunk("ask.")),
    sse(chunk(tool_calls=[call(0, '{"city":', "weather", "call_1")])),
    sse(chunk(tool_calls=[call(0, '"Oslo"}')])),
    sse(chunk(finish="tool_calls")),
    sse({**chunk(), "choices": [], "usage": USAGE}),
    DONE,
]
# The page leaves out the blank lines between the events.
SHOWN = [code for _, code in blocks(ROOT / "docs" / "web.md", "text") if "data: " in code]


async def weather(city: str) -> dict[str, str | int]:
    return {"city": city, "degrees": 21}


async def test_the_events_of_a_run_of_tools(raw: RawServer, raw_client: AsyncClient) -> None:
    asked = call(0, '{"city":"Oslo"}', "weather", "call_1")
    usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    more = {"prompt_tokens": 30, "completion_tokens": 13, "total_tokens": 43}
    raw.answer = answering(
        [chunk(tool_calls=[asked], finish="tool_calls"), {**chunk(), "usage": usage}, DONE],
        [chunk("It is 21 degrees in Oslo.", finish="stop"), {**chunk(), "usage": more}, DONE],
    )
    run = raw_client.chat.completions.run_tools(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], tools=[weather]
    )
    body = b"".join([data async for data in run.sse(form="text")]).decode()
    assert SHOWN[2] == body.replace("\n\n", "\n")


@pytest.mark.parametrize(("number", "form"), [(0, "text"), (1, "ui")])
async def test_the_events_of_a_form(
    raw: RawServer, raw_client: AsyncClient, number: int, form: SSEForm
) -> None:
    raw.answer = lambda exchange: exchange.stream(*ANSWER)
    stream = raw_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    body = b"".join([data async for data in stream.sse(form=form)]).decode()
    assert SHOWN[number] == body.replace("\n\n", "\n")
