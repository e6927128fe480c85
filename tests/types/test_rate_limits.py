"""Rate limits, read from the headers of an answer, however odd they are."""

from __future__ import annotations

import pytest

from openai_async.types.rate_limits import RateLimits, parse_duration


def test_the_headers_of_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert RateLimits.from_headers(headers) == RateLimits(
        limit_requests=10_000,
        limit_tokens=2_000_000,
        remaining_requests=9_999,
        remaining_tokens=0,
        reset_requests=0.006,
        reset_tokens=360.0,
    )


def test_without_rate_limit_headers_there_are_no_limits() -> None:
    assert RateLimits.from_headers({"content-type": "application/json"}) is None


@pytest.mark.parametrize(
    "count",
    ["", "-1", "1.5", "1e3", " 1", "many", "²", "٣", "9" * 16, "9" * 400, "9" * 5000],
    ids=lambda count: f"{count[:4]!r} x {len(count)}",
)
def test_an_invalid_count_is_ignored(count: str) -> None:
    for part in ("limit", "remaining"):
        assert RateLimits.from_headers({f"x-ratelimit-{part}-tokens": count}) is None


def test_a_count_may_have_fifteen_digits() -> None:
    found = RateLimits.from_headers({"x-ratelimit-limit-tokens": "9" * 15})
    assert found == RateLimits(limit_tokens=999_999_999_999_999)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3s", 3723.0),
        ("7.66s", 7.66),
        ("1d", 86_400.0),
        ("2d", 172_800.0),
        ("20us", 0.00002),
        ("59", 59.0),
        ("0.25", 0.25),
        ("86400", 86_400.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1x", "1s 2s", "٣s", "٣", "²", "9" * 5000])
def test_invalid_durations(text: str) -> None:
    assert parse_duration(text) is None


# A unix time in seconds, in milliseconds, and a second more than a day.
@pytest.mark.parametrize("text", ["1735689600", "1735689600000", "1735689600.5", "86401"])
def test_a_point_in_time_is_not_a_duration(text: str) -> None:
    assert parse_duration(text) is None
    assert RateLimits.from_headers({"x-ratelimit-reset-tokens": text}) is None
