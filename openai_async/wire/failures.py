"""Failed responses to exceptions: from a status, headers and a parsed body.

The one place that knows in which shapes servers send their errors.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InsufficientQuotaError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from ..types.normalize import is_error_object
from ..types.values import shown

# A message should fit a terminal line or a log record; the whole response is in `.body`.
MAX_MESSAGE = 300
# A greater number of seconds is not a wait: a year is longer than any rate limit window. Some
# gateways send a point in time (Unix time) instead of seconds.
MAX_RETRY_AFTER = 366 * 86_400.0

_BY_STATUS: dict[int, tuple[type[APIStatusError], str]] = {
    400: (BadRequestError, ""),
    401: (AuthenticationError, "Check the api_key (OPENAI_API_KEY)."),
    403: (PermissionDeniedError, "Check what this api_key may do."),
    404: (NotFoundError, "Check the model name or the id, and the base_url (most end in /v1)."),
    409: (ConflictError, ""),
    422: (UnprocessableEntityError, ""),
    429: (RateLimitError, "Send more slowly."),
}
# A picture's URL is not part of the API, and fails for other reasons.
_EXPIRED = (
    "The link may have expired, as most do within an hour: generate the picture again, "
    'or ask for it as base64 (response_format="b64_json").'
)
_PICTURE_HINTS: dict[int, str] = dict.fromkeys((401, 403, 404, 410), _EXPIRED)
_NO_DETAILS = "no details were given"
# The keys under which servers put their message, in the order in which they are tried.
_MESSAGE_KEYS = ("message", "msg", "detail", "error_message", "error_msg", "error_description")
_QUOTA_HINT = "Check the plan and billing of the account."

# The status for an error object without one, by its `code` or `type`.
_STATUS_BY_WORD = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "server_error": 500,
    "internal_server_error": 500,
    "overloaded_error": 503,
    "service_unavailable": 503,
}


def status_error(
    status: int, headers: Mapping[str, str], body: object, *, picture: bool = False
) -> APIStatusError:
    """The exception for a response with status 300 or above; `body` is parsed JSON or text.

    `picture`: the response is from a picture's URL, where advice about the API would mislead.
    """
    return _status_error(f"HTTP {status}", status, headers, body, picture)


def object_error(body: object, headers: Mapping[str, str]) -> APIError:
    """The exception for an error object in place of an answer: in a stream, or with HTTP 200.

    The HTTP status does not help: vLLM sends the real one as `code`, OpenAI sends words in `code`
    and `type`. An error with none of these is an `APIError` without a status.
    """
    details = _details(body)
    code = details.get("code")
    status = int(code) if code is not None and re.fullmatch(r"[45]\d\d", code) else None
    if status is None:
        status = _STATUS_BY_WORD.get(code or "") or _STATUS_BY_WORD.get(details.get("type") or "")
    prefix = "The server reported an error"
    if status is not None:
        return _status_error(prefix, status, headers, body)
    return APIError(
        _sentence(f"{prefix}: {details.get('message') or _NO_DETAILS}"),
        code=code,
        param=details.get("param"),
        type=details.get("type"),
        request_id=headers.get("x-request-id"),
        headers=headers,
        body=body,
    )


def _status_error(
    prefix: str, status: int, headers: Mapping[str, str], body: object, picture: bool = False
) -> APIStatusError:
    details = _details(body)
    kind, hint = _BY_STATUS.get(
        status, (InternalServerError if status >= 500 else APIStatusError, "")
    )
    if status == 429 and "insufficient_quota" in (details.get("code"), details.get("type")):
        kind, hint = InsufficientQuotaError, _QUOTA_HINT
    if 300 <= status < 400 and (location := headers.get("location")):
        hint = f"The server redirects to {_shorten(location)}: set base_url to where the API is."
    if picture:
        hint = _PICTURE_HINTS.get(status, "")
    error = kind(
        _sentence(f"{prefix}: {details.get('message') or _NO_DETAILS}"),
        status_code=status,
        code=details.get("code"),
        param=details.get("param"),
        type=details.get("type"),
        request_id=headers.get("x-request-id"),
        headers=headers,
        body=body,
        retry_after=retry_after(headers),
    )
    advise(error, hint)
    return error


def advise(error: APIError, hint: str) -> None:
    """End the message with this hint, which replaces any earlier one.

    Args:
        hint: sentences that say what to do, or "".
    """
    error.message = f"{error.message.removesuffix(error._hint).rstrip()} {hint}".rstrip()
    error.args = (error.message,)
    error._hint = hint


def summary(body: object) -> str:
    """The message of a body as a sentence: of parsed JSON of any shape, a page or plain text."""
    return _sentence(_details(body).get("message") or _NO_DETAILS)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks to wait: `retry-after-ms`, else `retry-after`.

    `retry-after` is a number of seconds or an HTTP date (RFC 9110, section 10.2.3). Malformed
    values are ignored, and so are those that make no sense as a wait: 0, the past, more than a
    year. Taken literally, 0 and the past would send all retries at once.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,15}(\.[0-9]*)?", value):
            seconds = float(value) * unit
        elif value and unit == 1.0:
            seconds = _seconds_until(value)
        else:
            continue
        if 0 < seconds <= MAX_RETRY_AFTER:
            return seconds
    return None


def _seconds_until(date: str) -> float:
    """Seconds from now to an HTTP date in any of its three forms; 0 if it is not a date.

    All three are UTC, though the oldest (asctime's) does not say so (RFC 9110, section 5.6.7).
    """
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - time.time()


def is_error(value: object) -> bool:
    """Whether a JSON value is OpenAI's error object, or a flat object that says it is an error."""
    # A parsed JSON object is a dict; isinstance(value, Mapping) would take three times as long.
    if type(value) is not dict:
        return False
    if (error := value.get("error")) is not None and is_error_object(error):
        return True
    return value.get("object") == "error" or value.get("type") == "error"


def reports_failure(value: object) -> bool:
    """Whether an object that is not an answer reports a failure: a flat error, or MiniMax's."""
    if not isinstance(value, Mapping):
        return False
    base = value.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code"):
        return True
    error = value.get("error")
    if isinstance(error, Mapping) and error:  # without a message, and without an answer next to it
        return True
    return any(value.get(key) for key in _MESSAGE_KEYS)


def message_in(body: object) -> str:
    """The message of a body, on one line; for a page, its title."""
    return _details(body).get("message", "")


def _details(body: object) -> dict[str, str]:
    """The message, code, param and type in an error body of any shape that servers send.

    OpenAI: `{"error": {...}}`. Others: `{"error": "text"}`, FastAPI's `{"detail": ...}`, a flat
    `{"message": ...}` (old vLLM), one of these in a list (Google), plain text, HTML.
    """
    for _ in range(3):  # {"detail": {"error": {...}}} is as deep as it gets
        if isinstance(body, list) and body:
            body = body[0]
        if not isinstance(body, Mapping):
            break
        inner = body.get("error") or body.get("errors") or body.get("detail") or _inner(body)
        named = isinstance(inner, list | str) and "detail" not in body
        if isinstance(inner, Mapping) or (named and "message" not in body):
            body = inner
    if isinstance(body, str):
        return {"message": _shorten(_visible(body))}
    if not isinstance(body, Mapping):
        return {}
    details = {
        key: str(value)
        for key in ("code", "param", "type")
        if isinstance(value := body.get(key), str | int) and not isinstance(value, bool)
    }
    message = next((text for key in _MESSAGE_KEYS if (text := body.get(key))), None)
    if not message:
        # No known key: better to show the rest as it is than nothing.
        rest = {k: v for k, v in body.items() if v and k not in details}
        message = body if "msg" in rest else shown(rest) if rest else None
    if message:
        details["message"] = _shorten(_message_text(message))
    return details


def _inner(body: Mapping[str, Any]) -> object:
    """What stands for an error object: MiniMax's `base_resp`, Groq's `x_groq`, a choice's error."""
    base = body.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code"):
        return {"code": base.get("status_code"), "message": base.get("status_msg")}
    groq = body.get("x_groq")
    if isinstance(groq, Mapping) and groq.get("error"):
        return groq["error"]
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping) and choice.get("error"):
            return choice["error"]
        if isinstance(choice, Mapping) and choice.get("finish_reason") == "error":
            return {"message": "a choice has the finish_reason 'error'"}
    return None


