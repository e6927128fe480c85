"""The hook `useChat` of Vercel's AI SDK, run by node, reads the form "ui" from an aiohttp app."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openai_async import AsyncClient
from openai_async.web import Broadcast, from_ui_messages, sse_response

from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..streaming.events import call
from .relayed import USAGE_AND_DONE, answering, calling, in_halves

PROGRAM = Path(__file__).with_name("use_chat.mjs")
PACKAGES = ("ai@7.0.173", "@ai-sdk/react@4.0.177", "react@19.3.1", "react-test-renderer@19.3.1")

USAGE = {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}
STEP = {"type": "step-start"}


async def multiply(a: int, b: int) -> dict[str, int]:
    if a == 0:
        raise ValueError(a)
    return {"product": a * b}


Use = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, beside the packages that it imports."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    place = tmp_path_factory.mktemp("use_chat")
    install = ["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=1", *PACKAGES]
    try:
        done = subprocess.run(install, cwd=place, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the packages within two minutes")
    if done.returncode:
        pytest.skip(f"npm could not install the packages: {done.stderr}")
    return Path(shutil.copy(PROGRAM, place))


@pytest.fixture
def resumed() -> asyncio.Event:
    """Set when a page that was reloaded asks for the answer under way."""
    return asyncio.Event()


@pytest.fixture
async def use(raw_client: AsyncClient, program: Path, resumed: asyncio.Event) -> AsyncIterator[Use]:
    """Runs the program with these texts, against an app that relays each answer of `raw`."""

    chats = raw_client.chat.completions

    async def chat(request: web.Request) -> web.StreamResponse:
        messages = from_ui_messages((await request.json())["messages"])
        stream = chats.create(model="gpt-4o", messages=messages, stream=True)
        return await sse_response(request, stream, form="ui")

    async def tools(request: web.Request) -> web.StreamResponse:
        messages = from_ui_messages((await request.json())["messages"])
        run = chats.run_tools(model="gpt-4o", messages=messages, tools=[multiply])
        return await sse_response(request, run, form="ui")

    answers: dict[str, Broadcast] = {}

    async def begin(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        messages = from_ui_messages(asked["messages"])
        stream = chats.create(model="gpt-4o", messages=messages, stream=True)
        broadcast = answers[asked["id"]] = Broadcast(stream)
        return await sse_response(request, broadcast, form="ui")

    async def resume(request: web.Request) -> web.StreamResponse:
        broadcast = answers.get(request.match_info["id"])
        if broadcast is None:
            return web.Response(status=204)
        resumed.set()
        return await sse_response(request, broadcast, form="ui")

    app = web.Application()
    app.router.add_post("/broadcast", begin)
    app.router.add_get("/broadcast/{id}/stream", resume)
    app.router.add_get("/chat/{id}/stream", resume)
    app.router.add_post("/chat", chat)
    app.router.add_post("/tools", tools)

    async with TestServer(app) as server:

        async def use(*texts: str, path: str = "/chat", **more: str) -> dict[str, Any]:
            given = {"api": str(server.make_url(path)), "texts": texts, **more}
            node = await asyncio.create_subprocess_exec(
                *("node", str(program), json.dumps(given)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                shown, complaints = await node.communicate()
            finally:
                if node.returncode is None:
                    node.kill()
                    await node.wait()
            assert node.returncode == 0, complaints.decode()
            return json.loads(shown)  # type: ignore[no-any-return]

        yield use


def said(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is new each time."""
    return {key: value for key, value in message.items() if key != "id"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"type": "text", "text": text}]}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "state": "done"}


