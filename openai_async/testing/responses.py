"""What all responses share: the shape of an error, and OpenAI's headers."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..jsontext import dumps
from .script import Failure

# Far above what one process can take: clients that pace themselves by these must not slow down.
_REQUESTS_PER_WINDOW = 1_000_000
_TOKENS_PER_WINDOW = 150_000_000
_WINDOW = 60.0

_ERROR_TYPES = {
    401: "invalid_request_error",
    403: "permission_error",
    429: "requests",
}
_ERROR_MESSAGES = {
    401: "Incorrect API key provided.",
    403: "You are not allowed to do this.",
    404: "Not found.",
    408: "The request took too long.",
    409: "The request conflicts with another one.",
    429: "Rate limit reached for requests.",
    503: "The server is overloaded, please try again later.",
}
_ERROR_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class RefusedError(Exception):
    """A request the server refuses; the pipeline turns it into an error response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.error = {"message": message, "type": type, "param": param, "code": code}

    def response(self) -> web.Response:
        return json_response({"error": self.error}, status=self.status, headers=self.headers)


def invalid(message: str, param: str | None = None, code: str | None = None) -> RefusedError:
    """A 400 that names the field at fault."""
    return RefusedError(400, message, param=param, code=code)


def json_response(
    payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=dumps(payload),
        status=status,
        headers=headers,
        content_type=None if _has_content_type(headers) else "application/json",
    )


def failure_response(failure: Failure, status: int) -> web.Response:
    """The response a scripted failure asks for."""
    body, headers = failure.body, failure.headers
    if isinstance(body, dict):
        return json_response(body, status=status, headers=headers)
    if body is not None:
        text = isinstance(body, str)
        kind = "text/plain" if text else "application/octet-stream"
        return web.Response(
            body=body.encode() if isinstance(body, str) else body,
            status=status,
            headers=headers,
            content_type=None if _has_content_type(headers) else kind,
            charset="utf-8" if text and not _has_content_type(headers) else None,
        )
    usual_type = "server_error" if status >= 500 else "invalid_request_error"
    error = {
        "message": failure.message or _ERROR_MESSAGES.get(status, f"Scripted failure {status}."),
        "type": failure.type or _ERROR_TYPES.get(status, usual_type),
        "param": failure.param,
        "code": failure.code or _ERROR_CODES.get(status),
    }
    return json_response({"error": error}, status=status, headers=headers)


def _has_content_type(headers: Mapping[str, str] | None) -> bool:
    return any(name.lower() == "content-type" for name in headers or ())


class RateWindow:
    """Counts requests and tokens per minute for the x-ratelimit headers; limits nothing."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._requests = 0
        self._tokens = 0

    def spend(self, tokens: int) -> None:
        now = time.monotonic()
        if now - self._started >= _WINDOW:
            self._started, self._requests, self._tokens = now, 0, 0
        self._requests += 1
        self._tokens += tokens

    def headers(self) -> dict[str, str]:
        left = max(0.0, _WINDOW - (time.monotonic() - self._started))
        reset = f"{left:.3f}s"
        return {
            "x-ratelimit-limit-requests": str(_REQUESTS_PER_WINDOW),
            "x-ratelimit-remaining-requests": str(max(0, _REQUESTS_PER_WINDOW - self._requests)),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-limit-tokens": str(_TOKENS_PER_WINDOW),
            "x-ratelimit-remaining-tokens": str(max(0, _TOKENS_PER_WINDOW - self._tokens)),
            "x-ratelimit-reset-tokens": reset,
        }


def standard_headers(rates: Mapping[str, str], started: float) -> dict[str, str]:
    """The headers of every response; `started` is the monotonic time of the request's arrival."""
    return {
        "x-request-id": f"req_{uuid.uuid4().hex}",
        "openai-organization": "local",
        "openai-processing-ms": str(int((time.monotonic() - started) * 1000)),
        "openai-version": "2020-10-01",
        **rates,
    }
