"""Pacing through a client, over real sockets: who waits, who goes, and what is known."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from math import inf
from typing import Any

import pytest

from openai_async import (
    AsyncClient,
    InvalidArgumentError,
    OpenAIError,
    RateLimit,
    RateLimitError,
    Request,
)
from openai_async.http.request import Response
from openai_async.http.waits import PendingWaits
from openai_async.middleware import Send
from openai_async.middleware.pacing.local import LocalLimiter
from openai_async.middleware.pacing.pace import INITIAL_WINDOW
from openai_async.middleware.pacing.token_estimate import total_tokens
from openai_async.testing import Failure, LocalServer, Reply, ServerLimits

from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def limited() -> AsyncIterator[LocalServer]:
    """Allows 6,000 requests a minute, 100 at once."""
    async with LocalServer(limits=ServerLimits(requests_per_minute=6000)) as server:
        yield server


def connect(server: LocalServer, **options: Any) -> AsyncClient:
    return AsyncClient(base_url=server.url, api_key="local", **options)


async def ask(client: AsyncClient, model: str = "gpt-4o") -> str | None:
    result = await client.chat.completions.create(model=model, messages=HELLO)
    return result.text


# --- the limits ---


async def test_a_configured_limit_is_respected_and_nothing_is_refused(limited: LocalServer) -> None:
    async with connect(limited, rate_limit=RateLimit(requests_per_minute=6000)) as client:
        await asyncio.gather(*(ask(client) for _ in range(200)))
    assert limited.rejections == 0
    assert len(limited.requests) == 200


async def test_limits_are_learned_from_the_servers_headers_and_nothing_is_refused(
    limited: LocalServer,
) -> None:
    async with connect(limited, rate_limit=RateLimit()) as client:
        await asyncio.gather(*(ask(client) for _ in range(250)))
        known = client.rate_limits["gpt-4o"]
    assert limited.rejections == 0
    assert known.server is not None
    assert known.server.limit_requests == 6000
    assert known.requests_per_minute is not None
    assert 6000 <= known.requests_per_minute < 6200


async def test_a_server_without_headers_rejects_few_requests() -> None:
    limits = ServerLimits(requests_per_minute=6000, headers=False)
    async with (
        LocalServer(limits=limits) as server,
        connect(server, rate_limit=RateLimit(), max_retries=20) as client,
    ):
        await asyncio.gather(*(ask(client) for _ in range(400)))
    assert server.rejections < 40


async def test_tokens_are_paced_too() -> None:
    limits = ServerLimits(tokens_per_minute=60_000)
    async with LocalServer(limits=limits) as server:
        limit = RateLimit(tokens_per_minute=60_000)
        async with connect(server, rate_limit=limit) as client:
            await asyncio.gather(*(ask(client) for _ in range(30)))
            known = client.rate_limits["gpt-4o"]
        assert server.rejections == 0
        assert known.tokens_per_minute == pytest.approx(60_000)


async def test_without_a_limit_everything_leaves_at_once(server: LocalServer) -> None:
    async with connect(server) as client:
        assert client.rate_limit is None
        await ask(client)
        assert client.rate_limits == {}


async def test_each_model_has_limits_of_its_own(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=0.001, adaptive=False)
    async with connect(server, rate_limit=limit) as client:
        await ask(client, "gpt-4o")
        await ask(client, "gpt-4o-mini")
        waiting = asyncio.create_task(ask(client, "gpt-4o"))
        await asyncio.sleep(0)
        assert client.rate_limits["gpt-4o"].waiting == 1
        assert client.rate_limits["gpt-4o-mini"].waiting == 0
        waiting.cancel()


# --- the queue ---


async def test_requests_leave_in_the_order_in_which_they_were_made(server: LocalServer) -> None:
    number: ContextVar[int] = ContextVar("number")
    order: list[int] = []

    def key() -> str:  # asked for when a request leaves
        order.append(number.get())
        return "local"

    async def one(client: AsyncClient, own: int) -> None:
        number.set(own)
        await ask(client)

    limit = RateLimit(requests_per_minute=6000)
    async with AsyncClient(base_url=server.url, api_key=key, rate_limit=limit) as client:
        await asyncio.gather(*(one(client, own) for own in range(80)))
    assert order == list(range(80))


async def test_a_waiter_that_is_cancelled_uses_no_quota(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=0.001, adaptive=False)
    async with connect(server, rate_limit=limit) as client:
        await ask(client)
        tasks = [asyncio.create_task(ask(client)) for _ in range(3)]
        await asyncio.sleep(0)
        assert client.rate_limits["gpt-4o"].waiting == 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert client.rate_limits["gpt-4o"].waiting == 0
    assert len(server.requests) == 1


async def test_a_waiter_behind_a_cancelled_one_moves_up(server: LocalServer) -> None:
    async with connect(server, rate_limit=RateLimit(requests_per_minute=600)) as client:
        for _ in range(5):
            await ask(client)
        first, second = (asyncio.create_task(ask(client)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second
    assert len(server.requests) == 6


async def test_the_turn_of_a_waiter_cancelled_at_that_moment_goes_to_the_next(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.middleware.pacing.pace.MAX_DOUBLING_INTERVAL", inf)

    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) < INITIAL_WINDOW:
            await asyncio.Event().wait()
        await exchange.whole(b'{"choices": []}')

    async def cancel_the_next(request: Request, send: Send) -> Response:
        response = await send(request)
        tasks[INITIAL_WINDOW].cancel()  # its turn has come with this answer, and it has not run yet
        return response

    raw.answer = answer
    async with AsyncClient(
        base_url=raw.url, api_key="k", rate_limit=RateLimit(), middlewares=[cancel_the_next]
    ) as client:
        tasks = [asyncio.create_task(ask(client)) for _ in range(INITIAL_WINDOW + 2)]
        await asyncio.wait([tasks[INITIAL_WINDOW]])
        assert tasks[INITIAL_WINDOW].cancelled()
        assert client.rate_limits["gpt-4o"].waiting == 0
        await tasks[-1]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(raw.exchanges) == INITIAL_WINDOW + 1


async def test_without_waiters_there_is_no_queue(server: LocalServer) -> None:
    async with connect(server, rate_limit=RateLimit(requests_per_minute=600)) as client:
        await asyncio.gather(*(ask(client) for _ in range(6)))
        pacing = client._pacing
        assert pacing is not None
        assert not pacing._limiters["gpt-4o"]._queues
    assert len(server.requests) == 6


async def test_one_429_pauses_all_waiting_requests(server: LocalServer) -> None:
    refusal = Failure(429, headers={"retry-after-ms": "300"})
    server.script(Reply("fine"), refusal)
    async with connect(server, rate_limit=RateLimit(), max_retries=1) as client:
        await ask(client)
        refused = asyncio.create_task(ask(client))
        await server.received(2)
        while not client.rate_limits["gpt-4o"].paused:  # noqa: ASYNC110 - a turn or two
            await asyncio.sleep(0)
        others = [asyncio.create_task(ask(client)) for _ in range(5)]
        await asyncio.sleep(0)
        assert client.rate_limits["gpt-4o"].waiting == 5
        assert len(server.requests) == 2
        await asyncio.gather(refused, *others)
    assert len(server.requests) == 8


async def test_retries_wait_for_their_turn_too(server: LocalServer) -> None:
    seen: list[float] = []

    class Recorder:
        async def __call__(self, request: Request, send: Send) -> Response:
            seen.append(asyncio.get_running_loop().time())
            return await send(request)

    server.script(Failure(503, headers={"retry-after-ms": "1"}), Reply("fine"))
    async with connect(server, rate_limit=Recorder()) as client:
        await ask(client)
    assert len(seen) == 2


async def test_an_error_frees_the_place_of_a_request(server: LocalServer) -> None:
    server.script(Failure(400), times=10)
    async with connect(server, rate_limit=RateLimit(), max_retries=0) as client:
        for _ in range(10):  # far more than may be under way while nothing is known
            with pytest.raises(Exception, match="400"):
                await ask(client)
        assert await ask(client)


# --- tokens, as answers tell them ---


async def test_the_usage_of_a_stream_settles_its_estimate(server: LocalServer) -> None:
    limit = RateLimit(
        tokens_per_minute=6000, adaptive=False, estimate_tokens=lambda params: 1_000_000
    )
    async with connect(server, rate_limit=limit) as client:
        stream = client.chat.completions.create(
            model="gpt-4o",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for _ in stream:
            pass
        assert await ask(client)  # would wait for hours otherwise


async def test_the_usage_of_a_plain_answer_settles_its_estimate(server: LocalServer) -> None:
    limit = RateLimit(tokens_per_minute=6000, adaptive=False, estimate_tokens=lambda _: 1_000_000)
    async with connect(server, rate_limit=limit) as client:
        await ask(client)
        assert await ask(client)


async def test_a_custom_estimator_sees_the_parameters(server: LocalServer) -> None:
    seen: list[Mapping[str, Any]] = []

    def estimate(params: Mapping[str, Any]) -> float:
        seen.append(params)
        return 1.0

    limit = RateLimit(tokens_per_minute=6000, estimate_tokens=estimate)
    async with connect(server, rate_limit=limit) as client:
        await ask(client)
    assert seen[0]["messages"] == HELLO


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"usage":{"total_tokens":12}}', 12),
        (b'{"usage": {"total_tokens" : 7, "x": 1}}', 7),
        (b'{"choices":[{"text":"\\"total_tokens\\": 5"}],"usage":{"total_tokens":3}}', 3),
        (b'{"usage":{"total_tokens":3},"choices":[{"text":"\\"total_tokens\\": 5"}]}', 3),
        (b'{"choices":[]}', None),
        (b'{"usage":{"total_tokens":null}}', None),
        (b"", None),
    ],
)
def test_the_tokens_of_an_answer_are_found_in_its_bytes(body: bytes, tokens: int | None) -> None:
    assert total_tokens(body) == tokens


# --- clients, loops, options ---


async def test_copies_of_a_client_keep_to_the_limit_together(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=0.001, adaptive=False)
    async with connect(server, rate_limit=limit) as client:
        await ask(client)
        task = asyncio.create_task(ask(client.with_options(timeout=5)))
        await asyncio.sleep(0)
        assert client.rate_limits["gpt-4o"].waiting == 1
        task.cancel()
        free = client.with_options(rate_limit=None)
        assert await ask(free)


def test_loops_of_several_threads_share_the_limit() -> None:
    limits = ServerLimits(requests_per_minute=6000)

    async def serve() -> None:
        async with LocalServer(limits=limits) as server:
            client = connect(server, rate_limit=RateLimit())

            def work() -> None:
                async def all_of_it() -> None:
                    await asyncio.gather(*(ask(client) for _ in range(100)))

                asyncio.run(all_of_it())

            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
            await client.close()
            # If a thread is kept from running for a while, it may then send a few requests at once
            # that were paced apart. With a limit for each loop, ten or more would be rejected.
            assert server.rejections < 5

    asyncio.run(serve())


async def test_a_forked_child_does_not_wait_for_requests_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openai_async.middleware.pacing.pace.MAX_DOUBLING_INTERVAL", inf)
    limiter = LocalLimiter(RateLimit(), PendingWaits())
    for _ in range(INITIAL_WINDOW):
        assert limiter.acquire_nowait(None) is not None
    waiting = asyncio.create_task(limiter.acquire(None))
    await asyncio.sleep(0)
    assert limiter.snapshot().waiting == 1
    monkeypatch.setattr("openai_async.middleware.pacing.local.getpid", lambda: -1)
    for _ in range(INITIAL_WINDOW):
        assert limiter.acquire_nowait(None) is not None
    assert limiter.acquire_nowait(None) is None
    waiting.cancel()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests_per_minute": 0}, "requests_per_minute is 0: pass a positive number"),
        ({"tokens_per_minute": float("inf")}, "tokens_per_minute is inf"),
        ({"requests_per_minute": "60"}, "requests_per_minute is '60'"),
        ({"adaptive": 1}, "adaptive is 1: pass True or False"),
        ({"estimate_tokens": 5}, "estimate_tokens is 5: pass a function"),
    ],
)
def test_bad_limits_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        RateLimit(**options)


def test_a_rate_limit_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="rate_limit has type int: pass a RateLimit"):
        AsyncClient(api_key="local", rate_limit=60)  # type: ignore[arg-type]


async def test_an_error_says_how_often_the_request_was_rejected(server: LocalServer) -> None:
    server.script(Failure(429, headers={"retry-after-ms": "1"}), times=3)
    async with connect(server, max_retries=2) as client:
        with pytest.raises(RateLimitError) as raised:
            await ask(client)
    assert (raised.value.attempts, raised.value.rejections) == (3, 3)


async def test_tokens_are_estimated_when_a_request_leaves_not_when_it_comes(
    server: LocalServer,
) -> None:
    # It comes when nothing is known of a limit on tokens, and leaves when that is.
    seen: list[str] = []

    def estimate(params: Mapping[str, Any]) -> float:
        seen.append(params["user"])
        return 1.0

    headers = {
        "x-ratelimit-limit-tokens": "600000",
        "x-ratelimit-remaining-tokens": "599999",
        "x-ratelimit-reset-tokens": "1ms",
    }
    server.script(Failure(404, headers=headers, delay=0.1), times=10)
    limit = RateLimit(estimate_tokens=estimate)
    async with connect(server, rate_limit=limit, max_retries=0) as client:
        calls = (
            client.chat.completions.create(model="gpt-4o", messages=HELLO, user=str(n))
            for n in range(10)
        )
        await asyncio.gather(*calls, return_exceptions=True)
    assert set(seen) >= {"8", "9"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, None, "12"])
async def test_an_estimate_that_is_not_a_number_is_refused(server: LocalServer, value: Any) -> None:
    limit = RateLimit(tokens_per_minute=6000, estimate_tokens=lambda params: value)
    async with connect(server, rate_limit=limit) as client:
        with pytest.raises(InvalidArgumentError, match="estimate_tokens returned"):
            await ask(client)
    assert server.requests == []


async def test_an_estimator_that_fails_is_named(server: LocalServer) -> None:
    def estimate(params: Mapping[str, Any]) -> float:
        raise KeyError("x")

    limit = RateLimit(tokens_per_minute=6000, estimate_tokens=estimate)
    async with connect(server, rate_limit=limit) as client:
        with pytest.raises(OpenAIError, match="estimate_tokens function failed with KeyError"):
            await ask(client)


async def test_an_estimator_that_fails_in_the_queue_does_not_block_other_requests(
    server: LocalServer,
) -> None:
    calls = 0

    def estimate(params: Mapping[str, Any]) -> float:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyError("x")
        return 700.0

    limit = RateLimit(tokens_per_minute=60_000, adaptive=False, estimate_tokens=estimate)
    async with connect(server, rate_limit=limit) as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(4)), return_exceptions=True)
    assert [isinstance(answer, OpenAIError) for answer in answers].count(True) == 1


def test_a_loop_closed_with_waiters_in_it_ends_silently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = RateLimit(requests_per_minute=0.001, adaptive=False)
    client = AsyncClient(base_url="http://127.0.0.1:9/v1", api_key="local", rate_limit=limit)

    async def begin() -> list[asyncio.Task[Any]]:
        tasks = [asyncio.create_task(ask(client)) for _ in range(4)]
        # A turn or two of the loop.
        while not (client.rate_limits and client.rate_limits["gpt-4o"].waiting):  # noqa: ASYNC110
            await asyncio.sleep(0)
        tasks.pop(0).cancel()
        await client.close()
        return tasks

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # tasks are destroyed, as they are
    tasks = loop.run_until_complete(begin())
    loop.close()
    del tasks
    gc.collect()  # what is raised in there is an error of this test
    assert not [record for record in caplog.records if "closed" in record.getMessage()]


async def test_tokens_are_estimated_once_for_each_request(server: LocalServer) -> None:
    calls = 0

    def estimate(params: Mapping[str, Any]) -> float:
        nonlocal calls
        calls += 1
        return 700.0

    limit = RateLimit(tokens_per_minute=120_000, adaptive=False, estimate_tokens=estimate)
    async with connect(server, rate_limit=limit) as client:
        await asyncio.gather(*(ask(client) for _ in range(8)))
    assert calls <= 8 + 1  # the first that has to wait had hoped to leave at once
