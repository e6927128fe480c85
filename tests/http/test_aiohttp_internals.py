"""What is used of aiohttp below its documented surface.

It is still there, it changes nothing on the wire, and requests work without it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import zlib
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

from openai_async import APIConnectionError, AsyncClient, ChatCompletionStream
from openai_async.http.aiohttp_internals import (
    Connector,
    DirectAnswer,
    ParserError,
    _warn_once,
    bytes_received,
    detached,
    open_session,
)
from openai_async.http.read_size import READ_SIZE, bound_reads

from ..faults.fault_server import TLSServer, trusting
from ..raw_server import Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b"{}")


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Each test finds out for itself what this aiohttp has."""
    _warn_once.cache_clear()
    yield
    _warn_once.cache_clear()


# --- connections ---


async def half(exchange: Exchange) -> None:
    """An answer that stays open, so that its connection can be looked at."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")


async def test_a_read_asks_for_no_more_memory_than_is_cheap(raw: RawServer) -> None:
    raw.answer = half
    async with open_session(15) as session, session.get(raw.url) as response:
        assert response.connection is not None
        assert response.connection.transport.max_size == READ_SIZE  # type: ignore[union-attr]


async def test_a_tls_connection_keeps_no_large_buffer() -> None:
    async with TLSServer() as raw, open_session(15) as session:
        raw.answer = half
        async with session.get(raw.url, ssl=trusting()) as response:
            assert response.connection is not None
            tls = response.connection.transport._ssl_protocol  # type: ignore[union-attr]
            assert tls.max_size == len(tls._ssl_buffer) == READ_SIZE


def test_transports_of_other_loops_are_left_as_they_are() -> None:
    class Theirs:
        __slots__ = ()

    bound_reads(Theirs())
    small = SimpleNamespace(max_size=1024)
    bound_reads(small)
    assert small.max_size == 1024


async def test_an_unsolicited_answer_is_not_mistaken_for_the_next(raw: RawServer) -> None:
    raw.answer = ok
    async with AsyncClient(base_url=raw.url, api_key="local") as client:
        await client.request("GET", "/first")
        await raw.exchanges[0].whole(b'{"stolen": true}')
        await asyncio.sleep(1)  # in virtual time: until it has been read
        assert (await client.request("GET", "/second")).json() == {}
    assert raw.connections == 2


@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError])
async def test_without_a_look_at_idle_connections_requests_work(
    raw: RawServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    def fail(self: Connector, key: object) -> bool:
        raise error

    raw.answer = ok
    monkeypatch.setattr(Connector, "_first_idle", fail)
    async with AsyncClient(base_url=raw.url, api_key="local", max_retries=0) as client:
        for _ in range(3):
            await client.request("GET", "/anything")
    assert raw.connections == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "unsolicited data on an idle connection" in caplog.text


async def test_aiohttp_repeats_no_get_by_itself(raw: RawServer) -> None:
    async def close(exchange: Exchange) -> None:
        exchange.writer.close()

    raw.answer = close
    async with AsyncClient(base_url=raw.url, api_key="local", max_retries=0) as client:
        with pytest.raises(APIConnectionError):
            await client.request("GET", "/anything")
    assert len(raw.exchanges) == 1


async def test_an_aiohttp_that_may_repeat_a_get_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = aiohttp.ClientSession.__init__

    def init(self: aiohttp.ClientSession, **kwargs: Any) -> None:
        original(self, **kwargs)
        del self._retry_connection

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    with caplog.at_level(logging.WARNING, logger="openai_async"):
        for _ in range(2):
            await open_session(15.0).close()
    assert caplog.text.count("may send a GET once more") == 1


async def test_a_connection_that_cannot_say_whether_it_was_answered_is_not_replaced(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server has begun to answer must not be sent twice."""

    async def once(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            await exchange.whole(b"{}")
        else:
            exchange.writer.close()

    def theirs(cls: type, loop: Any) -> Any:
        return partial(ResponseHandler, loop=loop)

    raw.answer = once
    monkeypatch.setattr("openai_async.http.aiohttp_internals.partial", theirs)
    async with AsyncClient(base_url=raw.url, api_key="local", max_retries=0) as client:
        await client.request("GET", "/first")
        with pytest.raises(APIConnectionError):
            await client.request("GET", "/second")
    assert len(raw.exchanges) == 2


async def test_an_aiohttp_that_makes_its_connections_in_another_way_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = aiohttp.BaseConnector.__init__

    def init(self: Any, **kwargs: Any) -> None:
        original(self, **kwargs)
        del self._factory

    monkeypatch.setattr(aiohttp.BaseConnector, "__init__", init)
    with caplog.at_level(logging.WARNING, logger="openai_async"):
        await open_session(15.0).close()
    assert "that the server has closed is not sent again" in caplog.text


# --- answers ---


async def a_stream(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.part(sse(chunk("Hello")))


async def open_streams(raw: RawServer, client: AsyncClient) -> list[ChatCompletionStream]:
    """One on a new connection, one on a connection that has been used before."""
    raw.answer = a_stream
    messages: Any = [{"role": "user", "content": "hi"}]
    one = await client.chat.completions.create(model="m", messages=messages, stream=True)
    raw.answer = ok
    await client.request("GET", "/second")
    raw.answer = a_stream
    return [
        one,
        await client.chat.completions.create(model="m", messages=messages, stream=True),
    ]


async def test_an_open_stream_keeps_its_headers_once(raw: RawServer) -> None:
    """No `ClientResponse`, and nothing in the parser's two lists."""
    async with AsyncClient(base_url=raw.url, api_key="local") as client:
        streams = await open_streams(raw, client)
        (pool,) = client._transport._pools._pools.values()
        assert [stream.meta.headers["Content-Type"] for stream in streams] == [
            "text/event-stream",
            "text/event-stream",
        ]
        assert {type(stream._answer) for stream in pool.streams} == {DirectAnswer}
        connector: Any = pool.direct
        parsers = [protocol._parser for protocol in connector._acquired]
        assert len(parsers) == 2
        assert [part for part in gc.get_referents(*parsers) if type(part) is list and part] == []
        for stream in streams:
            await stream.close()


@pytest.mark.parametrize("name", ["_connection", "_ClientResponse__writer"])
async def test_a_response_of_another_shape_is_used_as_it_is(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    raw.answer = half
    async with open_session(15) as session, session.get(raw.url) as response:
        if name == "_ClientResponse__writer":
            monkeypatch.setattr(response, "_ClientResponse__writer", object())
        else:
            monkeypatch.delattr(response, name, raising=False)
        connector: Any = session.connector
        assert detached(response, connector) is response
        monkeypatch.undo()


async def test_a_detached_answer_is_read_and_its_connection_reused(raw: RawServer) -> None:
    raw.answer = ok
    async with open_session(15) as session:
        connector: Any = session.connector
        for _ in range(3):
            answer = detached(await session.get(raw.url), connector)
            assert await answer.content.read() == b"{}"
        assert len(connector._acquired) == 0
    assert raw.connections == 1


async def test_the_bytes_of_a_packed_body_are_counted_as_they_come(raw: RawServer) -> None:
    packed = zlib.compress(b"x" * 10_000)

    async def answer(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n"
        await exchange.send(head.encode() + b"\r\n" + packed)

    raw.answer = answer
    async with aiohttp.ClientSession() as session, session.get(raw.url) as response:
        assert len(await response.read()) == 10_000
        assert bytes_received(response.content) == len(packed)


def test_decompressed_bytes_are_counted_where_aiohttp_does_not_count() -> None:
    content: Any = SimpleNamespace(total_bytes=7)
    assert bytes_received(content) == 7


def test_what_aiohttps_parser_raises_is_a_parser_error() -> None:
    assert issubclass(BadHttpMessage, ParserError)
