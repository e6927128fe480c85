"""The retry table: what is retried, how often, after what delay."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

from openai_async import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    InsufficientQuotaError,
    InternalServerError,
    RateLimitError,
    RetryPolicy,
)
from openai_async.testing import Failure, LocalServer, aioresponses

from ..conftest import BASE_URL

pytestmark = pytest.mark.virtual_time

MODELS = f"{BASE_URL}/models"
GOOD: dict[str, Any] = {"data": []}
QUESTION: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def sent(mocked: aioresponses) -> int:
    return len(mocked.requests["GET", URL(MODELS)])


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_these_statuses_are_retried(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float], status: int
) -> None:
    mocked.get(MODELS, status=status, repeat=2)
    mocked.get(MODELS, payload=GOOD)
    models = await mocked_client.models.list()
    assert (models.meta.attempts, sent(mocked), len(waits)) == (3, 3, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 302])
async def test_these_statuses_are_not(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float], status: int
) -> None:
    mocked.get(MODELS, status=status, repeat=True)
    with pytest.raises(APIStatusError):
        await mocked_client.models.list()
    assert sent(mocked) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (aiohttp.ServerDisconnectedError(), APIConnectionError),
        (aiohttp.ClientPayloadError("cut"), APIConnectionError),
        (ConnectionResetError(), APIConnectionError),
        (aiohttp.ConnectionTimeoutError(), APITimeoutError),
    ],
)
async def test_connection_errors_and_timeouts_are_retried(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    failure: Exception,
    kind: type[APIError],
) -> None:
    mocked.get(MODELS, exception=failure, repeat=True)
    with pytest.raises(kind) as caught:
        await mocked_client.models.list()
    assert type(caught.value) is kind
    assert (caught.value.attempts, sent(mocked)) == (3, 3)


async def test_no_credit_is_not_retried(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.get(MODELS, status=429, payload={"error": {"code": "insufficient_quota"}}, repeat=True)
    with pytest.raises(InsufficientQuotaError):
        await mocked_client.models.list()
    assert sent(mocked) == 1


@pytest.mark.parametrize(("status", "word", "times"), [(400, "true", 3), (503, "false", 1)])
async def test_x_should_retry_wins(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    status: int,
    word: str,
    times: int,
) -> None:
    mocked.get(MODELS, status=status, headers={"x-should-retry": word}, repeat=True)
    with pytest.raises(APIStatusError):
        await mocked_client.models.list()
    assert sent(mocked) == times


async def test_the_error_is_the_last_one(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.get(MODELS, status=429, repeat=2)
    mocked.get(MODELS, status=500)
    with pytest.raises(InternalServerError):
        await mocked_client.models.list()


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_a_call_may_set_its_own_number_of_retries(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float], retries: int
) -> None:
    mocked.get(MODELS, status=500, repeat=True)
    with pytest.raises(InternalServerError) as caught:
        await mocked_client.models.list(max_retries=retries)
    assert (sent(mocked), caught.value.attempts) == (retries + 1, retries + 1)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "40", "retry-after": "7"}, 0.04),
        ({"retry-after": "60"}, 60.0),
    ],
)
async def test_the_wait_that_the_server_asks_for_is_respected(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    headers: dict[str, str],
    wait: float,
) -> None:
    mocked.get(MODELS, status=429, headers=headers)
    mocked.get(MODELS, payload=GOOD)
    await mocked_client.models.list()
    assert waits == [wait]


async def test_a_wait_that_is_too_long_is_an_error_at_once(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.get(MODELS, status=429, headers={"retry-after": "61"}, repeat=True)
    with pytest.raises(RateLimitError) as caught:
        await mocked_client.models.list()
    assert (caught.value.retry_after, sent(mocked), waits) == (61.0, 1, [])


@pytest.mark.parametrize(
    ("headers", "longest", "told"),
    [
        ({"retry-after": "120"}, 60, "wait 120 s, longer than max_retry_after (60 s)"),
        ({"retry-after-ms": "60001"}, 60, "wait 60.001 s, longer than max_retry_after (60 s)"),
        ({"retry-after": "2592000"}, 3600, "wait 2592000 s, longer than max_retry_after (3600 s)"),
        ({"retry-after-ms": "250"}, 0.1, "wait 0.25 s, longer than max_retry_after (0.1 s)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
@pytest.mark.parametrize("max_retries", [0, 2])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_the_error_for_a_wait_that_is_too_long_says_what_to_raise(
    server: LocalServer,
    headers: dict[str, str],
    longest: float,
    told: str,
    status: int,
    max_retries: int,
    stream: bool,
) -> None:
    server.script(Failure(status, message="Busy.", headers=headers))
    async with AsyncClient(
        base_url=server.url,
        api_key="k",
        max_retries=max_retries,
        retry=RetryPolicy(max_retry_after=longest),
    ) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.chat.completions.create(**QUESTION, stream=stream)
    error = caught.value
    assert error.message == (
        f"HTTP {status}: Busy. The server asks to {told}: try again after that time, "
        "or raise the limit with retry=RetryPolicy(max_retry_after=...)."
    )
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == error.message


@pytest.mark.parametrize(
    ("failure", "budget", "advice"),
    [
        (Failure(429), 500, "Send more slowly or raise max_retries."),
        (Failure(429, headers={"retry-after": "1"}), 0, "Send more slowly or raise max_retries."),
        (Failure(429), 0, "Send more slowly."),
        (Failure(429, headers={"x-should-retry": "false"}), 500, "Send more slowly."),
        (
            Failure(429, headers={"x-should-retry": "false", "retry-after": "120"}),
            500,
            "Send more slowly.",
        ),
        (
            Failure(429, code="insufficient_quota", headers={"retry-after": "120"}),
            500,
            "Check the plan and billing of the account.",
        ),
    ],
    ids=str,
)
async def test_raising_max_retries_is_advised_only_where_it_would_help(
    server: LocalServer, waits: list[float], failure: Failure, budget: int, advice: str
) -> None:
    server.script(attrs.evolve(failure, message="No."), times=3)
    policy = RetryPolicy(budget=budget)
    async with AsyncClient(base_url=server.url, api_key="k", retry=policy) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.models.list()
    assert caught.value.message == f"HTTP 429: No. {advice}"


async def test_without_retry_after_the_delay_grows_up_to_a_maximum(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high - low)
    mocked.get(MODELS, status=500, repeat=True)
    with pytest.raises(InternalServerError):
        await mocked_client.models.list(max_retries=7)
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]


async def test_waits_are_spread_from_zero(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    mocked.get(MODELS, status=500, repeat=True)
    with pytest.raises(InternalServerError):
        await mocked_client.models.list()
    assert waits == [0, 0]


async def test_the_budget_bounds_the_retries_of_all_calls(
    mocked: aioresponses, waits: list[float]
) -> None:
    mocked.get(MODELS, status=500, repeat=True)
    policy = RetryPolicy(budget=50)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        for _ in range(100):
            with pytest.raises(InternalServerError):
                await client.models.list()
    assert sent(mocked) == 100 + 50 // 5


async def test_an_error_says_that_the_budget_kept_it_from_being_retried(
    mocked: aioresponses, waits: list[float]
) -> None:
    mocked.get(MODELS, status=500, repeat=True)
    policy = RetryPolicy(budget=1)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        with pytest.raises(InternalServerError, match=r"Not retried: .*RetryPolicy\.budget"):
            await client.models.list()
    assert waits == []


async def test_a_timeout_costs_the_budget_twice_as_much(
    mocked: aioresponses, waits: list[float]
) -> None:
    mocked.get(MODELS, exception=aiohttp.ConnectionTimeoutError(), repeat=True)
    policy = RetryPolicy(budget=50)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        for _ in range(10):
            with pytest.raises(APITimeoutError):
                await client.models.list()
    assert sent(mocked) == 10 + 50 // 10


async def test_successes_fill_the_budget_again(mocked: aioresponses, waits: list[float]) -> None:
    policy = RetryPolicy(budget=5)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        for _ in range(3):
            mocked.get(MODELS, status=500)
            mocked.get(MODELS, payload=GOOD)
            assert (await client.models.list()).meta.attempts == 2


async def test_a_success_refunds_its_last_retry(mocked: aioresponses, waits: list[float]) -> None:
    policy = RetryPolicy(budget=10)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        mocked.get(MODELS, status=500)
        mocked.get(MODELS, status=500)
        mocked.get(MODELS, payload=GOOD)
        assert (await client.models.list()).meta.attempts == 3
        mocked.get(MODELS, status=500, repeat=True)
        with pytest.raises(InternalServerError) as caught:
            await client.models.list()
    assert caught.value.attempts == 2


async def test_a_429_that_names_its_wait_costs_nothing(
    mocked: aioresponses, waits: list[float]
) -> None:
    mocked.get(MODELS, status=429, headers={"retry-after": "1"}, repeat=10)
    mocked.get(MODELS, payload=GOOD)
    policy = RetryPolicy(budget=0)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        assert (await client.models.list(max_retries=10)).meta.attempts == 11


NO_WAIT: list[dict[str, str]] = [
    {"retry-after": "0"},
    {"retry-after-ms": "0"},
    {"retry-after": "-1"},
    {"retry-after": "soon"},
    {"retry-after": "nan"},
    {"retry-after": "1900000000"},
    {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
]


@pytest.mark.parametrize("headers", NO_WAIT, ids=str)
@pytest.mark.parametrize("status", [429, 503])
async def test_an_invalid_retry_after_falls_back_to_backoff(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    status: int,
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high - low)
    mocked.get(MODELS, status=status, headers=headers, repeat=2)
    mocked.get(MODELS, payload=GOOD)
    await mocked_client.models.list()
    assert waits == [0.5, 1]


@pytest.mark.parametrize("headers", NO_WAIT, ids=str)
async def test_a_429_with_an_invalid_retry_after_costs_the_budget(
    mocked: aioresponses, waits: list[float], headers: dict[str, str]
) -> None:
    mocked.get(MODELS, status=429, headers=headers, repeat=True)
    policy = RetryPolicy(budget=10)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=policy) as client:
        with pytest.raises(RateLimitError):
            await client.models.list(max_retries=10)
    assert sent(mocked) == 1 + 10 // 5


async def test_copies_share_the_budget_unless_they_have_a_policy_of_their_own(
    mocked: aioresponses, waits: list[float]
) -> None:
    mocked.get(MODELS, status=500, repeat=True)
    async with AsyncClient(base_url=BASE_URL, api_key="k", retry=RetryPolicy(budget=5)) as client:
        for other in (client, client.with_options(timeout=5)):
            with pytest.raises(InternalServerError):
                await other.models.list()
        assert sent(mocked) == 2 + 1
        with pytest.raises(InternalServerError):
            await client.with_options(retry=RetryPolicy(budget=10)).models.list()
        assert sent(mocked) == 3 + 3


async def test_an_outage_under_a_thousand_tasks_and_the_recovery_after_it(
    server: LocalServer, waits: list[float]
) -> None:
    async with AsyncClient(base_url=server.url, api_key="k") as client:
        server.script(Failure(503), times=3000)
        failed = await asyncio.gather(
            *(client.models.list() for _ in range(1000)), return_exceptions=True
        )
        assert {type(error) for error in failed} == {InternalServerError}
        sent = 3000 - server.pending
        assert 1000 < sent < 1200
        server.reset()
        assert all(await asyncio.gather(*(client.models.list() for _ in range(100))))
        server.script(Failure(503))  # what succeeded has filled the budget again
        assert (await client.models.list()).meta.attempts == 2
