"""Faults of streams: how events are spelt, how a stream ends, what goes wrong inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from openai_async import (
    APIError,
    APIResponseValidationError,
    BadRequestError,
    InsufficientQuotaError,
    InternalServerError,
    StreamInterruptedError,
)
from openai_async.types.chat import ChatCompletion

from ..raw_server import DONE, chunk, sse
from .answer_faults import DEEP
from .fault import Fault, row
from .fault_server import close, hang, reset
from .parts import (
    CHUNKED,
    EVENTS,
    FINISH,
    HEAD,
    OK,
    PLAIN,
    TEXT,
    as_chunk,
    body,
    bytewise,
    endless_line,
    events,
    every,
    gzipped,
    raw,
    split,
)

# --- 5. streams ---------------------------------------------------------------------------------


def stream_faults() -> Iterator[Fault]:
    yield from _spelt()
    yield from _ended()
    yield from _failed()
    yield from _assembled()
    yield from _left()


def _spelt() -> Iterator[Fault]:
    """The same events, spelt and split in other ways."""
    mixed = EVENTS.replace(b"\n\n", b"\r\r\n", 1).replace(b"\n\n", b"\r\n\n", 1)
    lines = msgspec.json.format(msgspec.json.encode(chunk("hi"))).replace(b"\n", b"\ndata: ")
    for name, data in (
        ("CRLF", EVENTS.replace(b"\n", b"\r\n")),
        ("CR", EVENTS.replace(b"\n", b"\r")),
        ("mixed line ends", mixed),
        ("a BOM", b"\xef\xbb\xbf" + EVENTS),
        ("comments", b": ping\n\n:\n" + EVENTS.replace(b"data", b": ping\ndata")),
        ("multi-line data", b"data: " + lines + b"\n\n" + FINISH + DONE),
        ("no space behind the colon", EVENTS.replace(b"data: ", b"data:")),
        ("events with names and ids", EVENTS.replace(b"data", b"event: x\nid: 1\nretry: 9\ndata")),
        ("fields nobody knows", EVENTS.replace(b"data", b"x: y\nz\ndata")),
        ("empty events", b"data\n\ndata:\n\n\n\n" + EVENTS),
        ("a null byte in an id", b"id: a\0b\n" + EVENTS),
        ("[DONE] without a space", EVENTS.replace(b" [DONE]", b"[DONE]")),
        ("no final blank line", EVENTS[:-2]),
        ("only one final line end", EVENTS[:-1]),
        ("a first chunk that says nothing", sse({"choices": []}) + EVENTS),
    ):
        yield row(name, "streams", events(data), stream="hi", connections=1, times=2)
        if len(data) < 900:
            apart = events(*bytewise(data))
            yield row(f"{name}, one byte at a time", "streams", apart, stream="hi")
    crlf = EVENTS.replace(b"\n", b"\r\n")
    for seed in range(6):
        yield row(f"random split {seed}", "streams", events(*split(crlf, seed)), stream="hi")
    yield row("one byte at a time", "streams", events(*bytewise(crlf)), stream="hi")
    coding = "Content-Encoding: gzip\r\n"
    packed_ = gzipped(HEAD, FINISH, DONE)
    yield row("gzip, flushed", "streams", events(*packed_, headers=coding), stream="hi")
    one_by_one = bytewise(b"".join(packed_))
    yield row("gzip bytewise", "streams", events(*one_by_one, headers=coding), stream="hi")
    yield row(
        "gzip whose first event waits for the second",
        "streams",
        events(*packed_[:1], then=hang, headers=coding),
        stream="h",
        calls=("break",),
        recovers=True,
    )
    big = sse({**chunk("hi"), "x": "y" * 10_000_000})
    yield row("one event of 10 MB", "streams", events(big, FINISH, DONE), stream="hi")
    many = sse(chunk("x")) * 5000 + FINISH + DONE
    yield row("5,000 events at once", "streams", events(many), stream="x" * 5000)


def _ended() -> Iterator[Fault]:
    """How the end comes."""
    hi: dict[str, Any] = {"stream": "hi"}
    cut: dict[str, Any] = {"stream": StreamInterruptedError, "partial": "hi"}
    yield row("no [DONE]", "streams", events(HEAD, FINISH), times=2, connections=1, **hi)
    yield row("no [DONE], closed", "streams", events(HEAD, FINISH, then=close), **hi)
    yield row("no [DONE], reset", "streams", events(HEAD, FINISH, then=reset), **hi)
    yield row("no [DONE], no blank line", "streams", events(HEAD, FINISH.rstrip()), **hi)
    yield row("no finish_reason, but [DONE]", "streams", events(HEAD, DONE), **hi)
    yield row("lingering after [DONE]", "streams", events(EVENTS, then=hang), within=0.1, **hi)
    yield row("closed after [DONE]", "streams", events(EVENTS, then=close), times=2, **hi)
    yield row("reset after [DONE]", "streams", events(EVENTS, then=reset), **hi)
    yield row("more after [DONE]", "streams", events(EVENTS, sse(chunk("no"))), times=2, **hi)
    yield row("bad coding after [DONE]", "streams", events(EVENTS, then=raw(b"zz\r\n")), **hi)
    yield row("five in a row", "streams", events(HEAD, FINISH, DONE), times=5, connections=1, **hi)
    yield row("cut, but ended well", "streams", events(HEAD), **cut)
    yield row("cut in an event", "streams", events(HEAD, HEAD[:20]), **cut)
    yield row("cut, closed", "streams", events(HEAD, then=close), **cut)
    yield row("cut, reset", "streams", events(HEAD, then=reset), **cut)
    half_of_two = events(HEAD, sse(chunk(finish="stop", index=1)))
    yield row("cut, one choice of two finished", "streams", half_of_two, n=2, **cut)
    packed_, coding = gzipped(HEAD)[:1], "Content-Encoding: gzip\r\n"
    spoilt = raw(as_chunk(b"no gzip"), hang)
    yield row("broken gzip later", "streams", events(*packed_, then=spoilt, headers=coding), **cut)
    at_once = events(*packed_, b"no gzip", headers=coding)
    yield row("broken gzip at once", "streams", at_once, stream=StreamInterruptedError)
    no = {"stream": StreamInterruptedError, "partial": ""}
    yield row("only comments", "streams", events(b": ping\n\n" * 9), **no)
    yield row("no event at all", "streams", events(), **no)


def _failed() -> Iterator[Fault]:
    """What arrives instead of events."""
    spoilt: dict[str, Any] = {"stream": APIResponseValidationError}
    quota = sse({"error": {"message": "spent", "code": "insufficient_quota"}})
    down = sse({"error": {"message": "said so", "type": "server_error"}})
    bad = sse({"object": "error", "message": "said so", "code": 400})
    words = b"event: error\ndata: said so\n\n"
    for name, data, expected in (
        ("an error object", down, InternalServerError),
        ("a quota error", quota, InsufficientQuotaError),
        ("a flat error", bad, BadRequestError),
        ("event: error", b"event: error\n" + down, InternalServerError),
        ("event: error in words", words, APIError),
        ("event: error, flat", b'event: error\ndata: {"message": "said so"}\n\n', APIError),
    ):
        yield row(f"{name} first", "streams", events(data, then=hang), stream=expected)
        later = events(HEAD, data, then=hang)
        yield row(f"{name} in the middle", "streams", later, stream=expected)
    for name, data in (
        ("malformed JSON", b"data: {broken\n\n"),
        ("a list", b"data: [1]\n\n"),
        ("null", b"data: null\n\n"),
        ("a number", b"data: 5\n\n"),
        ("depths", b"data: " + DEEP + b"\n\n"),
        ("invalid UTF-8", b'data: {"a": "\xff"\n\n'),
    ):
        yield row(f"{name} first", "streams", events(data, then=hang), **spoilt)
        yield row(f"{name} in the middle", "streams", events(HEAD, data, then=hang), **spoilt)
    json_ = body(PLAIN)
    yield row("a JSON body instead", "streams", json_, match="stream=True", **spoilt)
    yield row("a JSON body by another name", "streams", body(PLAIN, kind="text/plain"), **spoilt)
    page = b"<html>Log in</html>"
    yield row("HTML instead", "streams", body(page, kind="text/html"), **spoilt)
    yield row("HTML as an event stream", "streams", body(page, kind=TEXT.decode()[14:-2]), **spoilt)
    yield row("an endless line", "streams", endless_line, match="larger", **spoilt)


def _tools() -> tuple[bytes, ...]:
    """Two choices, each with two tool calls, interleaved; in two choices' words as well."""

    def call(index: int, tool: int, **function: str) -> bytes:
        head = {"id": f"t{index}{tool}", "type": "function"} if "name" in function else {}
        delta: Any = {"tool_calls": [{"index": tool, **head, "function": function}]}
        return sse(chunk(index=index, **delta))

    return (
        sse(chunk("h")),
        sse(chunk("y", index=1)),
        *(call(i, t, name=f"f{i}{t}", arguments="") for t in (0, 1) for i in (1, 0)),
        *(call(i, t, arguments='{"a":') for t in (1, 0) for i in (0, 1)),
        sse(chunk("o", index=1)),
        sse(chunk("i")),
        *(call(i, t, arguments=f"{i}{t}}}") for i in (0, 1) for t in (1, 0)),
        sse(chunk(index=1, finish="tool_calls")),
        sse(chunk(index=0, finish="tool_calls")),
        DONE,
    )


