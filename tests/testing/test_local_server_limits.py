"""LocalServer's own limits: the arithmetic, at made-up times, and what a client sees."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import AsyncClient
from openai_async.testing import Failure, LocalServer, Reply, ServerLimits
from openai_async.testing.limits import Decision, Limiter, estimate_tokens
from openai_async.testing.meters import go_duration
from openai_async.types.rate_limits import parse_duration

from .asking import HELLO, STREAM, chat

pytestmark = pytest.mark.virtual_time

# So few that no room comes back while a test runs.
FEW = ServerLimits(requests_per_minute=1, burst=60)
NOW = 1_000_000.0
# What a clock may say on a machine that has been on for up to a month.
CLOCK = st.floats(0, 3e6)


def limiter(**limits: Any) -> Limiter:
    return Limiter(ServerLimits(**limits))


def ask(limiter: Limiter, now: float, *, tokens: int = 1, model: str | None = "m") -> Decision:
    return limiter.admit(model, tokens, now)


def passed(limiter: Limiter, now: float, times: int, **fields: Any) -> int:
    """How many of so many requests at one time pass."""
    return sum(ask(limiter, now, **fields).message is None for _ in range(times))


def wait_of(decision: Decision) -> float:
    return int(decision.headers["retry-after-ms"]) / 1000


def tokens_left(limiter: Limiter, now: float) -> int:
    """What is left after one more token is used."""
    return int(ask(limiter, now).headers["x-ratelimit-remaining-tokens"])


# The bucket


@pytest.mark.parametrize(
    ("per_minute", "burst", "at_once"), [(1200, 1.0, 20), (1200, 60.0, 1200), (6, 1.0, 1)]
)
def test_a_bucket_holds_the_seconds_of_its_burst_and_at_least_one_request(
    per_minute: float, burst: float, at_once: int
) -> None:
    limits = limiter(requests_per_minute=per_minute, burst=burst)
    assert passed(limits, NOW, at_once + 5) == at_once
    assert limits.rejections == 5


def test_a_bucket_fills_evenly() -> None:
    limits = limiter(requests_per_minute=1200)
    assert passed(limits, NOW, 30) == 20
    assert passed(limits, NOW + 0.25, 30) == 5
    assert passed(limits, NOW + 100, 30) == 20


def test_a_request_beyond_the_limit_learns_when_it_would_pass() -> None:
    limits = limiter(requests_per_minute=1200)
    assert passed(limits, NOW, 20) == 20
    refused = ask(limits, NOW + 0.005)
    assert refused.kind == "requests"
    assert refused.message == (
        "Rate limit reached for m on requests per min (RPM): Limit 1200, Used 1200, Requested 1. "
        "Please try again in 45ms."
    )
    assert refused.headers == {
        "x-ratelimit-limit-requests": "1200",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "995ms",
        "retry-after-ms": "45",
        "retry-after": "1",
    }


@given(now=CLOCK, per_minute=st.floats(1, 1e6), burst=st.floats(0.001, 60), window=st.booleans())
def test_a_retry_passes_at_the_stated_time_and_not_a_moment_sooner(
    now: float, per_minute: float, burst: float, window: bool
) -> None:
    limits = limiter(
        requests_per_minute=1e9,
        tokens_per_minute=per_minute,
        burst=burst,
        window=burst if window else None,
    )
    quarter = max(1, int(per_minute * burst / 60 / 4))
    answers = [ask(limits, now, tokens=quarter) for _ in range(9)]
    refused = answers[-1]
    assert answers[0].message is None
    wait = wait_of(refused)
    sooner = max(now, now + wait - 0.0011)
    assert ask(limits, sooner, tokens=quarter).message is not None
    assert ask(limits, now + wait, tokens=quarter).message is None


@given(now=CLOCK, steps=st.lists(st.floats(0, 0.2), max_size=60))
def test_never_more_pass_than_the_bucket_held_and_what_has_come_since(
    now: float, steps: list[float]
) -> None:
    limits = limiter(requests_per_minute=600)
    elapsed, count = 0.0, 0
    for step in steps:
        elapsed += step
        count += passed(limits, now + elapsed, 3)
        assert count <= 10 + 10 * elapsed + 1e-3


def test_a_rejected_request_takes_nothing_from_either_bucket() -> None:
    limits = limiter(requests_per_minute=60, tokens_per_minute=6000, burst=2)
    assert ask(limits, NOW, tokens=150).message is None
    assert ask(limits, NOW, tokens=100).kind == "tokens"
    assert ask(limits, NOW, tokens=50).message is None
    last = ask(limits, NOW, tokens=1)
    assert (last.kind, wait_of(last)) == ("requests", 1.0)


def test_the_limit_that_takes_longest_is_named() -> None:
    limits = limiter(requests_per_minute=60, tokens_per_minute=6000)
    ask(limits, NOW, tokens=300)
    refused = ask(limits, NOW, tokens=100)
    assert (refused.kind, wait_of(refused)) == ("tokens", 3.0)
    assert refused.message is not None
    assert "on tokens per min (TPM): Limit 6000, Used 6200, Requested 100." in refused.message


def test_each_model_has_its_own_bucket_and_requests_without_one_share_theirs() -> None:
    limits = limiter(requests_per_minute=60)
    names: list[str | None] = ["a", "b", None, "a", "b", None]
    answers = [ask(limits, NOW, model=name).message is None for name in names]
    assert answers == [True, True, True, False, False, False]


def test_of_very_many_models_those_in_use_are_remembered() -> None:
    limits = limiter(requests_per_minute=1, burst=60)
    ask(limits, NOW + 59, model="busy")
    for second in range(10_000):
        ask(limits, NOW + 59 + second / 1000, model=f"model {second}")
    assert ask(limits, NOW + 70, model="busy").message is not None
    for minute in range(10_000):
        ask(limits, NOW + 60 * minute + 200, model=f"late model {minute}")
    assert len(limits._models) <= 1000


# Tokens


def test_a_request_larger_than_the_bucket_takes_a_full_one_and_the_next_wait() -> None:
    limits = limiter(tokens_per_minute=6000)
    assert ask(limits, NOW, tokens=1000).message is None
    assert wait_of(ask(limits, NOW, tokens=1)) == pytest.approx(9.01)
    assert ask(limits, NOW + 9.01, tokens=1).message is None


def test_a_request_larger_than_the_limit_is_too_large_and_no_wait_is_named() -> None:
    refused = ask(limiter(tokens_per_minute=6000), NOW, tokens=6001)
    assert refused.message == (
        "Request too large for m on tokens per min (TPM): Limit 6000, Requested 6001. "
        "The input or output tokens must be reduced in order to run successfully."
    )
    assert "retry-after" not in refused.headers
    assert "retry-after-ms" not in refused.headers


def test_the_estimate_is_replaced_by_what_was_used() -> None:
    limits = limiter(tokens_per_minute=6000, burst=60)
    decision = ask(limits, NOW, tokens=5000)
    assert ask(limits, NOW, tokens=2000).message is not None
    decision.settle(500, NOW)
    assert tokens_left(limits, NOW) == 6000 - 500 - 1


def test_an_answer_larger_than_its_estimate_leaves_a_debt() -> None:
    limits = limiter(tokens_per_minute=6000)
    ask(limits, NOW, tokens=50).settle(250, NOW + 0.5)
    # 100 a second: 50 at once, all back after 0.5 s, then 200 more.
    assert wait_of(ask(limits, NOW + 0.5, tokens=1)) == pytest.approx(1.01)


@given(now=CLOCK, after=st.floats(0, 5), estimate=st.integers(1, 500), used=st.integers(0, 500))
def test_settling_refunds_no_more_than_was_charged(
    now: float, after: float, estimate: int, used: int
) -> None:
    limits = limiter(tokens_per_minute=6000, burst=10)
    ask(limits, now, tokens=estimate).settle(used, now + after)
    assert tokens_left(limits, now + after) <= 1000 - 1
    assert tokens_left(limits, now + after) >= 1000 - max(used, estimate) - 2


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, 0),
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 70, "max_tokens": 100}, 70),
        ({"max_completion_tokens": None, "max_tokens": 100}, 100),
        ({"max_tokens": "many"}, 0),
        ({"max_tokens": -5}, 0),
        ({"max_tokens": True}, 0),
    ],
)
def test_a_request_is_charged_for_its_text_and_the_longest_answer(
    fields: dict[str, Any], more: int
) -> None:
    body = json.dumps({**HELLO, **fields}).encode()
    assert estimate_tokens(body, json.loads(body)) == len(body) // 4 + 1 + more


@pytest.mark.parametrize("body", [b"", b"{", b"[1]"])
def test_a_body_that_is_not_an_object_is_charged_too(body: bytes) -> None:
    assert estimate_tokens(body, None) == 1


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_pictures_cost_what_pictures_do_whatever_the_length_of_their_base64(size: int) -> None:
    url = "data:image/png;base64," + base64.b64encode(b"x" * size).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}] * 2
    fields = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    text = len(json.dumps(fields)) - 2 * len(f'"{url}"')
    assert estimate_tokens(json.dumps(fields).encode(), fields) == text // 4 + 1 + 2 * 765


# The fixed window


def test_a_window_allows_its_share_and_is_free_again_all_at_once() -> None:
    limits = limiter(requests_per_minute=60, window=10)
    assert passed(limits, NOW, 15) == 10
    assert passed(limits, NOW + 9.9, 5) == 0
    assert passed(limits, NOW + 10, 15) == 10


def test_a_window_opens_with_its_first_request() -> None:
    limits = limiter(requests_per_minute=60, window=60)
    assert passed(limits, NOW + 35, 60) == 60
    refused = ask(limits, NOW + 90)
    assert wait_of(refused) == 5.0
    assert refused.headers["x-ratelimit-reset-requests"] == "5s"


def test_a_window_has_no_use_for_a_burst() -> None:
    limits = limiter(requests_per_minute=60, window=60, burst=0.001)
    assert passed(limits, NOW, 70) == 60


@pytest.mark.parametrize(("per_minute", "window", "at_once"), [(6000, 0.57, 57), (6, 1, 1)])
def test_a_window_allows_whole_requests_and_at_least_one(
    per_minute: float, window: float, at_once: int
) -> None:
    assert passed(limiter(requests_per_minute=per_minute, window=window), NOW, 90) == at_once


def test_an_answer_is_settled_in_the_window_it_was_asked_in() -> None:
    limits = limiter(tokens_per_minute=6000, window=10)
    late = ask(limits, NOW, tokens=900)
    early = ask(limits, NOW, tokens=50)
    early.settle(20, NOW + 1)
    assert tokens_left(limits, NOW + 1) == 1000 - 900 - 20 - 1
    ask(limits, NOW + 10, tokens=500)
    late.settle(10, NOW + 11)
    assert tokens_left(limits, NOW + 11) == 1000 - 500 - 1


def test_a_request_larger_than_the_window_is_too_large() -> None:
    refused = ask(limiter(tokens_per_minute=6000, window=1), NOW, tokens=101)
    assert refused.message is not None
    assert "Request too large" in refused.message
    assert "Limit 100, Requested 101" in refused.message


# The headers


def test_the_headers_tell_what_is_left_once_the_request_is_counted() -> None:
    limits = limiter(requests_per_minute=600, tokens_per_minute=60_000, burst=60)
    ask(limits, NOW, tokens=1000)
    assert ask(limits, NOW, tokens=500).headers == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "598",
        "x-ratelimit-reset-requests": "200ms",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "58500",
        "x-ratelimit-reset-tokens": "1.5s",
    }


@pytest.mark.parametrize("back", range(1, 21))
def test_what_is_left_is_counted_as_if_floats_were_exact(back: int) -> None:
    limits = limiter(requests_per_minute=1200)
    assert passed(limits, NOW, 20) == 20
    left = ask(limits, NOW + back / 20).headers["x-ratelimit-remaining-requests"]
    assert left == str(back - 1)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_only_the_limits_there_are_have_headers(kind: str) -> None:
    headers = ask(limiter(**{f"{kind}_per_minute": 60}), NOW).headers
    assert set(headers) == {
        f"x-ratelimit-{part}-{kind}" for part in ("limit", "remaining", "reset")
    }


def test_without_headers_only_the_429_shows_the_limit() -> None:
    limits = limiter(requests_per_minute=60, headers=False)
    assert ask(limits, NOW).headers == {}
    assert ask(limits, NOW).headers == {"retry-after-ms": "1000", "retry-after": "1"}


def test_without_retry_after_the_wait_is_only_in_the_message() -> None:
    limits = limiter(requests_per_minute=60, headers=False, retry_after=False)
    ask(limits, NOW)
    refused = ask(limits, NOW)
    assert refused.headers == {}
    assert refused.message is not None
    assert refused.message.endswith("Please try again in 1s.")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (50, "50ms"),
        (1000, "1s"),
        (1500, "1.5s"),
        (59_999, "59.999s"),
        (360_000, "6m0s"),
        (3_723_000, "1h2m3s"),
        (3_600_500, "1h0m0.5s"),
        (86_400_000, "24h0m0s"),
    ],
)
def test_durations_are_written_as_go_does(milliseconds: int, text: str) -> None:
    assert go_duration(milliseconds) == text


@given(st.integers(0, 10**9))
def test_durations_can_be_read_again(milliseconds: int) -> None:
    assert parse_duration(go_duration(milliseconds)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "requests_per_minute or tokens_per_minute"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": float("nan")}, "requests_per_minute"),
        ({"requests_per_minute": True}, "requests_per_minute"),
        ({"tokens_per_minute": "60"}, "tokens_per_minute"),
        ({"tokens_per_minute": 10**400}, "tokens_per_minute"),
        ({"requests_per_minute": 60, "burst": 0}, "burst"),
        ({"requests_per_minute": 60, "burst": None}, "burst"),
        ({"requests_per_minute": 60, "window": -1}, "window"),
        ({"requests_per_minute": 60, "window": float("inf")}, "window"),
        ({"requests_per_minute": 60, "headers": 1}, "headers"),
        ({"requests_per_minute": 60, "retry_after": None}, "retry_after"),
    ],
)
def test_impossible_limits_are_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ServerLimits(**fields)


def test_a_server_takes_its_limits_as_one_object() -> None:
    limits: Any = 60
    with pytest.raises(ValueError, match="limits must be ServerLimits"):
        LocalServer(limits=limits)


# Over real sockets


async def test_a_request_beyond_the_limit_is_a_429_in_openai_shape(
    http: aiohttp.ClientSession,
) -> None:
    async with LocalServer(limits=FEW) as server:
        assert (await chat(server, http))[0] == 200
        async with http.post(f"{server.url}/chat/completions", json=HELLO) as response:
            assert response.status == 429
            error = (await response.json())["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "requests",
            "rate_limit_exceeded",
            None,
        )
        assert error["message"].startswith("Rate limit reached for gpt-4o on requests per min")
        seconds = int(response.headers["retry-after"])
        assert 0 <= seconds * 1000 - int(response.headers["retry-after-ms"]) < 1000
        assert response.headers["x-ratelimit-remaining-requests"] == "0"
        assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("body", [HELLO, STREAM])
async def test_every_limited_answer_has_the_headers(
    http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    limits = ServerLimits(requests_per_minute=100, tokens_per_minute=10_000, window=600)
    async with LocalServer(limits=limits) as server:
        async with http.post(f"{server.url}/chat/completions", json=body) as response:
            headers = response.headers
            sent = server.requests[-1].body
        assert headers["x-ratelimit-limit-requests"] == "100"
        assert headers["x-ratelimit-remaining-requests"] == "999"
        assert headers["x-ratelimit-limit-tokens"] == "10000"
        assert headers["x-ratelimit-remaining-tokens"] == str(100_000 - len(sent) // 4 - 1)
        assert headers["x-ratelimit-reset-tokens"] == "10m0s"


async def test_without_headers_an_answer_says_nothing_of_limits(
    http: aiohttp.ClientSession,
) -> None:
    limits = ServerLimits(requests_per_minute=1, window=60, headers=False)
    async with LocalServer(limits=limits) as server:
        for status in (200, 429):
            async with http.post(f"{server.url}/chat/completions", json=HELLO) as response:
                assert response.status == status
                assert not any(name.lower().startswith("x-ratelimit") for name in response.headers)
        assert "retry-after-ms" in response.headers


async def test_the_list_of_models_is_not_limited(http: aiohttp.ClientSession) -> None:
    async with LocalServer(limits=FEW) as server:
        for _ in range(3):
            async with http.get(f"{server.url}/models") as response:
                assert response.status == 200
                assert "x-ratelimit-limit-requests" not in response.headers
        assert server.rejections == 0


@pytest.mark.parametrize("body", [HELLO, STREAM, {**STREAM, "n": 3}])
async def test_an_answer_is_charged_with_its_usage(
    http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    limits = ServerLimits(tokens_per_minute=100_000, window=60)
    async with LocalServer(limits=limits) as server, LocalServer() as free:
        url = f"{server.url}/chat/completions"
        async with http.post(url, json={**body, "max_tokens": 90_000}) as response:
            before = response.headers["x-ratelimit-remaining-tokens"]
            await response.read()
        async with http.post(url, json=HELLO) as response:
            after = response.headers["x-ratelimit-remaining-tokens"]
        _, answer = await chat(free, http, n=body.get("n", 1))
        assert int(before) < 10_000
        estimate = estimate_tokens(server.requests[-1].body, HELLO)
        assert int(after) == 100_000 - answer["usage"]["total_tokens"] - estimate


async def test_a_scripted_usage_is_charged(http: aiohttp.ClientSession) -> None:
    async with LocalServer(limits=ServerLimits(tokens_per_minute=1000, window=60)) as server:
        server.script(Reply("Hello!", usage={"total_tokens": 990}))
        assert (await chat(server, http))[0] == 200
        status, answer = await chat(server, http)
        assert (status, answer["error"]["type"]) == (429, "tokens")
        assert "Limit 1000, Used 990," in answer["error"]["message"]


@pytest.mark.parametrize("usage", [{}, {"total_tokens": None}, {"total_tokens": -5000}])
async def test_a_usage_without_a_total_leaves_the_estimate(
    http: aiohttp.ClientSession, usage: dict[str, Any]
) -> None:
    async with LocalServer(limits=ServerLimits(tokens_per_minute=1000, window=60)) as server:
        server.script(Reply("Hello!", usage=usage))
        assert (await chat(server, http, max_tokens=900))[0] == 200
        assert (await chat(server, http, max_tokens=900))[0] == 429


async def test_requests_that_fail_with_400_or_401_count_too(http: aiohttp.ClientSession) -> None:
    async with LocalServer(limits=FEW) as server:
        assert (await chat(server, http, n=0))[0] == 400
        assert (await chat(server, http))[0] == 429
        url = f"{server.url}/chat/completions"
        no_key = {"Authorization": ""}
        for status in (401, 429):
            async with http.post(url, data=b"no JSON", headers=no_key) as response:
                assert response.status == status


async def test_a_rejected_request_leaves_the_script_to_the_next(
    http: aiohttp.ClientSession,
) -> None:
    async with LocalServer(limits=FEW) as server:
        server.script(Reply("one"), Failure(503))
        assert (await chat(server, http))[0] == 200
        assert (await chat(server, http))[0] == 429
        assert server.pending == 1
        assert (await chat(server, http, model="gpt-4o-mini"))[0] == 503


async def test_rejections_counts_the_429_of_the_limits_alone(http: aiohttp.ClientSession) -> None:
    async with LocalServer(limits=FEW) as server:
        server.script(Failure(429))
        assert [(await chat(server, http))[0] for _ in range(3)] == [429, 429, 429]
        assert server.rejections == 2
        assert len(server.requests) == 3


async def test_reset_forgets_what_was_used_and_rejected(http: aiohttp.ClientSession) -> None:
    async with LocalServer(limits=FEW) as server:
        assert [(await chat(server, http))[0] for _ in range(2)] == [200, 429]
        server.reset()
        assert server.rejections == 0
        assert (await chat(server, http))[0] == 200


async def test_a_server_without_limits_rejects_nothing(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    assert [(await chat(server, http))[0] for _ in range(5)] == [200] * 5
    assert server.rejections == 0


async def test_a_client_that_retries_at_the_stated_time_is_answered() -> None:
    # Half a second between requests: time enough for the second to be sent too early.
    async with (
        LocalServer(limits=ServerLimits(requests_per_minute=120, burst=0.5)) as server,
        AsyncClient(base_url=server.url, api_key="local") as client,
    ):
        answers = await asyncio.gather(*(client.chat.completions.create(**HELLO) for _ in "ab"))
        assert sorted(answer.meta.attempts for answer in answers) == [1, 2]
        assert server.rejections == 1
        for answer in answers:
            limits = answer.meta.rate_limits
            assert limits is not None
            assert (limits.limit_requests, limits.remaining_requests) == (120, 0)
