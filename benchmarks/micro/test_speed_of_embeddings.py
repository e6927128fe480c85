"""1,000 vectors of 3,072 numbers, beside parsing their JSON and decoding their base64 alone."""

from __future__ import annotations

import binascii
from array import array
from base64 import b64encode

import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from openai_async.resources.embeddings import _in_order
from openai_async.types.base import ResponseMeta
from openai_async.types.embeddings import CreateEmbeddingResponse
from openai_async.wire import codec

COUNT, DIMENSIONS = 1000, 3072
VECTOR = array("f", [place / DIMENSIONS for place in range(DIMENSIONS)])
TEXT = b64encode(VECTOR).decode()
ITEMS = [{"object": "embedding", "index": n, "embedding": TEXT} for n in range(COUNT)]
ANSWER = msgspec.json.encode({"object": "list", "data": ITEMS, "model": "m"})
META = ResponseMeta(status=200)


def decoded_bytes() -> list[bytes]:
    data = msgspec.json.decode(ANSWER)["data"]
    return [binascii.a2b_base64(item["embedding"]) for item in data]


def answer() -> CreateEmbeddingResponse:
    return _in_order(codec.parse(CreateEmbeddingResponse, ANSWER, META), COUNT)


def test_parse_json_and_decode_base64(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(decoded_bytes)) == COUNT


def test_parse_an_answer(benchmark: BenchmarkFixture) -> None:
    assert benchmark(answer).data[-1].embedding == VECTOR