def _is_whole(completion: ChatCompletion) -> bool:
    """Whether `_tools` were assembled correctly."""
    said = [
        (
            choice.index,
            choice.message.content,
            choice.finish_reason,
            [
                (call.id, call.function.name, call.function.arguments)
                for call in choice.message.tool_calls or []
                if call.type == "function"
            ],
        )
        for choice in completion.choices
    ]
    return said == [
        (
            i,
            content,
            "tool_calls",
            [(f"t{i}{t}", f"f{i}{t}", f'{{"a":{i}{t}}}') for t in (0, 1)],
        )
        for i, content in ((0, "hi"), (1, "yo"))
    ]


def _assembled() -> Iterator[Fault]:
    parts = _tools()
    whole: dict[str, Any] = {"stream": "hi", "whole": _is_whole, "n": 2}
    yield row("tool calls and n=2", "streams", events(*parts), **whole)
    yield row("tool calls bytewise", "streams", events(*bytewise(b"".join(parts))), **whole)
    yield row("tool calls, no [DONE]", "streams", events(*parts[:-1]), **whole)
    cut = {"stream": StreamInterruptedError, "partial": "hi", "n": 2}
    yield row("tool calls, cut", "streams", events(*parts[:-3]), **cut)


def _left() -> Iterator[Fault]:
    """The reader leaves early: the server sees it hang up, and the pool is clean."""
    leaving = ("break", "cancel", "raise", "close")
    yield row(
        "left while it is silent", "streams", events(HEAD, then=hang), stream="h", calls=leaving
    )
    endless = every(0, as_chunk(sse(chunk("h"))), begin=OK + CHUNKED, times=20_000)
    yield row("left while it talks", "streams", endless, stream="h", calls=leaving)
