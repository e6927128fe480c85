"""Requests on open connections bypass `ClientSession.request`: the same bytes, at half the cost.

Both paths give the server and the caller the same: every fault in the table (tests/faults/) is
tested on new and on open connections. These tests are about the choice between the two, and about
what only a direct exchange could get wrong.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import shutil
import ssl
import sys
import threading
import weakref
from array import array
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import vcr
from aiohttp.client_proto import ResponseHandler
from aiohttp.test_utils import unused_port

from openai_async import (
    APIConnectionError,
    AsyncClient,
    InvalidArgumentError,
    OpenAIError,
    Request,
    Response,
    Send,
    Timeout,
)
from openai_async.http import aiohttp_internals, head, transport
from openai_async.http.aiohttp_internals import DirectAnswer, _known_shape
from openai_async.http.urls import MAX_URLS
from openai_async.testing import LocalServer, aioresponses

from ..faults.fault_server import TLSServer, trusting
from ..raw_server import DONE, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

HI: Any = [{"role": "user", "content": "hi"}]
Call = Callable[[AsyncClient], Awaitable[object]]


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"data": [], "choices": []}')


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The path of each request that was sent directly."""
    paths: list[str] = []
    original = aiohttp_internals.exchange

    async def exchange(connector: Any, key: Any, protocol: Any, url: Any, data: bytes) -> Any:
        paths.append(url.path.removeprefix("/v1"))
        return await original(connector, key, protocol, url, data)

    monkeypatch.setattr(transport, "exchange", exchange)
    return paths


# --- the same bytes ---


async def accept_twice(request: Request, send: Send) -> Response:
    request.headers["Accept-Encoding"] = "gzip"
    request.headers.add("Accept-Encoding", "identity")
    return await send(request)


CALLS: dict[str, tuple[dict[str, Any], Call]] = {
    "a chat": ({}, lambda c: c.chat.completions.create(model="m", messages=HI)),
    "a model list": ({}, lambda c: c.models.list()),
    "a deletion": ({}, lambda c: c.request("DELETE", "/models/m")),
    "a stream": ({}, lambda c: c.chat.completions.create(model="m", messages=HI, stream=True)),
    "a POST without a body": (
        {},
        lambda c: c.request("POST", "/cancel", extra_headers={"Content-Type": "text/plain"}),
    ),
    "a POST without a body or type": ({}, lambda c: c.request("POST", "/cancel")),
    "an empty body": (
        {},
        lambda c: c.request("PUT", "/f", content=b"", extra_headers={"Content-Type": "a/b"}),
    ),
    "bytes without a type": ({}, lambda c: c.request("POST", "/f", content=b"\x00\xff")),
    "a query": ({"default_query": {"api-version": "1 é"}}, lambda c: c.models.list()),
    "an account": ({"organization": "org-1", "project": "p"}, lambda c: c.models.list()),
    "another host": ({"default_headers": {"Host": "example.org"}}, lambda c: c.models.list()),
    "another agent": ({"default_headers": {"user-agent": "me/1"}}, lambda c: c.models.list()),
    "another host, in lower case": (
        {},
        lambda c: c.models.list(extra_headers={"host": "example.org"}),
    ),
    "a header twice": ({"middlewares": [accept_twice]}, lambda c: c.models.list()),
    "a header that is not ASCII": (
        {"default_headers": {"X-Name": "Zoë"}},
        lambda c: c.models.list(),
    ),
    "headers taken out": (
        {"default_headers": {"User-Agent": None, "Accept-Encoding": None, "Accept": None}},
        lambda c: c.models.list(),
    ),
    "no type": (
        {"default_headers": {"Content-Type": None}},
        lambda c: c.chat.completions.create(model="m", messages=HI),
    ),
    "headers of a call": (
        {},
        lambda c: c.models.list(extra_headers={"X-One": "1", "Authorization": "Basic eA=="}),
    ),
    "a closed connection": (
        {"default_headers": {"Connection": "close"}},
        lambda c: c.models.list(),
    ),
    "a key from a function": ({"api_key": lambda: "sk-from-a-function"}, lambda c: c.models.list()),
}


