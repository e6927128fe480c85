"""Faults of answers: in the body, and in the status."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

from openai_async import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InsufficientQuotaError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StreamInterruptedError,
    UnprocessableEntityError,
)

from ..raw_server import DONE, sse
from .fault import LOST, RIGHT, Fault, row
from .fault_server import close, hang
from .parts import FINISH, HEAD, PLAIN, body, events, framed, packed, raw

# --- 2. answers ---------------------------------------------------------------------------------

INVALID: dict[str, Any] = {
    "plain": APIResponseValidationError,
    "stream": APIResponseValidationError,
}


PAGE = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>"
    + b"<p>lorem ipsum</p>" * 1100
    + b"</body></html>"
)


DEEP = b"[" * 200_000 + b"]" * 200_000


def answer_faults() -> Iterator[Fault]:
    yield from _no_answers()
    yield from _errors_with_200()
    yield from _error_statuses()
    yield from _error_bodies()
    yield from _odd_statuses()
    yield from _coded()
    yield from _lenient()


def _no_answers() -> Iterator[Fault]:
    for name, data in (
        ("cut JSON", PLAIN[:40]),
        ("null", b"null"),
        ("a list", b"[1, 2]"),
        ("an empty list", b"[]"),
        ("a number", b"5"),
        ("a string", b'"hi"'),
        ("true", b"true"),
        ("nothing", b""),
        ("an empty object", b"{}"),
        ("JSON nested 200,000 deep", DEEP),
        ("objects nested 200,000 deep", b'{"a":' * 200_000),
        ("invalid UTF-8", b'{"choices": "\xff\xfe\xfa"'),
        ("two JSON values", b'{"data": []} {"choices": []}'),
    ):
        yield row(f"200 with {name}", "answers", body(data), **INVALID)
    html = body(b"<html><body>Log in</body></html>", kind="text/html; charset=utf-8")
    yield row("200 with HTML", "answers", html, match="base_url", **INVALID)
    yield row("200 with 20 kB of HTML", "answers", body(PAGE, kind="text/html"), **INVALID)
    deep = b'{"choices":[{"message":{"content":"hi"}}],"x":' + DEEP + b"}"
    yield row("an answer with depths in it", "answers", body(deep), **INVALID)
    for name, data in (
        ("choices are a number", b'{"choices": 5}'),
        ("choices are words", b'{"choices": ["a"]}'),
        ("a message that is a list", b'{"choices": [{"message": [1]}]}'),
    ):
        chat = {"plain": APIResponseValidationError, "calls": ("chat",)}
        yield row(name, "answers", body(data), **chat)
        cut = b"data: " + data.replace(b"message", b"delta") + b"\n\n"
        yield row(
            f"in a stream, {name}",
            "answers",
            events(cut, FINISH, DONE),
            stream=APIResponseValidationError,
            calls=("iterate",),
        )


def _errors_with_200() -> Iterator[Fault]:
    for error, expected in (
        ({"message": "m", "code": 404}, NotFoundError),
        ({"message": "m", "type": "invalid_request_error"}, BadRequestError),
        ({"message": "m", "code": "insufficient_quota"}, InsufficientQuotaError),
        ({"message": "m", "code": "rate_limit_exceeded"}, RateLimitError),
        ({"message": "m", "type": "server_error"}, InternalServerError),
        ({"message": "m"}, APIError),
        ("m", APIError),
    ):
        answer = body(msgspec.json.encode({"error": error}))
        name = f"200 with the error {error}"
        yield row(name, "answers", answer, plain=expected, stream=expected, match="m")
    flat = body(b'{"object": "error", "message": "too long", "code": 400}')
    both = {"plain": BadRequestError, "stream": BadRequestError, "match": "too long"}
    yield row("200 with a flat error", "answers", flat, **both)


def _error_statuses() -> Iterator[Fault]:
    said = b'{"error": {"message": "said so", "type": "t", "param": "p", "code": "c"}}'
    for status, expected in (
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, APIStatusError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (408, APIStatusError),
        (409, ConflictError),
        (418, APIStatusError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (500, InternalServerError),
        (502, InternalServerError),
        (503, InternalServerError),
        (529, InternalServerError),
    ):
        yield row(
            f"{status} as OpenAI",
            "answers",
            body(said, f"{status} No"),
            plain=expected,
            stream=expected,
            match="said so",
            requests=1 if status < 500 else None,
        )
    spent = said.replace(b'"c"', b'"insufficient_quota"')
    yield row(
        "429 insufficient_quota",
        "answers",
        body(spent, "429 No"),
        plain=InsufficientQuotaError,
        stream=InsufficientQuotaError,
        retries=2,
        requests=1,
    )


def _error_bodies() -> Iterator[Fault]:
    detail = b'{"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "x"}]}'
    for name, answer, match in (
        ("a JSON string", body(b'"said so"', "400 No"), "said so"),
        ("plain text", body(b"said so", "400 No", "text/plain"), "said so"),
        ("an error that is a string", body(b'{"error": "said so"}', "400 No"), "said so"),
        ("FastAPI's detail", body(b'{"detail": "said so"}', "400 No"), "said so"),
        ("FastAPI's list", body(detail, "400 No"), "body.model: field required"),
        (
            "a flat object",
            body(b'{"object": "error", "message": "said so"}', "400 No"),
            "said so",
        ),
        ("a list around it", body(b'[{"error": {"message": "said so"}}]', "400 No"), "said so"),
        ("20 kB of HTML", body(PAGE, "400 No", "text/html"), "502 Bad Gateway"),
        ("20 kB of text", body(b"said so " * 2500, "400 No", "text/plain"), "said so"),
        ("nothing", body(b"", "400 No"), "HTTP 400"),
        ("null", body(b"null", "400 No"), "HTTP 400"),
        ("depths", body(DEEP, "400 No"), "HTTP 400"),
        ("deep objects", body(b'{"a":' * 900 + b"1" + b"}" * 900, "400 No"), "HTTP 400"),
        ("invalid UTF-8", body(b"said \xff so", "400 No"), "said"),
        (
            "broken gzip",
            body(b"no gzip", "400 No", headers="Content-Encoding: gzip\r\n"),
            "HTTP 400",
        ),
        (
            "a body cut short",
            raw(b"HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\nsaid so", close),
            "said so",
        ),
        (
            "a body that stalls",
            raw(b"HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\nsaid so", hang),
            "said so",
        ),
        (
            "a body without end",
            raw(b"HTTP/1.1 400 No\r\n\r\n" + b"said so " * 400_000, hang),
            "said so",
        ),
    ):
        both = {"plain": BadRequestError, "stream": BadRequestError}
        yield row(f"400 with {name}", "answers", answer, match=match, **both)


def _odd_statuses() -> Iterator[Fault]:
    empty = b"Content-Length: 0\r\n\r\n"
    no = (APIResponseValidationError, APIConnectionError)
    for status in (101, 204, 205):
        line = b"HTTP/1.1 %d Odd\r\n" % status
        extra = b"Upgrade: x\r\nConnection: Upgrade\r\n\r\n" if status == 101 else empty
        yield row(
            f"status {status}",
            "answers",
            raw(line + (b"\r\n" if status == 204 else extra)),
            plain=no if status == 101 else APIResponseValidationError,
            stream=(*no, StreamInterruptedError),
        )
    for status in (201, 202, 206):
        yield row(f"status {status}", "answers", framed(status=f"{status} Odd"), **RIGHT)
    failed: dict[str, Any] = {"plain": APIStatusError, "stream": APIStatusError}
    for status in (300, 304, 305, 306, 399):
        answer = raw(b"HTTP/1.1 %d Odd\r\n" % status + empty)
        yield row(f"status {status}", "answers", answer, requests=1, **failed)
    for status in (301, 302, 307, 308):
        answer = raw(b"HTTP/1.1 %d Odd\r\n" % status + empty)
        yield row(f"status {status} to nowhere", "answers", answer, requests=1, **failed)
    for status in (600, 999):
        odd = framed(status=f"{status} Odd")
        some = (APIStatusError, InternalServerError, APIConnectionError)
        yield row(f"status {status}", "answers", odd, plain=some, stream=some)
    for word in ("000", "20", "2000", "abc"):
        answer = raw(f"HTTP/1.1 {word} Odd\r\n".encode() + empty)
        typed = (APIConnectionError, APIStatusError, APIResponseValidationError)
        streamed = (*typed, StreamInterruptedError)
        yield row(f"status {word}", "answers", answer, plain=typed, stream=streamed)


def _coded() -> Iterator[Fault]:
    yield row("gzip", "answers", packed(gzip.compress, "gzip"), **RIGHT)
    # aiohttp rejects an unsupported encoding before it reports the status.
    lacking = body(b"\0\1", "400 No", headers="Content-Encoding: br\r\n")
    yield row("400 in a coding we lack", "answers", lacking, **LOST)
    yield row("deflate", "answers", packed(zlib.compress, "deflate"), **RIGHT)
    raw_deflate = packed(lambda data: zlib.compress(data, wbits=-15), "deflate")
    yield row("deflate without zlib's header", "answers", raw_deflate, **RIGHT)
    twice = packed(lambda d: gzip.compress(d[:50]) + gzip.compress(d[50:]), "gzip")
    yield row("gzip of two members", "answers", twice, **RIGHT)
    yield row("content-encoding: identity", "answers", packed(bytes, "identity"), **RIGHT)
    junk = packed(lambda data: b"no gzip " + data, "gzip")
    broken = {"plain": APIConnectionError, "stream": StreamInterruptedError}
    yield row("broken gzip", "answers", junk, **broken)
    # aiohttp knows from the header that it cannot decode it, if Brotli is not installed.
    either = {**broken, "stream": (StreamInterruptedError, APIConnectionError)}
    yield row("a coding we have not", "answers", packed(bytes, "br"), **either)


def _lenient() -> Iterator[Fault]:
    """Fields that vendors omit, null or invent are not errors."""
    least = body(b'{"choices":[{"message":{"content":"hi"}}]}')
    yield row("the bare minimum", "answers", least, plain="hi", calls=("chat",))
    yield row("a BOM before the JSON", "answers", body(b"\xef\xbb\xbf" + PLAIN), plain="hi")
    yield row("white space around", "answers", body(b"\n \t" + PLAIN + b"\r\n "), plain="hi")
    yield row("a charset nobody knows", "answers", body(PLAIN, kind="a/b; charset=x"), plain="hi")
    yield row("NaN and Infinity", "answers", body(_with_nan()), plain="hi")
    deep = PLAIN[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"
    yield row("900 deep", "answers", body(deep), plain="hi")
    for name, change in (("null", _null), ("a float", _float), ("a new word", _word)):
        variants = [body(msgspec.json.encode(value)) for value in changed(COMPLETION, change)]
        yield row(
            f"each field {name}",
            "answers",
            *variants,
            plain="hi",
            calls=("chat",),
            times=len(variants),
        )
        streams = [events(HEAD, sse(value), FINISH, DONE) for value in changed(LAST_CHUNK, change)]
        yield row(
            f"each field of a chunk {name}", "answers", *streams, stream="hi", times=len(streams)
        )


def _with_nan() -> bytes:
    return PLAIN[:-1] + b', "a": NaN, "b": [Infinity, -Infinity], "c": "\\ud83d"}'


COMPLETION: dict[str, Any] = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "service_tier": "default",
    "system_fingerprint": "f",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {
                "content": [{"token": "hi", "logprob": -1, "bytes": [1], "top_logprobs": []}],
                "refusal": [],
            },
            "message": {
                "role": "assistant",
                "content": "hi",
                "refusal": "no",
                "annotations": [{"type": "url_citation", "url_citation": {"start_index": 1}}],
                "tool_calls": [
                    {
                        "id": "t",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}


LAST_CHUNK: dict[str, Any] = {
    **COMPLETION,
    "object": "chat.completion.chunk",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": COMPLETION["choices"][0]["logprobs"],
            "delta": {
                "role": "assistant",
                "refusal": "no",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "t",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
        }
    ],
}


# The fields that carry the answer itself: without them there is no answer.
_THE_ANSWER = frozenset({"choices", "choices.0", "choices.0.message", "choices.0.message.content"})


Change: TypeAlias = Callable[[Any], Any]


def _null(value: Any) -> Any:
    return None


def _float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _word(value: Any) -> Any:
    return f"{value}-of-next-year" if type(value) is str else value


def changed(value: dict[str, Any], change: Change) -> Iterator[dict[str, Any]]:
    """Copies of `value`, each with one of its fields changed, at any depth."""
    for path in list(_paths(value, "")):
        if path in _THE_ANSWER:
            continue
        copy = msgspec.json.decode(msgspec.json.encode(value))
        *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
        holder = copy
        for step in way:
            holder = holder[step]
        new = change(holder[last])
        if type(new) is not type(holder[last]) or new != holder[last]:
            holder[last] = new
            yield copy


def _paths(value: Any, prefix: str) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        path = f"{prefix}{key}"
        yield path
        if isinstance(item, dict | list):
            yield from _paths(item, f"{path}.")
