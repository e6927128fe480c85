"""`client.send` and `client.stream`: any request, and its answer as it came."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
from collections.abc import Callable
from ssl import create_default_context
from typing import Any

import pytest
from attrs import evolve
from multidict import CIMultiDict
from yarl import URL

from openai_async import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
    OpenAIError,
    RateLimit,
    Request,
    Response,
    Send,
    Timeout,
)
from openai_async.testing import aioresponses

from ..conftest import BASE_URL
from ..raw_server import DONE, Exchange, RawServer

pytestmark = pytest.mark.virtual_time


# --- whole answers ---


async def test_a_built_request_can_be_changed_before_it_is_sent(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b'{"ok": true}')
    request = raw_client.build_request("post", "/anything", json={"input": "Hi"})
    assert (request.method, request.url, request.body) == (
        "POST",
        URL(f"{raw.url}/anything"),
        b'{"input":"Hi"}',
    )
    request.headers["Idempotency-Key"] = "1"
    response = await raw_client.send(request)
    assert (response.status, response.json(), response.meta.attempts) == (200, {"ok": True}, 1)
    (exchange,) = raw.exchanges
    assert exchange.headers["idempotency-key"] == "1"
    assert exchange.headers["authorization"] == "Bearer local"


async def test_changing_one_request_leaves_the_next_as_it_was(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    request = raw_client.build_request("GET", "/x", extra_headers={"X-One": "1"})
    request.headers.clear()
    request.api_key = "another"
    for _ in range(2):
        await raw_client.send(request)
        await raw_client.request("GET", "/x")
    changed, usual = raw.exchanges[0].headers, raw.exchanges[1].headers
    assert [exchange.headers for exchange in raw.exchanges] == [changed, usual] * 2
    assert (changed["authorization"], usual["authorization"]) == ("Bearer another", "Bearer local")
    assert ("accept" in usual, usual["user-agent"][:12]) == (True, "openai_async")
    assert "x-one" not in {**changed, **usual}


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, evolve, lambda request: pickle.loads(pickle.dumps(request))],
    ids=["copy", "deepcopy", "evolve", "pickle"],
)
async def test_a_copy_of_a_request_has_headers_of_its_own(
    raw: RawServer, copied: Callable[[Request], Request]
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    ssl = create_default_context()  # which cannot be copied
    async with AsyncClient(base_url=raw.url, api_key="local", ssl=ssl) as client:
        await client.request("GET", "/x")
        request = client.build_request("GET", "/x")
        changed = copied(request)
        changed.headers["X-One"] = "1"
        for each in (changed, copied(request), request):
            await client.send(each)
    usual, first, *others = [exchange.headers for exchange in raw.exchanges]
    assert first == {**usual, "x-one": "1"}
    assert others == [usual] * 2


async def test_a_request_evolved_with_other_headers_is_sent_with_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def replace(request: Request, send: Send) -> Response:
        return await send(evolve(request, headers=CIMultiDict({"X-One": "1"})))

    raw.answer = lambda exchange: exchange.whole(b"{}")
    client = raw_client.with_options(middlewares=[replace])
    for _ in range(2):
        await client.request("GET", "/x")
    for exchange in raw.exchanges:
        assert exchange.headers["x-one"] == "1"
        assert "openai_async" not in exchange.headers["user-agent"]


async def test_a_pickled_request_has_no_key_but_its_own(raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    async with AsyncClient(base_url=raw.url, api_key="sk-0123456789") as client:
        await client.request("GET", "/x")
        request = client.build_request("GET", "/x")
        request.api_key = None
    assert b"sk-0123456789" not in pickle.dumps(request)


async def test_send_retries_like_every_call(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.get(f"{BASE_URL}/x", status=503)
    mocked.get(f"{BASE_URL}/x", payload={})
    response = await mocked_client.send(mocked_client.build_request("GET", "/x"))
    assert response.meta.attempts == 2
    assert len(waits) == 1


async def test_elapsed_counts_from_sending(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    request = raw_client.build_request("GET", "/x")
    request.started -= 1000  # it was built long ago
    assert (await raw_client.send(request)).meta.elapsed < 100


async def test_send_takes_nothing_but_requests(mocked_client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match="has type str: pass a Request"):
        await mocked_client.send("/models")  # type: ignore[arg-type]


async def test_send_refuses_a_request_for_a_stream(mocked_client: AsyncClient) -> None:
    """Nothing would release its connection."""
    request = mocked_client.build_request("GET", "/x")
    request.stream = True
    with pytest.raises(InvalidArgumentError, match="use client.stream"):
        await mocked_client.send(request)


async def test_content_is_sent_as_it_is(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    content_type = {"Content-Type": "audio/wav"}
    await raw_client.request("POST", "/x", content=b"\x00\xff", extra_headers=content_type)
    (exchange,) = raw.exchanges
    assert (exchange.body, exchange.headers["content-type"]) == (b"\x00\xff", "audio/wav")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content": b"1", "json": {}}, "json or as content"),
        ({"content": b"1", "extra_body": {}}, "json or as content"),
        ({"content": "text"}, "content has type str: pass bytes"),
        ({"json": [], "extra_body": {}}, "merged into a JSON object"),
    ],
)
async def test_wrong_bodies_are_refused(
    mocked_client: AsyncClient, options: Any, message: str
) -> None:
    for call in (mocked_client.build_request, mocked_client.stream):
        with pytest.raises(InvalidArgumentError, match=message):
            call("POST", "/x", **options)
    with pytest.raises(InvalidArgumentError, match=message):
        await mocked_client.request("POST", "/x", **options)


# --- bytes as they come ---


async def test_bytes_are_read_as_they_arrive(raw: RawServer, raw_client: AsyncClient) -> None:
    more = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream("X-Request-Id: req_1\r\n")
        await exchange.part(b"one")
        await more.wait()
        await exchange.part(b"two")
        await exchange.end()

    raw.answer = answer
    async with raw_client.stream("POST", "/x", json={"a": 1}) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert (response.meta.request_id, response.meta.attempts) == ("req_1", 1)
        assert await anext(response) == b"one"
        more.set()
        assert [data async for data in response] == [b"two"]
        assert [data async for data in response] == []
    assert raw.exchanges[0].body == b'{"a":1}'
    raw.answer = lambda exchange: exchange.whole(b"{}")
    await raw_client.request("GET", "/x")
    assert raw.connections == 1


async def test_read_is_the_rest_of_the_body(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(b"one", b"two")
    async with raw_client.stream("GET", "/x") as response:
        assert await response.read() == b"onetwo"
        assert await response.read() == b""


async def test_an_empty_answer_has_no_bytes(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.whole(b"", status="204 No Content")
    async with raw_client.stream("GET", "/x") as response:
        assert (response.status, [data async for data in response]) == (204, [])


async def test_leaving_early_closes_the_connection(raw: RawServer, raw_client: AsyncClient) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"one")
        await asyncio.Event().wait()

    raw.answer = endless
    async with raw_client.stream("GET", "/x") as response:
        async for _ in response:
            break
    (pool,) = raw_client._transport._pools._pools.values()
    connector: Any = pool.session.connector
    assert (pool.streams, connector._acquired, connector._conns) == (set(), set(), {})
    assert pool.slots.free == 1000
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(response)


async def test_a_failure_before_the_first_bytes_is_retried(raw: RawServer) -> None:
    async def cut_off(exchange: Exchange) -> None:
        if len(raw.exchanges) == 3:
            await exchange.stream(b"ok")
        elif len(raw.exchanges) == 2:
            await exchange.whole(b"busy", status="503 Busy")
        else:
            await exchange.start_stream()
            exchange.abort()

    raw.answer = cut_off
    async with (
        AsyncClient(base_url=raw.url, api_key="k") as client,
        client.stream("GET", "/x") as response,
    ):
        assert await response.read() == b"ok"
        assert response.meta.attempts == 3


async def test_a_failure_after_the_first_bytes_is_not_retried(raw: RawServer) -> None:
    async def cut_off(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"one")
        await asyncio.sleep(0.1)
        exchange.abort()

    raw.answer = cut_off
    async with (
        AsyncClient(base_url=raw.url, api_key="k") as client,
        client.stream("GET", "/x") as response,
    ):
        assert await anext(response) == b"one"
        with pytest.raises(APIConnectionError):
            await anext(response)
    assert len(raw.exchanges) == 1


async def test_silence_is_bounded_by_idle(raw: RawServer, raw_client: AsyncClient) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"one")
        await asyncio.Event().wait()

    raw.answer = silent
    async with raw_client.stream("GET", "/x", timeout=Timeout(idle=2)) as response:
        assert await anext(response) == b"one"
        with pytest.raises(APITimeoutError, match="silent for 2 s"):
            await anext(response)


async def test_an_error_status_is_raised_on_entering(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.whole(b'{"error": {"message": "No."}}', status="400 Bad Request")
    with pytest.raises(BadRequestError, match="No"):
        async with raw_client.stream("GET", "/x"):
            raise AssertionError


async def test_it_is_paced_and_goes_through_the_middlewares(raw: RawServer) -> None:
    seen: list[tuple[bool, object]] = []

    async def watch(request: Request, send: Send) -> Response:
        response = await send(request)
        seen.append((request.stream, request.params))
        return response

    raw.answer = lambda exchange: exchange.stream(b"ok")
    limit = RateLimit(requests_per_minute=60)
    loop = asyncio.get_running_loop()
    async with AsyncClient(
        base_url=raw.url, api_key="k", middlewares=[watch], rate_limit=limit
    ) as client:
        begun = loop.time()
        for _ in range(4):
            async with client.stream("POST", "/x", json={"model": "m"}) as response:
                await response.read()
    assert seen == [(True, {"model": "m"})] * 4
    assert loop.time() - begun >= 2


async def test_a_middleware_that_sends_nothing_is_reported() -> None:
    async def canned(request: Request, send: Send) -> Response:
        return Response(status=200, headers={})

    client = AsyncClient(base_url=BASE_URL, api_key="k", middlewares=[canned])
    with pytest.raises(OpenAIError, match="without sending the request"):
        async with client.stream("GET", "/x"):
            raise AssertionError


async def test_it_can_only_be_entered_once(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(b"ok")
    stream = raw_client.stream("GET", "/x")
    with pytest.raises(OpenAIError, match="not open yet"):
        _ = stream.status
    async with stream:
        pass
    with pytest.raises(OpenAIError, match="entered before"):
        async with stream:
            raise AssertionError


async def test_a_second_reader_is_refused_and_the_first_reads_on(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        await go_on.wait()
        await exchange.send(b"b")

    raw.answer = answer
    async with raw_client.stream("GET", "/files/f/content") as response:
        assert await anext(response) == b"a"
        first = asyncio.create_task(response.read())
        await asyncio.sleep(0)  # it waits for more
        with pytest.raises(OpenAIError, match="one reader"):
            await anext(response)
        go_on.set()
        assert await first == b"b"


async def test_dropping_an_open_answer_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"one")
        await asyncio.Event().wait()

    raw.answer = endless
    stream = raw_client.stream("GET", "/x")
    await stream.__aenter__()
    (pool,) = raw_client._transport._pools._pools.values()
    connector: Any = pool.session.connector
    assert len(connector._acquired) == 1
    del stream
    assert (pool.streams, connector._acquired, pool.slots.free) == (set(), set(), 1000)


async def test_closing_the_client_fails_its_reader(raw: RawServer) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"one")
        await asyncio.Event().wait()

    raw.answer = endless
    client = AsyncClient(base_url=raw.url, api_key="k")
    async with client.stream("GET", "/x") as response:
        await anext(response)
        reading = asyncio.ensure_future(anext(response))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(APIConnectionError, match="The client was closed"):
            await reading


# --- what a caller or a middleware may set wrong ---


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("url", "http://127.0.0.1/v1/models", "request.url has type str: pass a yarl.URL"),
        ("headers", None, "Headers have type NoneType"),
        ("headers", {"X": None}, "Header 'X' is None"),
        ("headers", {"X": 3}, "Header 'X' is not text"),
        ("headers", {"X": "a\nb"}, "'X' contains a line break"),
        ("body", {"model": "m"}, "request.body has type dict: pass bytes"),
        ("timeout", "soon", "timeout is 'soon'"),
    ],
)
async def test_a_request_that_was_changed_into_a_wrong_one_is_refused(
    raw: RawServer, raw_client: AsyncClient, name: str, value: Any, said: str
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    for opened_before in range(2):  # by the session, and directly
        request = raw_client.build_request("POST", "/x", json={})
        setattr(request, name, value)
        with pytest.raises(InvalidArgumentError, match=re.escape(said)):
            await raw_client.send(request)
        assert len(raw.exchanges) == opened_before
        if not opened_before:
            await raw_client.request("GET", "/x")


@pytest.mark.parametrize("place", ["middlewares", "rate_limit"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("returned", "what"), [(None, "None"), ({"text": "Hi"}, "a value of type dict")]
)
async def test_a_middleware_that_returns_no_response_is_named(
    raw: RawServer, raw_client: AsyncClient, place: str, stream: bool, returned: Any, what: str
) -> None:
    async def forget(request: Request, send: Send) -> Any:
        await send(request)
        return returned

    raw.answer = lambda exchange: exchange.stream(DONE)
    options: Any = {place: [forget] if place == "middlewares" else forget}
    client = raw_client.with_options(max_retries=0, **options)
    with pytest.raises(OpenAIError, match=f"forget returned {what}: return a Response"):
        if stream:
            async with client.stream("GET", "/x"):
                pass
        else:
            await client.request("GET", "/x")


async def test_a_response_can_be_pickled_and_copied(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b'{"a": 1}')
    response = await raw_client.request("GET", "/x")
    for twin in (pickle.loads(pickle.dumps(response)), copy.deepcopy(response)):
        assert (twin.json(), twin.headers, twin.meta) == ({"a": 1}, response.headers, response.meta)
        assert twin.secret is None
