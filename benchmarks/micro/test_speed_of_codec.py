"""JSON to objects and back."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

import canned
from openai_async.types.base import ResponseMeta
from openai_async.types.chat import ChatCompletion, ChatCompletionChunk
from openai_async.types.models import ModelList
from openai_async.types.structuring import structurer
from openai_async.wire import codec
from peers import KEY, MESSAGES, MODEL

CHAT = canned.body(canned.chat())
MODELS = canned.body(canned.models())
CHUNK = list(canned.events(1))[1].removeprefix(b"data: ")
META = ResponseMeta(status=200, headers={"X-Request-Id": "req_1"}, attempts=1, elapsed=0.1)


def test_loads_a_completion(benchmark: BenchmarkFixture) -> None:
    assert benchmark(codec.loads, CHAT)["object"] == "chat.completion"


def test_dumps_a_request(benchmark: BenchmarkFixture) -> None:
    assert benchmark(codec.dumps, {"model": MODEL, "messages": MESSAGES}).startswith(b"{")


def test_parse_a_completion(benchmark: BenchmarkFixture) -> None:
    result = benchmark(codec.parse, ChatCompletion, CHAT, META, KEY)
    assert result.text == canned.CHAT_TEXT


def test_structure_a_completion(benchmark: BenchmarkFixture) -> None:
    result = benchmark(structurer(ChatCompletion), codec.loads(CHAT))
    assert result.text == canned.CHAT_TEXT


def test_structure_a_chunk(benchmark: BenchmarkFixture) -> None:
    chunk = benchmark(structurer(ChatCompletionChunk), codec.loads(CHUNK))
    assert chunk.choices[0].delta.content == " The"


def test_parse_80_models(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(codec.parse, ModelList, MODELS, META, KEY).data) == canned.MODELS
