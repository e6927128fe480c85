"""Connections, time and loops, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from openai_async import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    ChatCompletionStream,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    OpenAIError,
    Request,
    Response,
    Send,
    Timeout,
)
from openai_async.http.connection_errors import connection_error
from openai_async.http.redirects import MAX_REDIRECTS
from openai_async.http.transport import MAX_SINGLE_WRITE
from openai_async.testing import Failure, LocalServer, aioresponses

from ..conftest import BASE_URL
from ..raw_server import Exchange, RawServer

pytestmark = pytest.mark.virtual_time

SECRET = "sk-secret-123456"
LIST = b'{"data": [{"id": "gpt-4o"}]}'


# --- connections --------------------------------------------------------------------------------


async def test_a_client_that_is_not_used_opens_nothing(
    server: LocalServer, client: AsyncClient
) -> None:
    assert server.connections == 0


async def test_requests_in_a_row_share_a_connection(
    server: LocalServer, client: AsyncClient
) -> None:
    for _ in range(3):
        await client.models.list()
    assert server.connections == 1


async def test_copies_share_the_connections(server: LocalServer, client: AsyncClient) -> None:
    await client.models.list()
    await client.with_options(api_key="other", timeout=3).models.list()
    assert server.connections == 1


async def test_a_failed_request_leaves_its_connection_usable(
    server: LocalServer, client: AsyncClient
) -> None:
    for _ in range(3):
        with pytest.raises(NotFoundError):
            await client.models.retrieve("none")
    assert server.connections == 1


async def test_max_connections_bounds_the_requests_in_flight(raw: RawServer) -> None:
    two_are_here, go_on = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) == 2:
            two_are_here.set()
        await go_on.wait()
        await exchange.whole(LIST)

    raw.answer = answer
    # A connect timeout that strikes if waiting for a slot counts as connecting.
    timeout = Timeout(connect=0.1)
    async with AsyncClient(
        base_url=raw.url, api_key="k", max_connections=2, timeout=timeout
    ) as client:
        calls = [asyncio.create_task(client.models.list()) for _ in range(6)]
        await two_are_here.wait()
        await asyncio.sleep(0.3)
        assert len(raw.exchanges) == 2
        go_on.set()
        await asyncio.gather(*calls)
    assert (len(raw.exchanges), raw.connections) == (6, 2)


async def test_cancelling_while_waiting_for_a_slot_gives_it_to_the_next(raw: RawServer) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await go_on.wait()
        await exchange.whole(LIST)

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", max_connections=1) as client:
        first, second, third = (asyncio.create_task(client.models.list()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        assert len(await first) == len(await third) == 1


async def test_cancelling_a_request_hangs_up(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.models.list()
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_nothing_listens(client: AsyncClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(
        APIConnectionError, match="Cannot connect to .*: Connection refused"
    ) as caught:
        await client.with_options(base_url=f"http://127.0.0.1:{port}/v1").models.list()
    assert "base_url" in caught.value.message
    assert isinstance(caught.value.__cause__, OSError)


async def test_tls_to_a_server_without_tls(server: LocalServer, client: AsyncClient) -> None:
    tls = client.with_options(base_url=server.url.replace("http:", "https:"))
    with pytest.raises(APIConnectionError, match="try http://"):
        await tls.models.list()


async def test_an_unknown_host(raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*args: object, **kwargs: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    with pytest.raises(APIConnectionError, match="nowhere.*: Name or service not known"):
        await raw_client.with_options(base_url="http://nowhere.test/v1").models.list()


async def test_a_proxy_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with AsyncClient(
        base_url="http://x.test/v1", api_key="k", proxy=proxy, max_retries=0
    ) as client:
        with pytest.raises(APIConnectionError, match="proxy on the way to http://x.test"):
            await client.models.list()


async def test_a_reset_connection(raw: RawServer, raw_client: AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.abort()

    raw.answer = answer
    with pytest.raises(APIConnectionError):
        await raw_client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}]
        )


async def test_errors_from_the_wire_survive_pickling(client: AsyncClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.models.retrieve("none")
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (twin.request_id, twin.headers) == (caught.value.request_id, caught.value.headers)


async def test_a_truncated_body(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(cut_after=0))
    with pytest.raises(APIConnectionError, match="was cut off"):
        await client.models.list()


async def test_no_http_at_all(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda e: e.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    with pytest.raises(APIConnectionError):
        await raw_client.models.list()


async def test_settings_of_your_own_session_do_not_matter(server: LocalServer) -> None:
    server.script(Failure(503, message="Busy."))
    async with (
        aiohttp.ClientSession(
            base_url="http://elsewhere.test/",
            headers={"Authorization": "Bearer other"},
            raise_for_status=True,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=0.000001),
        ) as session,
        AsyncClient(base_url=server.url, api_key="k", max_retries=0, session=session) as client,
    ):
        with pytest.raises(InternalServerError, match="Busy"):
            await client.models.list()
        assert len(await client.models.list())
    assert server.requests[1].headers["authorization"] == "Bearer k"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BasicAuth, since aiohttp 3.14
async def test_a_session_that_authorizes_by_itself_is_refused() -> None:
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("a", "b")) as session:
        with pytest.raises(InvalidArgumentError, match="auth"):
            AsyncClient(api_key="k", session=session)


async def test_a_download_carries_nothing_of_a_session_of_your_own(raw: RawServer) -> None:
    picture = b"\x89PNG\r\n\x1a\n"
    raw.answer = lambda e: e.whole(picture)
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer other"}) as session,
        AsyncClient(base_url=raw.url, api_key="k", session=session) as client,
    ):
        assert await client._download(f"{raw.url}/x.png") == picture
    assert "authorization" not in raw.exchanges[0].headers


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Echo: Bearer " + SECRET.encode() + b"\0\r\n\r\n",
        b"nonsense Bearer " + SECRET.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_the_cause_of_an_error_does_not_hold_the_key(
    raw: RawServer, raw_client: AsyncClient, answer: bytes
) -> None:
    raw.answer = lambda e: e.send(answer)
    with pytest.raises(APIConnectionError) as caught:
        await raw_client.with_options(api_key=SECRET).models.list()
    cause = caught.value.__cause__
    assert isinstance(cause, aiohttp.ClientError)
    assert SECRET not in f"{cause!r} {cause.args!r}"
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_headers_that_are_cut_off_do_not_show_the_key(raw: RawServer) -> None:
    """On a new connection, and on one that was open, where aiohttp is used in another way."""

    async def cut_off(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 200 OK\r\nX-Echo: Bearer {SECRET}\r\nX-Mo".encode())
        exchange.writer.close()

    async with AsyncClient(base_url=raw.url, api_key=SECRET, max_retries=0) as client:
        for _ in range(2):
            raw.answer = cut_off
            with pytest.raises(APIConnectionError, match="while sending its headers") as caught:
                await client.models.list()
            cause = caught.value.__cause__
            assert SECRET not in f"{caught.value!r} {cause!r} {vars(cause)}"
            raw.answer = lambda exchange: exchange.whole(LIST)
            await client.models.list()
    assert raw.connections == 3


async def test_a_switch_of_protocols_that_was_not_asked_for_is_an_error(raw: RawServer) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        for _ in range(2):  # on a new connection, and on one that was open
            raw.answer = lambda exchange: exchange.send(switch)
            with pytest.raises(APIConnectionError, match="unexpected HTTP 101"):
                await client.request("GET", "/x")
            raw.answer = lambda exchange: exchange.whole(LIST)
            await client.models.list()
        (pool,) = client._transport._pools._pools.values()
        connector: Any = pool.session.connector
        assert not connector._acquired
    assert raw.connections == 3


def test_the_context_of_a_cause_does_not_hold_the_key_either() -> None:
    url = URL("http://localhost/v1")
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {SECRET}"}))
    inner = aiohttp.ClientResponseError(aiohttp.RequestInfo(url, "GET", headers, url), ())
    outer = aiohttp.ClientConnectionError("broken")
    outer.__context__ = inner
    connection_error(outer, url)
    assert SECRET not in f"{inner!r} {inner.args!r} {inner.request_info!r}"


# --- time ---------------------------------------------------------------------------------------


async def test_no_answer_within_total(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(delay=60))
    with pytest.raises(APITimeoutError, match=r"within 0\.1 s.*timeout="):
        await client.models.list(timeout=0.1)
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_a_body_that_trickles_for_longer_than_total(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await exchange.send(b" ")
            await asyncio.sleep(0.01)

    raw.answer = answer
    with pytest.raises(APITimeoutError):
        await raw_client.models.list(timeout=0.2)


async def test_total_bounds_the_headers_of_a_stream_and_not_its_length(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for _ in range(5):
            await exchange.part(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
            await asyncio.sleep(0.1)
        await exchange.part(b"data: [DONE]\n\n")
        await exchange.end()

    raw.answer = answer
    stream = raw_client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "x"}], stream=True, timeout=0.2
    )
    assert len([chunk async for chunk in stream]) == 5


async def test_connecting_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, client: AsyncClient
) -> None:
    async def resolve(*args: object, **kwargs: object) -> list[Any]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    with pytest.raises(APITimeoutError, match=r"No connection to http://slow\.test within 0\.1 s"):
        await client.with_options(base_url="http://slow.test/v1").models.list(
            timeout=Timeout(connect=0.1)
        )


async def test_connections_that_go_stale_all_at_once_fail_no_request(raw: RawServer) -> None:
    """Though no retries are allowed: each is sent again at once, on a live connection."""
    wave: list[Exchange] = []
    full = asyncio.Event()

    async def together(exchange: Exchange) -> None:
        wave.append(exchange)
        if len(wave) == 50:
            full.set()
        await full.wait()
        await exchange.whole(LIST)

    raw.answer = together
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        await asyncio.gather(*(client.models.list() for _ in range(50)))
        raw.answer = lambda e: e.whole(LIST)
        for exchange in wave:
            exchange.writer.close()
        await asyncio.sleep(0)
        answers = await asyncio.gather(*(client.models.list() for _ in range(50)))
    assert {answer.meta.attempts for answer in answers} == {1}


async def test_a_large_body_is_resent_in_full_on_a_fresh_connection(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) == 2:  # the connection goes stale in the moment it is used again
            exchange.writer.close()
        else:
            await exchange.whole(LIST)

    raw.answer = answer
    await raw_client.models.list()
    await raw_client.request("POST", "/x", json={"a": "x" * MAX_SINGLE_WRITE})
    _, first, second = raw.exchanges
    assert len(first.body) > MAX_SINGLE_WRITE
    assert second.body == first.body


@pytest.mark.parametrize("half", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nServer: x"])
async def test_a_connection_that_has_begun_to_answer_was_not_stale(
    raw: RawServer, raw_client: AsyncClient, half: bytes
) -> None:
    """The request was received: sent again, it might be paid for twice."""

    async def answer(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            await exchange.whole(LIST)
        else:
            await exchange.send(half)
            exchange.writer.close()

    raw.answer = answer
    await raw_client.models.list()
    with pytest.raises(APIConnectionError):
        await raw_client.models.list()
    assert (len(raw.exchanges), raw.connections) == (2, 1)


async def test_a_connection_with_unsolicited_data_is_closed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda e: e.whole(LIST)
    await raw_client.models.list()
    [pool] = raw_client._transport._pools._pools.values()
    connector: Any = pool.session.connector
    [[(protocol, _)]] = connector._conns.values()
    await raw.exchanges[0].whole(b"unasked")
    while not protocol.should_close:  # noqa: ASYNC110 - it is on its way
        await asyncio.sleep(0)
    await raw_client.models.list()
    assert raw.connections == 2
    assert protocol.transport is None or protocol.transport.is_closing()


async def test_an_error_whose_body_stalls_is_still_that_error(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.http.answers.ERROR_BODY_TIMEOUT", 0.1)

    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n")
        await asyncio.Event().wait()

    raw.answer = answer
    with pytest.raises(AuthenticationError):
        await raw_client.models.list()


async def test_an_error_whose_body_is_not_read_is_closed_at_once(
    raw: RawServer, raw_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.http.answers.MAX_ERROR_BODY", 10)

    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n" + b"x" * 20)
        await asyncio.Event().wait()

    raw.answer = answer
    with pytest.raises(AuthenticationError):
        await raw_client.models.list()
    [pool] = raw_client._transport._pools._pools.values()
    assert len(pool.streams) == 0


# --- redirects ----------------------------------------------------------------------------------


def redirect(status: int, location: str) -> Callable[[Exchange], Any]:
    async def answer(exchange: Exchange) -> None:
        if exchange.head.startswith(("GET /v1/moved", "POST /v1/moved")):
            await exchange.whole(LIST)
        else:
            head = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0"
            await exchange.send(f"{head}\r\n\r\n".encode())

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_get_is_redirected_within_its_origin(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    raw.answer = redirect(status, "/v1/moved")
    assert len(await raw_client.models.list()) == 1
    assert raw.exchanges[1].headers["authorization"] == "Bearer local"


async def test_a_relative_redirect_starts_where_the_last_one_led(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        path = exchange.head.split()[1]
        if path == "/v2/there/again":
            await exchange.whole(LIST)
        else:
            location = {"/v1/models": "/v2/there/"}.get(path, "again")
            head = f"HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0"
            await exchange.send(f"{head}\r\n\r\n".encode())

    raw.answer = answer
    assert len(await raw_client.models.list()) == 1


@pytest.mark.parametrize(
    "location", ["mailto:a@b", "http://[::1", "http://", "//", "http://h:99999/x", "ftp://h/x"]
)
async def test_a_redirect_to_nowhere_is_an_error_of_its_status(
    raw: RawServer, raw_client: AsyncClient, location: str
) -> None:
    raw.answer = redirect(307, location)
    with pytest.raises(APIStatusError, match="HTTP 307"):
        await raw_client.models.list()


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_is_redirected_with_its_body(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    raw.answer = redirect(status, "moved")
    await raw_client.request("POST", "/x", json={"a": 1})
    assert [exchange.body for exchange in raw.exchanges] == [b'{"a":1}', b'{"a":1}']


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_never_becomes_a_get(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    raw.answer = redirect(status, "/v1/moved")
    with pytest.raises(APIStatusError, match=f"HTTP {status}.*/v1/moved.*base_url"):
        await raw_client.request("POST", "/x", json={})
    assert len(raw.exchanges) == 1


@pytest.mark.parametrize("status", [300, 305])
async def test_other_statuses_with_a_location_are_not_followed(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    raw.answer = redirect(status, "/v1/moved")
    with pytest.raises(APIStatusError, match=f"HTTP {status}"):
        await raw_client.models.list()
    assert len(raw.exchanges) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_key_goes_to_another_origin(
    raw: RawServer, raw_client: AsyncClient, status: int
) -> None:
    async with RawServer() as other:
        raw.answer = redirect(status, f"{other.url}/moved")
        with pytest.raises(APIStatusError, match="set base_url"):
            await raw_client.models.list()
        assert other.exchanges == []


async def test_a_circle_of_redirects_ends(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = redirect(307, "/v1/models")
    with pytest.raises(APIStatusError):
        await raw_client.models.list()
    assert len(raw.exchanges) == 1 + MAX_REDIRECTS


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"<html>hi</html>", b'{"data": [', b"null", b"[]", b"5", b'""', b"", b"{}", b"\xff\xfe"],
)
async def test_an_invalid_answer(
    mocked: aioresponses, mocked_client: AsyncClient, body: bytes
) -> None:
    mocked.get(f"{BASE_URL}/models", body=body, headers={"x-request-id": "req_1"})
    with pytest.raises(APIResponseValidationError) as caught:
        await mocked_client.models.list()
    assert (caught.value.status_code, caught.value.request_id) == (200, "req_1")


async def test_an_answer_may_be_as_large_as_the_bound(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    body = b"x" * 1_000_000  # which comes in pieces

    async def bound(request: Request, send: Send) -> Response:
        request.max_body = len(body)
        return await send(request)

    raw.answer = lambda e: e.whole(body)
    response = await raw_client.with_options(middlewares=[bound]).request("GET", "/large")
    assert len(response.body) == len(body)


async def test_an_answer_larger_than_the_bound_is_hung_up_on(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def bound(request: Request, send: Send) -> Response:
        request.max_body = 500_000
        return await send(request)

    async def endless(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
        await exchange.send(head + b"x" * 600_000)

    raw.answer = endless
    client = raw_client.with_options(middlewares=[bound], max_retries=0)
    async with asyncio.timeout(5):
        with pytest.raises(APIResponseValidationError, match="larger than 500000 bytes"):
            await client.request("GET", "/large")
        await raw.hung_up.wait()


async def test_an_error_object_with_status_200(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.get(f"{BASE_URL}/models", payload={"error": {"message": "m", "code": 404}})
    with pytest.raises(NotFoundError, match="The server reported an error: m"):
        await mocked_client.models.list()


# --- loops, threads, processes ------------------------------------------------------------------


def run_script(script: str, **environment: str) -> None:
    """In a process of its own, where every warning is an error and nothing may be printed."""
    code = "import asyncio, gc, logging, sys, warnings, threading\n"
    # In debug mode asyncio logs whatever takes 0.1 s: on a busy machine, anything.
    code += "slow = lambda record: 'Executing' not in record.getMessage()\n"
    code += "logging.getLogger('asyncio').addFilter(slow)\n"
    code += "from openai_async import AsyncClient\nfrom openai_async.testing import LocalServer\n"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_client_at_module_level_works_in_two_runs() -> None:
    run_script(
        """
