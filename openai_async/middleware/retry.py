"""Retry: which failures are tried again, after how long, and when a server is left in peace."""

from __future__ import annotations

import logging
import random

from attrs import define, field

from ..errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    InsufficientQuotaError,
)
from ..http.connection_errors import is_certificate_error
from ..http.request import Request, Response
from ..http.waits import PendingWaits
from ..options import RetryPolicy
from ..wire.failures import advise
from . import Send

log = logging.getLogger("openai_async")

RETRYABLE_STATUSES = frozenset({408, 409, 429})
"""Besides all of 5xx."""

# Tokens, as in the AWS SDKs' standard retry mode.
RETRY_COST = 5
TIMEOUT_COST = 10
SUCCESS_REFUND = 1


class Retry:
    """Sends again what may succeed the next time.

    | failure                                     | tried again?                      |
    | ------------------------------------------- | --------------------------------- |
    | connection error, timeout, body cut short   | yes                               |
    | an untrusted certificate                    | no                                |
    | 408, 409, 429, 5xx                          | yes                               |
    | other statuses, `insufficient_quota`        | no                                |
    | any status with `x-should-retry`            | as it says                        |
    | `retry-after` above `max_retry_after`       | no: the error carries the seconds |
    | a stream that has given its first chunk     | no: it is past this middleware    |
    """

    def __init__(self, policy: RetryPolicy, waits: PendingWaits) -> None:
        self.policy = policy
        self._waits = waits
        self.budget = RetryBudget(policy.budget)

    async def __call__(self, request: Request, send: Send) -> Response:
        attempt = 1
        paid = rejections = 0
        while True:
            try:
                response = await send(request)
            except APIError as error:
                rejections += error.status_code == 429
                error.attempts, error.rejections = attempt, rejections
                delay = self._delay(error, attempt, request)
                if delay is None:
                    raise
                cost = _cost(error)
                path = request.url.path  # for the log: a query may hold a vendor's key
                if not self.budget.acquire(cost):
                    log.info("%s %s: no retry, the budget is used up", request.method, path)
                    raise
                paid = cost
                log.info(
                    "%s %s: %s; retry %d of %d in %.2f s",
                    request.method,
                    path,
                    type(error).__name__,
                    attempt,
                    request.max_retries,
                    delay,
                )
            else:
                response.attempts, response.rejections = attempt, rejections
                if self.budget.tokens < self.budget.capacity:
                    self.budget.release(paid or SUCCESS_REFUND)
                return response
            await self._waits.sleep(delay)
            attempt += 1

    def _delay(self, error: APIError, attempt: int, request: Request) -> float | None:
        """Seconds until the next attempt; `None` if there is none.

        Only here do we know why there is none, so the error gets its advice here.
        """
        if request.state.no_retry or not is_retryable(error):
            return None
        longest = self.policy.max_retry_after
        if error.retry_after and error.retry_after > longest:
            advise(
                error,
                f"The server asks to wait {_seconds(error.retry_after)}, longer than "
                f"max_retry_after ({_seconds(longest)}): try again after that time, or raise "
                "the limit with retry=RetryPolicy(max_retry_after=...).",
            )
            return None
        if attempt > request.max_retries:
            if error.status_code == 429:
                advise(error, "Send more slowly or raise max_retries.")
            return None
        if error.retry_after:
            return error.retry_after
        # The exponent is bounded: 2.0 ** 1024 is an OverflowError.
        ceiling = self.policy.initial_delay * 2.0 ** min(attempt - 1, 64)
        return random.uniform(0, min(self.policy.max_delay, ceiling))


def is_retryable(error: APIError) -> bool:
    """Whether the same request may succeed the next time."""
    should = "" if error.headers is None else error.headers.get("x-should-retry", "").lower()
    if should in ("true", "false"):
        return should == "true"
    if isinstance(error, APIConnectionError):
        return not is_certificate_error(error.__cause__)
    if isinstance(error, InsufficientQuotaError) or error.status_code is None:
        return False
    return error.status_code >= 500 or error.status_code in RETRYABLE_STATUSES


def _seconds(value: float) -> str:
    # To the millisecond, like retry-after-ms; the time until a date would have microseconds.
    return f"{round(value, 3):.12g} s"


def _cost(error: APIError) -> int:
    # A 429 that names its wait comes from a server that is alive and paces us: waiting as told
    # does not hammer it, and a long batch under a rate limit must not run out of budget.
    if error.status_code == 429 and error.retry_after:
        return 0
    return TIMEOUT_COST if isinstance(error, APITimeoutError) else RETRY_COST


@define
class RetryBudget:
    """A bucket of tokens that all calls of a client share: retries empty it, successes fill it.

    When a server is down, thousands of tasks would each send `1 + max_retries` requests. With the
    bucket they send about `capacity / 5` retries between them, and then fail at the first try.
    """

    capacity: int
    tokens: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = self.capacity

    def acquire(self, cost: int) -> bool:
        """Pay for a retry, if there is enough."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def release(self, refund: int) -> None:
        self.tokens = min(self.capacity, self.tokens + refund)
