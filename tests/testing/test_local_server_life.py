"""How LocalServer starts and stops, and what it does with every request."""

import asyncio
import io
import math
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from openai_async.testing import Failure, LocalServer

from .asking import HELLO, STREAM, chat

pytestmark = pytest.mark.virtual_time


async def test_start_and_stop_are_idempotent() -> None:
    server = LocalServer()
    await server.start()
    url = server.url
    await server.start()
    assert server.url == url
    await server.stop()
    await server.stop()


async def test_a_stopped_server_starts_again_at_its_address(http: aiohttp.ClientSession) -> None:
    server = LocalServer()
    async with server:
        url = server.url
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(f"{url}/models")
    async with server, http.get(f"{url}/models") as response:
        assert response.status == 200


def test_a_server_can_run_in_one_loop_after_another() -> None:
    server = LocalServer()

    async def once() -> int:
        async with server, aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http:
            return (await chat(server, http))[0]

    assert [asyncio.run(once()), asyncio.run(once())] == [200, 200]


def test_the_url_before_the_start_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="start"):
        _ = LocalServer().url


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_impossible_paces_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="tokens_per_second"):
        LocalServer(tokens_per_second=rate)


async def test_requests_are_recorded_in_order(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    await chat(server, http)
    async with http.get(f"{server.url}/models?limit=2", headers={"X-Mine": "1"}):
        pass
    first, second = server.requests
    assert (first.method, first.path, first.json) == ("POST", "/v1/chat/completions", HELLO)
    assert (second.query, second.headers["x-mine"], second.json) == ({"limit": "2"}, "1", None)
    assert "local" not in repr(first)
    server.reset()
    assert server.requests == []


async def test_connections_counts_tcp_connections_not_requests(server: LocalServer) -> None:
    for _ in range(2):
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http:
            await chat(server, http)
            await chat(server, http)
    assert server.connections == 2


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "k"}])
async def test_a_request_without_a_key_is_401(server: LocalServer, headers: dict[str, str]) -> None:
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{server.url}/models") as response,
    ):
        assert response.status == 401
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_only_the_given_key_opens_a_server_with_a_key(http: aiohttp.ClientSession) -> None:
    async with LocalServer(api_key="secret") as server:
        status, answer = await chat(server, http)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        key = {"Authorization": "Bearer secret"}
        async with http.get(f"{server.url}/models", headers=key) as response:
            assert response.status == 200


async def test_every_answer_has_the_headers_of_openai(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    seen = []
    for path in ("/models", "/models", "/nothing"):
        async with http.get(server.url + path) as response:
            seen.append(response.headers)
    assert len({headers["x-request-id"] for headers in seen}) == 3
    left = [int(headers["x-ratelimit-remaining-requests"]) for headers in seen]
    assert left == [left[0], left[0] - 1, left[0] - 2]
    for headers in seen:
        assert headers["x-request-id"].startswith("req_")
        assert headers["openai-version"] == "2020-10-01"
        assert headers["openai-organization"]
        assert int(headers["openai-processing-ms"]) >= 0
        assert headers["x-ratelimit-reset-tokens"].endswith("s")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/chat/completions", 405),
        ("PUT", "/models", 405),
        ("GET", "/files/none.png", 404),
    ],
)
async def test_wrong_paths_and_methods_are_errors_in_openai_shape(
    server: LocalServer, http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, server.url + path) as response:
        assert response.status == status
        assert set((await response.json())["error"]) == {"message", "type", "param", "code"}


async def test_a_huge_body_is_413(server: LocalServer, http: aiohttp.ClientSession) -> None:
    body = io.BytesIO(b" " * (65 * 2**20))
    # Without a limit, as the clock may jump while the kernel of a busy machine moves so many bytes.
    no_limit = aiohttp.ClientTimeout(total=None)
    url = f"{server.url}/chat/completions"
    async with http.post(url, data=body, timeout=no_limit) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == "request_too_large"


async def test_an_error_in_the_server_is_a_500_in_openai_shape(
    server: LocalServer,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("openai_async.testing.chat.compose", explode)
    status, answer = await chat(server, http)
    assert (status, answer["error"]["type"]) == (500, "server_error")
    assert "LocalServer failed" in caplog.text


class PatientRunner(web.AppRunner):
    """A runner that would wait ten minutes for its handlers to end."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, **{**options, "shutdown_timeout": 600.0})


async def test_stop_ends_all_that_waits_at_once_and_leaves_no_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openai_async.testing.server.web.AppRunner", PatientRunner)
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http:
        server = LocalServer(tokens_per_second=0.01)
        await server.start()
        url = f"{server.url}/chat/completions"
        responses = [await http.post(url, json=STREAM)]
        server.script(Failure(stall_after=1), Failure(stall_after=0), Failure(delay=60))
        responses += [await http.post(url, json=body) for body in (STREAM, HELLO)]
        delayed = asyncio.create_task(chat(server, http))
        await server.received(4)
        assert server.pending == 0
        started = asyncio.get_running_loop().time()
        await server.stop()
        assert asyncio.get_running_loop().time() == started
        with pytest.raises(aiohttp.ClientConnectionError):
            await delayed
        assert not any(request.disconnected for request in server.requests)
        assert asyncio.all_tasks() == before
        for response in responses:
            response.close()


@pytest.mark.parametrize("port", [-1, 70000, "80", True])
def test_an_invalid_port_is_refused(port: Any) -> None:
    with pytest.raises(ValueError, match="port must be"):
        LocalServer(port=port)


async def test_a_request_that_is_not_http_is_refused_without_a_traceback(
    server: LocalServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"nonsense\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()
    assert capfd.readouterr().err == ""


async def test_tokens_per_second_paces_a_stream(http: aiohttp.ClientSession) -> None:
    async with LocalServer(tokens_per_second=100) as server:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with http.post(
            f"{server.url}/chat/completions", json={**STREAM, "max_tokens": 11}
        ) as response:
            await response.read()
        assert loop.time() - started >= 0.095


async def test_a_body_with_a_malformed_encoding_is_400(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    headers = {"Content-Encoding": "gzip"}
    url = f"{server.url}/chat/completions"
    async with http.post(url, data=b"no gzip", headers=headers, compress=None) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_many_clients_at_once_are_all_answered(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    answers = await asyncio.gather(*(chat(server, http) for _ in range(300)))
    assert {status for status, _ in answers} == {200}
    assert len(server.requests) == 300


async def test_received_waits_for_the_arrival_of_requests(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    waiting = asyncio.create_task(server.received(2))
    for _ in range(2):
        assert not waiting.done()
        await chat(server, http)
    assert await waiting is server.requests[-1]


async def test_received_counts_from_the_reset(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    await chat(server, http)
    server.reset()
    waiting = asyncio.create_task(server.received())
    await asyncio.sleep(0)
    assert not waiting.done()
    await chat(server, http)
    assert (await waiting).path == "/v1/chat/completions"


async def test_of_very_many_requests_the_latest_are_kept(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    monkeypatch.setattr("openai_async.testing.pipeline._MAX_RECORDS", 3)
    async with LocalServer() as server:
        for number in range(5):
            await chat(server, http, seed=number)
        assert [record.json["seed"] for record in server.requests] == [2, 3, 4]
