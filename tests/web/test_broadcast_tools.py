"""A Broadcast of a run of tools: its readers get the results too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openai_async import (
    AsyncClient,
    ChatCompletionStream,
    Conversation,
    ConversationStream,
    InvalidArgumentError,
    ToolRun,
)
from openai_async.relay.forms import PageFormName
from openai_async.relay.relay import Relay
from openai_async.web import Broadcast, MemoryStore

from ..raw_server import DONE, RawServer, chunk
from ..relay.relayed import MESSAGES, answering, calling
from ..streaming.events import call

pytestmark = pytest.mark.virtual_time

ASKED = [chunk("Let me see."), calling(call(0, '{"a":1,"b":2}', "add", "c1")), DONE]
ANSWERED = [chunk("3", finish="stop"), DONE]
FORMS: tuple[PageFormName, ...] = ("text", "ui")


async def add(a: int, b: int) -> dict[str, int]:
    if a == 0:
        raise ValueError(a)
    return {"sum": a + b}


def run(client: AsyncClient, **params: Any) -> ToolRun[None]:
    return client.chat.completions.run_tools(
        model="gpt-4o", messages=MESSAGES, tools=[add], **params
    )


async def whole(relay: Relay) -> bytes:
    return b"".join([data async for data in relay])


def without_ids(body: bytes) -> bytes:
    return b"".join(line for line in body.splitlines(True) if not line.startswith(b"id: "))


@pytest.mark.parametrize("asked", [ASKED, [calling(call(0, '{"a":0,"b":2}', "add", "c1")), DONE]])
@pytest.mark.parametrize("form", FORMS)
async def test_each_reader_gets_what_a_plain_relay_sends(
    raw: RawServer, raw_client: AsyncClient, form: PageFormName, asked: list[Any]
) -> None:
    raw.answer = answering(asked, ANSWERED)
    plain = await whole(run(raw_client).sse(form=form))
    raw.answer = answering(asked, ANSWERED)
    async with Broadcast(run(raw_client), store=MemoryStore(), id="a") as broadcast:
        assert without_ids(await whole(broadcast.sse(form=form))) == plain
        late = Broadcast.join("a", store=broadcast._store)
        assert without_ids(await whole(late.sse(form=form))) == plain


@pytest.mark.parametrize("form", FORMS)
async def test_a_reader_resumes_after_any_event(
    raw: RawServer, raw_client: AsyncClient, form: PageFormName
) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    async with Broadcast(run(raw_client)) as broadcast:
        body = await whole(broadcast.sse(form=form))
        ids = [line[4:].decode() for line in body.split(b"\n") if line.startswith(b"id: ")]
        for seen in ids[:-1]:
            rest = await whole(broadcast.sse(form=form, last_event_id=seen))
            before, _, _ = body.partition(f"id: {seen}\n".encode())
            event = body[len(before) :].index(b"\n\n") + 2
            assert rest == body[len(before) + event :]


@pytest.mark.parametrize("form", FORMS)
async def test_too_many_rounds_are_the_error_that_a_plain_relay_sends(
    raw: RawServer, raw_client: AsyncClient, form: PageFormName
) -> None:
    raw.answer = answering(ASKED)
    plain = await whole(run(raw_client, max_rounds=1).sse(form=form))
    raw.answer = answering(ASKED)
    async with Broadcast(run(raw_client, max_rounds=1)) as broadcast:
        assert without_ids(await whole(broadcast.sse(form=form))) == plain


async def test_a_turn_of_a_conversation_is_in_the_history_once_it_has_been_read(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(ANSWERED)
    conversation = Conversation(raw_client, model="gpt-4o")
    async with Broadcast(conversation.stream("1 + 2?")) as broadcast:
        assert b'{"type":"text","text":"3"}' in await whole(broadcast.sse(form="text"))
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"]


async def test_an_exception_of_the_app_is_an_error_for_the_readers_and_logged_as_its_own(
    raw: RawServer, raw_client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def explain(call: object, error: Exception) -> str:
        raise PermissionError("at 10.0.0.1")

    raw.answer = answering([calling(call(0, '{"a":0,"b":2}', "add", "c1")), DONE])
    async with Broadcast(run(raw_client, on_tool_error=explain)) as broadcast:
        body = await whole(broadcast.sse(form="text"))
    assert b"event: error" in body
    assert b"10.0.0.1" not in body
    assert "The app failed during a broadcast." in caplog.text
    assert "PermissionError: at 10.0.0.1" in caplog.text


async def test_closing_it_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Any) -> None:
        await exchange.start_stream()

    raw.answer = answer
    async with Broadcast(run(raw_client)) as broadcast:
        pass
    assert b"event: error" in await whole(broadcast.sse(form="text"))


async def test_chunks_have_no_events_for_tools(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    store = MemoryStore()
    async with Broadcast(run(raw_client), store=store, id="a") as broadcast:
        with pytest.raises(InvalidArgumentError, match='pass form="text" or form="ui"'):
            broadcast.sse()
        joined = Broadcast.join("a", store=store).sse()
        with pytest.raises(InvalidArgumentError, match='pass form="text" or form="ui"'):
            await joined.begin(3)


def _chat(client: AsyncClient) -> ChatCompletionStream:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)


def _turn(client: AsyncClient) -> ConversationStream:
    return Conversation(client, model="gpt-4o").stream("Hi")


@pytest.mark.parametrize(
    ("made", "message"),
    [(_chat, "has been read to its end"), (run, "has already begun"), (_turn, "has already begun")],
    ids=["chat", "run", "turn"],
)
async def test_what_has_been_read_is_refused(
    raw: RawServer, raw_client: AsyncClient, made: Callable[[AsyncClient], Any], message: str
) -> None:
    """Its readers would take the nothing that is left for a complete answer."""
    raw.answer = answering(ANSWERED)
    stream = made(raw_client)
    async for _ in stream:
        pass
    with pytest.raises(InvalidArgumentError, match=message):
        Broadcast(stream)
