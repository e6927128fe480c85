"""A server on a Unix socket: `base_url="http+unix://%2Frun%2Fserver.sock/v1"`."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import socket
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from openai_async import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncClient,
    InvalidArgumentError,
)
from openai_async._unix_sockets import socket_path
from openai_async.testing import LocalServer

from ..raw_server import DONE, Exchange, RawServer, chunk
from .test_direct import direct as direct  # a fixture: the paths of direct exchanges

pytestmark = [
    pytest.mark.virtual_time,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets"),
]

HI: Any = [{"role": "user", "content": "hi"}]


def url_of(path: Path) -> str:
    return f"http+unix://{quote(str(path), safe='')}/v1"


@pytest.fixture
def path() -> Iterator[Path]:
    """Short, since the path of a socket may have at most 107 bytes, and with capital letters."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "My Server%2F.sock")


class UnixServer(RawServer):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.url = url_of(path)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self


@pytest.fixture
async def unix(path: Path) -> AsyncIterator[UnixServer]:
    async with UnixServer(path) as server:
        server.answer = ok
        yield server


def client_of(url: str, **options: Any) -> AsyncClient:
    return AsyncClient(base_url=url, **{"api_key": "key", "max_retries": 0, **options})


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"data": [], "choices": []}')


# --- requests ---


async def test_the_server_gets_an_ordinary_request_to_localhost(unix: UnixServer) -> None:
    async with client_of(unix.url, default_query={"a": "b"}) as client:
        await client.models.list()
    first = unix.exchanges[0]
    assert first.head.startswith("GET /v1/models?a=b HTTP/1.1\r\n")
    assert (first.headers["host"], first.headers["authorization"]) == ("localhost", "Bearer key")


async def test_the_second_request_is_sent_directly_with_the_same_bytes(
    unix: UnixServer, direct: list[str]
) -> None:
    async with client_of(unix.url) as client:
        for _ in range(3):
            await client.chat.completions.create(model="m", messages=HI)
    assert direct == ["/chat/completions"] * 2
    assert unix.connections == 1
    assert len({(one.head, one.body) for one in unix.exchanges}) == 1


async def test_the_host_header_may_be_set(unix: UnixServer, direct: list[str]) -> None:
    async with client_of(unix.url, default_headers={"Host": "models.internal"}) as client:
        for _ in range(2):
            await client.models.list()
    assert [one.headers["host"] for one in unix.exchanges] == ["models.internal"] * 2


async def test_a_stream(unix: UnixServer) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.stream(chunk("Hello"), chunk("!", finish_reason="stop"), DONE)

    unix.answer = answer
    async with client_of(unix.url) as client:
        for _ in range(2):
            stream = client.chat.completions.create(model="m", messages=HI, stream=True)
            assert (await stream.completion()).text == "Hello!"


async def test_a_connection_that_was_closed_while_idle_is_not_reused(unix: UnixServer) -> None:
    async def once(exchange: Exchange) -> None:
        await ok(exchange)
        await exchange.writer.drain()
        exchange.writer.close()

    unix.answer = once
    async with client_of(unix.url) as client:
        for _ in range(3):
            await client.models.list()
    assert unix.connections == 3


async def test_unsolicited_data_on_an_idle_connection_is_not_an_answer(unix: UnixServer) -> None:
    async with client_of(unix.url) as client:
        await client.models.list()
        await unix.exchanges[0].whole(b'{"stolen": true}')
        await asyncio.sleep(1)  # in virtual time: until it has been read
        assert (await client.request("GET", "/models")).json() == {"data": [], "choices": []}
    assert unix.connections == 2


async def test_copies_may_use_a_socket_and_a_host(unix: UnixServer, server: LocalServer) -> None:
    async with client_of(server.url) as client:
        assert len(await client.models.list()) > 0
        assert len(await client.with_options(base_url=unix.url).models.list()) == 0
        assert len(await client.models.list()) > 0
    assert (len(unix.exchanges), len(server.requests)) == (1, 2)


async def test_two_sockets_are_two_servers(unix: UnixServer, path: Path) -> None:
    async with UnixServer(path.with_name("other")) as other, client_of(unix.url) as client:
        other.answer = ok
        await client.models.list()
        await client.with_options(base_url=other.url).models.list()
    assert (len(unix.exchanges), len(other.exchanges)) == (1, 1)


