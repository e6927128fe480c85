"""A plain httpx transport: `httpx.AsyncClient(transport=transport(client))`."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest

from openai_async import APITimeoutError, AsyncClient, Request, Response, Send
from openai_async.adapters import transport
from openai_async.testing import Failure, LocalServer, Reply

from ..raw_server import Exchange, RawServer, chunk

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
KEY = {"Authorization": "Bearer local"}
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def through(client: AsyncClient, server: LocalServer) -> dict[str, Any]:
    key = {"Authorization": "Bearer local"}
    return {"transport": transport(client), "base_url": server.url, "headers": key}


@pytest.fixture
async def ours(server: LocalServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=server.url, api_key="unused", max_retries=0) as client:
        yield client


@LIBRARIES
async def test_an_answer_is_the_librarys_own(
    library: Any, ours: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply("Hello!"))
    async with library.AsyncClient(
        transport=transport(ours), base_url=server.url, headers=KEY
    ) as client:
        response = await client.post("/chat/completions", json=ASKED)
    assert isinstance(response, library.Response)
    assert response.json()["choices"][0]["message"]["content"] == "Hello!"
    assert server.requests[-1].headers["Authorization"] == "Bearer local"


@LIBRARIES
async def test_an_error_status_is_an_answer_not_an_exception(
    library: Any, ours: AsyncClient, server: LocalServer
) -> None:
    async with library.AsyncClient(
        transport=transport(ours), base_url=server.url, headers=KEY
    ) as client:
        response = await client.get("/no-such-path")
    assert response.status_code == 404
    assert "error" in response.json()


@LIBRARIES
async def test_a_stream_is_open_until_it_is_left(
    library: Any, ours: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(stall_after=3))
    async with library.AsyncClient(
        transport=transport(ours), base_url=server.url, headers=KEY
    ) as client:
        body = {**ASKED, "stream": True}
        async with client.stream("POST", "/chat/completions", json=body) as response:
            assert await anext(response.aiter_lines())
    async with asyncio.timeout(10):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected


async def _cut(exchange: Exchange) -> None:
    exchange.abort()


async def _closed(exchange: Exchange) -> None:
    exchange.writer.close()


async def _half(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    exchange.writer.close()


async def _not_http(exchange: Exchange) -> None:
    await exchange.send(b"Hello!\r\n\r\n")
    exchange.writer.close()


@LIBRARIES
@pytest.mark.parametrize(
    ("path", "answer", "kind"),
    [
        ("/models", _cut, "ReadError"),
        ("/models", _closed, "RemoteProtocolError"),
        ("/models", _half, "RemoteProtocolError"),
        ("/models", _not_http, "RemoteProtocolError"),
        (
            "/chat/completions",
            lambda exchange: exchange.stream(chunk("Hel")),
            "RemoteProtocolError",
        ),
    ],
    ids=["lost connection", "no answer", "half an answer", "not HTTP", "unfinished stream"],
)
async def test_failures_are_exceptions_of_the_library(
    library: Any, ours: AsyncClient, raw: RawServer, path: str, answer: Any, kind: str
) -> None:
    raw.answer = answer
    async with library.AsyncClient(transport=transport(ours), base_url=raw.url) as client:
        with pytest.raises(getattr(library, kind)) as caught:
            await client.post(path, json={**ASKED, "stream": True})
    assert type(caught.value.__cause__).__module__ == "openai_async.errors"
    assert caught.value.request.url.path.endswith(path)


@LIBRARIES
async def test_nothing_listening_is_a_connect_error(library: Any, ours: AsyncClient) -> None:
    async with library.AsyncClient(transport=transport(ours)) as client:
        with pytest.raises(library.ConnectError):
            await client.get("http://127.0.0.1:9/")


@LIBRARIES
async def test_a_proxy_that_is_down_is_a_proxy_error(library: Any) -> None:
    async with (
        AsyncClient(api_key="unused", proxy="http://127.0.0.1:9", max_retries=0) as ours,
        library.AsyncClient(transport=transport(ours)) as client,
    ):
        with pytest.raises(library.ProxyError):
            await client.get("http://unused.test/")


@LIBRARIES
async def test_other_schemes_than_http_are_unsupported(library: Any, ours: AsyncClient) -> None:
    async with library.AsyncClient(transport=transport(ours)) as client:
        with pytest.raises(library.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


@LIBRARIES
@pytest.mark.parametrize("status", [200, 400])
async def test_headers_keep_their_bytes(
    library: Any, ours: AsyncClient, raw: RawServer, status: int
) -> None:
    """httpx allows headers that are not ASCII, and so do servers."""
    raw.answer = lambda exchange: exchange.send(
        f"HTTP/1.1 {status} Any\r\nContent-Length: 2\r\nX-Name: grün\r\n\r\n{{}}".encode()
    )
    async with library.AsyncClient(transport=transport(ours)) as client:
        response = await client.get(raw.url, headers={"X-Name": "grün".encode()})
    assert response.headers["X-Name"] == "grün"
    assert raw.exchanges[-1].headers["x-name"].encode("latin-1").decode() == "grün"


@LIBRARIES
async def test_a_host_header_of_the_request_is_sent(
    library: Any, ours: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"{}")
    async with library.AsyncClient(transport=transport(ours)) as client:
        await client.get(raw.url, headers={"Host": "gateway.test"})
        assert raw.exchanges[-1].headers["host"] == "gateway.test"
        await client.get(raw.url)
        assert raw.exchanges[-1].headers["host"] == f"127.0.0.1:{raw.port}"


@LIBRARIES
async def test_the_content_length_of_a_head_response_is_passed_on(
    library: Any, ours: AsyncClient, raw: RawServer
) -> None:
    raw.answer = lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    async with library.AsyncClient(transport=transport(ours)) as client:
        response = await client.head(raw.url)
    assert (response.headers["Content-Length"], response.content) == ("100", b"")


@LIBRARIES
async def test_a_timeout_is_a_read_timeout(
    library: Any, ours: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=600))
    async with library.AsyncClient(transport=transport(ours), timeout=0.05) as client:
        with pytest.raises(library.ReadTimeout):
            await client.post(f"{server.url}/chat/completions", json=ASKED)


@LIBRARIES
@pytest.mark.parametrize(("count", "sent"), [("0", 3), ("1", 1)])
async def test_the_retry_of_a_client_above_is_sent_once(
    library: Any, ours: AsyncClient, server: LocalServer, count: str, sent: int
) -> None:
    """The official SDK and its relatives count their retries in a header."""
    server.script(*[Failure(status=503, headers={"retry-after": "0"})] * 9)
    client = ours.with_options(max_retries=2)
    headers = {"x-stainless-retry-count": count}
    async with library.AsyncClient(**through(client, server)) as above:
        await above.post("/chat/completions", json=ASKED, headers=headers)
    assert len(server.requests) == sent


@LIBRARIES
async def test_a_connect_timeout_is_the_librarys_connect_timeout(
    library: Any, ours: AsyncClient
) -> None:
    async def slow_network(request: Request, send: Send) -> Response:
        raise APITimeoutError("no connection") from aiohttp.ConnectionTimeoutError()

    client = ours.with_options(middlewares=[slow_network])
    async with library.AsyncClient(transport=transport(client)) as above:
        with pytest.raises(library.ConnectTimeout, match="no connection"):
            await above.get("http://127.0.0.1:9/")


async def test_a_pickled_transport_sends_again(server: LocalServer) -> None:
    async with AsyncClient(base_url=server.url, api_key="unused") as ours:
        copied = pickle.loads(pickle.dumps(transport(ours)))
        async with httpx.AsyncClient(transport=copied, headers=KEY) as client:
            assert (await client.get(f"{server.url}/models")).status_code == 200
        await copied.client.close()


def test_a_transport_for_httpx2_has_nothing_of_httpx(ours: AsyncClient) -> None:
    """Anthropic's SDK refuses an object if one of its classes is from httpx."""
    roots = {kind.__module__.partition(".")[0] for kind in type(transport(ours)).__mro__}
    assert isinstance(transport(ours), httpx2.AsyncBaseTransport)
    assert "httpx" not in roots
