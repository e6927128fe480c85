"""The retries and the pacing of a batch, which has more time than a single call."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from attrs import evolve

from .. import Request, Response
from ..client import AsyncClient
from ..errors import APIConnectionError, APIError, APIStatusError, APITimeoutError
from ..middleware import Send
from ..options import RateLimit

# The retries of one request last two minutes on average, four at most: a server that restarts is
# back by then. If a server asks for a pause of an hour (limits by the hour, maintenance), it gets
# it. That leaves only a few requests a second, so there is no need for a retry budget.
MAX_RETRIES = 10
MAX_DELAY = 60.0  # seconds
MAX_RETRY_AFTER = 3600.0  # seconds
RETRY_BUDGET = 1_000_000
# Until the server has answered once, it may as well be the wrong one, so the run fails sooner.
MAX_RETRIES_BEFORE_RESPONSE = 3


def batch_client(client: AsyncClient) -> AsyncClient:
    """A copy of the client with what a batch needs: pacing, and many retries.

    Settings of the client that already go further are kept, and so is its rate limit.
    """
    if any(isinstance(middleware, BatchRetries) for middleware in client.middlewares):
        return client
    policy = evolve(
        client.retry,
        max_retry_after=max(client.retry.max_retry_after, MAX_RETRY_AFTER),
        max_delay=max(client.retry.max_delay, MAX_DELAY),
        budget=max(client.retry.budget, RETRY_BUDGET),
    )
    return client.with_options(
        rate_limit=RateLimit() if client.rate_limit is None else client.rate_limit,
        retry=policy,
        max_retries=max(client.max_retries, MAX_RETRIES_BEFORE_RESPONSE),
        middlewares=[BatchRetries(), *client.middlewares],
    )


class BatchRetries:
    """A middleware: many retries for each request, once the server has responded to one."""

    def __init__(self) -> None:
        self._server_responded = False
        self._waiting: dict[int, Request] = {}  # for the first response; by `id()`

    def __call__(self, request: Request, send: Send) -> Coroutine[Any, Any, Response]:
        if self._server_responded:  # nearly always: saves a coroutine
            _allow_many(request)
            return send(request)  # type: ignore[return-value] # an awaitable will do
        return self._await_first_response(request, send)

    async def _await_first_response(self, request: Request, send: Send) -> Response:
        self._waiting[id(request)] = request
        try:
            response = await send(request)
        except APIStatusError as error:
            if error.status_code < 500:
                self._responded()
            raise
        finally:
            self._waiting.pop(id(request), None)
        self._responded()
        return response

    def _responded(self) -> None:
        self._server_responded = True
        while self._waiting:
            _allow_many(self._waiting.popitem()[1])


def _allow_many(request: Request) -> None:
    if request.max_retries < MAX_RETRIES:
        request.max_retries = MAX_RETRIES


def is_unreachable(error: APIError) -> bool:
    """Whether the server cannot be reached at all: not one that answers with errors."""
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)