@pytest.mark.parametrize("made", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
async def test_a_client_can_be_pickled(unix: UnixServer, made: Any) -> None:
    async with made(client_of(unix.url)) as client:
        await client.models.list()
    assert len(unix.exchanges) == 1


async def test_no_proxy_applies(unix: UnixServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    for options in ({"proxy": "http://127.0.0.1:9"}, {"trust_env": True}):
        async with client_of(unix.url, **options) as client:
            await client.models.list()
    assert [exchange.head.split()[1] for exchange in unix.exchanges] == ["/v1/models"] * 2


def test_a_key_that_stays_on_the_machine_causes_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client_of("http+unix://%2Frun%2Fserver.sock/v1", api_key="sk-test-0123456789")


# --- redirects, pictures ---


def moved_to(location: str) -> bytes:
    return f"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "location", ["/v2/models/", "http://localhost/v2/models/", "../v2/models/"]
)
async def test_a_redirect_within_the_server_is_followed(unix: UnixServer, location: str) -> None:
    async def answer(exchange: Exchange) -> None:
        if "/v1/" in exchange.head:
            await exchange.send(moved_to(location))
        else:
            await ok(exchange)

    unix.answer = answer
    async with client_of(unix.url) as client:
        await client.models.list()
    assert unix.exchanges[1].head.startswith("GET /v2/models/ ")
    assert unix.exchanges[1].headers["authorization"] == "Bearer key"


@pytest.mark.parametrize("location", ["http://localhost:8000/", "https://example.com/"])
async def test_a_redirect_to_another_server_is_an_error(unix: UnixServer, location: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(moved_to(location))

    unix.answer = answer
    async with client_of(unix.url) as client:
        with pytest.raises(APIStatusError):
            await client.models.list()
    assert len(unix.exchanges) == 1


async def test_a_picture_at_localhost_is_fetched_from_the_socket(unix: UnixServer) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(100)

    async def answer(exchange: Exchange) -> None:
        if exchange.head.startswith("POST"):
            url = "http://localhost/pictures/1.png"
            await exchange.whole(json.dumps({"data": [{"url": url}]}).encode())
        else:
            await exchange.whole(picture)

    unix.answer = answer
    async with client_of(unix.url) as client:
        image = (await client.images.generate(prompt="An otter")).data[0]
        assert await image.read() == picture
    assert unix.exchanges[1].head.startswith("GET /pictures/1.png ")
    assert "authorization" not in unix.exchanges[1].headers


# --- errors ---


async def test_a_missing_socket_is_named(path: Path) -> None:
    async with client_of(url_of(path)) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.models.list()
    assert str(caught.value) == (
        f"Cannot connect to the Unix socket {path}: No such file or directory. "
        "Check base_url, and that the server is up."
    )


async def test_a_socket_without_a_server_is_named(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    async with client_of(url_of(path)) as client:
        with pytest.raises(APIConnectionError, match="Unix socket .*: Connection refused"):
            await client.models.list()


async def test_a_path_that_is_too_long_is_an_error() -> None:
    async with client_of(url_of(Path("/", "x" * 200))) as client:
        with pytest.raises(APIConnectionError, match="too long"):
            await client.models.list()


@pytest.mark.parametrize("requests", [1, 2], ids=["new connection", "open connection"])
async def test_an_answer_that_is_cut_off_names_the_socket(unix: UnixServer, requests: int) -> None:
    async def cut(exchange: Exchange) -> None:
        if len(unix.exchanges) < requests:
            await ok(exchange)
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
            exchange.writer.close()

    unix.answer = cut
    async with client_of(unix.url) as client:
        with pytest.raises(APIError, match="answer from the Unix socket .* was cut off") as caught:
            for _ in range(requests):
                await client.models.list()
    assert str(unix.path) in str(caught.value)


# --- the URL ---


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http+unix://%2Frun%2Fserver.sock/v1", "/run/server.sock"),
        ("http+unix://%2frun%2fserver.sock", "/run/server.sock"),
        ("HTTP+UNIX://%2Frun%2FServer.sock/v1/", "/run/Server.sock"),
        ("http+unix://%2Frun%2F%C3%BC%20%3A%40.sock/v1", "/run/ü :@.sock"),
    ],
)
def test_the_host_is_the_path_of_the_socket(url: str, path: str) -> None:
    client = client_of(url)
    request = client.build_request("GET", "/models", extra_query={"a": "b"})
    assert socket_path(request.url) == path
    assert not str(client.base_url).endswith("/")
    assert client_of(str(client.base_url)).base_url == client.base_url
    assert isinstance(client.base_url, URL)


@pytest.mark.parametrize(
    "url",
    [
        "http+unix:///run/server.sock/v1",
        "http+unix://run/server.sock",
        "http+unix://server.sock/v1",
        "http+unix://%2Frun%00/v1",
        "http+unix://user@%2Frun%2Fserver.sock/v1",
        "http+unix://%2Frun%2Fserver.sock:80/v1",
        "http+unix://%2Frun%2Fserver.sock/v1?a=b",
        "http+unix:",
    ],
)
def test_a_url_without_a_socket_is_an_error_that_shows_how_to_write_it(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="like .http.unix://%2Frun%2Fserver.sock/v1"):
        client_of(url)


def test_windows_has_no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(InvalidArgumentError, match="Unix socket, which Windows does not support"):
        client_of("http+unix://%2Frun%2Fserver.sock/v1")


async def test_a_session_of_your_own_cannot_be_used() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(InvalidArgumentError, match="session= cannot be used"):
            client_of("http+unix://%2Frun%2Fserver.sock/v1", session=session)
