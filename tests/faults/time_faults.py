"""Faults of time: silence, trickles, and endless answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openai_async import APITimeoutError

from ..raw_server import Exchange
from .fault import SHORT, Fault, row
from .fault_server import hang
from .parts import (
    CHUNKED,
    EVENTS,
    HEAD,
    OK,
    TEXT,
    as_chunk,
    behind_proxy,
    events,
    every,
    framed,
    half,
    raw,
)

# --- 3. time ------------------------------------------------------------------------------------


def time_faults() -> Iterator[Fault]:
    late: dict[str, Any] = {"timeout": SHORT}
    both: dict[str, Any] = {"plain": APITimeoutError, "stream": APITimeoutError, "least": 0.5}
    headers = OK + TEXT + b"Content-Length: 9999\r\n\r\n"
    slowly = every(0.02, b" ", begin=headers, times=200)
    yield row("no answer", "time", hang, match="0.5 s", **late, **both)
    yield row("half a header", "time", raw(OK + b"X-", hang), **late, **both)
    header = every(0.02, b"x", begin=OK + b"X-", times=200)
    yield row("a header trickled", "time", header, **late, **both)
    hints = every(0.02, b"HTTP/1.1 102 Processing\r\n\r\n", begin=b"", times=200)
    yield row("interim answers for ever", "time", hints, **late, **both)
    plain: dict[str, Any] = {"plain": APITimeoutError, "least": 0.5}
    stalled: dict[str, Any] = {"stream": APITimeoutError, "least": 0.3, "match": "0.3 s"}
    yield row("headers, then nothing", "time", raw(headers, hang), **late, **plain)
    yield row("no first event", "time", raw(headers, hang), **late, **stalled)
    yield row("a body trickled", "time", slowly, **late, **plain)
    chunks = every(0.02, b"1\r\nx\r\n", begin=OK + CHUNKED, times=200)
    yield row("chunks trickled", "time", chunks, **late, **plain)
    stopped = half(hang, chunked=True)
    yield row("half a body, then nothing", "time", stopped, **late, **plain)
    yield row("a stream stalled", "time", stopped, **late, **stalled)
    yield row("stalled in an event", "time", events(HEAD, HEAD[:9], then=hang), **late, **stalled)
    yield row("stalled in a chunk", "time", _stalled_chunk, **late, **stalled)
    long = framed(off=10, then=hang)
    yield row("a content-length too long", "time", long, **late, **plain)
    yield row("a stream's content-length too long", "time", long, stream="hi", **late)
    yield row(
        "comments keep a stream alive",
        "time",
        every(0.1, as_chunk(b": ping\n\n"), begin=OK + CHUNKED, end=as_chunk(EVENTS), times=7),
        stream="hi",
        least=0.6,
        **late,
    )
    yield from _no_way()


def _no_way() -> Iterator[Fault]:
    """Connecting that does not end."""
    late: dict[str, Any] = {"timeout": SHORT}
    yield row(
        "a resolver that hangs",
        "time",
        client=lambda s: {"base_url": "https://hangs.test/v1"},
        plain=APITimeoutError,
        stream=APITimeoutError,
        least=0.4,
        match="No connection to",
        requests=0,
        recovers=False,
        **late,
    )
    yield row(
        "a proxy silent on CONNECT",
        "time",
        hang,
        client=behind_proxy("https://x.test/v1"),
        recovers=False,
        **late,
        plain=APITimeoutError,
        stream=APITimeoutError,
        least=0.4,
    )


async def _stalled_chunk(exchange: Exchange) -> None:
    await exchange.send(OK + CHUNKED + as_chunk(HEAD) + b"ff\r\ndata: {")
    await hang(exchange)
