"""The body of a streamed answer without a socket: which bytes lead to which state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openai_async import APIConnectionError, APIError, APITimeoutError, StreamInterruptedError
from openai_async.streaming.chat import ChatAnswer
from openai_async.streaming.receiver import Receiver, State
from openai_async.types.base import ResponseMeta

HEADERS = {"Content-Type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"


def receiver(n: int = 1, *, include_usage: bool = False) -> Receiver:
    return Receiver(ChatAnswer(n, include_usage), ResponseMeta(headers=HEADERS), None)


def event(text: str = "", *, finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **fields}).encode() + b"\n\n"


def test_it_starts_with_the_first_byte_that_is_not_white_space() -> None:
    it = receiver()
    states = [it.receive_data(data) == [] and it.state for data in (b"\n \n", b"data: ")]
    assert states == [State.START, State.OPEN]


def test_an_event_comes_out_with_the_bytes_that_complete_it() -> None:
    it, data = receiver(), event("Hi")
    assert it.receive_data(data[:-1]) == []
    [value] = it.receive_data(data[-1:])
    assert value["choices"][0]["delta"] == {"content": "Hi"}


@pytest.mark.parametrize("end", [DONE, b""], ids=["[DONE]", "the end of the body"])
def test_a_finish_reason_and_an_end_are_a_complete_answer(end: bytes) -> None:
    it, states = receiver(), []
    for data in (event("Hi", finish="stop"), end):
        it.receive_data(data)
        states.append(it.state)
    assert states == [State.OPEN, State.DONE]  # after the finish_reason the usage may still come


def test_nothing_is_accepted_after_the_end() -> None:
    it = receiver()
    assert len(it.receive_data(event("Hi", finish="stop") + DONE + event("more"))) == 1
    partial = it.answer.partial()
    assert partial is not None
    assert partial.text == "Hi"


def test_the_end_of_the_body_without_a_finish_reason_is_an_interruption() -> None:
    it = receiver()
    it.receive_data(event("Hi"))
    it.receive_data(b"")
    assert it.state is State.FAILED
    assert isinstance(it.failure, StreamInterruptedError)
    assert it.failure.partial is not None
    assert it.failure.partial.text == "Hi"


def test_silence_after_the_last_finish_reason_is_the_end() -> None:
    it = receiver()
    it.receive_data(event("Hi", finish="stop"))
    it.receive_break(APITimeoutError("silent"))
    assert it.state is State.DONE


def test_silence_in_place_of_the_usage_is_the_end() -> None:
    it = receiver(include_usage=True)
    it.receive_data(event("Hi", finish="stop"))
    it.receive_break(APITimeoutError("silent"))
    assert it.state is State.DONE


def test_silence_does_not_end_a_stream_while_a_requested_choice_is_missing() -> None:
    it = receiver(n=2)
    it.receive_data(event("Hi", finish="stop"))
    silence = APITimeoutError("silent")
    it.receive_break(silence)
    assert it.failure is silence


def test_a_lost_connection_is_an_interruption_while_the_usage_is_missing() -> None:
    it = receiver(include_usage=True)
    it.receive_data(event("Hi", finish="stop"))
    it.receive_break(APIConnectionError("reset"))
    assert isinstance(it.failure, StreamInterruptedError)


def test_a_failure_does_not_take_away_the_events_before_it() -> None:
    it = receiver()
    error = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
    assert len(it.receive_data(event("Hi") + error)) == 1
    assert it.state is State.FAILED
    assert isinstance(it.failure, APIError)
    assert it.failure.status_code == 503


def test_events_may_be_separated_by_one_line_feed() -> None:
    it = receiver()
    data = event("a") + event("b", finish="stop") + DONE
    assert len(it.receive_data(data.replace(b"\n\n", b"\n") + b"\n")) == 2
    assert it.state is State.DONE


def test_an_error_event_behind_an_event_that_was_cut_off_is_shown_alone() -> None:
    it = receiver()
    it.receive_data(b'data: {"choices": [{"del\nevent: error\ndata: {"reason": "full"}\n\n')
    assert "full" in str(it.failure)
    assert "choices" not in str(it.failure)


def test_done_behind_an_event_that_was_cut_off_does_not_hide_it() -> None:
    it = receiver()
    it.receive_data(event("Hi", finish="stop") + b'data: {"choices": [{"del\n[DONE]\n\n')
    assert it.state is State.FAILED


@pytest.mark.parametrize(
    ("start", "other"),
    [(b'{"id": 1}', True), (b" <html>", True), (b"data: {}", False), (b"[DONE]", False)],
)
def test_a_body_that_is_not_an_event_stream_shows_in_its_first_bytes(
    start: bytes, other: bool
) -> None:
    assert receiver().is_other(start) is other
    open_already = receiver()
    open_already.receive_data(event("Hi"))
    assert not open_already.is_other(start)


ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'


@pytest.mark.parametrize("first", [ROLE, event("Hi")], ids=["a role", "a text"])
def test_the_events_after_the_first_may_be_taken_in_later(first: bytes) -> None:
    it = receiver()
    assert (
        len(it.receive_data(first + event("a") + event("b", finish="stop") + DONE, first_only=True))
        == 1
    )
    assert (it.state, len(it.pending)) == (State.OPEN, 3)
    assert len(it.resume()) == 2
    assert (it.state, len(it.pending)) == (State.DONE, 0)


def test_lines_outside_events_are_looked_at_after_the_events_before_them() -> None:
    it = receiver()
    data = ROLE + event("a", finish="stop") + b'{"err\\u006fr": {"message": "no"}}\n'
    assert len(it.receive_data(data, first_only=True)) == 1
    assert it.failure is None
    assert len(it.resume()) == 1
    assert it.failure is not None


def test_the_end_of_the_body_is_not_put_off() -> None:
    it = receiver()
    it.receive_data(event("a", finish="stop"))
    it.receive_data(b"", first_only=True)
    assert it.state is State.DONE


def test_a_first_chunk_that_the_user_changes_is_assembled_as_it_arrived() -> None:
    it = receiver()
    [value] = it.receive_data(ROLE)
    value["choices"][0]["delta"]["content"] = "changed"
    it.receive_data(event("Hi", finish="stop") + DONE)
    partial = it.answer.partial()
    assert partial is not None
    assert partial.text == "Hi"