@pytest.mark.parametrize("name", CALLS)
async def test_the_bytes_on_the_wire_are_the_same(raw: RawServer, name: str) -> None:
    raw.answer = ok
    options, call = CALLS[name]
    for url in (raw.url, raw.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
        raw.exchanges.clear()
        options = {"api_key": "sk-0123456789", "base_url": url, **options}
        for _ in range(2):
            async with AsyncClient(**options) as client:
                for _ in range(2):  # on a new connection, and on an open one
                    try:
                        await call(client)
                    except OpenAIError:
                        assert name == "a stream"
        first, *others = [(exchange.head, exchange.body) for exchange in raw.exchanges]
        assert others == [first] * 3


async def test_each_request_on_an_open_connection_is_direct(
    raw: RawServer, direct: list[str]
) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await client.models.list()
        assert direct == []
        await client.models.list()
        await client.request("POST", "/anything", json={})
        await client.with_options(timeout=5).models.list()
    assert direct == ["/models", "/anything", "/models"]
    assert raw.connections == 1


# --- where it is not used ---


async def second_request(client: AsyncClient, **options: Any) -> None:
    await client.models.list()
    await client.models.list(**options)


async def test_a_session_of_your_own_sends_all_requests(raw: RawServer, direct: list[str]) -> None:
    raw.answer = ok
    async with aiohttp.ClientSession() as session:
        await second_request(AsyncClient(base_url=raw.url, api_key="k", session=session))
    assert direct == []


async def test_requests_through_a_proxy_are_sent_by_aiohttp(
    raw: RawServer, direct: list[str]
) -> None:
    raw.answer = ok
    url = f"http://127.0.0.1:{unused_port()}/v1"
    async with AsyncClient(base_url=url, api_key="k", proxy=raw.url) as client:
        await second_request(client)
    assert direct == []


async def test_tracers_that_hook_into_every_session_see_every_request(
    raw: RawServer, direct: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's and Sentry's do this: they add their trace config in `__init__`."""
    raw.answer = ok
    seen: list[str] = []

    async def started(session: Any, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.method)

    original = aiohttp.ClientSession.__init__

    def init(self: aiohttp.ClientSession, **kwargs: Any) -> None:
        config = aiohttp.TraceConfig()
        config.on_request_start.append(started)
        original(self, trace_configs=[config], **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await second_request(client)
    assert seen == ["GET", "GET"]
    assert direct == []


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (aiohttp.ClientSession, "request"),
        (aiohttp.ClientSession, "_request"),
        (aiohttp.BaseConnector, "connect"),
        (aiohttp.TCPConnector, "connect"),
        (aiohttp.ClientRequest, "send"),
        (aiohttp.ClientResponse, "start"),
    ],
)
async def test_a_replaced_part_of_aiohttp_sees_every_request_from_then_on(
    raw: RawServer, direct: list[str], monkeypatch: pytest.MonkeyPatch, cls: type, name: str
) -> None:
    raw.answer = ok
    original = getattr(cls, name)
    seen = []

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(*args, **kwargs)

    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await client.models.list()
        with monkeypatch.context() as patch:
            patch.setattr(cls, name, spy)
            await client.models.list()
        assert (seen, direct) == ([name], [])
        await client.models.list()
        assert (seen, direct) == ([name], ["/models"])


async def test_a_class_in_the_place_of_client_session_serves_new_clients(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def __init__(self, **options: Any) -> None:
            self.closed = False

        async def request(self, *args: Any, **options: Any) -> Any:
            msg = "from the other class"
            raise aiohttp.ClientConnectionError(msg)

        async def close(self) -> None:
            self.closed = True

    raw.answer = ok
    options: Any = {"base_url": raw.url, "api_key": "k", "max_retries": 0}
    async with AsyncClient(**options) as before:
        await before.models.list()
        monkeypatch.setattr(aiohttp, "ClientSession", Session)
        await before.models.list()
        async with AsyncClient(**options) as after:
            with pytest.raises(APIConnectionError, match="from the other class"):
                await after.models.list()
    assert len(raw.exchanges) == 2


async def test_aioresponses_answers_though_a_connection_is_open(raw: RawServer) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await client.models.list()
        with aioresponses() as mocked:
            mocked.get(f"{raw.url}/models", payload={"data": [{"id": "mocked"}]})
            assert [model.id for model in await client.models.list()] == ["mocked"]
    assert len(raw.exchanges) == 1


async def test_vcr_records_and_replays_even_if_a_connection_is_open(
    server: LocalServer, tmp_path: Path
) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    async with AsyncClient(base_url=server.url, api_key="k") as client:
        first = await client.models.list()
        with vcr.use_cassette(cassette):
            await client.models.list()
        with vcr.use_cassette(cassette, record_mode="none") as tape:
            assert await client.models.list() == first
    assert tape.play_count == 1
    assert len(server.requests) == 2


async def test_a_body_that_does_not_go_out_in_one_write_is_sent_by_aiohttp(
    raw: RawServer, direct: list[str]
) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await client.models.list()
        await client.request("POST", "/f", content=b"x" * (transport.MAX_SINGLE_WRITE + 1))
        assert direct == []
        await client.request("POST", "/f", content=b"x" * transport.MAX_SINGLE_WRITE)
    assert [len(exchange.body) for exchange in raw.exchanges] == [0, 1048577, 1048576]


@pytest.mark.parametrize(
    "body",
    [bytearray(b"12345678"), memoryview(array("I", [1, 2])), '{"a": "é"}'],
    ids=["bytearray", "memoryview", "text"],
)
async def test_a_body_that_is_not_bytes_is_sent_by_aiohttp(
    raw: RawServer, direct: list[str], body: Any
) -> None:
    """A length counted in anything but bytes would let the rest pass for another request."""

    async def replace(request: Request, send: Send) -> Response:
        request.body = body
        return await send(request)

    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        await client.models.list()
        await client.with_options(middlewares=[replace]).request("POST", "/f", json={})
    assert direct == []
    assert raw.exchanges[1].body == (body.encode() if isinstance(body, str) else bytes(body))


async def test_a_header_that_is_not_text_is_refused_on_open_connections_too(
    raw: RawServer,
) -> None:
    async def number(request: Request, send: Send) -> Response:
        request.headers["X-Number"] = 5  # type: ignore[assignment]
        return await send(request)

    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        await client.models.list()
        with pytest.raises(InvalidArgumentError, match="'X-Number' is not text"):
            await client.with_options(middlewares=[number]).models.list()
    assert len(raw.exchanges) == 1


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_unusual_methods_are_sent_by_aiohttp(
    raw: RawServer, direct: list[str], method: str
) -> None:
    raw.answer = lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        for _ in range(2):
            await client.request(method, "/anything")
    assert direct == []


async def test_a_header_with_a_line_break_is_never_sent(raw: RawServer) -> None:
    async def break_out(request: Any, send: Any) -> Any:
        request.headers["X-Name"] = "value\r\nX-Evil: 1"
        return await send(request)

    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        await client.models.list()
        with pytest.raises(InvalidArgumentError, match="line break"):
            await client.with_options(middlewares=[break_out]).models.list()
    assert len(raw.exchanges) == 1


# --- an aiohttp that is different ---


@pytest.fixture
def look_again() -> Iterator[None]:
    _known_shape.cache_clear()
    yield
    _known_shape.cache_clear()


def test_this_aiohttp_has_what_a_direct_exchange_uses() -> None:
    assert _known_shape()
    assert aiohttp_internals._READER_IS_KNOWN


@pytest.mark.parametrize(
    ("cls", "name"),
    [*aiohttp_internals._USED, (aiohttp_internals, "RawResponseMessage")],
)
@pytest.mark.usefixtures("look_again")
async def test_nothing_is_direct_if_aiohttp_lacks_what_that_needs(
    raw: RawServer,
    direct: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cls: Any,
    name: str,
) -> None:
    """Replaced only during the check, since ordinary requests need most of it too."""
    raw.answer = ok
    with monkeypatch.context() as patch:
        patch.setattr(cls, name, None)
        assert not _known_shape()
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await second_request(client)
    assert direct == []
    assert caplog.records == []


@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError])
async def test_aiohttp_sends_the_request_if_a_connection_cannot_be_prepared(
    raw: RawServer, direct: list[str], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    original = ResponseHandler.set_response_params

    def other(self: ResponseHandler, **params: Any) -> None:
        if "timer" not in params:  # which aiohttp itself passes
            raise error
        original(self, **params)

    raw.answer = ok
    assert _known_shape()
    monkeypatch.setattr(ResponseHandler, "set_response_params", other)
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        await second_request(client)
        (pool,) = client._transport._pools._pools.values()
        connector: Any = pool.session.connector
        assert not connector._acquired
    assert direct == []
    assert raw.connections == 1


async def test_an_observer_that_keeps_the_response_finds_it_open(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[aiohttp.ClientResponse] = []
    original: Any = aiohttp.ClientSession._request

    async def observe(self: Any, *args: Any, **options: Any) -> aiohttp.ClientResponse:
        kept.append(await original(self, *args, **options))
        return kept[-1]

    async def begin(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("a")))

    raw.answer = begin
    monkeypatch.setattr(aiohttp.ClientSession, "_request", observe)
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        assert not kept[0].closed
        assert kept[0].connection is not None
        await stream.close()


# --- what only a direct exchange could get wrong ---


async def open_client(raw: RawServer, **options: Any) -> AsyncClient:
    """A client with an open connection."""
    answer, raw.answer = raw.answer, ok
    client = AsyncClient(base_url=raw.url, api_key="k", max_retries=0, **options)
    await client.models.list()
    raw.answer = answer
    return client


BODIES = {
    "with a length": b"Content-Length: 12\r\n\r\n" + b'{"data": []}',
    "in chunks": b'Transfer-Encoding: chunked\r\n\r\n6\r\n{"data\r\n6\r\n": []}\r\n0\r\n\r\n',
    "compressed": b"Content-Encoding: gzip\r\nContent-Length: 32\r\n\r\n"
    + gzip.compress(b'{"data": []}', mtime=0),
    "after informational responses": b"Content-Length: 12\r\n\r\n" + b'{"data": []}',
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("at_once", [True, False])
async def test_bodies_arrive_whole(
    raw: RawServer, direct: list[str], kind: str, at_once: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if kind == "after informational responses":
        head = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + head

    async def answer(exchange: Exchange) -> None:
        data = head + BODIES[kind]
        for part in [data] if at_once else [data[:-7], data[-7:]]:
            await exchange.send(part)
            await asyncio.sleep(0.01)

    raw.answer = answer
    async with await open_client(raw) as client:
        for _ in range(3):
            assert (await client.request("GET", "/models")).json() == {"data": []}
    assert len(direct) == 3
    assert raw.connections == 1


BEGINNINGS = {
    "an informational response": b"HTTP/1.1 102 Processing\r\n\r\n",
    "a byte": b"H",
    "half the headers": b"HTTP/1.1 200 OK\r\nX-Half: 1\r\n",
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("by", ["a direct exchange", "the session"])
async def test_a_request_that_the_server_has_begun_to_answer_is_not_sent_again(
    raw: RawServer, direct: list[str], beginning: str, how: str, by: str
) -> None:
    """Only a connection that was closed while idle may be replaced without a retry."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(BEGINNINGS[beginning])
        await asyncio.sleep(0.1)
        if how == "reset":
            exchange.abort()
        exchange.writer.close()

    raw.answer = answer
    async with await open_client(raw) as client:
        method = "POST" if by == "a direct exchange" else "OPTIONS"
        with pytest.raises(APIConnectionError):
            await client.request(method, "/x", json={})
    assert direct == (["/x"] if by == "a direct exchange" else [])
    assert len(raw.exchanges) == 2  # the first opened the connection


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("by", ["a direct exchange", "the session"])
async def test_a_request_that_fails_after_a_while_is_not_sent_again(
    raw: RawServer, how: str, by: str
) -> None:
    """A stale connection fails within a round trip. This server has begun to handle the request."""

    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(transport.STALE_WITHIN + 1)
        if how == "reset":
            exchange.abort()
        exchange.writer.close()

    raw.answer = answer
    async with await open_client(raw) as client:
        with pytest.raises(APIConnectionError):
            await client.request("POST" if by == "a direct exchange" else "OPTIONS", "/x", json={})
    assert len(raw.exchanges) == 2  # the first opened the connection


async def test_after_many_urls_the_headers_for_a_url_are_still_made_only_once(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths may contain ids: the cache must drop old URLs to make room for new ones."""
    prepared: list[str] = []
    original = head.request_head

    def request_head(method: str, url: Any, *args: Any, **options: Any) -> Any:
        prepared.append(url.path)
        return original(method, url, *args, **options)

    monkeypatch.setattr("openai_async.http.outgoing.request_head", request_head)
    raw.answer = ok
    async with await open_client(raw) as client:
        for number in range(MAX_URLS + 1):
            await client.request("GET", f"/files/file-{number}")
        prepared.clear()
        for _ in range(3):
            await client.request("GET", "/chat")
    assert prepared == ["/v1/chat"]


async def test_an_answer_without_a_body_leaves_the_connection_usable(raw: RawServer) -> None:
    raw.answer = lambda exchange: exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with await open_client(raw) as client:
        for _ in range(3):
            assert (await client.request("DELETE", "/files/f")).body == b""
    assert raw.connections == 1


def test_threads_that_request_many_paths_do_not_disturb_each_other() -> None:
    client = AsyncClient(base_url="http://127.0.0.1:1/v1", api_key="k")
    failures: list[BaseException] = []

    def build(thread: int) -> None:
        try:
            for number in range(5000):
                client.build_request("GET", f"/files/{thread}-{number}")
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=build, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


async def test_a_server_that_closes_after_its_answer_is_connected_to_again(raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    raw.answer = answer
    async with await open_client(raw) as client:
        for _ in range(3):
            assert (await client.request("GET", "/x")).json() == {}
    assert raw.connections == 3


async def test_cancelling_before_the_answer_closes_the_connection(
    raw: RawServer, direct: list[str]
) -> None:
    arrived = asyncio.Event()

    async def hang(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.Event().wait()

    raw.answer = hang
    async with await open_client(raw) as client:
        task = asyncio.create_task(client.request("GET", "/x"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (pool,) = client._transport._pools._pools.values()
        connector: Any = pool.session.connector
        assert not connector._acquired
        assert not connector._conns
    assert direct == ["/x"]


async def test_an_answer_before_the_body_was_sent_closes_the_connection(
    direct: list[str],
) -> None:
    """The rest of the body is still in the buffer: the server would read it as a request."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        while await reader.read(2**20):
            pass
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    hung_up = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=2**26)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with AsyncClient(base_url=url, api_key="k", max_retries=0) as client:
            await client.request("GET", "/x")
            (pool,) = client._transport._pools._pools.values()
            connector: Any = pool.session.connector
            ((protocol, _),) = next(iter(connector._conns.values()))
            protocol.pause_writing()
            with pytest.raises(OpenAIError):
                await client.request("POST", "/x", content=b"x" * 2**20)
            assert not connector._conns
        async with asyncio.timeout(5):
            await hung_up.wait()
    assert direct == ["/x"]


async def test_a_direct_answer_that_is_dropped_closes_its_connection(raw: RawServer) -> None:
    async def begin(exchange: Exchange) -> None:
        await exchange.start_stream()

    raw.answer = begin
    async with await open_client(raw) as client:
        (pool,) = client._transport._pools._pools.values()
        connector: Any = pool.direct
        key = next(iter(connector._conns))
        taken = connector.acquire(key, 65536)
        assert taken is not None
        head = b"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n"
        answer: DirectAnswer | None = await aiohttp_internals.exchange(
            connector, key, taken, client.base_url, head
        )
        assert answer is not None
        assert not answer.closed
        answer.content._eof_callbacks.clear()  # they refer to the answer until the body ends
        del answer
        async with asyncio.timeout(5):
            await raw.hung_up.wait()
        assert not connector._acquired


async def test_a_stream_on_an_open_connection_can_be_left_and_read_to_its_end(
    raw: RawServer, direct: list[str]
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("hi")))
        await asyncio.Event().wait()

    raw.answer = lambda exchange: exchange.stream(chunk("hi"), chunk(finish="stop"), DONE)
    async with await open_client(raw) as client:
        for _ in range(3):
            stream = client.chat.completions.create(model="m", messages=HI, stream=True)
            assert (await stream.completion()).text == "hi"
        raw.answer = endless
        async for _ in client.chat.completions.create(model="m", messages=HI, stream=True):
            break
        (pool,) = client._transport._pools._pools.values()
        connector: Any = pool.session.connector
        assert not connector._acquired
        assert not connector._conns
    assert len(direct) == 4
    assert raw.connections == 1


async def test_a_closed_client_does_not_keep_its_ssl_context(raw: RawServer) -> None:
    """It may hold 1 MB of certificates."""

    async def use() -> weakref.ref[ssl.SSLContext]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with await open_client(raw, ssl=context) as client:
            await client.models.list()
        return weakref.ref(context)

    raw.answer = ok
    gone = await use()
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
async def test_requests_over_tls_are_direct_too(direct: list[str]) -> None:
    async with TLSServer() as server:
        server.answer = ok
        async with AsyncClient(base_url=server.url, api_key="k", ssl=trusting()) as client:
            await second_request(client)
        assert server.connections == 1
    assert direct == ["/models"]


async def test_total_bounds_a_direct_exchange(raw: RawServer) -> None:
    raw.answer = lambda exchange: asyncio.sleep(60)
    async with await open_client(raw, timeout=Timeout(total=0.5)) as client:
        with pytest.raises(OpenAIError, match="No complete answer within"):
            await client.models.list()
