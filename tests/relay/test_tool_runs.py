"""What a browser gets of a run of tools, and of a turn of a conversation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from openai_async import (
    AsyncClient,
    AuthenticationError,
    Conversation,
    InvalidArgumentError,
    OpenAIError,
    ToolRun,
)
from openai_async.relay.forms import PageFormName

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..streaming.events import call
from .relayed import MESSAGES, USAGE_AND_DONE, answering, calling, in_halves, lines

pytestmark = pytest.mark.virtual_time

FORMS: tuple[PageFormName, ...] = ("text", "ui")


async def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


async def fail(why: str) -> str:
    raise ValueError(why)


ASKED = [
    chunk("Let me see."),
    calling(call(0, '{"a":1,"b":2}', "add", "c1")),
    chunk(finish="tool_calls"),
    USAGE_AND_DONE,
]
ANSWERED = [chunk("3", finish="stop"), USAGE_AND_DONE]


def run(client: AsyncClient, *tools: Any, **params: Any) -> ToolRun[None]:
    return client.chat.completions.run_tools(
        model="gpt-4o", messages=MESSAGES, tools=[*tools], **params
    )


async def events(run: Any, form: PageFormName = "text") -> list[dict[str, Any]]:
    """The data of the events; `[DONE]` is left out."""
    body = b"".join([data async for data in run.sse(form=form)])
    found = [line.rpartition("data: ")[2] for line in lines(body)]
    return [json.loads(data) for data in found if data != "[DONE]"]


async def test_a_run_as_text(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    assert await events(run(raw_client, add)) == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_call", "index": 0, "id": "c1", "name": "add", "arguments": '{"a":1,"b":2}'},
        {"type": "tool_result", "index": 0, "content": '{"sum":3}'},
        {"type": "text", "text": "3"},
        {"type": "usage", "prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
        {"type": "done", "finish_reason": "stop"},
    ]


async def test_a_run_as_one_message_of_the_ai_sdk_with_a_step_for_each_answer(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    whole = {"toolCallId": "c1", "toolName": "add"}
    usage = {"inputTokens": 2, "outputTokens": 4, "totalTokens": 6}
    assert await events(run(raw_client, add), "ui") == [
        {"type": "start"},
        {"type": "start-step"},
        {"type": "text-start", "id": "text-1"},
        {"type": "text-delta", "id": "text-1", "delta": "Let me see."},
        {"type": "text-end", "id": "text-1"},
        {"type": "tool-input-start", **whole},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"a":1,"b":2}'},
        {"type": "tool-input-available", **whole, "input": {"a": 1, "b": 2}},
        {"type": "tool-output-available", "toolCallId": "c1", "output": {"sum": 3}},
        {"type": "finish-step"},
        {"type": "start-step"},
        {"type": "text-start", "id": "text-2"},
        {"type": "text-delta", "id": "text-2", "delta": "3"},
        {"type": "text-end", "id": "text-2"},
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "stop", "messageMetadata": {"usage": usage}},
    ]


async def test_text_is_the_default(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(ANSWERED)
    body = b"".join([data async for data in run(raw_client, add).sse()])
    assert body.startswith(b'data: {"type":"text","text":"3"}\n\n')


async def test_calls_of_several_answers_are_told_apart(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Some servers use the same ids again in each answer."""
    again = [calling(call(0, '{"a":3,"b":4}', "add", "c1"), finish="tool_calls"), DONE]
    raw.answer = answering(ASKED, again, again, ANSWERED)
    shown = await events(run(raw_client, add))
    told = [(e["type"], e["index"]) for e in shown if e["type"].startswith("tool")]
    assert told == [(f"tool_{kind}", n) for n in range(3) for kind in ("call", "result")]

    raw.answer = answering(ASKED, again, again, ANSWERED)
    shown = await events(run(raw_client, add), "ui")
    results = {e["toolCallId"]: e["output"] for e in shown if e["type"] == "tool-output-available"}
    assert [*results.values()] == [{"sum": 3}, {"sum": 7}, {"sum": 7}]


