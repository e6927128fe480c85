"""The server's answers: whole HTTP responses as bytes, made once.

Shaped like OpenAI's, headers and fields and lengths. Workers take from here what must come out, so
that no client is fast by leaving something out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, cycle, islice

import orjson

IMAGE_SIZE = 4 * 1024 * 1024
"""Characters of base64."""
MODELS = 80
TOKENS = 83
"""What the usage of a chat completion says."""
FIRST_ROLE = "assistant"
"""What the first chunk of each stream says."""
REST_OF_FIRST = 2
"""How many chunks follow in `first_stream`."""

CHAT_TEXT = (
    "The sky is blue because the gases and particles of the air scatter the light of the sun in "
    "all directions, and blue light is scattered more than the other colours, since it travels in "
    "shorter, smaller waves. So we see a blue sky most of the time."
)
_WORDS = (
    *(" The", " sky", " is", " blue", ",", " because", " mole", "cules", " of", " air", " scatter"),
    *(" short", " waves", " more", " than", " long", " ones", ".", "\n\n", " “Rayleigh”", "-"),
)
_HEADERS = (
    "Date: Mon, 02 Jun 2025 10:00:00 GMT\r\n"
    "X-Request-Id: req_4f1d5e0c7a9b4e6f8d2c3b1a09876543\r\n"
    "OpenAI-Processing-Ms: 412\r\n"
    "OpenAI-Version: 2020-10-01\r\n"
    "X-RateLimit-Limit-Requests: 10000\r\n"
    "X-RateLimit-Limit-Tokens: 2000000\r\n"
    "X-RateLimit-Remaining-Requests: 9999\r\n"
    "X-RateLimit-Remaining-Tokens: 1999950\r\n"
    "X-RateLimit-Reset-Requests: 6ms\r\n"
    "X-RateLimit-Reset-Tokens: 1ms\r\n"
    "Connection: keep-alive\r\n"
)
_ANSWER = {
    "id": "chatcmpl-BeWxT0aVq9yYc2mZp1sKdLr7uHnEf",
    "object": "chat.completion",
    "created": 1748858400,
    "model": "gpt-4o-mini-2024-07-18",
}
_SERVER = {"service_tier": "default", "system_fingerprint": "fp_34a54ae93c"}


def forget_limits() -> None:
    """Answers without the X-RateLimit headers; to be called before the first is made."""
    global _HEADERS
    lines = _HEADERS.splitlines(keepends=True)
    _HEADERS = "".join(line for line in lines if not line.startswith("X-RateLimit"))


def _plain(value: object) -> bytes:
    content = orjson.dumps(value)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{_HEADERS}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def body(response: bytes) -> bytes:
    """What stands behind the headers of a response."""
    return response.partition(b"\r\n\r\n")[2]


@lru_cache(maxsize=1)
def chat() -> bytes:
    """A chat completion."""
    message: dict[str, object] = {"role": "assistant", "content": CHAT_TEXT}
    message |= {"refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {
        "prompt_tokens": 31,
        "completion_tokens": TOKENS - 31,
        "total_tokens": TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return _plain(_ANSWER | {"choices": [choice], "usage": usage} | _SERVER)


@lru_cache(maxsize=1)
def models() -> bytes:
    """A list of models."""
    data = [
        {
            "id": f"gpt-4o-mini-2024-07-{number:02}",
            "object": "model",
            "created": 1721172741 + number,
            "owned_by": "system",
        }
        for number in range(MODELS)
    ]
    return _plain({"object": "list", "data": data})


@lru_cache(maxsize=1)
def image() -> bytes:
    """One picture in base64."""
    usage = {"input_tokens": 12, "output_tokens": 4160, "total_tokens": 4172}
    picture = {"b64_json": "iVBORw0KGgo+/9Zz" * (IMAGE_SIZE // 16)}
    return _plain({"created": 1748858400, "data": [picture], "usage": usage})


def tokens_of(tokens: int) -> Iterator[str]:
    """The texts of a stream, one a chunk."""
    return islice(cycle(_WORDS), tokens)


@lru_cache(maxsize=8)
def stream_length(tokens: int) -> int:
    """The characters of a stream's text."""
    return sum(map(len, tokens_of(tokens)))


def chunks(tokens: int) -> int:
    """How many chunks a stream has: one with the role, one a token, one with the finish_reason."""
    return tokens + 2


def events(tokens: int) -> Iterator[bytes]:
    """The server-sent events of a stream, without `[DONE]`."""
    yield _event({"role": FIRST_ROLE, "content": "", "refusal": None})
    for text in tokens_of(tokens):
        yield _event({"content": text})
    yield _event({}, "stop")


def _event(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    head = _ANSWER | {"object": "chat.completion.chunk"} | _SERVER
    return b"data: " + orjson.dumps(head | {"choices": [choice]}) + b"\n\n"


def _framed(event: bytes) -> bytes:
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


@lru_cache(maxsize=8)
def stream(tokens: int, per_write: int) -> tuple[bytes, ...]:
    """A streamed chat completion, as the writes it goes out in. Each event is an HTTP chunk."""
    framed = map(_framed, chain(events(tokens), [b"data: [DONE]\n\n"]))
    writes = [_stream_head()]
    while some := b"".join(islice(framed, per_write)):
        writes.append(some)
    return (*writes, b"0\r\n\r\n")


def held_stream() -> bytes:
    """The beginning of a stream."""
    return _stream_head() + b"".join(map(_framed, islice(events(1), 2)))


@lru_cache(maxsize=1)
def first_stream() -> tuple[bytes, bytes]:
    """A short stream: its headers with the first event, as a proxy sends them, and the rest."""
    first, *rest = stream(REST_OF_FIRST - 1, 1)[1:]
    return _stream_head() + first, b"".join(rest)


def _stream_head() -> bytes:
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        f"{_HEADERS}Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
