"""`Hooks`: what is called when, and what happens if it raises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from openai_async import (
    APIStatusError,
    AsyncClient,
    Hooks,
    InternalServerError,
    InvalidArgumentError,
    Request,
    Response,
    Send,
    StreamEnd,
)
from openai_async.testing import LocalServer

from .hook_calls import WHOLE, Calls, RefusedError, calls, ended, endless, observed
from .raw_server import Exchange, RawServer
from .streaming.test_stream import ask

__all__ = ("calls", "observed")

pytestmark = pytest.mark.virtual_time


# --- whole answers ---


async def test_a_call_is_a_request_and_a_response(calls: Calls, server: LocalServer) -> None:
    async with AsyncClient(base_url=server.url, api_key="k", hooks=calls.hooks) as client:
        await client.models.list()
    assert calls.names == ["request", "response"]
    assert calls.requests[0] is calls.requests[1]
    assert str(calls.requests[0].url).endswith("/models")


async def test_the_response_is_the_whole_one(observed: AsyncClient, raw: RawServer) -> None:
    seen: list[Response] = []
    raw.answer = lambda e: e.whole(b'{"data": []}')
    client = observed.with_options(hooks=Hooks(on_response=lambda _, answer: seen.append(answer)))
    await client.request("GET", "/models")
    assert (seen[0].status, seen[0].body, seen[0].attempts) == (200, b'{"data": []}', 1)


async def test_retries_are_within_one_call(calls: Calls, raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) < 3:
            await exchange.whole(b"{}", status="500 Broken\r\nretry-after-ms: 20")
        else:
            await exchange.whole(b"{}")

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=calls.hooks) as client:
        await client.request("GET", "/models")
    assert calls.names == ["request", "retry", "retry", "response"]
    assert len({*calls.requests}) == 1
    assert [(type(r.error), r.attempt, r.delay) for r in calls.retries] == [
        (InternalServerError, 1, 0.02),
        (InternalServerError, 2, 0.02),
    ]


async def test_a_request_that_is_sent_twice_reports_each_retry_once(
    calls: Calls, raw: RawServer
) -> None:
    async def answer(exchange: Exchange) -> None:
        failing = len(raw.exchanges) % 2 == 1
        await exchange.whole(
            b"{}", status="500 Broken\r\nretry-after-ms: 1" if failing else "200 OK"
        )

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=calls.hooks) as client:
        request = client.build_request("GET", "/models")
        await client.send(request)
        await client.send(request)
    assert calls.names == ["request", "retry", "response"] * 2


async def test_a_call_that_fails_for_good_is_an_error(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.whole(b"{}", status="404 No")
    with pytest.raises(APIStatusError) as caught:
        await observed.request("GET", "/models")
    assert calls.names == ["request", "error"]
    assert calls.errors == [caught.value]


async def test_a_cancelled_call_is_an_error(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    arrived = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.Event().wait()

    raw.answer = answer
    task = asyncio.create_task(observed.request("GET", "/models"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.names == ["request", "error"]
    assert isinstance(calls.errors[0], asyncio.CancelledError)


async def test_hooks_are_outside_the_middlewares(calls: Calls) -> None:
    async def cache(request: Request, send: Send) -> Response:
        calls.names.append("cache")
        return Response(status=200, headers={}, body=b"{}")

    async with AsyncClient(api_key="k", hooks=calls.hooks, middlewares=[cache]) as client:
        await client.request("GET", "/models")
    assert calls.names == ["request", "cache", "response"]


async def test_the_first_of_several_hooks_is_the_outermost(raw: RawServer) -> None:
    outer, inner = Calls("outer "), Calls("inner ")
    inner.names = outer.names
    raw.answer = lambda e: e.stream(*WHOLE)
    hooks = [outer.hooks, inner.hooks]
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        await ask(client).completion()
    assert outer.names == [
        *("outer request", "inner request"),
        *("inner response", "outer response"),
        *("inner end", "outer end"),
    ]


async def test_a_retry_is_reported_to_all_of_several_hooks(raw: RawServer) -> None:
    outer, inner = Calls(), Calls()
    raw.answer = lambda e: e.whole(b"{}", status="500 Broken\r\nretry-after-ms: 1")
    hooks = [outer.hooks, inner.hooks]
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=1, hooks=hooks) as client:
        with pytest.raises(InternalServerError):
            await client.request("GET", "/models")
    assert outer.names == inner.names == ["request", "retry", "error"]


async def test_each_hook_may_be_left_out(raw: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    raw.answer = lambda e: e.whole(b"{}", status="500 Broken\r\nretry-after-ms: 1")
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=1, hooks=Hooks()) as client:
        with pytest.raises(InternalServerError):
            await client.request("GET", "/models")
        raw.answer = lambda e: e.stream(*WHOLE)
        assert (await ask(client).completion()).text == "ab"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- hooks that raise ---


async def test_on_request_can_refuse(raw: RawServer) -> None:
    def refuse(request: Request) -> None:
        raise RefusedError

    outer, inner = Calls(), Calls()
    hooks = [outer.hooks, Hooks(on_request=refuse), inner.hooks]
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        with pytest.raises(RefusedError):
            await client.request("GET", "/models")
    assert raw.exchanges == []
    assert (outer.names, inner.names) == (["request", "error"], [])


@pytest.mark.parametrize("hook", ["on_response", "on_retry", "on_error"])
async def test_what_a_hook_raises_reaches_the_caller(raw: RawServer, hook: str) -> None:
    def refuse(request: Request, what: object) -> None:
        raise RefusedError

    failing = hook != "on_response"
    raw.answer = lambda e: e.whole(b"{}", status="500 Broken" if failing else "200 OK")
    raising: Any = {hook: refuse}
    hooks = Hooks(**raising)
    retries = int(hook == "on_retry")
    async with AsyncClient(
        base_url=raw.url, api_key="k", max_retries=retries, hooks=hooks
    ) as client:
        with pytest.raises(RefusedError):
            await client.request("GET", "/models")
    assert len(raw.exchanges) == 1


async def test_on_error_cannot_replace_a_cancellation(
    raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(request: Request, error: BaseException) -> None:
        raise RefusedError

    arrived = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.Event().wait()

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=Hooks(on_error=refuse)) as client:
        task = asyncio.create_task(client.request("GET", "/models"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "on_error failed" in caplog.text


async def test_a_stream_is_closed_if_on_response_raises(raw: RawServer) -> None:
    def refuse(request: Request, response: Response) -> None:
        raise RefusedError

    inner = Calls()
    raw.answer = endless
    hooks = [Hooks(on_response=refuse), inner.hooks]
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        with pytest.raises(RefusedError):
            await ask(client)
        await raw.hung_up.wait()
    assert inner.names == ["request", "response", "end"]
    assert isinstance(ended(inner).error, RefusedError)


async def test_what_on_stream_end_raises_is_logged(
    raw: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(request: Request, end: StreamEnd) -> None:
        raise RefusedError

    after = Calls()
    raw.answer = lambda e: e.stream(*WHOLE)
    hooks = [after.hooks, Hooks(on_stream_end=refuse)]
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        assert (await ask(client).completion()).text == "ab"
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (record.name, record.levelno) == ("openai_async", logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[0] is RefusedError
    assert len(after.ends) == 1


async def test_the_other_hooks_are_told_of_the_end_if_one_is_interrupted(raw: RawServer) -> None:
    def interrupt(request: Request, end: StreamEnd) -> None:
        pytest.fail("not whole")

    outer = Calls()
    raw.answer = lambda e: e.stream(*WHOLE)
    hooks = [outer.hooks, Hooks(on_stream_end=interrupt)]
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        with pytest.raises(pytest.fail.Exception, match="not whole"):
            await ask(client).completion()
    assert ended(outer).complete


async def test_a_hook_that_returns_a_coroutine_is_refused(raw: RawServer) -> None:
    async def count(request: Request) -> None: ...

    hooks = Hooks(on_request=lambda request: count(request))
    async with AsyncClient(base_url=raw.url, api_key="k", hooks=hooks) as client:
        with pytest.raises(InvalidArgumentError, match="on_request returned a coroutine"):
            await client.models.list()
    assert raw.exchanges == []


async def test_what_is_not_a_plain_function_is_refused() -> None:
    async def count(request: Request) -> None: ...

    class Counter:
        async def __call__(self, request: Request) -> None: ...

    async def around(request: Request) -> AsyncIterator[None]:
        yield

    for wrong in (count, Counter(), around):
        with pytest.raises(InvalidArgumentError, match="on_request is async: pass a plain"):
            Hooks(on_request=wrong)

    def span(request: Request) -> Iterator[None]:
        yield

    with pytest.raises(InvalidArgumentError, match="on_request is a generator function: pass a"):
        Hooks(on_request=span)
    with pytest.raises(InvalidArgumentError, match="on_retry has type int: pass a function"):
        Hooks(on_retry=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [3, [len], "abc", {"on_request": len}])
def test_what_is_not_hooks_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"pass hooks=Hooks\(on_request=function\)"):
        AsyncClient(api_key="k", hooks=wrong)


async def test_with_options_replaces_the_hooks(
    calls: Calls, observed: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda e: e.whole(b"{}")
    await observed.with_options(timeout=5).request("GET", "/models")
    await observed.with_options(hooks=None).request("GET", "/models")
    assert calls.names == ["request", "response"]
