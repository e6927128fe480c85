"""`run_requests`: what is sent when, what comes back in which order, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from itertools import count
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openai_async import AsyncClient, InvalidArgumentError, OpenAIError
from openai_async.batch.fan_out import run_requests
from openai_async.batch.requests import BatchRequest
from openai_async.batch.results import BatchResult
from openai_async.batch.retries import batch_client
from openai_async.http.request import Request, Response
from openai_async.middleware import Send
from openai_async.options import RateLimit, RetryPolicy
from openai_async.testing import Failure, LocalServer, aioresponses

from ..conftest import BASE_URL

# Adaptive pacing begins with few requests at once, which is not what these tests are about.
UNPACED = RateLimit(adaptive=False)


def line(name: object) -> dict[str, Any]:
    return {
        "custom_id": str(name),
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": str(name)}],
        },
    }


def name_of(request: Request) -> str:
    assert isinstance(request.body, bytes)
    name: str = msgspec.json.decode(request.body)["messages"][0]["content"]
    return name


class Source:
    """Endless lines; counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in count():
            self.taken += 1
            yield line(number)


class Gate:
    """A middleware in place of the server: each request waits until it is let through."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self._opened: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def open(self, name: object) -> None:
        self._opened[str(name)].set()

    async def __call__(self, request: Request, send: Send) -> Response:
        name = name_of(request)
        self.waiting.append(name)
        try:
            await self._opened[name].wait()
        finally:
            self.waiting.remove(name)
        return good()


def good() -> Response:
    return Response(status=200, headers={}, body=b'{"usage": {"total_tokens": 7}}')


async def at_once(request: Request, send: Send) -> Response:
    return good()


def client_with(*middlewares: Any) -> AsyncClient:
    return AsyncClient(base_url=BASE_URL, api_key="local", max_retries=0, middlewares=middlewares)


async def settle() -> None:
    """Until all that can happen without the network has happened."""
    for _ in range(200):
        await asyncio.sleep(0)


async def ids(results: AsyncGenerator[BatchResult, None]) -> list[str]:
    return [result.custom_id async for result in results]


# --- bursts ----------------------------------------------------------------------------------


async def test_requests_that_become_ready_together_are_sent_together() -> None:
    """Sent between the handling of two answers, each would wake the receiver."""
    log: list[str] = []
    waiting: list[asyncio.Future[None]] = []

    async def in_rounds(request: Request, send: Send) -> Response:
        """Answers four requests at once."""
        log.append("sent")
        waiting.append(asyncio.get_running_loop().create_future())
        if len(waiting) == 4:
            for answered in waiting:
                answered.set_result(None)
            waiting.clear()
        else:
            await waiting[-1]
        return good()

    def source() -> Iterator[dict[str, Any]]:
        for number in range(12):
            log.append("taken")
            yield line(number)

    client = client_with(in_rounds).with_options(rate_limit=UNPACED)
    assert len(await ids(run_requests(client, source(), concurrency=4))) == 12
    # The workers start one after another. From then on, there are rounds.
    assert log[8:] == [*["taken"] * 4, *["sent"] * 4] * 2


# --- order -----------------------------------------------------------------------------------


async def test_results_come_as_they_finish() -> None:
    gate = Gate()
    results = run_requests(client_with(gate), map(line, "abc"), concurrency=3)
    came = []
    for name in "cab":
        gate.open(name)
        came.append((await anext(results)).custom_id)
    assert came == ["c", "a", "b"]
    with pytest.raises(StopAsyncIteration):
        await anext(results)


async def test_ordered_results_come_in_the_order_of_the_requests() -> None:
    gate = Gate()
    results = run_requests(client_with(gate), map(line, "abc"), concurrency=3, ordered=True)
    first = asyncio.ensure_future(anext(results))
    for name in "cb":
        gate.open(name)
        await settle()
        assert not first.done()
    gate.open("a")
    assert (await first).custom_id == "a"
    assert await ids(results) == ["b", "c"]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("concurrency", [1, 2, 7, 64])
async def test_every_request_has_exactly_one_result(concurrency: int, ordered: bool) -> None:
    dice = random.Random(concurrency)

    async def after_some_turns(request: Request, send: Send) -> Response:
        for _ in range(dice.randrange(5)):
            await asyncio.sleep(0)
        return good()

    results = run_requests(
        client_with(after_some_turns),
        map(line, range(300)),
        concurrency=concurrency,
        ordered=ordered,
    )
    came = await ids(results)
    wanted = [str(number) for number in range(300)]
    assert (came if ordered else sorted(came, key=int)) == wanted


# --- what is taken from the source -------------------------------------------------------------


async def test_a_slow_consumer_puts_backpressure_on_the_source() -> None:
    source = Source()
    async with aclosing(run_requests(client_with(at_once), source, concurrency=3)) as results:
        await anext(results)
        await settle()
        assert source.taken == 1 + 2 * 3


async def test_in_order_the_slowest_request_puts_backpressure_on_the_source() -> None:
    source, gate = Source(), Gate()
    for number in range(1, 100):
        gate.open(number)
    results = run_requests(client_with(gate), source, concurrency=3, ordered=True)
    async with aclosing(results):
        first = asyncio.ensure_future(anext(results))
        await settle()
        assert (source.taken, gate.waiting) == (5 * 3, ["0"])
        gate.open(0)
        assert (await first).custom_id == "0"


async def test_a_consumer_that_takes_many_results_at_once_pays_the_same_for_each() -> None:
    async def calls_per_result(concurrency: int) -> float:
        source, gate, calls = Source(), Gate(), 0
        for number in range(1, 10 * concurrency):
            gate.open(number)
        client = client_with(gate).with_options(rate_limit=UNPACED)
        results = run_requests(client, source, concurrency=concurrency, ordered=True)

        def count_call(frame: object, event: str, arg: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        async with aclosing(results):
            first = asyncio.ensure_future(anext(results))
            for _ in range(5):
                await settle()
            assert source.taken == 5 * concurrency
            gate.open(0)
            await first
            sys.setprofile(count_call)
            try:  # all workers wait for room, and all these results are ready
                for _ in range(4 * concurrency):
                    await anext(results)
            finally:
                sys.setprofile(None)
        return calls / (4 * concurrency)

    assert await calls_per_result(200) < 2 * await calls_per_result(10)


async def test_no_more_requests_are_in_flight_than_the_concurrency() -> None:
    source, gate = Source(), Gate()
    async with aclosing(run_requests(client_with(gate), source, concurrency=5)) as results:
        first = asyncio.ensure_future(anext(results))
        await settle()
        assert (source.taken, gate.waiting) == (5, [*"01234"])
        gate.open(2)
        await first
        await settle()
        assert (source.taken, gate.waiting) == (6, [*"01345"])


async def test_the_server_sees_the_requested_concurrency() -> None:
    here, most = 0, 0
    full = asyncio.Barrier(4)  # never ahead of fewer

    async def answer(request: web.Request) -> web.Response:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await full.wait()
        here -= 1
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with (
        TestServer(app) as server,
        AsyncClient(
            base_url=str(server.make_url("/v1")), api_key="local", rate_limit=UNPACED
        ) as client,
    ):
        came = await ids(run_requests(client, map(line, range(40)), concurrency=4))
    assert (len(came), most) == (40, 4)


async def test_few_requests_start_few_workers() -> None:
    gate = Gate()
    before = asyncio.all_tasks()
    results = run_requests(client_with(gate), map(line, "abc"), concurrency=256)
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert len(asyncio.all_tasks() - before - {first}) == 3
    for name in "abc":
        gate.open(name)
    await first
    await results.aclose()


async def test_nothing_is_read_before_results_are_requested() -> None:
    source = Source()
    results = run_requests(client_with(at_once), source)
    await settle()
    assert source.taken == 0
    await results.aclose()


async def test_no_requests_no_results() -> None:
    assert await ids(run_requests(client_with(at_once), [])) == []


async def test_requests_may_be_objects_or_mappings() -> None:
    mixed: list[BatchRequest | dict[str, Any]] = [BatchRequest.of(line("a")), line("b")]
    results = run_requests(client_with(at_once), mixed, concurrency=1)
    assert await ids(results) == ["a", "b"]


# --- async sources -------------------------------------------------------------------------------


class Slow:
    """An async source that is torn by two questions at once, as an async generator is."""

    def __init__(self, names: Iterable[object]) -> None:
        self._names = iter(names)
        self._asked = False

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        assert not self._asked
        self._asked = True
        await asyncio.sleep(0)
        self._asked = False
        for name in self._names:
            return line(name)
        raise StopAsyncIteration


async def test_an_async_source_is_asked_by_one_worker_at_a_time() -> None:
    came = await ids(run_requests(client_with(at_once), Slow(range(50)), concurrency=8))
    assert sorted(came, key=int) == [str(number) for number in range(50)]


async def test_an_async_source_keeps_its_order() -> None:
    results = run_requests(client_with(at_once), Slow(range(50)), concurrency=8, ordered=True)
    assert await ids(results) == [str(number) for number in range(50)]


async def test_a_waiting_source_does_not_delay_results() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        yield line("a")
        await more.wait()
        yield line("b")

    results = run_requests(client_with(at_once), source())
    assert (await anext(results)).custom_id == "a"
    more.set()
    assert await ids(results) == ["b"]


async def test_closing_closes_an_async_generator_that_is_waiting() -> None:
    closed = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            yield line("a")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    results = run_requests(client_with(at_once), source())
    await anext(results)
    await results.aclose()
    assert closed == ["closed"]


async def test_closing_closes_an_async_generator_between_two_requests() -> None:
    closed = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            for number in count():
                yield line(number)
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    results = run_requests(client_with(at_once), source(), concurrency=2)
    await anext(results)
    await settle()  # now the workers wait for room
    await results.aclose()
    assert closed == ["closed"]


# --- what ends a run -----------------------------------------------------------------------------


class OutOfPaperError(Exception):
    pass


def broken_source() -> Iterator[dict[str, Any]]:
    yield line("a")
    yield line("b")
    raise OutOfPaperError


async def broken_async_source() -> AsyncIterator[dict[str, Any]]:
    for one in broken_source():
        yield one


@pytest.mark.parametrize("source", [broken_source, broken_async_source])
@pytest.mark.parametrize("ordered", [False, True])
async def test_an_exception_of_the_source_comes_after_what_was_in_flight(
    source: Any, ordered: bool
) -> None:
    gate = Gate()
    results = run_requests(client_with(gate), source(), concurrency=8, ordered=ordered)
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert gate.waiting == ["a", "b"]
    gate.open("a")
    gate.open("b")
    assert {(await first).custom_id, (await anext(results)).custom_id} == {"a", "b"}
    with pytest.raises(OutOfPaperError):
        await anext(results)


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_wrong_request_is_named_by_its_number(ordered: bool) -> None:
    wrong = [line("a"), line("b"), {"url": "/v1/embeddings", "body": {}}, line("d")]
    results = run_requests(client_with(at_once), wrong, concurrency=1, ordered=ordered)
    came = [(await anext(results)).custom_id, (await anext(results)).custom_id]
    with pytest.raises(InvalidArgumentError, match=r"^request 3: custom_id is missing"):
        await anext(results)
    assert came == ["a", "b"]


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_body_that_is_not_json_is_named_by_its_number(ordered: bool) -> None:
    wrong = [line("a"), line("b"), line("c")]
    wrong[1]["body"]["user"] = object()
    gate = Gate()
    results = run_requests(client_with(gate), wrong, concurrency=8, ordered=ordered)
    first = asyncio.ensure_future(anext(results))
    await settle()
    for name in list(gate.waiting):
        gate.open(name)
    came = [(await first).custom_id]
    with pytest.raises(
        InvalidArgumentError, match=r"^request 2: user has type object, which cannot be written"
    ):
        async for result in results:
            came.append(result.custom_id)
    assert sorted(came) in (["a"], ["a", "c"])


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_closed_client_ends_the_run(server: LocalServer, ordered: bool) -> None:
    server.script(Failure(stall_after=0), times=4)
    client = AsyncClient(base_url=server.url, api_key="local", rate_limit=UNPACED)
    results = run_requests(client, map(line, count()), concurrency=4, ordered=ordered)
    first = asyncio.ensure_future(anext(results))
    await server.received(4)
    await client.close()
    with pytest.raises(OpenAIError, match="closed"):
        await first


async def test_a_failed_run_does_not_wait_for_its_source(server: LocalServer) -> None:
    server.script(Failure(stall_after=0))

    async def source() -> AsyncIterator[dict[str, Any]]:
        yield line("a")
        await asyncio.Event().wait()

    client = AsyncClient(base_url=server.url, api_key="local", rate_limit=UNPACED)
    first = asyncio.ensure_future(anext(run_requests(client, source())))
    await server.received()
    await client.close()
    with pytest.raises(OpenAIError, match="closed"):
        await first


async def test_a_cancelled_worker_loses_nothing_silently() -> None:
    gate = Gate()
    before = asyncio.all_tasks()
    results = run_requests(client_with(gate), map(line, "a"))
    first = asyncio.ensure_future(anext(results))
    await settle()
    (worker,) = asyncio.all_tasks() - before - {first}
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


# --- leaving early -------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
async def test_leaving_the_loop_leaves_no_task_behind(ordered: bool) -> None:
    before = asyncio.all_tasks()
    source = Source()
    async for _ in run_requests(client_with(at_once), source, concurrency=8, ordered=ordered):
        break
    gc.collect()
    await settle()
    assert asyncio.all_tasks() == before
    taken = source.taken
    await settle()
    assert source.taken == taken


async def test_closing_waits_for_all_requests_in_flight() -> None:
    ended = []

    async def slow_to_leave(request: Request, send: Send) -> Response:
        if name_of(request) == "0":
            return good()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name_of(request))
        raise AssertionError

    results = run_requests(client_with(slow_to_leave), map(line, range(4)), concurrency=4)
    assert (await anext(results)).custom_id == "0"
    await settle()
    before = asyncio.all_tasks()
    await results.aclose()
    assert sorted(ended) == ["1", "2", "3"]
    assert len(asyncio.all_tasks()) == len(before) - 3


async def test_cancelling_the_consumer_hangs_up(client: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(stall_after=0), times=3)
    unpaced = client.with_options(rate_limit=UNPACED)
    task = asyncio.create_task(ids(run_requests(unpaced, map(line, count()), concurrency=3)))
    await server.received(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for request in server.requests:
        await request.finished()
    assert [request.disconnected for request in server.requests] == [True] * 3


async def test_a_second_cancellation_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()

    async def slow_to_leave(request: Request, send: Send) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(
        ids(run_requests(client_with(slow_to_leave), map(line, range(3)), concurrency=3))
    )
    await settle()
    task.cancel()
    await settle()
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert asyncio.all_tasks() == before


async def test_closing_right_after_the_first_request_starts_no_more_workers() -> None:
    source = Source()
    before = asyncio.all_tasks()
    results = run_requests(client_with(at_once), source, concurrency=256)
    first = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)  # the first worker is there, the second is on its way
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await settle()
    assert asyncio.all_tasks() == before


# --- the client ----------------------------------------------------------------------------------


async def test_a_failed_request_is_a_result_among_the_others(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(status=400, code="context_length_exceeded", message="Too long."))
    results = run_requests(client, map(line, "ab"), concurrency=1)
    came = {result.custom_id: result.error and result.error.code async for result in results}
    assert came == {"a": "context_length_exceeded", "b": None}


async def test_the_answers_of_a_server_come_with_their_tokens(client: AsyncClient) -> None:
    results = [result async for result in run_requests(client, map(line, range(20)))]
    assert all(result.completion.text for result in results)
    assert all(result.tokens > 0 and result.elapsed > 0 for result in results)
    assert len({result.id for result in results}) == 20


async def test_the_client_is_paced_and_retries_many_times(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(f"{BASE_URL}/chat/completions", payload={})
    mocked.post(f"{BASE_URL}/chat/completions", status=503, headers={"retry-after": "600"})
    mocked.post(f"{BASE_URL}/chat/completions", status=500, repeat=9)
    mocked.post(f"{BASE_URL}/chat/completions", payload={})
    source = map(line, "ab")
    results = [result async for result in run_requests(mocked_client, source, concurrency=1)]
    assert [(result.error, result.attempts) for result in results] == [(None, 1), (None, 11)]
    assert waits[0] == 600


async def test_a_server_that_has_never_answered_gets_few_retries(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(f"{BASE_URL}/chat/completions", status=503, repeat=True)
    results = [result async for result in run_requests(mocked_client, [line("a")])]
    assert [result.attempts for result in results] == [4]


async def test_a_server_that_has_refused_a_request_has_answered(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(f"{BASE_URL}/chat/completions", status=400)
    mocked.post(f"{BASE_URL}/chat/completions", status=503, repeat=9)
    mocked.post(f"{BASE_URL}/chat/completions", payload={})
    source = map(line, "ab")
    results = [result async for result in run_requests(mocked_client, source, concurrency=1)]
    assert [result.attempts for result in results] == [1, 10]


def test_pacing_and_longer_waits_are_added_to_the_client() -> None:
    run = batch_client(client_with())
    assert isinstance(run.rate_limit, RateLimit)
    assert (run.retry.max_retry_after, run.retry.max_delay) == (3600, 60)
    assert batch_client(run) is run


def test_settings_of_the_client_that_go_further_are_kept() -> None:
    limit = RateLimit(requests_per_minute=60)
    policy = RetryPolicy(max_retry_after=7200, initial_delay=2)
    client = client_with().with_options(rate_limit=limit, max_retries=9, retry=policy)
    run = batch_client(client)
    assert run.rate_limit is limit
    assert (run.retry.max_retry_after, run.retry.initial_delay) == (7200, 2)
    assert (run.max_retries, client.max_retries) == (9, 9)


async def test_it_works_with_aioresponses(mocked: aioresponses, mocked_client: AsyncClient) -> None:
    mocked.post(f"{BASE_URL}/chat/completions", payload={"choices": []}, repeat=True)
    assert sorted(await ids(run_requests(mocked_client, map(line, "abc")))) == ["a", "b", "c"]


def test_the_same_client_runs_in_a_second_loop() -> None:
    client = client_with(at_once)
    for _ in range(2):
        assert asyncio.run(ids(run_requests(client, map(line, "a")))) == ["a"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_tasks_do_not_start_within_each_other() -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not in 3.11
    gate = Gate()
    for number in range(2000):
        gate.open(number)
    results = run_requests(client_with(gate), map(line, range(2000)), concurrency=2000)
    assert len(await ids(results)) == 2000


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "8", None])
def test_concurrency_is_checked_at_once(concurrency: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="concurrency is"):
        run_requests(client_with(), [], concurrency=concurrency)


@pytest.mark.parametrize("requests", [line("a"), "in.jsonl", None, BatchRequest.of(line("a"))])
def test_requests_that_are_not_an_iterable_of_requests_are_refused_at_once(requests: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"requests has type .*: pass an iterable"):
        run_requests(client_with(), requests)
