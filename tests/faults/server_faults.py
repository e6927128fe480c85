"""What real servers and gateways send in place of what the API describes: failures in disguise,
and good answers in odd shapes. Each is tried plain and streamed: what one reader accepts, all do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from openai_async import (
    APIError,
    APIResponseValidationError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    StreamInterruptedError,
)

from ..raw_server import DONE, Answer, chunk, sse
from .fault import Fault, row
from .fault_server import close
from .parts import FINISH, HEAD, body, events

# --- 6. servers ---------------------------------------------------------------------------------

FULL = "the context is full"


def choice(of: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The chunk with these fields on its choice."""
    return {**of, "choices": [{**of["choices"][0], **fields}]}


FAILURES: dict[str, dict[str, Any]] = {
    "an error and no choices": {"error": {"message": FULL}, "choices": []},
    "an error in words": {"error": FULL},
    "a flat error": {"code": 400, "message": FULL},
    "a flat error with a type": {"type": "error", "code": "x", "message": FULL},
    "a flat error with its kind": {"object": "error", "message": FULL, "code": 400},
    "a detail": {"detail": FULL},
    "a msg": {"id": "x", "msg": FULL, "status": 500},
    "base_resp and null": {
        "choices": None,
        "base_resp": {"status_code": 1039, "status_msg": FULL},
    },
    "base_resp and no choices": {
        "choices": [],
        "base_resp": {"status_code": 1039, "status_msg": FULL},
    },
    "an error that finishes a choice": choice(
        chunk(), error={"code": 502, "message": FULL}, finish_reason="error"
    ),
    "an error on a choice": choice(chunk(), error={"code": 502, "message": FULL}),
    "an error in x_groq": {**chunk(), "x_groq": {"id": "1", "error": FULL}},
    "an error in x_groq, no choices": {"choices": [], "x_groq": {"id": "1", "error": FULL}},
    "a message and no choices": {"choices": [], "message": FULL, "code": 429},
    "a message, and choices that are an object": {"choices": {}, "message": FULL, "code": 429},
}
"""JSON objects that say in some way that the request has failed."""

CUT = b'data: {"choices": [{"index": 0, "del\n'

FRAMED: dict[str, bytes] = {
    "an error line": b'{"error": {"message": "the context is full", "code": 400}}\n\n',
    "an error line without its end": b'{"error": {"message": "the context is full"}}',
    "an error in many lines": b'{\n  "error": {\n    "message": "the context is full"\n  }\n}\n\n',
    "an error field": b'error: {"message": "the context is full", "code": 400}\n\n',
    "an error field in words": b"error: the context is full\n\n",
    "an error event": b'event: error\ndata: {"message": "the context is full"}\n\n',
    "an error event in words": b"event: error\ndata: the context is full\n\n",
    # Gateways write these when their upstream breaks in the middle of an event.
    "an error in a cut event": CUT + b'data: {"error": {"message": "the context is full"}}\n\n',
    "a flat error in a cut event": CUT + b'data: {"message": "the context is full"}\n\n',
    "an error event in a cut event": CUT
    + b'event: error\ndata: {"message": "the context is full"}\n\n',
    "an error line in a cut event": CUT + b'{"error": {"message": "the context is full"}}\n\n',
}
"""Failures that can be told by how they are framed."""

