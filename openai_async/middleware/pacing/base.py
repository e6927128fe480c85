"""Pacing as a middleware: each attempt acquires a reservation, and reports how it ended.

Where reservations come from is up to a `ModelLimiter`: the pace of this process (local.py), or
something that several processes share, such as the Ray engine of `batch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import Any, Generic, TypeAlias, TypeVar

from ...errors import APIStatusError
from ...http.request import Request, Response
from ...options import RateLimit
from ...types.rate_limits import RateLimits
from ...types.stream_end import StreamEnd
from ..chain import Send
from .pace import Outcome
from .token_estimate import total_tokens

# The headers and usage of answers are read once in this many seconds: of every answer up to fifty a
# second, and of enough of them beyond. Reading them takes longer than everything else in pacing.
SAMPLE_INTERVAL = 0.02

Params: TypeAlias = Mapping[str, Any] | None
R = TypeVar("R")
"""A limiter's reservation for one attempt; its truth value is True."""
L = TypeVar("L", bound="ModelLimiter[Any]")

_SUCCEEDED = Outcome("succeeded")
_FAILED = Outcome("failed")


class ModelLimiter(ABC, Generic[R]):
    """What paces the requests to one model."""

    next_sample: float = -inf
    """When to read an answer's headers and usage next."""

    @property
    @abstractmethod
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a request uses."""

    @property
    @abstractmethod
    def unbounded(self) -> bool:
        """Whether any number may be in flight, so that not every success has to be reported."""

    @abstractmethod
    def acquire_nowait(self, params: Params) -> R | None:
        """A reservation, if a request may leave now and none is waiting."""

    @abstractmethod
    async def acquire(self, params: Params) -> R:
        """Wait for a reservation, first come, first served."""

    @abstractmethod
    def report(self, reservation: R, outcome: Outcome) -> None:
        """Record how the attempt ended, or later the tokens that its stream used."""


class PacingMiddleware(Generic[L]):
    """Paces the requests to each model.

    It is next to the wire, within the retries: every attempt acquires its own reservation.
    """

    def __init__(self, limit: RateLimit, new_limiter: Callable[[str], L]) -> None:
        self._adaptive = limit.adaptive
        self._new_limiter = new_limiter
        self._limiters: dict[str, L] = {}

    async def __call__(self, request: Request, send: Send) -> Response:
        if request.api_key is None:  # a picture's URL, on some other server
            return await send(request)
        params = request.params
        model = None if params is None else params.get("model")
        limiter = self._limiters.get(model) if type(model) is str else None
        if limiter is None:
            limiter = self._limiter(model)
        reservation = limiter.acquire_nowait(params) or await limiter.acquire(params)
        try:
            response = await send(request)
        except APIStatusError as error:
            limiter.report(reservation, self._outcome_of_error(error))
            raise
        except BaseException:
            limiter.report(reservation, _FAILED)
            raise
        now = monotonic()
        if now >= limiter.next_sample:
            limiter.next_sample = now + SAMPLE_INTERVAL
            limiter.report(reservation, self._sample(limiter, reservation, response))
        elif not limiter.unbounded:
            limiter.report(reservation, _SUCCEEDED)
        return response

    def _limiter(self, model: Any) -> L:
        name = model if type(model) is str else ""
        limiter = self._limiters.get(name)
        if limiter is None:  # several threads may get here
            limiter = self._limiters.setdefault(name, self._new_limiter(name))
        return limiter

    def _sample(self, limiter: ModelLimiter[R], reservation: R, response: Response) -> Outcome:
        limits = RateLimits.from_headers(response.headers) if self._adaptive else None
        tokens = None
        if limiter.counts_tokens:
            if response.stream is None:
                tokens = total_tokens(response.body)
            else:  # the usage comes with its last event

                def settle(end: StreamEnd) -> None:
                    if (tokens := end.total_tokens) is not None:
                        limiter.report(reservation, Outcome("settled", tokens=tokens))

                response.on_stream_end.append(settle)
        return Outcome("succeeded", limits, tokens=tokens)

    def _outcome_of_error(self, error: APIStatusError) -> Outcome:
        if error.status_code >= 500:
            return _FAILED
        limits = RateLimits.from_headers(error.headers or {}) if self._adaptive else None
        if error.status_code == 429:
            return Outcome("rate_limited", limits, error.retry_after)
        return Outcome("rejected_as_invalid", limits)
