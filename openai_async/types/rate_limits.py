"""The rate limits that a server states in the headers of each response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

# A longer number is not a plausible count, and may be too large for a float, or for `int` itself.
MAX_DIGITS = 15
# Seconds. OpenAI's windows are a day at most. A bare number above that is a point in time: some
# gateways send a Unix time in seconds or milliseconds. It is not converted: which of the two it is,
# and whether the clocks agree, could only be guessed.
MAX_BARE = 86_400.0


@frozen(kw_only=True)
class RateLimits:
    """The server's limits, as stated in its `x-ratelimit-*` headers.

    Attributes:
        limit_requests, limit_tokens: how many the window allows.
        remaining_requests, remaining_tokens: how many of them are left.
        reset_requests, reset_tokens: seconds until all of them are available again.

    https://platform.openai.com/docs/guides/rate-limits
    """

    limit_requests: int | None = None
    limit_tokens: int | None = None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests: float | None = None
    reset_tokens: float | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RateLimits | None:
        """The limits in the headers; `None` if there are none."""
        found: dict[str, Any] = {}
        for what in ("requests", "tokens"):
            for part in ("limit", "remaining"):
                count = headers.get(f"x-ratelimit-{part}-{what}", "")
                if count.isascii() and count.isdecimal() and len(count) <= MAX_DIGITS:
                    found[f"{part}_{what}"] = int(count)
            if (wait := parse_duration(headers.get(f"x-ratelimit-reset-{what}", ""))) is not None:
                found[f"reset_{what}"] = wait
        return cls(**found) if found else None


@frozen(kw_only=True)
class ModelPace:
    """What a client with a `RateLimit` knows about one model: `client.rate_limits[model]`.

    Attributes:
        requests_per_minute, tokens_per_minute: the current pace; `None` if requests are sent at
            once.
        server: the limits in the headers of the latest response; `None` if there were none.
        waiting: how many requests are waiting for their turn.
        paused: seconds until the next request may be sent, after a 429; 0 if not paused.
        rejections: how many requests were rejected with 429.
    """

    requests_per_minute: float | None
    tokens_per_minute: float | None
    server: RateLimits | None
    waiting: int
    paused: float
    rejections: int


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float | None:
    """Seconds in `1s`, `6m0s`, `120ms`, `1h2m3s` (Go's duration format) or a bare number.

    `None` if it is neither, or a bare number above `MAX_BARE`.
    """
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        seconds = float(text)
        return seconds if seconds <= MAX_BARE else None
    if not re.fullmatch(r"([0-9]{1,12}(\.[0-9]+)?(ms|us|ns|[dhms]))+", text):
        return None
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|us|ns|[dhms])", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
