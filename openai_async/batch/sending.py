"""Sends one request of a batch with a client's `request`; the outcome is a `BatchResult`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ..errors import APIError, APIStatusError
from .requests import BatchRequest
from .results import BatchError, BatchResponse, BatchResult

if TYPE_CHECKING:
    from ..client import AsyncClient


async def send_request(client: AsyncClient, request: BatchRequest) -> BatchResult:
    """Send the request, with the client's retries; a failed call is a result with an `error`.

    The `exception` of that result is the `APIError` that the call has raised.

    Raises:
        InvalidArgumentError: the body is not JSON, or the client has no usable key.
        OpenAIError: the client is closed.
    """
    started = time.perf_counter()
    json = None if request.method == "GET" else request.body
    try:
        response = await client.request(request.method, request.path, json=json)
    except APIError as error:
        return _failed(request, error, error.status_code, time.perf_counter() - started)
    elapsed = time.perf_counter() - started
    try:
        body = response.json_object()
    except APIError as error:
        return _failed(request, error, response.status, elapsed)
    return BatchResult(
        custom_id=request.custom_id,
        id=_new_id(),
        response=BatchResponse(
            status_code=response.status,
            request_id=response.headers.get("x-request-id"),
            body=body,
        ),
        attempts=response.attempts,
        elapsed=elapsed,
        tokens=_tokens(body),
        rejections=response.rejections,
    )


def _failed(
    request: BatchRequest, error: APIError, status: int | None, elapsed: float
) -> BatchResult:
    """`status` is the HTTP status, which an error object with status 200 does not have."""
    response = None
    if status is not None and (isinstance(error, APIStatusError) or error.body is not None):
        response = BatchResponse(status_code=status, request_id=error.request_id, body=error.body)
    _forget_frames(error)
    return BatchResult(
        custom_id=request.custom_id,
        id=_new_id(),
        response=response,
        error=BatchError(code=_code(error), message=error.message),
        attempts=error.attempts,
        elapsed=elapsed,
        rejections=error.rejections,
        exception=error,
    )


def _code(error: APIError) -> str:
    """The kind of error. vLLM's `code` repeats the HTTP status: then its `type` says more."""
    code = error.code
    if code is not None and code.isdigit():
        code = None
    return code or error.type or type(error).__name__


def _tokens(body: dict[str, Any]) -> int:
    """`usage.total_tokens`; some servers write whole numbers as floats."""
    usage = body.get("usage")
    total = usage.get("total_tokens") if type(usage) is dict else None
    if type(total) is float and total.is_integer():
        return int(total)
    return total if type(total) is int else 0


def _new_id() -> str:
    # As unique as a uuid4, after a fork too, for a third of the time (0.5 us).
    return f"batch_req_{os.urandom(16).hex()}"


def _forget_frames(error: BaseException | None) -> None:
    """A result may be kept for long, and the frames of its exception would keep the whole call."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
