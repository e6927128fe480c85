"""Whatever chunks a server sends, what a browser gets adds up to choice 0 of their completion."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openai_async.relay.forms import SSEForm, form_of
from openai_async.streaming.chat import ChatAnswer, ChatCompletionStream
from openai_async.streaming.receiver import Receiver
from openai_async.types.base import ResponseMeta
from openai_async.types.chat import ChatCompletion, ChatCompletionChunk

from ..raw_server import sse
from ..streaming.test_event_fuzz import STREAMS


def relayed(
    form: SSEForm, chunks: list[Any], n: int, *, stored: bool
) -> tuple[list[Any], ChatCompletion]:
    """The events of the chunks that a stream takes in, and what they make; the chunks may have
    been stored as JSON meanwhile.
    """
    answer = ChatAnswer(n, False)
    receiver = Receiver(answer, ResponseMeta(), None)
    stream = ChatCompletionStream(None, n=n)  # type: ignore[arg-type] # it is never opened
    made = form_of(form, chat=True, n=n)
    body = b""
    for event in chunks:
        for value in [] if receiver.over else receiver.receive_data(sse(event)):
            chunk = stream._structure(value)
            body += made.chunk(ChatCompletionChunk.from_dict(chunk.to_dict()) if stored else chunk)
    body += made.end(None)
    found = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    return [json.loads(data) for data in found if data != "[DONE]"], answer.partial()


def is_what_the_model_said(
    completion: ChatCompletion, n: int, texts: dict[str, str], calls: list[tuple[str, str]]
) -> bool:
    # One was requested, and two arrived: there is no telling which is the first.
    assume(n > 1 or len(completion.choices) <= 1)
    choices = [c for c in completion.choices if c.index == 0 or n == 1]
    if not choices:
        return not any(texts.values()) and not calls
    message = choices[0].message
    functions = [getattr(call, "function", None) for call in message.tool_calls or []]
    wanted = [(f.name, f.arguments) for f in functions if f is not None]
    return (
        texts["text"] == (message.content or "")
        and texts["refusal"] == (message.refusal or "")
        and texts["reasoning"] == (message.reasoning or "")
        and sorted(call for call in calls if any(call)) == sorted(c for c in wanted if any(c))
    )


@pytest.mark.parametrize("stored", [False, True])
@given(chunks=STREAMS, n=st.sampled_from([1, 2]))
def test_the_form_text(chunks: list[Any], n: int, stored: bool) -> None:
    events, completion = relayed("text", chunks, n, stored=stored)
    texts: dict[str, str] = defaultdict(str)
    calls: dict[int, tuple[str, str]] = {}
    for event in events:
        if event["type"] == "tool_call":
            name, arguments = calls.get(event["index"], ("", ""))
            if "name" in event:
                name, arguments = event["name"], ""
            calls[event["index"]] = name, arguments + event["arguments"]
        elif "text" in event:
            texts[event["type"]] += event["text"]
    assert is_what_the_model_said(completion, n, texts, [*calls.values()])


@pytest.mark.parametrize("stored", [False, True])
@given(chunks=STREAMS, n=st.sampled_from([1, 2]))
def test_the_form_ui(chunks: list[Any], n: int, stored: bool) -> None:
    """Every delta belongs to a part that has begun and not ended, as the SDK demands."""
    events, completion = relayed("ui", chunks, n, stored=stored)
    texts: dict[str, str] = defaultdict(str)
    calls: dict[str, tuple[str, str]] = {}
    inputs: list[str] = []
    open_texts: list[str] = []
    for event in events:
        kind, _, what = event["type"].rpartition("-")
        if what == "start" and kind in ("text", "reasoning"):
            open_texts.append(event["id"])
        elif what == "end":
            open_texts.remove(event["id"])
        elif what == "delta" and kind != "tool-input":
            assert open_texts == [event["id"]]
            texts[kind] += event["delta"]
        elif event["type"] == "tool-input-start":
            calls[event["toolCallId"]] = event["toolName"], ""
        elif event["type"] == "tool-input-delta":
            name, arguments = calls[event["toolCallId"]]
            calls[event["toolCallId"]] = name, arguments + event["inputTextDelta"]
        elif kind == "tool-input":
            assert event["toolName"] == calls[event["toolCallId"]][0]
            inputs.append(event["toolCallId"])
    assert open_texts == []
    assert sorted(inputs) == sorted(calls)
    message = completion.choices[0].message if completion.choices else None
    if message is not None and message.refusal:
        return  # it is a text here, before or after the others
    assert is_what_the_model_said(completion, n, texts, [*calls.values()])
