"""LocalServer with a plain `with`: for tests that are not async, and from any loop."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from openai_async import APIConnectionError, AsyncClient
from openai_async.testing import Failure, LocalServer, RecordedRequest, Reply, ServerLimits

from .asking import HELLO, content

PATIENCE = 20.0


def chat(server: LocalServer, **fields: Any) -> dict[str, Any]:
    """Ask a question, as a program without asyncio does."""
    request = urllib.request.Request(
        f"{server.url}/chat/completions",
        json.dumps({**HELLO, **fields}).encode(),
        {"Authorization": "Bearer local", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def servers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "LocalServer"]


def unanswered(server: LocalServer) -> HTTPConnection:
    """A connection whose request the server has and does not answer."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    body, key = json.dumps(HELLO), {"Authorization": "Bearer local"}
    connection.request("POST", "/v1/chat/completions", body, key)
    return connection


def test_it_answers_while_the_test_blocks() -> None:
    with LocalServer() as server:
        server.script(Reply("42"))
        assert content(chat(server)) == "42"
        assert server.requests[0].json == HELLO
        assert (server.pending, server.connections) == (0, 1)


def test_its_thread_ends_with_the_block() -> None:
    with LocalServer() as server:
        assert len(servers()) == 1
    assert servers() == []
    with pytest.raises(urllib.error.URLError, match="refused"):
        chat(server)


def test_an_error_in_the_block_stops_it_too() -> None:
    with pytest.raises(ZeroDivisionError), LocalServer():
        raise ZeroDivisionError
    assert servers() == []


@pytest.mark.parametrize(
    "failure", [Failure(delay=10_000), Failure(stall_after=0)], ids=["delay", "stall"]
)
def test_leaving_the_block_hangs_up_on_whatever_is_open(failure: Failure) -> None:
    with LocalServer() as server:
        server.script(failure)
        connection = unanswered(server)
        asyncio.run(server.received())
    with pytest.raises((HTTPException, ConnectionResetError)):
        connection.getresponse().read()
    connection.close()


def test_a_port_in_use_is_an_error_of_the_with_statement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"), LocalServer(port=port):
            pytest.fail("it has started")
    assert servers() == []


def test_without_a_thread_the_error_is_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"), LocalServer():
        pytest.fail("it has started")


def test_an_error_while_stopping_is_raised_and_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = LocalServer()

    async def stop_and_fail() -> None:
        await LocalServer._stop(server)
        raise ZeroDivisionError

    monkeypatch.setattr(server, "_stop", stop_and_fail)
    with pytest.raises(ZeroDivisionError), server:
        pass
    assert servers() == []


def test_it_starts_again_at_its_address() -> None:
    server = LocalServer()
    with server:
        url = server.url
    with server:
        assert server.url == url
        chat(server)


def test_reset_and_limits_work_from_the_thread_of_the_test() -> None:
    with LocalServer(limits=ServerLimits(requests_per_minute=60)) as server:
        chat(server)
        with pytest.raises(urllib.error.HTTPError, match="429") as refused:
            chat(server)
        refused.value.close()
        assert (len(server.requests), server.rejections) == (2, 1)
        server.script(Reply("42"))
        server.reset()
        assert (server.requests, server.rejections, server.pending) == ([], 0, 0)
        assert content(chat(server)) != "42"


def test_a_wrong_step_is_an_error_at_its_own_line() -> None:
    with LocalServer() as server, pytest.raises(ValueError, match="times"):
        server.script(Reply("42"), times=0)


def test_a_function_of_the_script_may_use_the_server() -> None:
    with LocalServer() as server:

        def once(request: RecordedRequest) -> Reply:
            server.reset()
            return Reply("42")

        server.script(once)
        assert content(chat(server)) == "42"
        assert content(chat(server)) != "42"


def test_a_function_of_the_script_may_fail_the_test() -> None:
    def fail(request: RecordedRequest) -> Reply:
        pytest.fail(f"{request.path} is not expected")

    with LocalServer() as server:
        server.script(fail)
        with pytest.raises(urllib.error.HTTPError, match="500") as failed:
            chat(server)
        with failed.value as answer:
            assert "Failed: /v1/chat/completions is not expected" in answer.read().decode()


def test_a_function_of_the_script_may_end_the_program() -> None:
    def leave(request: RecordedRequest) -> Reply:
        sys.exit(3)

    with pytest.raises(SystemExit, match="3"), LocalServer() as server:
        server.script(leave)
        with pytest.raises(HTTPException):
            chat(server)
    assert servers() == []


def test_steps_added_while_requests_arrive_are_each_used_once() -> None:
    with LocalServer() as server, ThreadPoolExecutor(4) as pool:
        answers = []
        for number in range(40):
            server.script(Reply(str(number)))
            answers.append(pool.submit(chat, server))
        texts = {content(answer.result(PATIENCE)) for answer in answers}
        assert texts == {str(number) for number in range(40)}
        assert len(server.requests) == 40


def test_a_plain_test_waits_for_a_request_with_asyncio_run() -> None:
    with LocalServer() as server:
        server.script(Failure(stall_after=0))
        connection = unanswered(server)
        request = asyncio.run(server.received())
        connection.close()
        asyncio.run(request.finished())
        assert request.disconnected


async def test_an_async_test_can_wait_for_what_happens_in_the_thread() -> None:
    with LocalServer() as server:
        server.script(Failure(stall_after=1))
        async with AsyncClient(base_url=server.url, api_key="local") as client:
            stream = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "?"}], stream=True
            )
            waiting = [asyncio.create_task(server.received()) for _ in range(2)]
            await asyncio.sleep(0)
            async with stream, asyncio.timeout(PATIENCE):
                waiting[0].cancel()
                request = await waiting[1]
                assert not request.disconnected
            async with asyncio.timeout(PATIENCE):
                await request.finished()
        assert request.disconnected


async def test_an_async_test_stops_and_starts_it_as_any_other() -> None:
    with LocalServer() as server:
        async with AsyncClient(base_url=server.url, api_key="local", max_retries=0) as client:
            await server.stop()
            with pytest.raises(APIConnectionError):
                await client.models.list()
            await server.start()
            assert await client.models.list()
    assert servers() == []


async def test_a_server_that_runs_is_not_started_in_a_thread() -> None:
    async with LocalServer() as server:
        with pytest.raises(RuntimeError, match="running already"), server:
            pass
        assert servers() == []
    with server, pytest.raises(RuntimeError, match="running already"), server:
        pass
    assert servers() == []


INTERRUPTED = """
from openai_async.testing import LocalServer
import threading
with LocalServer() as server:
    print(server.url, flush=True)
    threading.Event().wait()
"""
LEFT_OPEN = """
from openai_async.testing import LocalServer
server = LocalServer().__enter__()
print(server.url, flush=True)
"""


def test_ctrl_c_ends_the_program() -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert stderr.splitlines()[-1] == b"KeyboardInterrupt"
    assert stderr.count(b"Traceback") == 1


def test_a_block_that_is_never_left_does_not_keep_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN], capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_it_starts_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    start = LocalServer._start
    pressed = threading.Event()

    async def start_late(server: LocalServer) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert pressed.wait(PATIENCE)
        await start(server)

    def handle(number: int, frame: object) -> None:
        pressed.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalServer, "_start", start_late)
    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(KeyboardInterrupt), LocalServer() as server:
            pytest.fail(f"{server} has started")
    finally:
        signal.signal(signal.SIGINT, before)
    assert servers() == []
