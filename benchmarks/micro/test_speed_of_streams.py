"""Bytes to events, with templates and without: what a stream of 202 chunks costs but for I/O."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import canned
from openai_async.streaming.chat import ChatAnswer, ChatCompletionStream
from openai_async.streaming.receiver import Receiver
from openai_async.types.base import ResponseMeta
from openai_async.wire.template import Templates

EVENTS = list(canned.events(200))


def receive(per_read: int) -> list[object]:
    receiver = Receiver(ChatAnswer(1, False), "text/event-stream", ResponseMeta(), None)
    received: list[object] = []
    for start in range(0, len(EVENTS), per_read):
        received += receiver.receive_data(b"".join(EVENTS[start : start + per_read]))
    return received


@pytest.mark.parametrize("per_read", [1, 20, 202])
@pytest.mark.parametrize("templates", [True, False], ids=["with-templates", "without"])
def test_receive_202_chunks(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, per_read: int, templates: bool
) -> None:
    if not templates:
        monkeypatch.setattr(Templates, "make", lambda *_: None)
    received = benchmark(receive, per_read)
    assert len(received) == canned.chunks(200)
    assert sum(isinstance(one, tuple) for one in received) == (199 if templates else 0)


def test_make_199_chunks_from_a_template(benchmark: BenchmarkFixture) -> None:
    matches = receive(202)[2:-1]
    stream = ChatCompletionStream(None)  # type: ignore[arg-type] # never opened
    chunks = benchmark(lambda: [stream._structure(match) for match in matches])
    assert sum(len(chunk.text) for chunk in chunks) == canned.stream_length(200) - len(" The")
