"""Putting the chunks of a stream together."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

import canned
from openai_async.wire.assembly import Assembly
from openai_async.wire.codec import loads

CHUNKS = [loads(event.removeprefix(b"data: ")) for event in canned.events(200)]


def test_add_202_chunks(benchmark: BenchmarkFixture) -> None:
    def add() -> Assembly:
        assembly = Assembly()
        for chunk in CHUNKS:
            assembly.add(chunk)
        return assembly

    assert benchmark(add).finished


def test_join_202_chunks(benchmark: BenchmarkFixture) -> None:
    assembly = Assembly()
    for chunk in CHUNKS:
        assembly.add(chunk)
    text = benchmark(assembly.completion)["choices"][0]["message"]["content"]
    assert len(text) == canned.stream_length(200)
