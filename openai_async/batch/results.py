"""The result of one request of a batch: a line of the output of the OpenAI Batch API.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from attrs import define, field, frozen

from ..errors import (
    APIError,
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    InvalidArgumentError,
    LengthFinishReasonError,
)
from ..jsontext import loads
from ..middleware import RETRYABLE_STATUSES
from ..types.chat import ChatCompletion

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

BAD_LINE = "bad_line"
"""The error code in the output for a line of the input that is not a valid request."""


def is_refusal(status: object) -> bool:
    """Whether a failure with this status would recur if the same request were sent again."""
    return type(status) is int and 400 <= status < 500 and status not in RETRYABLE_STATUSES


class _FromText:
    """Parses `body` on first access, if only the text of the response has been kept."""

    __slots__ = ("_text",)
    _text: bytes

    if not TYPE_CHECKING:  # type checkers would allow any attribute

        def __getattr__(self, name: str) -> Any:
            if name != "body":
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg)
            body = loads(self._text)
            object.__setattr__(self, "body", body)
            return body


@frozen(kw_only=True)
class BatchResponse(_FromText):
    """The response of the server, success or error."""

    status_code: int
    request_id: str | None
    body: Any
    """The parsed JSON body; the text of an error that is not JSON."""

    @classmethod
    def of_text(cls, status_code: int, request_id: str | None, text: bytes) -> BatchResponse:
        """A response whose body is parsed when it is needed; `run_batch` never needs it.

        Args:
            status_code, request_id: as the attributes.
            text: valid JSON in UTF-8.
        """
        response = object.__new__(cls)
        set_attribute = object.__setattr__  # the class is frozen
        set_attribute(response, "status_code", status_code)
        set_attribute(response, "request_id", request_id)
        set_attribute(response, "_text", text)
        return response

    @property
    def text(self) -> bytes | None:
        """The text that `of_text` made the response from; `None` without it."""
        try:
            return self._text
        except AttributeError:
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        if (text := self.text) is not None:
            return BatchResponse.of_text, (self.status_code, self.request_id, text)
        return _response, (self.status_code, self.request_id, self.body)


def _response(status_code: int, request_id: str | None, body: Any) -> BatchResponse:
    return BatchResponse(status_code=status_code, request_id=request_id, body=body)


@frozen(kw_only=True)
class BatchError:
    """Why a request has failed.

    Attributes:
        code: the `code` or `type` sent by the server, else the name of the exception.
        message: one sentence.
    """

    code: str
    message: str


@define(kw_only=True)
class BatchResult(Generic[T]):
    """The result of the request with the same `custom_id`: either a good answer or an `error`.

    Attributes:
        response: of the server; `None` if there was none.
        error: `None` for a good answer.
        id: unique for each result.
        attempts: how many times the request was sent.
        elapsed: seconds from the call to its end, including waits for the rate limit and retries.
        tokens: `usage.total_tokens` of the answer, 0 if it has none.
        rejections: how many of the attempts were answered with 429.
        exception: what the call, or `parse=`, has raised, if it failed in this process; not part of
            the line.
        parsed: the answer as a value, with `parse=`; not part of the line. `None` if the model
            refused or called tools instead, and for requests other than chats.
    """

    custom_id: str
    id: str
    response: BatchResponse | None = None
    error: BatchError | None = None
    attempts: int = field(default=1, eq=False)
    elapsed: float = field(default=0.0, eq=False)
    tokens: int = field(default=0, eq=False)
    rejections: int = field(default=0, eq=False)
    exception: APIError | LengthFinishReasonError | ContentFilterFinishReasonError | None = field(
        default=None, eq=False, repr=False
    )
    parsed: T | None = field(default=None, eq=False, repr=False)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return self.error is not None

    @property
    def refused(self) -> bool:
        """Whether it failed and would fail again, as the server refused the request (4xx)."""
        status = None if self.response is None else self.response.status_code
        return self.failed and is_refusal(status)

    @property
    def completion(self) -> ChatCompletion:
        """The answer of a chat request, as `create` returns it.

        Raises:
            InvalidArgumentError: the request failed, `error` says why.
            APIResponseValidationError: the body is not a chat completion.
        """
        if self.error is not None or self.response is None:
            msg = f"{self.custom_id!r} has no completion: {self.error and self.error.message}"
            raise InvalidArgumentError(msg)
        try:
            return ChatCompletion.from_dict(self.response.body)
        except ValueError as error:
            raise APIResponseValidationError(str(error), body=self.response.body) from error

    def to_dict(self) -> dict[str, Any]:
        """The line of output, as a JSON object."""
        response, error = self.response, self.error
        return {
            "id": self.id,
            "custom_id": self.custom_id,
            "response": response
            and {
                "status_code": response.status_code,
                "request_id": response.request_id,
                "body": response.body,
            },
            "error": error and {"code": error.code, "message": error.message},
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> BatchResult:
        """The result in a line of output.

        Raises:
            KeyError, TypeError: the object is not a line of output.
        """
        response, error = value["response"], value.get("error")
        return cls(
            custom_id=value["custom_id"],
            id=value["id"],
            response=response
            and BatchResponse(
                status_code=response["status_code"],
                request_id=response.get("request_id"),
                body=response["body"],
            ),
            error=error and BatchError(code=str(error["code"]), message=str(error["message"])),
        )