client = AsyncClient(api_key="local", base_url="http://127.0.0.1:1/v1")

async def main():
    async with LocalServer() as server:
        assert len(await client.with_options(base_url=server.url).models.list())

asyncio.run(main())
asyncio.run(main())
"""
    )


def test_an_unclosed_client_warns_once_though_its_loop_ends() -> None:
    run_script(
        """
async def main():
    async with LocalServer() as server:
        client = AsyncClient(api_key="local", base_url=server.url)
        await client.models.list()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
    assert [str(warning.message)[:20] for warning in caught] == ["Unclosed AsyncClient"]

asyncio.run(main())
gc.collect()
"""
    )


def test_a_loop_may_end_in_the_middle_of_a_stream() -> None:
    run_script(
        """
client = AsyncClient(api_key="local", base_url="http://127.0.0.1:1/v1")

async def main():
    async with LocalServer(tokens_per_second=50) as server:
        stream = client.with_options(base_url=server.url).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        await stream
        return stream

stream = asyncio.run(main())
del stream
gc.collect()
"""
    )


@pytest.mark.parametrize("name", ["url", "headers", "timeout"])
async def test_a_request_that_cannot_be_sent_holds_no_slot(raw: RawServer, name: str) -> None:
    async def spoil(request: Request, send: Send) -> Response:
        setattr(request, name, "wrong")
        return await send(request)

    raw.answer = lambda exchange: exchange.whole(b"{}")
    async with (
        asyncio.timeout(5),
        AsyncClient(base_url=raw.url, api_key="k", max_connections=1) as client,
    ):
        spoilt = client.with_options(middlewares=[spoil])
        for _ in range(2):
            with pytest.raises(InvalidArgumentError):
                await spoilt.request("GET", "/x")
        assert (await client.request("GET", "/x")).status == 200


async def test_a_middleware_may_set_the_timeout_as_a_number(raw: RawServer) -> None:
    async def hurry(request: Request, send: Send) -> Response:
        request.timeout = 0.01  # type: ignore[assignment]
        return await send(request)

    raw.answer = lambda exchange: asyncio.sleep(60)
    async with AsyncClient(
        base_url=raw.url, api_key="k", max_retries=0, middlewares=[hurry]
    ) as client:
        with pytest.raises(APITimeoutError, match="within 0.01 s"):
            await client.request("GET", "/x")


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 103 Early Hints\r\n", b"HTTP/1.1 200 OK\r\n"], ids=["103", "200"]
)
async def test_closing_the_client_during_a_request_shows_no_key(
    raw: RawServer, beginning: bytes
) -> None:
    sent = asyncio.Event()

    async def repeat_the_key(exchange: Exchange) -> None:
        end = b"\r\n" if b"103" in beginning else b""
        key = exchange.headers["authorization"].encode()
        await exchange.send(beginning + b"X-Echo: " + key + b"\r\n" + end)
        sent.set()

    async def ok(exchange: Exchange) -> None:
        await exchange.whole(b"{}")

    for opened_before in (False, True):
        client = AsyncClient(base_url=raw.url, api_key="sk-secret-0123456789")
        if opened_before:
            raw.answer = ok
            await client.request("GET", "/x")
        raw.answer = repeat_the_key
        sent.clear()
        call = asyncio.create_task(client.request("GET", "/x"))
        await sent.wait()
        await asyncio.sleep(0.01)  # until it has been read
        await client.close()
        with pytest.raises(OpenAIError, match="closed") as caught:
            await call
        assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_closing_does_not_wait_for_a_server_that_does_not_read() -> None:
    done, connected = asyncio.Event(), asyncio.Event()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        connected.set()
        await done.wait()
        writer.transport.abort()

    server = await asyncio.start_server(never_read, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        client = AsyncClient(base_url=url, api_key="k", max_retries=0)
        call = asyncio.create_task(client.request("POST", "/x", content=b"x" * 2**25))
        await connected.wait()
        await asyncio.sleep(1)  # in virtual time: until nothing more can be written
        async with asyncio.timeout(5):
            await client.close()
        with pytest.raises(OpenAIError, match="closed"):
            await call
        done.set()


def test_the_pure_python_parser_shows_no_key() -> None:
    """It quotes what it could not parse in other ways than the C parser, even without quotes."""
    run_script(
        """