async def test_a_conversation(raw: RawServer, use: Use) -> None:
    raw.answer = answering(
        [chunk(reasoning="Hm"), chunk("Grü"), chunk("ße", finish="stop"), USAGE_AND_DONE],
        [chunk("Bye", finish="length"), USAGE_AND_DONE],
    )
    shown = await use("Hi", "Bye")
    first, thought_and_said, second, last = map(said, shown["messages"])
    assert (first, second) == (user("Hi"), user("Bye"))
    thought = thought_and_said["parts"].pop(1)
    assert (thought["type"], thought["text"], thought["state"]) == ("reasoning", "Hm", "done")
    assert thought_and_said == {
        "role": "assistant",
        "metadata": USAGE,
        "parts": [STEP, text("Grüße")],
    }
    assert last == {"role": "assistant", "metadata": USAGE, "parts": [STEP, text("Bye")]}
    assert (shown["status"], shown.get("error")) == ("ready", None)
    assert [finish["finishReason"] for finish in shown["finished"]] == ["stop", "length"]


async def test_tools_are_called_in_the_browser_and_the_answer_goes_on_in_the_same_message(
    raw: RawServer, use: Use
) -> None:
    raw.answer = answering(
        [
            chunk("Let me see."),
            calling(call(0, '{"a":1', "add", "c1"), call(1, '{"a":3,', "add", "c2")),
            calling(call(0, ',"b":2}'), call(1, '"b":4}')),
            chunk(finish="tool_calls"),
            USAGE_AND_DONE,
        ],
        [chunk("3 and 7", finish="stop"), USAGE_AND_DONE],
    )
    shown = await use("1 + 2? 3 + 4?")
    question, answer = map(said, shown["messages"])
    assert question == user("1 + 2? 3 + 4?")
    called = {"type": "tool-add", "state": "output-available"}
    assert answer["parts"] == [
        STEP,
        text("Let me see."),
        {**called, "toolCallId": "c1", "input": {"a": 1, "b": 2}, "output": 3},
        {**called, "toolCallId": "c2", "input": {"a": 3, "b": 4}, "output": 7},
        STEP,
        text("3 and 7"),
    ]
    assert [finish["finishReason"] for finish in shown["finished"]] == ["tool-calls", "stop"]


async def test_the_app_calls_tools_and_the_answer_goes_on_in_the_same_message(
    raw: RawServer, use: Use
) -> None:
    raw.answer = answering(
        [
            chunk("Let me see."),
            calling(call(0, '{"a":2,"b":3}', "multiply", "c1")),
            calling(call(1, '{"a":0,"b":3}', "multiply", "c2")),
            calling(call(2, '{"a":0,', "multiply", "c3")),
            chunk(finish="tool_calls"),
            USAGE_AND_DONE,
        ],
        [chunk("6", finish="stop"), USAGE_AND_DONE],
    )
    shown = await use("2 * 3?", path="/tools")
    question, answer = map(said, shown["messages"])
    assert question == user("2 * 3?")
    begin, first, product, failed, misread, *rest = answer["parts"]
    assert [begin, first] == [STEP, text("Let me see.")]
    assert rest == [STEP, text("6")]
    assert product == {
        "type": "tool-multiply",
        "toolCallId": "c1",
        "state": "output-available",
        "input": {"a": 2, "b": 3},
        "output": {"product": 6},
    }
    assert (failed["toolCallId"], failed["state"]) == ("c2", "output-error")
    assert failed["errorText"] == "The tool multiply failed: ValueError."
    assert (misread["toolCallId"], misread["state"]) == ("c3", "output-error")
    assert "JSON" in misread["errorText"]
    assert shown["status"] == "ready"
    assert [finish["finishReason"] for finish in shown["finished"]] == ["stop"]


async def test_the_next_request_has_what_the_run_has_added_to_the_conversation(
    raw: RawServer, use: Use
) -> None:
    called = [
        calling(call(0, '{"a":2,"b":3}', "multiply", "c1"), call(1, '{"a":', "multiply", "c2")),
        chunk(finish="tool_calls"),
        DONE,
    ]
    raw.answer = answering(called, [chunk("6", finish="stop"), DONE], [chunk("Bye"), DONE])
    await use("2 * 3?", "Bye", path="/tools")
    _, after_the_calls, last = [json.loads(exchange.body)["messages"] for exchange in raw.exchanges]
    without_text = {**after_the_calls[1], "content": None}
    assert last == [
        after_the_calls[0],
        without_text,
        *after_the_calls[2:],
        {"role": "assistant", "content": "6"},
        {"role": "user", "content": "Bye"},
    ]