CONTENTS: dict[str, list[Any]] = {
    "parts": [[{"type": "text", "text": "h"}], [{"type": "text", "text": "i"}]],
    "parts in a list": [[{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]],
    "text, then a part": ["h", [{"type": "text", "text": "i"}]],
    "thinking before": [[{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}], "hi"],
    "a reference within": ["h", [{"type": "reference", "reference_ids": [0]}], "i"],
    "lists in lists": [[["h", "i"]]],
    "a part by itself": [{"type": "text", "text": "hi"}],
    "output_text": [[{"type": "output_text", "text": "hi"}]],
    "text with a value": [[{"type": "text", "text": {"value": "hi"}}]],
    "empty lists around": [[], "hi", []],
    "empty text around": ["", "hi", ""],
    "null around": [None, "hi", None],
}
"""Pieces of a content that says "hi"."""

FAILED = (APIError, BadRequestError, RateLimitError, InternalServerError)
"""Which one depends on the code of the failure, if we know that code."""

INDICES: list[Any] = [[0, 1, 2], [1, 0, 2], [None, 1, 1], ["x", 1, 0], [{}, [], ""]]
"""The indices in the chunks of a single choice."""

EMPTY: tuple[Any, ...] = (None, {}, [], "", 0, False)


def server_faults() -> Iterator[Fault]:
    yield from _failures()
    yield from _contents()
    yield from _side_fields()
    yield from _ends()


def plain(value: object) -> Answer:
    return body(msgspec.json.encode(value))


def message_of(event: dict[str, Any]) -> dict[str, Any]:
    """A chunk as a plain answer: with messages in place of deltas."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        return event
    pieces = [
        {("message" if k == "delta" else k): v for k, v in piece.items()} for piece in choices
    ]
    return {**event, "choices": pieces}


def _failures() -> Iterator[Fault]:
    """The error of a failure has the server's words, wherever these stand."""
    said: dict[str, Any] = {"stream": FAILED, "match": FULL}
    framed = {name: sse(value) for name, value in FAILURES.items()} | FRAMED
    for name, data in framed.items():
        for end, how in ((b"", ""), (DONE, ", then [DONE]")):
            later = events(HEAD, data, end) if end else events(HEAD, data)
            yield row(f"{name}{how}", "servers", later, partial="hi", **said)
        # A comment first: a body that begins with JSON is not a stream.
        first = events(b": ping\n\n", data, DONE)
        yield row(f"{name} first", "servers", first, **said)
    for name in ("an error line", "an error in many lines"):
        at_once = events(HEAD + FRAMED[name] + DONE)
        yield row(f"{name}, in one read", "servers", at_once, partial="hi", **said)
    noted = events(HEAD + b"WARNING: slow\n" + FRAMED["an error line"] + DONE)
    yield row("an error line after words, in one read", "servers", noted, partial="hi", **said)
    for error in ({"message": ""}, {"message": None, "code": 0}):
        silent = events(HEAD, sse({"error": error}), DONE)
        yield row(f"the error {error}", "servers", silent, stream=APIError, partial="hi")
        silent = plain({"error": error, "choices": []})
        yield row(f"plain, the error {error}", "servers", silent, plain=APIError, calls=("chat",))
    words = events(HEAD, b"data: error: the context is full\n\n", DONE)
    said["stream"] = APIResponseValidationError
    yield row("words in an event", "servers", words, partial="hi", **said)
    said = {"plain": FAILED, "match": FULL, "calls": ("chat",)}
    for name, value in FAILURES.items():
        yield row(f"plain, {name}", "servers", plain(message_of(value)), **said)


def _contents() -> Iterator[Fault]:
    """All readers agree on the text."""
    for name, contents in CONTENTS.items():
        pieces = [sse(chunk(content)) for content in contents]
        yield row(f"{name}, streamed", "servers", events(*pieces, FINISH, DONE), stream="hi")
        parts: list[Any] = []
        for content in contents:
            parts += content if isinstance(content, list) else [content]
        whole = {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}
        yield row(f"{name}, plain", "servers", plain(whole), plain="hi", calls=("chat",))


def _side_fields() -> Iterator[Fault]:
    """Side fields that are empty, or of another shape, change nothing."""
    for empty in (*EMPTY, 7, "x", [1], {"a": 1}):
        for field in ("usage", "created", "model", "system_fingerprint", "service_tier"):
            odd = {field: empty}
            yield from _beside(f"{field} is {empty!r}", odd, {})
        for field in ("logprobs", "index", "token_ids", "stop_reason"):
            yield from _beside(f"{field} of the choice is {empty!r}", {}, {field: empty})
    for error in ({}, {"message": "", "code": 0}, {"code": None, "message": None}, *EMPTY):
        yield from _beside(f"the error is {error!r}", {"error": error}, {})
        yield from _beside(f"the error of the choice is {error!r}", {}, {"error": error})
    for empty in EMPTY:
        nothing = sse({**chunk(), "choices": empty})
        answer = events(nothing, HEAD, nothing, FINISH, nothing, DONE)
        yield row(f"choices are {empty!r}", "servers", answer, stream="hi")
        nothing = sse(choice(chunk(), delta=empty))
        answer = events(nothing, HEAD, nothing, FINISH, DONE)
        yield row(f"the delta is {empty!r}", "servers", answer, stream="hi")


def _beside(name: str, top: dict[str, Any], on_choice: dict[str, Any]) -> Iterator[Fault]:
    """These fields on each chunk, and on a plain answer."""
    chunks = (chunk("h"), chunk("i"), chunk(finish="stop"))
    odd = [sse({**choice(one, **on_choice), **top}) for one in chunks]
    yield row(f"{name}, streamed", "servers", events(*odd, DONE), stream="hi")
    whole = {
        "id": "1",
        "choices": [
            {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop", **on_choice}
        ],
        **top,
    }
    yield row(f"{name}, plain", "servers", plain(whole), plain="hi", calls=("chat",))


def _ends() -> Iterator[Fault]:
    """An answer is complete on evidence only."""
    cut: dict[str, Any] = {"stream": StreamInterruptedError, "partial": "hi"}
    for word in ("", "null", "None", " "):
        pieces = [sse(chunk(text, finish=word)) for text in "hi"]
        yield row(f"finish_reason {word!r}, ended", "servers", events(*pieces), **cut)
        yield row(f"finish_reason {word!r}, cut", "servers", events(*pieces, then=close), **cut)
        yield row(f"finish_reason {word!r}", "servers", events(*pieces, DONE), stream="hi")
    pieces = [sse(chunk(text, finish="stop")) for text in "hi"]
    yield row("finished in every chunk", "servers", events(*pieces, DONE), stream="hi")
    yield row("finished in every chunk, cut", "servers", events(*pieces, then=close), **cut)
    for done in (b"data: DONE", b"data:[DONE]", b'data: "[DONE]"', b"data: [done]", b"[DONE]"):
        ended = events(HEAD, FINISH, done + b"\n\n")
        yield row(f"{done.decode()}", "servers", ended, stream="hi", connections=1, times=2)
    for indices in INDICES:
        three = zip((chunk("h"), chunk("i"), chunk(finish="stop")), indices, strict=True)
        numbered = [sse(choice(one, index=index)) for one, index in three]
        yield row(f"indices {indices}", "servers", events(*numbered, DONE), stream="hi")
    for name, nothing in (
        ("[DONE] only", DONE),
        ("a comment and [DONE]", b": ping\n\n" + DONE),
        ("an id and [DONE]", sse({"id": "1"}) + DONE),
    ):
        yield row(name, "servers", events(nothing), stream=APIResponseValidationError)
