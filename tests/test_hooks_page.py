"""What docs/hooks.md promises of its examples, beyond that they run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from openai_async import AsyncClient, RetryPolicy
from openai_async.testing import Failure, LocalServer, Reply

from .streaming.test_stream import ask
from .test_docs import ROOT, blocks

opentelemetry = pytest.importorskip("opentelemetry.trace")

PAGE = ROOT / "docs" / "hooks.md"
HI: Any = [{"role": "user", "content": "Hi"}]


def example(start: str) -> dict[str, Any]:
    """The names of the blocks up to the one that contains `start`, without what they await."""
    names: dict[str, Any] = {}
    for _, code in blocks(PAGE, "python"):
        # An example is used at the end of its block, from the first line that makes a client.
        made = re.split(r"^\w+ = (?:AsyncClient|client\.with_options)\(", code, flags=re.M)[0]
        exec(made, names)
        if start in code:
            return names
    raise AssertionError(start)


class Span:
    def __init__(self, name: str) -> None:
        self.name = name
        self.attributes: dict[str, Any] = {}
        self.events: list[str] = []
        self.failed = self.ended = False

    def set_attribute(self, name: str, value: object) -> None:
        self.attributes[name] = value

    def add_event(self, name: str, attributes: object) -> None:
        self.events.append(name)

    def set_status(self, status: object) -> None:
        self.failed = True

    def end(self) -> None:
        assert not self.ended
        self.ended = True


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    spans: list[Span] = []

    class Tracer:
        def start_span(self, name: str) -> Span:
            spans.append(Span(name))
            return spans[-1]

    monkeypatch.setattr(opentelemetry, "get_tracer", lambda name: Tracer())
    return spans


def hooks_of(names: dict[str, Any]) -> Any:
    return names["Hooks"](
        on_request=names["start_span"],
        on_retry=names["note_retry"],
        on_response=names["end_answer"],
        on_error=names["end_span"],
        on_stream_end=names["end_stream"],
    )


async def test_a_span_lasts_as_long_as_its_stream(client: AsyncClient, spans: list[Span]) -> None:
    traced = client.with_options(hooks=hooks_of(example("opentelemetry")))
    async with ask(traced) as stream:
        await anext(stream)
        (span,) = spans
        assert not span.ended
        await stream.completion()
        assert span.ended
        assert stream.usage is not None
        assert span.attributes["gen_ai.usage.output_tokens"] == stream.usage.completion_tokens
    assert (span.name, span.failed) == ("POST /v1/chat/completions", False)


async def test_a_span_of_a_whole_answer_has_its_usage_and_its_retries(
    client: AsyncClient, server: LocalServer, spans: list[Span]
) -> None:
    names = example("opentelemetry")
    server.script(Failure(status=500), Reply("Hi"))
    patient = client.with_options(max_retries=1, retry=RetryPolicy(initial_delay=0.001))
    answer = await patient.with_options(hooks=hooks_of(names)).chat.completions.create(
        model="gpt-4o", messages=HI
    )
    assert answer.usage is not None
    assert spans[0].attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert (spans[0].events, spans[0].ended, names["spans"]) == (["retry"], True, {})


async def test_a_span_of_a_failure_has_failed(client: AsyncClient, spans: list[Span]) -> None:
    traced = client.with_options(hooks=hooks_of(example("opentelemetry")))
    with pytest.raises(Exception, match="nope"):
        await traced.models.retrieve("nope")
    assert (spans[0].failed, spans[0].ended) == (True, True)


async def test_the_cache_answers_the_same_request_once(
    client: AsyncClient, server: LocalServer
) -> None:
    cached = client.with_options(middlewares=[example("async def cache")["cache"]])
    for text in ("Hi", "Hi", "Ho"):
        await cached.embeddings.create(model="text-embedding-3-small", input=text)
    assert len(server.requests) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_the_fallback_asks_the_other_model(
    client: AsyncClient, server: LocalServer, stream: bool
) -> None:
    server.script(Failure(status=503), Reply("Hi"))
    names = example("def fall_back_to")
    sturdy = client.with_options(middlewares=[names["fall_back_to"]("gpt-4o-mini")])
    if stream:
        answer = await ask(sturdy).completion()
    else:
        answer = await sturdy.chat.completions.create(model="gpt-4o", messages=HI)
    assert answer.text == "Hi"
    assert [request.json["model"] for request in server.requests] == ["gpt-4o", "gpt-4o-mini"]