async def test_an_id_that_the_server_repeats_is_replaced_by_a_new_one(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    ids = ["c1-2", "c1", "c1"]
    pieces = [call(n, f'{{"a":{n},"b":0}}', "add", id) for n, id in enumerate(ids)]
    first, second = [calling(*pieces[:2]), DONE], [calling(pieces[2]), DONE]
    raw.answer = answering(first, second, ANSWERED)
    shown = await events(run(raw_client, add), "ui")
    results = {e["toolCallId"]: e["output"] for e in shown if e["type"] == "tool-output-available"}
    assert [*results.values()] == [{"sum": n} for n in range(3)]


async def test_each_answer_may_be_a_refusal(raw: RawServer, raw_client: AsyncClient) -> None:
    refused = calling(call(0, '{"a":1,"b":2}', "add", "c1"), refusal="No.")
    raw.answer = answering([refused, DONE], [chunk(refusal="Never."), chunk(finish="stop"), DONE])
    shown = await events(run(raw_client, add))
    assert [e["text"] for e in shown if e["type"] == "refusal"] == ["No.", "Never."]


async def test_a_run_begins_with_its_first_chunk(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))

    raw.answer = answer
    async with run(raw_client, add).sse() as relay:
        begun = asyncio.get_running_loop().time()
        assert await relay.begin(100)
        assert asyncio.get_running_loop().time() - begun < 1  # of virtual time


async def test_results_are_sent_as_they_arrive(raw: RawServer, raw_client: AsyncClient) -> None:
    first_may_end = asyncio.Event()

    async def wait(first: bool) -> str:
        if first:
            await first_may_end.wait()
        first_may_end.set()
        return f"first: {first}"

    both = [
        calling(call(0, '{"first":true}', "wait", "c1"), call(1, '{"first":false}', "wait", "c2")),
        DONE,
    ]
    raw.answer = answering(both, ANSWERED)
    shown = await events(run(raw_client, wait))
    told = [(e["index"], e["content"]) for e in shown if e["type"] == "tool_result"]
    assert told == [(1, "first: False"), (0, "first: True")]


async def test_calls_that_arrive_out_of_order_get_their_own_results(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    asked = [
        calling(call(1, '{"a":3,"b":4}', "add", "c2")),
        calling(call(0, '{"a":1,"b":2}', "add", "c1")),
        DONE,
    ]
    raw.answer = answering(asked, ANSWERED)
    shown = await events(run(raw_client, add), "ui")
    results = {e["toolCallId"]: e["output"] for e in shown if e["type"] == "tool-output-available"}
    assert results == {"c1": {"sum": 3}, "c2": {"sum": 7}}


@pytest.mark.parametrize("ids", [("", ""), ("c1", "c1")], ids=["missing", "repeated"])
async def test_calls_without_ids_of_their_own_get_their_own_results(
    raw: RawServer, raw_client: AsyncClient, ids: tuple[str, str]
) -> None:
    pieces = [call(n, f'{{"a":{n},"b":0}}', "add", id) for n, id in enumerate(ids)]
    raw.answer = answering([calling(*pieces, finish="tool_calls"), DONE], ANSWERED)
    shown = await events(run(raw_client, add), "ui")
    given = {e["toolCallId"]: e["input"]["a"] for e in shown if e["type"] == "tool-input-available"}
    got = {e["toolCallId"]: e["output"] for e in shown if e["type"] == "tool-output-available"}
    assert [*given.values()] == [0, 1]
    assert {key: got[key]["sum"] for key in given} == given


async def test_a_tool_that_fails_gives_nothing_away(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    asked = [calling(call(0, '{"why":"at 10.0.0.1"}', "fail", "c1")), DONE]
    text = "The tool fail failed: ValueError."
    raw.answer = answering(asked, ANSWERED)
    shown = await events(run(raw_client, fail))
    assert shown[1] == {"type": "tool_result", "index": 0, "content": text, "failed": True}

    raw.answer = answering(asked, ANSWERED)
    shown = await events(run(raw_client, fail), "ui")
    assert {"type": "tool-output-error", "toolCallId": "c1", "errorText": text} in shown


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        ("7", "7"),
        (None, ""),
        (7, 7),
        ([1, None], [1, None]),
        ({"a": float("nan")}, '{"a":NaN}'),
    ],
    ids=["text", "nothing", "number", "list", "NaN"],
)
async def test_what_a_tool_returns_is_the_output_in_the_ai_sdk(
    raw: RawServer, raw_client: AsyncClient, returned: object, output: object
) -> None:
    async def get() -> object:
        return returned

    raw.answer = answering([calling(call(0, "{}", "get", "c1")), DONE], ANSWERED)
    shown = await events(run(raw_client, get), "ui")
    assert {"type": "tool-output-available", "toolCallId": "c1", "output": output} in shown


