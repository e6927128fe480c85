"""One line in the log for each request, written when the request or its stream has ended.

POST /v1/chat/completions gpt-4o: 200 in 0.92 s, 2 attempts, req_1, 34 + 12 tokens
POST /v1/chat/completions gpt-4o: 429 RateLimitError in 2.30 s, 3 attempts, req_2
POST /v1/chat/completions gpt-4o: 200, stream left after 0.41 s, first event after 0.10 s, ...
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable

from ..errors import APIError
from ..http.log_lines import failure, in_line, log, named
from ..http.request import Request, Response
from ..types.stream_end import StreamEnd
from ..wire.log_text import shown_body
from .chain import Send

_IN = re.compile(rb'"(?:prompt|input)_tokens"\s*:\s*(\d{1,12})')
_OUT = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*(\d{1,12})')
# How many bytes of `usage` to search; a chat's has about 300.
_USAGE_LENGTH = 2000


def logged(send: Send) -> Send:
    """`send`, with a line in the log if INFO is on."""

    def call(request: Request) -> Awaitable[Response]:
        return _logged(request, send) if log.isEnabledFor(logging.INFO) else send(request)

    return call


async def _logged(request: Request, send: Send) -> Response:
    try:
        response = await send(request)
    except BaseException as error:
        _log_failure(request, error)
        raise
    if response.stream is None:
        parts = [_took(request), *_facts(response)]
        if request.method == "POST":  # a GET may return stored answers, with usage from before
            parts += _tokens_in(response.body)
        log.info("%s: %d in %s", named(request), response.status, ", ".join(parts))
    else:
        response.on_stream_end.append(_StreamLine(request, response))
    return response


def _log_failure(request: Request, error: BaseException) -> None:
    parts = [_took(request)]
    if isinstance(error, APIError):
        parts += _facts(error)
    if isinstance(error, asyncio.CancelledError):
        log.info("%s: cancelled after %s", named(request), parts[0])
    else:
        log.info("%s: %s in %s", named(request), failure(error), ", ".join(parts))


class _StreamLine:
    """Logs the line for a stream. It holds no reference to the request, whose body may be large."""

    def __init__(self, request: Request, response: Response) -> None:
        self._named = named(request)
        self._secret = response.secret

    def __call__(self, end: StreamEnd) -> None:
        if end.complete:
            how = f"read whole in {end.elapsed:.2f} s"
        elif end.error is None:
            how = f"left after {end.elapsed:.2f} s"
        elif isinstance(end.error, asyncio.CancelledError):
            how = f"cancelled after {end.elapsed:.2f} s"
        else:
            how = f"failed after {end.elapsed:.2f} s with {type(end.error).__name__}"
        parts = [
            f"first event after {end.first_event:.2f} s",
            _number(end.chunks, "chunk"),
            _number(end.bytes, "byte"),
            *_facts_of(end.meta.attempts, end.meta.request_id),
        ]
        if (usage := end.usage) is not None:
            about = "about " if usage.estimated else ""
            parts.append(f"{about}{usage.prompt_tokens} + {usage.completion_tokens} tokens")
        log.info("%s: %d, stream %s, %s", self._named, end.meta.status, how, ", ".join(parts))
        if log.isEnabledFor(logging.DEBUG) and (completion := end.completion) is not None:
            shown = shown_body(completion.to_dict(), self._secret)
            log.debug("%s: received %s", self._named, shown)


def _took(request: Request) -> str:
    return f"{time.perf_counter() - request.started:.2f} s"


def _facts(answered: Response | APIError) -> list[str]:
    meta = answered if isinstance(answered, APIError) else answered.meta
    return _facts_of(meta.attempts, meta.request_id)


def _facts_of(attempts: int, request_id: str | None) -> list[str]:
    return [_number(attempts, "attempt"), *([] if request_id is None else [in_line(request_id)])]


def _tokens_in(body: bytes) -> list[str]:
    """The tokens in the `usage` of an answer, found without parsing it, which is done later."""
    place = body.rfind(b'"usage"')  # never inside a text, where the quotes are escaped
    if place < 0:
        return []
    usage = body[place : place + _USAGE_LENGTH]
    counts = [found[1].decode() for pattern in (_IN, _OUT) if (found := pattern.search(usage))]
    if not counts:
        return []
    return [f"{' + '.join(counts)} token{'' if counts == ['1'] else 's'}"]


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
