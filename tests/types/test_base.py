"""Meta data: rate limits, durations, pickling."""

from __future__ import annotations

import copy
import pickle

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from openai_async.types.base import ResponseMeta
from openai_async.types.rate_limits import RateLimits, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3s", 3723.0),
        ("1.5s", 1.5),
        ("2d", 172800.0),
        ("59.5", 59.5),
        ("0s", 0.0),
        ("", None),
        ("soon", None),
        ("1x", None),
        ("-1s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert (
        parse_duration(text) == pytest.approx(seconds)
        if seconds
        else parse_duration(text) == seconds
    )


def test_rate_limits_from_headers() -> None:
    headers = CIMultiDict(
        {
            "x-ratelimit-limit-requests": "60",
            "X-RateLimit-Remaining-Requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "many",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert RateLimits.from_headers(headers) == RateLimits(
        limit_requests=60, remaining_requests=59, reset_requests=1.0, reset_tokens=360.0
    )


def test_no_rate_limits() -> None:
    assert ResponseMeta().rate_limits is None


def test_meta_survives_pickling_and_copying() -> None:
    meta = ResponseMeta(
        status=200, headers=CIMultiDictProxy(CIMultiDict({"X-Request-Id": "r"})), attempts=2
    )
    for twin in (pickle.loads(pickle.dumps(meta)), copy.deepcopy(meta)):
        assert twin.request_id == "r"
        assert twin.attempts == 2
