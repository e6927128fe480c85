"""LocalServer's script by request: functions choose the answers of tests that run side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from openai_async.testing import Failure, LocalServer, RecordedRequest, Reply, ServerLimits

from .asking import chat, content

pytestmark = pytest.mark.virtual_time


def about(word: str, reply: Reply | Failure) -> Any:
    """A function that answers the requests whose question has this word."""

    def choose(request: RecordedRequest) -> Reply | Failure | None:
        return reply if word in request.json["messages"][-1]["content"] else None

    return choose


def asking(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}]}


async def test_a_function_answers_its_requests_whatever_their_order(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(about("Oslo", Reply("Rain.")), about("Rome", Reply("Sun.")))
    questions = ["Rome?", "Oslo?", "Rome?", "Oslo?", "Rome?"]
    answers = await asyncio.gather(*(chat(server, http, **asking(one)) for one in questions))
    assert [content(answer) for _, answer in answers] == ["Sun.", "Rain.", "Sun.", "Rain.", "Sun."]


async def test_none_leaves_the_request_to_the_steps_and_then_to_the_server(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(about("Oslo", Reply("Rain.")), Failure(503))
    assert server.pending == 1
    assert content((await chat(server, http, **asking("Oslo?")))[1]) == "Rain."
    assert server.pending == 1
    assert (await chat(server, http, **asking("Rome?")))[0] == 503
    assert "Rome?" in content((await chat(server, http, **asking("Rome?")))[1])


async def test_a_function_may_be_async_and_fail_requests(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    gate = asyncio.Event()

    async def choose(request: RecordedRequest) -> Failure:
        await gate.wait()
        return Failure(429, message=request.headers["x-test"])

    server.script(choose)
    http.headers["x-test"] = "mine"
    asked = asyncio.create_task(chat(server, http))
    await server.received()
    gate.set()
    status, answer = await asked
    assert (status, answer["error"]["message"]) == (429, "mine")


async def test_a_function_sees_every_route(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    seen: list[tuple[str, str, Any]] = []
    server.script(lambda request: seen.append((request.method, request.path, request.json)))
    async with http.get(f"{server.url}/models") as response:
        assert response.status == 200
    await chat(server, http, model="gpt-4o")
    assert seen[0] == ("GET", "/v1/models", None)
    assert seen[1][2]["model"] == "gpt-4o"


async def test_requests_above_the_limits_are_not_shown_to_functions(
    http: aiohttp.ClientSession,
) -> None:
    limits = ServerLimits(requests_per_minute=60)
    async with LocalServer(limits=limits) as server:
        server.script(lambda request: Reply("Hi"))
        statuses = [(await chat(server, http))[0] for _ in range(2)]
    assert statuses == [200, 429]


async def test_reset_forgets_functions(server: LocalServer, http: aiohttp.ClientSession) -> None:
    server.script(lambda request: Failure(500))
    server.reset()
    assert (await chat(server, http))[0] == 200


@pytest.mark.parametrize("wrong", ["Hello", {}, 0])
async def test_what_is_not_an_answer_is_a_clear_error(
    server: LocalServer, http: aiohttp.ClientSession, wrong: Any
) -> None:
    server.script(lambda request: wrong)
    status, answer = await chat(server, http)
    assert status == 500
    assert "returns a Reply, a Failure or None, not " in answer["error"]["message"]


async def test_an_exception_in_a_function_reaches_the_client(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(lambda request: request.json["missing"])
    status, answer = await chat(server, http)
    assert (status, answer["error"]["type"]) == (500, "server_error")
    assert answer["error"]["message"] == "The script's function failed: KeyError: 'missing'"


def test_a_function_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="a function is asked every time"):
        LocalServer().script(lambda request: None, times=2)
    with pytest.raises(TypeError, match="functions"):
        LocalServer().script(Reply)  # type: ignore[arg-type]