def _message_text(detail: object, levels: int = 8) -> str:
    """The text of a string, of FastAPI's `{"loc": [...], "msg": ...}`, or of a list of either."""
    if isinstance(detail, list) and levels:
        return "; ".join(_message_text(item, levels - 1) for item in detail[:3])
    if isinstance(detail, Mapping) and "msg" in detail and levels:
        loc = detail.get("loc")
        where = ".".join(_message_text(x, 0) for x in loc) if isinstance(loc, list) else ""
        text = _message_text(detail["msg"], 0)
        return f"{where}: {text}" if where else text
    return detail if isinstance(detail, str) else shown(detail)


def _visible(text: str) -> str:
    """The visible text of a page: its title, or else its text without the tags."""
    import html  # 1.5 ms, for rare responses

    head = text[:20_000]
    if not re.match(r"\s*(<!doctype|<html|<\?xml|<head|<body)", head, re.IGNORECASE):
        return head
    if title := re.search(r"<title[^>]*>(.*?)</title>", head, re.IGNORECASE | re.DOTALL):
        return html.unescape(title[1])
    return html.unescape(re.sub(r"<[^>]*>", " ", head))


def _shorten(text: str) -> str:
    # Control characters must not reach the terminal that the message is printed to.
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text[: 10 * MAX_MESSAGE])
    line = " ".join(printable.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
