"""Sends one request of a batch, as a client's `request` does; the outcome is a `BatchResult`.

Bodies that are text are passed on as text, in both directions.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import APIError, APIStatusError
from ..jsontext import dumps
from .json_text import JSONText
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
    return (await send_with_secret(client, request))[0]


async def send_with_secret(
    client: AsyncClient, request: BatchRequest
) -> tuple[BatchResult, str | None]:
    """Like `send_request`; also the keys that were sent, to be redacted from errors about the text.

    There are none for a failed call, whose errors are redacted already.
    """
    started = time.perf_counter()
    body = request.body
    if request.method == "GET":
        text = params = None
    else:
        text = body.data if type(body) is JSONText else dumps(body)
        params = body
    sent = client.build_request(request.method, request.path, content=text)
    sent.params = params
    # Send it in the next iteration of the event loop, together with the other requests that are
    # ready by then. If each were sent as soon as it is ready, they would be so far apart that the
    # kernel would have to wake the receiver for each one: a fifth of the CPU time of a request.
    await asyncio.sleep(0)
    try:
        response = await client.send(sent)
    except APIError as error:
        return _failed(request, error, error.status_code, time.perf_counter() - started), None
    elapsed = time.perf_counter() - started
    request_id = response.headers.get("x-request-id")
    tokens = _quick_tokens(response.body)
    if tokens is not None:
        answer = BatchResponse.of_text(response.status, request_id, response.body)
    else:
        try:
            value = response.json_object()
        except APIError as error:
            return _failed(request, error, response.status, elapsed), None
        tokens = _tokens(value)
        answer = BatchResponse(status_code=response.status, request_id=request_id, body=value)
    result = BatchResult(
        custom_id=request.custom_id,
        id=_new_id(),
        response=answer,
        attempts=response.attempts,
        elapsed=elapsed,
        tokens=tokens,
        rejections=response.rejections,
    )
    return result, response.secret


def _failed(
    request: BatchRequest, error: APIError, status: int | None, elapsed: float
) -> BatchResult:
    """`status` is the HTTP status, which an error object with status 200 does not have."""
    response = None
    if status is not None and (isinstance(error, APIStatusError) or error.body is not None):
        response = BatchResponse(status_code=status, request_id=error.request_id, body=error.body)
    forget_frames(error)
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


class _Usage(msgspec.Struct, gc=False):
    total_tokens: int = 0


class _Answer(msgspec.Struct, gc=False):
    usage: _Usage | None = None
    error: None = None
    object: str | None = None
    type: str | None = None


_answer = msgspec.json.Decoder(_Answer).decode


def _quick_tokens(body: bytes) -> int | None:
    """As `_tokens`, without making objects of the whole answer; `None` if it needs a closer look.

    An answer does if it is not a JSON object, or may be an error.
    """
    try:
        answer = _answer(body)
        if not body.isascii():
            body.decode()  # msgspec does not check for valid UTF-8 in what it skips
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    if answer.object == "error" or answer.type == "error":
        return None
    return 0 if answer.usage is None else answer.usage.total_tokens


def _tokens(body: dict[str, Any]) -> int:
    """`usage.total_tokens`; some servers write whole numbers as floats."""
    usage = body.get("usage")
    total = usage.get("total_tokens") if type(usage) is dict else None
    if type(total) is float and total.is_integer():
        return int(total)
    return total if type(total) is int else 0


# As unique as uuid4s, for a fraction of the time: random numbers for many ids at once.
_IDS = 256
_unused: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unused.clear)


def _new_id() -> str:
    while True:
        try:
            return f"batch_req_{_unused.pop()}"
        except IndexError:
            digits = os.urandom(16 * _IDS).hex()
            _unused.extend(digits[at : at + 32] for at in range(0, 32 * _IDS, 32))


def forget_frames(error: BaseException | None) -> None:
    """A result may be kept for long, and the frames of its exception would keep the whole call."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
