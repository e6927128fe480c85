"""What a browser is told when an answer fails: a status, and a text that gives nothing away."""

from __future__ import annotations

import math

from ..errors import APIError, APIStatusError, APITimeoutError, OpenAIError
from ..jsontext import dumps

# By status, as the API names them. All others are a "server_error".
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


def status_of(error: OpenAIError) -> int:
    """The status of the response: the server's, or the one that a gateway would send."""
    if isinstance(error, APIStatusError):
        return error.status_code if 400 <= error.status_code <= 599 else 502
    if isinstance(error, APITimeoutError):
        return 504
    # Not an API error: usually the client is closed, or its `api_key` function failed.
    return 502 if isinstance(error, APIError) else 503


def error_object(error: OpenAIError) -> dict[str, str | None]:
    """The API's error object, with the safe text."""
    kind = _TYPES.get(status_of(error), "server_error")
    return {"message": error.safe_message, "type": kind, "param": None, "code": None}


def error_body(error: OpenAIError, *, passed_on: bool) -> bytes:
    """The body of a response with `status_of(error)`: with the safe text, or with `passed_on` as
    the server sent it (without the key).
    """
    if passed_on and isinstance(error, APIStatusError) and isinstance(error.body, dict):
        return dumps(error.body)
    return dumps({"error": error_object(error)})


def error_headers(error: OpenAIError) -> dict[str, str]:
    """The headers of that response: when to try again, if the server has said so."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if isinstance(error, APIError) and error.retry_after:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return headers
