"""What a call costs above the transport: 100 calls that are answered before they get there."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture
from yarl import URL

import canned
from conftest import Repeat
from openai_async import AsyncClient, RetryPolicy
from openai_async.middleware import Send, chain
from openai_async.middleware.retry import Retry
from openai_async.request import Request, Response
from peers import KEY, MESSAGES, MODEL

ANSWER = Response(status=200, headers={"X-Request-Id": "req_1"}, body=canned.body(canned.chat()))


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
    send = chain([Retry(RetryPolicy())], answered)
    benchmark(repeat(lambda: send(request)))


def test_100_sends_through_four_middlewares(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    request = Request(method="POST", url=URL("http://127.0.0.1/v1/chat/completions"))
    send = chain([passing, passing, passing, Retry(RetryPolicy())], answered)
    benchmark(repeat(lambda: send(request)))


def test_100_chat_requests(benchmark: BenchmarkFixture, repeat: Repeat) -> None:
    """From parameters to the typed answer, without a network."""
    client = AsyncClient(api_key=KEY, base_url="http://127.0.0.1/v1", middlewares=[answering])
    benchmark(repeat(lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES)))
