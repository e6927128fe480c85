"""Every exception that this package raises.

    OpenAIError
    ├── InvalidArgumentError                (also a ValueError: nothing has been sent)
    ├── LengthFinishReasonError             (`parse`: the answer was cut off at the token limit)
    ├── ContentFilterFinishReasonError      (`parse`: the answer was stopped by a filter)
    ├── ToolRoundsExceededError             (`run_tools`: the model did not stop calling tools)
    └── APIError
        ├── APIConnectionError
        │   ├── APITimeoutError
        │   └── StreamInterruptedError
        ├── APIResponseValidationError
        └── APIStatusError
            ├── BadRequestError             400
            ├── AuthenticationError         401
            ├── PermissionDeniedError       403
            ├── NotFoundError               404
            ├── ConflictError               409
            ├── UnprocessableEntityError    422
            ├── RateLimitError              429
            │   └── InsufficientQuotaError  429, code "insufficient_quota"
            └── InternalServerError         5xx

`wire.failures` turns failed responses into these exceptions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from multidict import CIMultiDict

if TYPE_CHECKING:
    from .types.base import ResponseMeta
    from .types.chat_completion import ChatCompletion
    from .types.upload_progress import UploadProgress


class OpenAIError(Exception):
    """The base class of everything this package raises, except `asyncio.CancelledError`.

    Attributes:
        safe_message: what went wrong, in words that may be shown to anyone: without any URL, host,
            key or path, and without any text from the server.
    """

    safe_message: ClassVar[str] = "The request could not be made."


class InvalidArgumentError(OpenAIError, ValueError):
    """An argument is wrong. Raised before anything is sent; the message says what to pass."""

    safe_message = "The request is not valid."


class LengthFinishReasonError(OpenAIError):
    """`parse`: the answer reached the token limit before its JSON was complete.

    Attributes:
        completion: the answer so far.
    """

    safe_message = "The answer was too long."
    completion: ChatCompletion


class ContentFilterFinishReasonError(OpenAIError):
    """`parse`: a content filter stopped the answer.

    Attributes:
        completion: the answer so far.
    """

    safe_message = "The answer was stopped by a content filter."
    completion: ChatCompletion


class ToolRoundsExceededError(OpenAIError):
    """`run_tools`: after `max_rounds` requests the model still calls tools.

    Attributes:
        completion: the last answer; what it calls has not been called.
        messages: the conversation before that answer. To go on, pass them to `run_tools`.
    """

    safe_message = "The answer took too many steps."
    completion: ChatCompletion
    messages: list[Any]


class APIError(OpenAIError):
    """A call failed. Every subclass has all of these fields; unknown ones are `None`.

    Attributes:
        message: one short sentence; `str(error)` is the same.
        status_code: the HTTP status, if there was a response.
        code, param, type: from the server's error object.
        request_id: the server's `x-request-id`, worth quoting in a bug report.
        headers: the response's headers (case-insensitive mapping).
        body: the parsed JSON body, or its text if it is not JSON.
        retry_after: seconds the server asked to wait (`retry-after-ms`, `retry-after`).
        attempts: how many times the request was sent.
        rejections: how many of these were rejected with 429.
        partial: if a stream failed partway, the completion so far.
        upload: if an upload in parts failed, how far it got; pass it as `resume=`.
    """

    safe_message = "The service reported an error."
    _hint = ""
    """The end of the message, set by `wire.failures.advise`."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        retry_after: float | None = None,
        attempts: int = 1,
    ) -> None:
        # Only the message is in `args`. The rest is in `__dict__`, which pickle and copy restore
        # after calling `cls(*args)`.
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.param = param
        self.type = type
        self.request_id = request_id
        # A copy: aiohttp's headers are a read-only view, which cannot be pickled.
        self.headers: CIMultiDict[str] | None = None if headers is None else CIMultiDict(headers)
        self.body = body
        self.retry_after = retry_after
        self.attempts = attempts
        self.rejections: int = int(status_code == 429)
        self.partial: ChatCompletion | None = None
        self.upload: UploadProgress | None = None

    @property
    def partial_text(self) -> str:
        """The text of `partial`; "" if no text had arrived, or if this was not a chat."""
        return self.partial.text if self.partial else ""


class APIConnectionError(APIError):
    """No complete response arrived: connection refused or reset, TLS, DNS, a truncated body."""

    safe_message = "The service could not be reached."


class APITimeoutError(APIConnectionError):
    """`Timeout.connect`, `.total` or `.idle` ran out."""

    safe_message = "The service took too long to answer."


class StreamInterruptedError(APIConnectionError):
    """A stream ended before the answer was complete. `partial` is the completion so far."""

    safe_message = "The answer broke off before it was complete."


class APIResponseValidationError(APIError):
    """The status was a success, but the response is not what the API describes, or the answer does
    not fit the type that `parse` was asked for.

    Attributes:
        path: where the answer does not fit: `items[0].price`.
        completion: the answer that does not fit.
    """

    safe_message = "The service gave an answer that could not be read."
    path: str | None = None
    completion: ChatCompletion | None = None


class APIStatusError(APIError):
    """The server answered with a status of 300 or above."""

    status_code: int
    safe_message = "The service refused the request."

    @property
    def response(self) -> ErrorResponse:
        """The status, headers and body, where programs for the official SDK look for them."""
        return ErrorResponse(self.status_code, self.headers or {}, self.body)


class ErrorResponse:
    """A failed response: the data of the error, under the names of the official SDK."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: object) -> None:
        self.status_code = status_code
        self.headers = headers
        self._body = body

    @property
    def text(self) -> str:
        """The body as text; serialized again if it was JSON."""
        return self._body if isinstance(self._body, str) else json.dumps(self._body)

    def json(self) -> Any:
        """The body, parsed; `ValueError` if it is not JSON."""
        return json.loads(self.text)


class BadRequestError(APIStatusError):
    """400: the request is malformed; `.param` often names the field."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong or revoked."""

    safe_message = "The service did not accept our credentials."


class PermissionDeniedError(APIStatusError):
    """403: the key does not have permission for this."""

    safe_message = "The service does not allow this."


class NotFoundError(APIStatusError):
    """404: no such model, or no such path under the base URL."""

    safe_message = "The service does not have what was asked for."


class ConflictError(APIStatusError):
    """409: the resource was changed in the meantime. Retried.

    A `Conversation` that is in the middle of a turn raises it too, and so does a `Broadcast` whose
    id is in use.
    """

    safe_message = "The request conflicts with another one."


class UnprocessableEntityError(APIStatusError):
    """422: the request is well-formed, but the server cannot process it."""


class RateLimitError(APIStatusError):
    """429: too many requests or tokens. Retried."""

    safe_message = "The service is busy: try again later."


class InsufficientQuotaError(RateLimitError):
    """429 with code `insufficient_quota`: the account has no credit left. Never retried."""

    safe_message = "The service is not available: its quota is used up."


class InternalServerError(APIStatusError):
    """5xx: the server failed. Retried."""

    safe_message = "The service failed: try again later."


def invalid_answer(
    message: str, meta: ResponseMeta, body: object = None
) -> APIResponseValidationError:
    """The error for a response that is not a valid answer."""
    return APIResponseValidationError(
        message,
        status_code=meta.status,
        request_id=meta.request_id,
        headers=meta.headers,
        body=body,
        attempts=meta.attempts,
    )