import traceback
from openai_async import APIConnectionError
from aiohttp.http_parser import HttpResponseParser, HttpResponseParserPy
from tests.raw_server import RawServer

assert HttpResponseParser is HttpResponseParserPy
KEY = "sk-secret-0123456789"
ANSWERS = [
    b"HTTP/1.1 Bearer %s\\r\\n\\r\\n",
    b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n%s\\r\\n",
    b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n2\\r\\n{}\\r\\n%s\\r\\n",
    b"HTTP/1.1 200 OK\\r\\nX %s\\r\\n\\r\\n",
    b"HTTP/1.1 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n",
]

async def main():
    async with RawServer() as raw, AsyncClient(
        api_key=KEY, base_url=raw.url, max_retries=0
    ) as client:
        for answer in ANSWERS:
            async def malformed(exchange):
                await exchange.send(answer % KEY.encode())
                exchange.writer.close()
            raw.answer = malformed
            try:
                await client.request("GET", "/x")
            except APIConnectionError as error:
                assert KEY not in "".join(traceback.format_exception(error)), answer
            else:
                raise AssertionError(answer)

asyncio.run(main())
""",
        AIOHTTP_NO_EXTENSIONS="1",
    )


def test_a_forked_child_has_connections_of_its_own() -> None:
    run_script(
        """
