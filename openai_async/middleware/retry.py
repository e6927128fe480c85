"""Retries: which failures are retried, after what delay, and when the budget stops them."""

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
from ..http.log_lines import failure, log, named
from ..http.request import Request, Response
from ..http.waits import PendingWaits
from ..options import RetryPolicy
from ..wire.failures import advise
from .chain import Send

RETRYABLE_STATUSES = frozenset({408, 409, 429})
"""In addition to all 5xx."""

# Tokens, as in the AWS SDKs' standard retry mode.
RETRY_COST = 5
TIMEOUT_COST = 10
SUCCESS_REFUND = 1


_BUDGET_SPENT = "Not retried: too many calls have failed (see RetryPolicy.budget)."


class Retry:
    """Retries requests that may succeed the next time.

    | failure                                     | retried?                          |
    | ------------------------------------------- | --------------------------------- |
    | connection error, timeout, truncated body   | yes                               |
    | an untrusted certificate                    | no                                |
    | 408, 409, 429, 5xx                          | yes                               |
    | other statuses, `insufficient_quota`        | no                                |
    | any status with `x-should-retry`            | as it says                        |
    | `retry-after` above `max_retry_after`       | no: the error has the seconds     |
    | a stream after its first chunk              | no: it has left this middleware   |
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
                if not self.budget.acquire(cost):
                    if log.isEnabledFor(logging.INFO):
                        log.info(
                            "%s: %s, no retry: the budget is used up",
                            named(request),
                            failure(error),
                        )
                    if self.policy.budget and error.status_code != 429:  # which has its advice
                        advise(error, _BUDGET_SPENT)
                    raise
                paid = cost
                if log.isEnabledFor(logging.INFO):
                    log.info(
                        "%s: %s, retry %d of %d in %.2f s",
                        named(request),
                        failure(error),
                        attempt,
                        request.max_retries,
                        delay,
                    )
                for told in request.state.on_retry:
                    told(error, attempt, delay)
            else:
                response.attempts, response.rejections = attempt, rejections
                if self.budget.tokens < self.budget.capacity:
                    self.budget.release(paid or SUCCESS_REFUND)
                return response
            await self._waits.sleep(delay)
            attempt += 1

    def _delay(self, error: APIError, attempt: int, request: Request) -> float | None:
        """Seconds until the next attempt; `None` for no retry.

        The reason is known only here, so this adds the advice to the error.
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
        # Bounded, as 2.0 ** 1024 raises OverflowError.
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
    # In milliseconds, like retry-after-ms; the time until a date has microseconds.
    return f"{round(value, 3):.12g} s"


def _cost(error: APIError) -> int:
    # A 429 with retry-after comes from a server that is healthy and paces us. Waiting as it asks
    # does not overload it, and a long batch under a rate limit must not exhaust the budget.
    if error.status_code == 429 and error.retry_after:
        return 0
    return TIMEOUT_COST if isinstance(error, APITimeoutError) else RETRY_COST


@define(eq=False, repr=False)
class RetryBudget:
    """A bucket of tokens, shared by all calls of a client: retries drain it, successes refill it.

    When a server is down, thousands of tasks would each send `1 + max_retries` requests. With the
    budget they send about `capacity / 5` retries between them, and then fail without retrying.
    """

    capacity: int
    tokens: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = self.capacity

    def acquire(self, cost: int) -> bool:
        """Take the cost of a retry, if the budget has it."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def release(self, refund: int) -> None:
        self.tokens = min(self.capacity, self.tokens + refund)