async def test_a_call_that_is_not_for_the_app_is_left_to_the_browser(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    theirs: dict[str, Any] = {"type": "function", "function": {"name": "confirm"}}
    both = [
        calling(call(0, "{}", "confirm", "c1"), call(1, '{"a":1,"b":2}', "add", "c2")),
        chunk(finish="tool_calls"),
        DONE,
    ]
    raw.answer = answering(both)
    shown = await events(run(raw_client, add, theirs), "ui")
    told = [(e["type"], e.get("toolCallId")) for e in shown[-5:]]
    assert told == [
        ("tool-input-available", "c2"),
        ("tool-output-available", "c2"),
        ("tool-input-available", "c1"),
        ("finish-step", None),
        ("finish", None),
    ]
    assert shown[-1]["finishReason"] == "tool-calls"


async def test_usage_that_one_answer_does_not_report_is_estimated(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering([*ASKED[:-1], DONE], ANSWERED)
    shown = await events(run(raw_client, add))
    assert shown[-2]["type"] == "usage"
    assert shown[-2]["estimated"] is True
    assert shown[-2]["prompt_tokens"] > 1


@pytest.mark.parametrize("form", ["chunks", "raw", "nonsense"])
async def test_other_forms_have_no_events_for_tools(raw_client: AsyncClient, form: Any) -> None:
    with pytest.raises(InvalidArgumentError, match='pass form="text" or form="ui"'):
        run(raw_client, add).sse(form=form)


async def test_a_run_that_was_left_is_not_relayed(raw_client: AsyncClient) -> None:
    left = run(raw_client, add)
    await left.aclose()
    with pytest.raises(InvalidArgumentError, match="already begun: relay a new one"):
        left.sse()


async def test_a_run_that_has_begun_is_not_relayed(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(ANSWERED)
    begun = run(raw_client, add)
    await begun
    with pytest.raises(InvalidArgumentError, match="already begun: relay a new one"):
        begun.sse()


@pytest.mark.parametrize("form", FORMS)
async def test_begin_raises_an_early_error(
    raw: RawServer, raw_client: AsyncClient, form: PageFormName
) -> None:
    body = b'{"error": {"message": "no"}}'
    raw.answer = lambda exchange: exchange.whole(body, status="401 Unauthorized")
    async with run(raw_client, add).sse(form=form) as relay:
        with pytest.raises(AuthenticationError):
            await relay.begin(3)


async def test_an_answer_without_any_chunk_is_an_answer(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering([USAGE_AND_DONE])  # the usage that only we have asked for
    async with run(raw_client, add).sse() as relay:
        assert await relay.begin(3)
        assert b'"type":"done"' in await anext(relay)


async def test_an_error_in_a_later_answer_is_the_last_event(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(ASKED, [chunk("3"), sse({"error": {"message": "sk-secret"}})])
    shown = await events(run(raw_client, add))
    assert shown[-2:] == [
        {"type": "text", "text": "3"},
        {"type": "error", "message": "The service reported an error."},
    ]


async def test_too_many_rounds_are_an_error(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = answering(ASKED, ASKED)
    shown = await events(run(raw_client, add, max_rounds=2))
    assert shown[-1] == {"type": "error", "message": "The answer took too many steps."}


@pytest.mark.parametrize("how", ["aclose", "close", "drop"])
async def test_leaving_cancels_the_tools(raw: RawServer, raw_client: AsyncClient, how: str) -> None:
    running, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    raw.answer = answering([calling(call(0, "{}", "wait", "c1")), DONE])
    relay = run(raw_client, wait).sse()
    await anext(relay)
    await running.wait()
    if how == "drop":
        del relay
    elif (closing := getattr(relay, how)()) is not None:
        await closing
        assert cancelled.is_set()
    await cancelled.wait()


async def test_leaving_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))

    raw.answer = answer
    async with run(raw_client, add).sse() as relay:
        assert await anext(relay) == b'data: {"type":"text","text":"Hel"}\n\n'
    await raw.hung_up.wait()


@pytest.mark.parametrize("kind", ["run", "turn"])
async def test_a_second_relay_is_refused_and_does_not_stop_the_first(
    raw: RawServer, raw_client: AsyncClient, kind: str
) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    turn = talk(raw_client, add).stream("1 + 2?")
    relayed: Any = run(raw_client, add) if kind == "run" else turn
    relay, second = relayed.sse(), relayed.sse()
    first = await anext(relay)
    with pytest.raises(OpenAIError, match="already begun"):
        await second.begin(3)
    body = first + b"".join([data async for data in relay])
    assert body.endswith(b'data: {"type":"done","finish_reason":"stop"}\n\n')


# --- a turn of a conversation ---


def talk(client: AsyncClient, *tools: Callable[..., Any]) -> Conversation:
    return Conversation(client, model="gpt-4o", tools=tools)


async def test_a_turn_that_was_relayed_is_in_the_history(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(ANSWERED)
    conversation = talk(raw_client)
    assert await events(conversation.stream("1 + 2?")) == [
        {"type": "text", "text": "3"},
        {"type": "usage", "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        {"type": "done", "finish_reason": "stop"},
    ]
    assert [(m["role"], m["content"]) for m in conversation.messages] == [
        ("user", "1 + 2?"),
        ("assistant", "3"),
    ]


@pytest.mark.parametrize("form", FORMS)
async def test_a_turn_with_tools_is_relayed_as_a_run(
    raw: RawServer, raw_client: AsyncClient, form: PageFormName
) -> None:
    raw.answer = answering(ASKED, ANSWERED)
    conversation = talk(raw_client, add)
    shown = await events(conversation.stream("1 + 2?"), form)
    raw.answer = answering(ASKED, ANSWERED)
    assert shown == await events(run(raw_client, add), form)
    assert [m["role"] for m in conversation.messages] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("tools", [(), (add,)], ids=["alone", "with tools"])
async def test_a_turn_that_was_left_is_not_in_the_history(
    raw: RawServer, raw_client: AsyncClient, tools: tuple[Any, ...]
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))

    raw.answer = answer
    conversation = talk(raw_client, *tools)
    async with conversation.stream("Hi").sse() as relay:
        assert await anext(relay) == b'data: {"type":"text","text":"Hel"}\n\n'
    await raw.hung_up.wait()
    assert conversation.messages == []
    assert conversation.partial is not None
    assert conversation.partial.text == "Hel"


async def test_a_turn_that_has_begun_is_not_relayed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = answering(ANSWERED)
    async with talk(raw_client).stream("Hi") as turn:
        await anext(turn)
        with pytest.raises(InvalidArgumentError, match="already begun: relay a new one"):
            turn.sse()


@pytest.mark.parametrize("tools", [(), (add,)], ids=["alone", "with tools"])
async def test_nobody_else_can_read_a_turn_that_is_relayed(
    raw: RawServer, raw_client: AsyncClient, tools: tuple[Any, ...]
) -> None:
    may_go_on = asyncio.Event()

    raw.answer = in_halves(may_go_on)
    conversation = talk(raw_client, *tools)
    turn = conversation.stream("Hi")
    relay = turn.sse()
    await anext(relay)
    with pytest.raises(OpenAIError, match="Another task is reading this turn"):
        await anext(turn)
    may_go_on.set()
    assert b'"text":"lo"' in b"".join([data async for data in relay])
    assert conversation.messages[-1]["content"] == "Hello"
