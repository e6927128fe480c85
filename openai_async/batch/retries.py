"""The retries and the pacing of a batch, which has more time than a single call."""

from __future__ import annotations

from attrs import evolve

from .. import Request, Response
from ..client import AsyncClient
from ..errors import APIStatusError
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

    async def __call__(self, request: Request, send: Send) -> Response:
        if self._server_responded:
            request.max_retries = max(request.max_retries, MAX_RETRIES)
        try:
            response = await send(request)
        except APIStatusError as error:
            self._server_responded |= error.status_code < 500
            raise
        self._server_responded = True
        return response
