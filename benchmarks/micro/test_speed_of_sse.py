"""The decoder of server-sent events: 200 events at once, and in pieces that end anywhere."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import canned
from openai_async.wire.sse import SSEDecoder

EVENTS = 200
STREAM = b"".join(canned.events(EVENTS - 2))


@pytest.mark.parametrize("size", [len(STREAM), 37], ids=["whole", "pieces-of-37-bytes"])
def test_decode_200_events(benchmark: BenchmarkFixture, size: int) -> None:
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]

    def decode() -> int:
        decoder = SSEDecoder()
        return sum(len(decoder.feed(piece)) for piece in pieces)

    assert benchmark(decode) == EVENTS
