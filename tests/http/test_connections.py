"""Connections: proxies and their passwords, large headers, keep-alive, untrusted certificates."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import traceback
from collections.abc import Generator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from openai_async import APIConnectionError, APIError, AsyncClient, OpenAIError
from openai_async.testing import aioresponses

from ..conftest import BASE_URL
from ..raw_server import DONE, Exchange, RawServer, chunk

pytestmark = pytest.mark.virtual_time

PASSWORD = "s3cret pw/é"
TOKEN = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
HI: Any = [{"role": "user", "content": "hi"}]


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"data": [], "choices": []}')


# --- proxies ---


def through(port: int, base_url: str, **options: Any) -> AsyncClient:
    proxy = str(
        URL.build(scheme="http", user="user", password=PASSWORD, host="127.0.0.1", port=port)
    )
    return AsyncClient(base_url=base_url, api_key="k", proxy=proxy, max_retries=0, **options)


def everything_said(error: BaseException | None) -> str:
    """All that a log or an error reporter may show of an error and its causes."""
    said = "".join(traceback.format_exception(error))
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None:
            said += f"{one} {one!r} {one.args!r} {vars(one)!r}"
            todo += [one.__cause__, one.__context__]
    return said


@pytest.mark.parametrize("url", ["http://api.test/v1", "https://api.test/v1"])
@pytest.mark.parametrize("fault", ["407", "echo", "nothing listens", "hangs up", "no http"])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_password_of_a_proxy_is_in_no_error(
    raw: RawServer, url: str, fault: str, stream: bool
) -> None:
    async def answer(exchange: Exchange) -> None:
        if fault == "hangs up":
            exchange.abort()
        elif fault == "no http":
            await exchange.send(f"{exchange.head}\r\n\r\n".encode())
        else:
            said = f"{TOKEN} {PASSWORD}" if fault == "echo" else ""
            await exchange.whole(said.encode(), status="407 Proxy Authentication Required")

    raw.answer = answer
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    async with through(closed if fault == "nothing listens" else raw.port, url) as client:
        with pytest.raises(APIError) as caught:
            if stream:
                call = client.chat.completions.create(model="m", messages=HI, stream=True)
                await call.completion()
            await client.models.list()
    said = everything_said(caught.value) + repr(client)
    for secret in (PASSWORD, "s3cret", TOKEN, TOKEN[:12]):
        assert secret not in said
    assert fault == "nothing listens" or raw.exchanges[0].headers["proxy-authorization"]


@pytest.mark.parametrize("url", ["http://api.test/v1", "https://api.test/v1"])
async def test_the_proxy_gets_the_password_and_the_server_does_not(
    raw: RawServer, url: str
) -> None:
    raw.answer = ok
    async with through(raw.port, url) as client:
        try:
            await client.models.list()
        except APIConnectionError:  # there is no TLS behind this tunnel
            assert url.startswith("https")
    first = raw.exchanges[0]
    assert first.headers["proxy-authorization"] == f"Basic {TOKEN}"
    assert first.head.startswith("CONNECT " if url.startswith("https") else "GET http://api.test/")


async def test_a_proxy_without_a_password_is_sent_no_credentials(raw: RawServer) -> None:
    raw.answer = ok
    proxy = f"http://127.0.0.1:{raw.port}"
    async with AsyncClient(base_url="http://api.test/v1", api_key="k", proxy=proxy) as client:
        await client.models.list()
    assert "proxy-authorization" not in raw.exchanges[0].headers


# --- headers of answers ---


@pytest.mark.parametrize("size", [8_190, 12_000, 60_000])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_large_header_is_not_an_error(
    raw: RawServer, size: int, own: bool, stream: bool
) -> None:
    async def answer(exchange: Exchange) -> None:
        head = "Content-Security-Policy: " + "a" * size + "\r\n"
        if stream:
            await exchange.start_stream(head)
            await exchange.part(b"data: " + b'{"choices":[{"delta":{"content":"a"}}]}' + b"\n\n")
            await exchange.part(DONE)
            await exchange.end()
        else:
            await exchange.send(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 15\r\n\r\n".encode())
            await exchange.send(b'{"choices": []}')

    raw.answer = answer
    async with (
        aiohttp.ClientSession() as session,
        AsyncClient(base_url=raw.url, api_key="k", session=session if own else None) as client,
    ):
        if stream:
            call = client.chat.completions.create(model="m", messages=HI, stream=True)
            assert (await call.completion()).text == "a"
        else:
            result = await client.chat.completions.create(model="m", messages=HI)
            assert len(result.meta.headers["content-security-policy"]) == size


async def test_a_header_without_end_is_an_error(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")

    raw.answer = answer
    with pytest.raises(APIConnectionError, match="more than 65536 bytes"):
        await raw_client.models.list()


# --- keep-alive ---


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="macOS names it otherwise")
async def test_the_socket_of_a_connection_is_kept_alive(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[socket.socket] = []

    class Watched(socket.socket):
        def connect(self, address: Any) -> None:
            opened.append(self)
            super().connect(address)

    monkeypatch.setattr("socket.socket", Watched)
    measured: list[tuple[int, ...]] = []

    async def answer(exchange: Exchange) -> None:
        for one in opened:
            if one.getsockname() == exchange.writer.get_extra_info("peername"):
                options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                measured.append(
                    (
                        one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                        *(one.getsockopt(socket.IPPROTO_TCP, option) for option in options),
                    )
                )
        await ok(exchange)

    raw.answer = answer
    await raw_client.models.list()
    assert measured == [(1, 60, 60, 5)]


# --- certificates ---


def raised(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _key() -> Any:
    return aiohttp.client_reqrep.ConnectionKey("api.test", 443, True, True, None, None, None)


def _ssl_error(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


UNKNOWN_CA: Any = _ssl_error("CERTIFICATE_VERIFY_FAILED", ssl.SSLCertVerificationError)
REFUSED = _ssl_error("TLSV13_ALERT_CERTIFICATE_REQUIRED")


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (raised(aiohttp.ClientConnectorCertificateError(_key(), UNKNOWN_CA), UNKNOWN_CA), 1),
        (aiohttp.ClientConnectorSSLError(_key(), _ssl_error("TLSV1_ALERT_UNKNOWN_CA")), 1),
        (raised(aiohttp.ClientOSError(1, "alert"), REFUSED), 1),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "api.test", 443), 1),
        (aiohttp.ClientConnectorSSLError(_key(), _ssl_error("UNEXPECTED_EOF_WHILE_READING")), 3),
        (aiohttp.ClientConnectorError(_key(), ConnectionRefusedError(111, "refused")), 3),
    ],
    ids=["unknown CA", "our CA", "ours is required", "fingerprint", "cut off", "refused"],
)
async def test_an_untrusted_certificate_is_not_retried(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    waits: list[float],
    failure: Exception,
    times: int,
) -> None:
    mocked.get(f"{BASE_URL}/models", exception=failure, repeat=True)
    with pytest.raises(APIConnectionError) as caught:
        await mocked_client.models.list()
    assert caught.value.attempts == times


# --- where there is no asyncio, or no task ---


def drive(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    """Run a coroutine in the loop without a task, as patched loops do."""
    done = loop.create_future()

    def step(_: object = None) -> None:
        try:
            waited = coroutine.send(None)
        except StopIteration as stop:
            done.set_result(stop.value)
        except Exception as error:
            done.set_exception(error)
        else:
            if waited is None:
                loop.call_soon(step)
            else:
                waited._asyncio_future_blocking = False
                waited.add_done_callback(step)

    loop.call_soon(step)
    return done


async def test_a_call_without_a_task_works(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = ok
    assert await drive(asyncio.get_running_loop(), _without_task(raw_client)) == []


async def _without_task(client: AsyncClient) -> Any:
    assert asyncio.current_task() is None
    return (await client.models.list()).data


async def test_a_stream_without_a_task_works(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("a"), chunk("b", finish="stop"), DONE)

    async def read() -> list[str]:
        assert asyncio.current_task() is None
        stream = raw_client.chat.completions.create(model="m", messages=HI, stream=True)
        return [text async for text in stream.text()]

    assert await drive(asyncio.get_running_loop(), read()) == ["a", "b"]


async def test_a_timeout_without_a_task_is_one(raw: RawServer, raw_client: AsyncClient) -> None:
    async def silence(exchange: Exchange) -> None:
        await asyncio.sleep(100)

    raw.answer = silence
    with pytest.raises(APIError, match="No complete answer within 5 s"):
        await drive(asyncio.get_running_loop(), _without_task(raw_client.with_options(timeout=5)))


async def test_a_call_without_a_task_that_is_dropped_hangs_up(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def silence(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.sleep(100)

    arrived = asyncio.Event()
    raw.answer = silence
    call = raw_client.models.list()
    loop = asyncio.get_running_loop()
    waits_for = loop.create_future()
    loop.call_soon(lambda: waits_for.set_result([call.send(None)]))
    await waits_for
    await arrived.wait()
    call.close()
    await raw.hung_up.wait()


def _outside(coroutine: Generator[Any, None, Any]) -> None:
    """What trio does: the same coroutine, and no loop of asyncio."""
    coroutine.send(None)


@pytest.mark.parametrize("stream", [False, True])
def test_without_asyncio_one_error_says_what_is_needed(stream: bool) -> None:
    client: Any = AsyncClient(base_url="http://127.0.0.1:9/v1", api_key="k")
    call = client.chat.completions.create(model="m", messages=HI, stream=stream)
    with pytest.raises(OpenAIError, match="asyncio") as caught:
        _outside(call.completion() if stream else call)
    assert type(caught.value) is OpenAIError


def test_a_client_that_was_not_used_closes_without_asyncio_too() -> None:
    with pytest.raises(StopIteration):
        AsyncClient(api_key="k").close().send(None)
