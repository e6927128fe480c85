"""What a call costs above the transport: 100 calls that are answered before they get there."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from yarl import URL

import canned
from conftest import Repeat
from openai_async import AsyncClient, RateLimit, RetryPolicy
from openai_async.http.request import Request, Response
from openai_async.http.waits import PendingWaits
from openai_async.middleware import Send, chain
from openai_async.middleware.pacing import Pacing
from openai_async.middleware.retry import Retry
from peers import KEY, MESSAGES, MODEL

ANSWER = Response(status=200, headers={"X-Request-Id": "req_1"}, body=canned.body(canned.chat()))


LIMITS = {
    "x-ratelimit-limit-requests": "100000000",
    "x-ratelimit-remaining-requests": "99999999",
    "x-ratelimit-reset-requests": "1ms",
}
ANSWER_WITH_LIMITS = Response(status=200, headers=LIMITS, body=ANSWER.body)


async def answered_with_limits(_: Request) -> Response:
    return ANSWER_WITH_LIMITS


async def answered(_: Request) -> Response:
    return ANSWER


async def answering(request: Request, send: Send) -> Response:
    return ANSWER


async def passing(request: Request, send: Send) -> Response:
    return await send(request)


def test_100_sends(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    """The floor of the next two."""
    request = Request(method="POST", url=URL("http://127.0.0.1/v1/chat/completions"))
    benchmark(repeat(lambda: answered(request)))


def test_100_sends_through_retry(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    request = Request(method="POST", url=URL("http://127.0.0.1/v1/chat/completions"))
    send = chain([Retry(RetryPolicy(), PendingWaits())], answered)
    benchmark(repeat(lambda: send(request)))


@pytest.mark.parametrize(
    "limit",
    [RateLimit(), RateLimit(requests_per_minute=1e9), RateLimit(tokens_per_minute=1e12)],
    ids=["adaptive", "requests", "tokens"],
)
def test_100_sends_through_pacing(
    benchmark: BenchmarkFixture, repeat: Repeat, limit: RateLimit
) -> None:
    """Limits that do not bind, on a server that has told its own."""
    params = {"model": MODEL, "messages": MESSAGES}
    url = URL("http://127.0.0.1/v1/chat/completions")
    request = Request(method="POST", url=url, api_key=KEY, params=params)
    send = chain([Pacing(limit, PendingWaits())], answered_with_limits)
    benchmark(repeat(lambda: send(request)))


def test_100_sends_through_four_middlewares(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    request = Request(method="POST", url=URL("http://127.0.0.1/v1/chat/completions"))
    send = chain([passing, passing, passing, Retry(RetryPolicy(), PendingWaits())], answered)
    benchmark(repeat(lambda: send(request)))


def test_100_chat_requests(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    """From parameters to the typed answer, without a network."""
    client = AsyncClient(api_key=KEY, base_url="http://127.0.0.1/v1", middlewares=[answering])
    benchmark(repeat(lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES)))
