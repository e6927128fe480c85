"""What the log says about requests: one logger, and the same words for the same things.

INFO has a line for each request and each retry; DEBUG has the bodies that are sent and received,
without headers. Nothing here is called unless its level is on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from yarl import URL

from ..errors import APIError
from ..wire.log_text import shown_body
from .request import Request, Response

log = logging.getLogger("openai_async")


def named(request: Request) -> str:
    """A request: method, path and model. Not the query, which may contain a key."""
    model = request.params.get("model") if isinstance(request.params, Mapping) else None
    # In the raw path, a line break in an id stays encoded. If a middleware has set a URL of a wrong
    # type, this line reports the error that says so.
    path = request.url.raw_path if isinstance(request.url, URL) else "?"
    path = f"{request.method} {path}"
    if not isinstance(model, str):
        return path
    return f"{path} {in_line(model)}"


def in_line(text: str) -> str:
    """A text from outside, escaped if it could begin a line or control a terminal."""
    return text if text.isprintable() else repr(text)


def failure(error: BaseException) -> str:
    """A failure: its status, if it has one, and its class. The message may quote the request."""
    status = error.status_code if isinstance(error, APIError) else None
    return type(error).__name__ if status is None else f"{status} {type(error).__name__}"


def log_request(request: Request, secret: str | None) -> None:
    """An attempt, before it is sent."""
    body: Any = request.body
    if isinstance(body, str):  # a middleware may set a text, and aiohttp sends it
        body = body.encode("utf-8", "replace")
    if isinstance(body, bytes | bytearray | memoryview):
        shown = shown_body(bytes(body), secret)
    else:
        shown = "no body" if body is None else repr(body)
    log.debug("%s: sending %s", named(request), shown)


def log_response(request: Request, response: Response) -> None:
    """A whole answer, or a stream that has opened."""
    what = "a stream" if request.stream else shown_body(response.body, response.secret)
    log.debug("%s: %d, received %s", named(request), response.status, what)


def log_refusal(request: Request, error: APIError) -> None:
    """An answer that is an error."""
    log.debug("%s: %s, received %s", named(request), failure(error), shown_body(error.body, None))
