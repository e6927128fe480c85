"""What a server says of its limits in the headers of each answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

# More is no count of anything, and may be too much for a float, or for `int` itself.
MAX_DIGITS = 15
# Seconds. OpenAI's windows are a day at most. A bare number above it is a moment, which some
# gateways send as a unix time in seconds or milliseconds. It is not converted: which of them it
# is, and whether the clocks agree, would be guessed.
MAX_BARE = 86_400.0


@frozen(kw_only=True)
class RateLimits:
    """The server's own account of its limits, from the `x-ratelimit-*` headers.

    Attributes:
        limit_requests, limit_tokens: how many the window allows.
        remaining_requests, remaining_tokens: how many of them are left.
        reset_requests, reset_tokens: seconds until the window is full again.

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
        """What the headers say; `None` if they say nothing."""
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
    """What a client with a `RateLimit` knows of one model: `client.rate_limits[model]`.

    Attributes:
        requests_per_minute, tokens_per_minute: how fast they leave at present; `None` is at once.
        server: what the latest answer's headers said; `None` if they said nothing.
        waiting: requests that wait for their turn.
        paused: seconds until the next may leave because a 429 said so; 0 for no pause.
        rejections: how many requests were answered with 429.
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