import os

async def main():
    async with LocalServer() as server, AsyncClient(api_key="local", base_url=server.url) as client:
        await client.models.list()
        child = os.fork()
        if child == 0:
            # A loop of its own, while the parent's, copied, seems to be in use.
            async def in_child():
                assert len(await client.models.list())
                await client.close()
            asyncio.run(in_child())
            os._exit(0)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            await asyncio.sleep(0.01)  # the server answers the child meanwhile
        await client.models.list()
        assert server.connections == 2

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, Python 3.12
    asyncio.run(main())
"""
    )


def test_a_forked_child_does_not_wait_for_connections_of_its_parent() -> None:
    run_script(
        """
import os
from openai_async import RateLimit
from openai_async.testing import Failure

async def main():
    async with LocalServer() as server:
        client = AsyncClient(api_key="local", base_url=server.url, rate_limit=RateLimit())
        server.script(Failure(stall_after=0), times=2)  # as many as go while nothing is known
        ask = lambda: client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
        )
        tasks = [asyncio.create_task(ask()) for _ in range(3)]
        await server.received(2)
        child = os.fork()
        if child == 0:
            async def in_child():
                assert (await ask()).text
                await client.close()
            asyncio.run(in_child())
            os._exit(0)
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            await asyncio.sleep(0.01)  # the server answers the child meanwhile
        assert ended[1] == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, Python 3.12
    asyncio.run(main())
