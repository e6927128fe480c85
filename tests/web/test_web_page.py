"""docs/web.md shows what a browser really gets."""

from __future__ import annotations

import pytest

from openai_async import AsyncClient
from openai_async.relay.forms import SSEForm

from ..raw_server import DONE, RawServer, chunk, sse
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


@pytest.mark.parametrize(("number", "form"), [(0, "text"), (1, "ui")])
async def test_the_events_of_a_form(
    raw: RawServer, raw_client: AsyncClient, number: int, form: SSEForm
) -> None:
    raw.answer = lambda exchange: exchange.stream(*ANSWER)
    stream = raw_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    body = b"".join([data async for data in stream.sse(form=form)]).decode()
    shown = [code for _, code in blocks(ROOT / "docs" / "web.md", "text") if "data: " in code]
    # Without the blank lines between the events.
    assert shown[number] == body.replace("\n\n", "\n")
