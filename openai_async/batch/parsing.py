"""The answers of a batch as values of a Python type: `parse=` of `run_requests` and `run_batch`.

An answer that does not fit is a failed result, like any other. It may be asked for again here
(`reask`), and by a later run with `retry_failed`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import evolve, frozen

from ..client import AsyncClient
from ..errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    InvalidArgumentError,
    LengthFinishReasonError,
)
from ..resources.parsing import check_reask, complaint
from ..structured import ResponseFormat, parsed, response_format
from ..types.base import ResponseMeta
from .requests import CHAT_URL, BatchRequest, unchecked_post
from .results import BatchError, BatchResult
from .sending import forget_frames, send_with_secret

MISFIT = "misfit"
"""The error code of an answer that does not fit the type."""
ParsingError: TypeAlias = (
    LengthFinishReasonError | ContentFilterFinishReasonError | APIResponseValidationError
)
_CHAT_PATHS = (CHAT_URL, CHAT_URL.removeprefix("/v1"))


@frozen
class Parsing:
    """How the answers to chat requests are parsed; other requests are refused.

    Attributes:
        expected: the type.
        reask: how many times an answer that does not fit is asked for again.
    """

    expected: ResponseFormat[Any]
    reask: int

    @classmethod
    def of(cls, parse: Any, reask: int) -> Parsing | None:
        """The options of a call; `None` if the answers are not parsed.

        Raises:
            InvalidArgumentError: the type has no schema, or `reask` is not a number.
        """
        check_reask(reask)
        return None if parse is None else cls(response_format(parse), reask)

    def problem_with(self, request: BatchRequest) -> str | None:
        """Why the answer to a request cannot be parsed, in one sentence, if it cannot."""
        if request.url in _CHAT_PATHS:
            return None
        return (
            f"custom_id {request.custom_id[:80]!r} has the url {request.url[:80]!r}, but parse= "
            f"needs {CHAT_URL!r}: leave it out, or run these requests apart."
        )

    async def send(self, client: AsyncClient, request: BatchRequest) -> BatchResult:
        """Like `send_request`, but ask again, with the error, while the answer does not fit.

        Raises:
            InvalidArgumentError: it is not a chat request; it was not sent.
        """
        if (problem := self.problem_with(request)) is not None:
            raise InvalidArgumentError(problem)
        body: dict[str, Any] = {"response_format": self.expected.param, **request.body}
        left, before = self.reask, None
        while True:
            request = unchecked_post(request.custom_id, request.url, body)
            sent, secret = await send_with_secret(client, request)
            result = _together(before, sent)
            if result.failed:
                return result
            try:
                return self._parsed(result, secret)
            except (LengthFinishReasonError, ContentFilterFinishReasonError) as stopped:
                return _failed(result, stopped)
            except APIResponseValidationError as misfit:
                asked = body.get("messages")
                if not left or misfit.completion is None or not isinstance(asked, list | tuple):
                    return _failed(result, misfit)
                messages = [*asked, *complaint(misfit, misfit.completion)]
                body, before, left = {**body, "messages": messages}, result, left - 1

    def _parsed(self, result: BatchResult, secret: str | None) -> BatchResult:
        completion, response = result.completion, result.response
        assert response is not None
        headers = {} if response.request_id is None else {"x-request-id": response.request_id}
        completion.meta = ResponseMeta(
            status=response.status_code,
            headers=headers,
            attempts=result.attempts,
            elapsed=result.elapsed,
        )
        result.parsed = parsed(completion, self.expected, {}, secret).parsed
        return result


def _together(before: BatchResult | None, result: BatchResult) -> BatchResult:
    """The result, with the cost of the attempts before it added."""
    if before is None:
        return result
    return evolve(
        result,
        attempts=before.attempts + result.attempts,
        elapsed=before.elapsed + result.elapsed,
        tokens=before.tokens + result.tokens,
        rejections=before.rejections + result.rejections,
    )


def _failed(result: BatchResult, error: ParsingError) -> BatchResult:
    """The result as a failed one, which keeps the answer."""
    code = MISFIT
    if isinstance(error, LengthFinishReasonError):
        code = "length"
    elif isinstance(error, ContentFilterFinishReasonError):
        code = "content_filter"
    forget_frames(error)
    return evolve(result, error=BatchError(code=code, message=str(error)), exception=error)