async def test_a_tool_is_not_called_with_arguments_that_are_not_json(
    raw: RawServer, use: Use
) -> None:
    """The SDK tells the model what was wrong, as the page asks it to do."""
    raw.answer = answering(
        [calling(call(0, '{"a":1', "add", "c1"), finish="length"), USAGE_AND_DONE],
        [chunk("Sorry.", finish="stop"), USAGE_AND_DONE],
    )
    shown = await use("1 + 2?")
    (_, part, *rest) = shown["messages"][1]["parts"]
    assert (part["type"], part["toolCallId"], part["state"]) == ("tool-add", "c1", "output-error")
    assert part["errorText"] == "The arguments are not valid JSON."
    assert rest == [STEP, text("Sorry.")]


async def test_the_pages_that_an_answer_cites_are_shown(raw: RawServer, use: Use) -> None:
    citation = {"url": "https://cats.example/a", "title": "Cats"}
    cited = chunk(annotations=[{"type": "url_citation", "url_citation": citation}])
    raw.answer = answering([chunk("Meow."), cited, chunk(finish="stop"), DONE])
    shown = await use("Hi")
    source = {"type": "source-url", "sourceId": "source-1", **citation}
    assert shown["messages"][1]["parts"] == [STEP, text("Meow."), source]


async def test_a_failure_within_the_answer_is_shown_with_the_safe_text(
    raw: RawServer, use: Use
) -> None:
    failure = sse({"error": {"message": "sk-secret at 10.0.0.1"}})
    raw.answer = answering([chunk("Hel"), failure, DONE])
    shown = await use("Hi")
    assert (shown["status"], shown["error"]) == ("error", "The service reported an error.")
    assert shown["messages"][1]["parts"] == [STEP, text("Hel")]
    assert [finish["isError"] for finish in shown["finished"]] == [True]


async def test_an_early_failure_is_shown_with_the_safe_text(raw: RawServer, use: Use) -> None:
    body = b'{"error": {"message": "sk-secret is wrong"}}'
    raw.answer = lambda exchange: exchange.whole(body, status="401 Unauthorized")
    shown = await use("Hi")
    assert shown["status"] == "error"
    error = json.loads(shown["error"])["error"]
    assert error["message"] == "The service did not accept our credentials."
    assert len(shown["messages"]) == 1


async def test_a_page_that_is_reloaded_shows_the_answer_from_its_beginning(
    raw: RawServer, use: Use, resumed: asyncio.Event
) -> None:
    raw.answer = in_halves(resumed)
    shown = await use("Hi", path="/broadcast", reloadAt="Hel")
    question, whole = map(said, shown["messages"])
    assert (question, whole["parts"]) == (user("Hi"), [STEP, text("Hello")])
    assert len(raw.exchanges) == 1


async def test_a_page_that_is_reloaded_after_the_answer_finds_none_under_way(
    raw: RawServer, use: Use
) -> None:
    raw.answer = answering([chunk("Hel"), DONE])
    shown = await use("Hi", reloadAt="Hel")
    assert (shown["status"], shown.get("error")) == ("ready", None)
    assert [*map(said, shown["messages"])] == [user("Hi")]


async def test_stopping_an_answer_hangs_up(raw: RawServer, use: Use) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))

    raw.answer = answer
    shown = await use("Hi", stopAt="Hel")
    await raw.hung_up.wait()
    assert (shown["status"], shown.get("error")) == ("ready", None)
    assert shown["messages"][1]["parts"][1]["text"] == "Hel"
    assert [finish["isAbort"] for finish in shown["finished"]] == [True]