"""
    )


def test_a_forked_child_that_drops_the_client_leaves_the_parent_its_connections() -> None:
    run_script(
        """
import os

async def main():
    async with LocalServer() as server:
        client = AsyncClient(api_key="local", base_url=server.url, max_retries=0, timeout=10)
        await client.models.list()
        child = os.fork()
        if child == 0:
            client = AsyncClient(api_key="local", base_url=server.url)
            gc.collect()
            os._exit(0)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            await asyncio.sleep(0.01)
        await client.models.list()
        assert server.connections == 1
        await client.close()

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, Python 3.12
    asyncio.run(main())
"""
    )


def test_a_loop_that_was_closed_in_the_middle_of_everything_does_no_harm_to_the_next() -> None:
    run_script(
        """
import logging
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of the tasks that were left behind
warnings.simplefilter("ignore")
client = AsyncClient(
    api_key="local", base_url="http://127.0.0.1:1/v1", max_connections=1, max_retries=0
)
hi = [{"role": "user", "content": "Hi"}]

async def begin():
    server = LocalServer(tokens_per_second=5)
    await server.start()
    mine = client.with_options(base_url=server.url)
    stream = await mine.chat.completions.create(model="gpt-4o", messages=hi, stream=True)
    waiting = [asyncio.ensure_future(mine.models.list()) for _ in range(3)]
    waiting.append(asyncio.ensure_future(stream.completion()))
    await asyncio.sleep(0.05)
    return stream, waiting, server

