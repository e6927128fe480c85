"""What became of one request of a batch: a line of the OpenAI Batch API's output.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from ..errors import APIError, APIResponseValidationError, InvalidArgumentError
from ..middleware import RETRYABLE_STATUSES
from ..types.chat import ChatCompletion

BAD_LINE = "bad_line"
"""The code of the error that stands in the output for a line of the input that is no request."""


def is_refusal(status: object) -> bool:
    """Whether a failure with this status would recur if the same request were sent again."""
    return type(status) is int and 400 <= status < 500 and status not in RETRYABLE_STATUSES


@frozen(kw_only=True)
class BatchResponse:
    """The server's answer, good or bad."""

    status_code: int
    request_id: str | None
    body: Any
    """The parsed JSON body, as it came; for an error that was no JSON, its text."""


@frozen(kw_only=True)
class BatchError:
    """Why there is no good answer.

    Attributes:
        code: the server's `code` or `type`, else the name of the exception.
        message: one sentence.
    """

    code: str
    message: str


@define(kw_only=True)
class BatchResult:
    """The outcome of the request with the same `custom_id`: exactly one of good and failed.

    Attributes:
        response: the answer; `None` where none came.
        error: `None` for a good answer.
        id: unique for each result.
        attempts: how many times the request was sent.
        elapsed: seconds from the call to its end, with the waits for the pace and for retries.
        tokens: `usage.total_tokens` of the answer, 0 where it has none.
        rejections: how many of the attempts were refused with 429.
        exception: what the call raised, where it failed in this process; no part of the line.
    """

    custom_id: str
    id: str
    response: BatchResponse | None = None
    error: BatchError | None = None
    attempts: int = field(default=1, eq=False)
    elapsed: float = field(default=0.0, eq=False)
    tokens: int = field(default=0, eq=False)
    rejections: int = field(default=0, eq=False)
    exception: APIError | None = field(default=None, eq=False, repr=False)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return self.error is not None

    @property
    def refused(self) -> bool:
        """Whether it failed and would fail again: the server refused the request (4xx)."""
        status = None if self.response is None else self.response.status_code
        return self.failed and is_refusal(status)

    @property
    def completion(self) -> ChatCompletion:
        """The answer of a chat request as the object that `create` returns.

        Raises:
            InvalidArgumentError: the request failed, `error` says why.
            APIResponseValidationError: the body is no chat completion.
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
        """The result that a line of output tells of.

        Raises:
            KeyError, TypeError: the object is no line of output.
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