loop = asyncio.new_event_loop()
left = loop.run_until_complete(begin())
loop.close()

async def again():
    async with LocalServer() as server:
        for _ in range(2):
            await client.with_options(base_url=server.url).models.list()
        await client.close()

asyncio.run(again())
sys.stderr.close()  # what asyncio says of tasks that were pending when their loop was closed
"""
    )


def test_a_client_works_in_the_loops_of_several_threads_at_once(server_in_thread: str) -> None:
    client = AsyncClient(api_key="local", base_url=server_in_thread)
    barrier = threading.Barrier(3)
    found: list[int] = []

    def work() -> None:
        async def main() -> None:
            for _ in range(20):
                found.append(len(await client.models.list()))

        barrier.wait()
        asyncio.run(main())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 60


@pytest.fixture
def server_in_thread() -> Any:
    """The URL of a LocalServer that runs in a loop of its own."""
    started, url = threading.Event(), ""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        nonlocal url
        async with LocalServer() as server:
            url = server.url
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


async def test_an_unclosed_client_warns_once_and_its_connections_are_closed(raw: RawServer) -> None:
    raw.answer = lambda e: e.whole(LIST)
    client = AsyncClient(api_key="local", base_url=raw.url)
    await client.models.list()
    with pytest.warns(ResourceWarning, match="Unclosed AsyncClient") as caught:
        del client
    assert len(caught) == 1
    await raw.hung_up.wait()


def test_a_client_that_is_dropped_beside_its_loop_hangs_up_without_the_garbage_collector() -> None:
    async def hung_up(raw: RawServer) -> None:
        async with asyncio.timeout(5):
            await raw.hung_up.wait()

    with asyncio.Runner() as runner:
        raw = runner.run(RawServer().__aenter__())
        raw.answer = lambda e: e.whole(LIST)
        client = AsyncClient(api_key="local", base_url=raw.url)
        runner.run(client.models.list())
        gc.disable()
        try:
            with pytest.warns(ResourceWarning, match="Unclosed AsyncClient"):
                del client
            runner.run(hung_up(raw))
        finally:
            gc.enable()
            runner.run(raw.__aexit__())


async def test_closing_fails_an_open_stream(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(stall_after=1))
    async with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as stream:
        await anext(stream)
        await client.close()
        with pytest.raises(APIConnectionError, match="client was closed"):
            await stream.completion()


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(b"", id="no header yet"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", id="half an answer"),
        pytest.param(b"HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\nsaid", id="half an error"),
    ],
)
async def test_closing_fails_a_call_that_waits_for_its_answer(
    raw: RawServer, raw_client: AsyncClient, half: bytes
) -> None:
    arrived = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.send(half)
        arrived.set()
        await asyncio.Event().wait()

    raw.answer = answer
    call = asyncio.create_task(raw_client.models.list())
    await arrived.wait()
    await asyncio.sleep(0.05)
    await raw_client.close()
    async with asyncio.timeout(2):
        with pytest.raises(OpenAIError, match="client is closed"):
            await call


async def test_closing_fails_calls_that_wait_for_a_slot_or_a_key(raw: RawServer) -> None:
    go_on = asyncio.Event()

    async def key() -> str:
        await go_on.wait()
        return "k"

    async with AsyncClient(base_url=raw.url, api_key=key, max_connections=1) as client:
        calls = [asyncio.create_task(client.models.list()) for _ in range(3)]
        await asyncio.sleep(0.05)
        await client.close()
        go_on.set()
        for call in calls:
            with pytest.raises(OpenAIError, match="client is closed"):
                await call
    assert raw.exchanges == []


def test_closing_from_another_loop_does_not_wait() -> None:
    run_script(
        """
in_use, closed = threading.Event(), threading.Event()

async def other(url):
    await client.with_options(base_url=url).models.list()
    in_use.set()
    closed.wait(20)  # a loop that is busy

async def main():
    async with LocalServer() as server:
        thread = threading.Thread(target=lambda: asyncio.run(other(server.url)))
        thread.start()
        while not in_use.is_set():
            await asyncio.sleep(0.01)
        await client.close()
        closed.set()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        thread.join()

import logging
logging.getLogger("asyncio").setLevel(logging.ERROR)  # of the loop that was kept busy
client = AsyncClient(api_key="local", base_url="http://127.0.0.1:1/v1")
asyncio.run(main())
"""
    )


async def test_every_slot_is_released_whatever_happens(
    server: LocalServer, client: AsyncClient, waits: list[float]
) -> None:
    """With one slot, the call after each of these would wait forever if it were not released."""
    async with AsyncClient(
        base_url=server.url, api_key="k", max_connections=1, max_retries=1
    ) as one:

        def stream() -> ChatCompletionStream:
            return one.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "x"}], stream=True
            )

        server.script(Failure(500), Failure(500), Failure(cut_after=0), Failure(cut_after=0))
        for call in (one.models.list(), one.models.list()):
            with pytest.raises(APIError):
                await call
        server.script(
            Failure(400), Failure(cut_after=0), Failure(cut_after=0), Failure(cut_after=1)
        )
        for _ in range(3):
            with pytest.raises(APIError):
                await stream().completion()
        await stream().completion()
        async for _ in stream():
            break
        async with asyncio.timeout(5):
            assert len(await one.models.list())
