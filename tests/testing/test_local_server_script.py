"""LocalServer's script: replies and failures fixed in advance."""

import asyncio
import json
import math
from typing import Any

import aiohttp
import pytest

from openai_async.testing import Failure, LocalServer, Reply

from .asking import HELLO, STREAM, chat

pytestmark = pytest.mark.virtual_time


async def read_tokens(response: aiohttp.ClientResponse, texts: list[str]) -> None:
    """Adds the content deltas to `texts` as they come, so that they outlive an exception."""
    async for line in response.content:
        data = line.removeprefix(b"data: ").strip()
        if not data or data == b"[DONE]":
            continue
        for choice in json.loads(data)["choices"]:
            if choice["delta"].get("content"):
                texts.append(choice["delta"]["content"])


async def test_script_steps_are_used_in_order_then_the_server_answers_itself(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply("One"), Failure(503))
    server.script(Failure(500), times=2)
    assert server.pending == 4
    assert (await chat(server, http))[1]["choices"][0]["message"]["content"] == "One"
    assert [(await chat(server, http))[0] for _ in range(4)] == [503, 500, 500, 200]
    assert server.pending == 0


async def test_reset_forgets_the_script(server: LocalServer, http: aiohttp.ClientSession) -> None:
    server.script(Failure(500))
    server.reset()
    assert (await chat(server, http))[0] == 200


def test_a_script_takes_only_steps() -> None:
    with pytest.raises(TypeError, match="Reply"):
        LocalServer().script("Hello")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times"):
        LocalServer().script(Reply("Hello"), times=0)


async def test_a_json_reply_answers_any_route_with_any_value(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply(json=None), Reply(json=[1]))
    assert await chat(server, http, stream=True) == (200, None)
    async with http.get(f"{server.url}/anything") as response:
        assert (response.status, await response.json()) == (200, [1])


async def test_a_chat_reply_for_another_route_is_a_clear_error(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply("Hello"))
    async with http.get(f"{server.url}/models") as response:
        assert response.status == 400
        assert "Reply(json=)" in (await response.json())["error"]["message"]


async def test_a_reply_carries_extra_fields_usage_and_finish_reason(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    usage = {"total_tokens": 7}
    extra = {"reasoning_content": "Hm."}
    server.script(Reply("Hi", extra=extra, usage=usage, finish_reason="content_filter"))
    _, answer = await chat(server, http, model="any", vendor_field=1)
    choice = answer["choices"][0]
    assert (choice["message"]["reasoning_content"], answer["usage"]) == ("Hm.", usage)
    assert choice["finish_reason"] == "content_filter"


async def test_a_scripted_tool_call_and_refusal(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Reply(tool_calls=[{"name": "f", "arguments": {"a": 1}}]), Reply(refusal="No."))
    choice = (await chat(server, http))[1]["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (call["type"], call["function"]) == ("function", {"name": "f", "arguments": '{"a":1}'})
    assert call["id"].startswith("call_")
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert (await chat(server, http))[1]["choices"][0]["message"]["refusal"] == "No."


async def test_a_failure_sends_its_error_and_headers(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(
        Failure(429, message="Slow.", code="c", type="t", param="p", headers={"retry-after": "3"})
    )
    async with http.post(f"{server.url}/chat/completions", json=HELLO) as response:
        assert (response.status, response.headers["retry-after"]) == (429, "3")
        error = {"message": "Slow.", "code": "c", "type": "t", "param": "p"}
        assert await response.json() == {"error": error}


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ("<html>", b"<html>", "text/plain"),
        (b"\xff", b"\xff", "application/octet-stream"),
        ({"a": 1}, b'{"a":1}', "application/json"),
    ],
)
async def test_a_failure_body_is_sent_as_it_is(
    server: LocalServer,
    http: aiohttp.ClientSession,
    body: str | bytes | dict[str, Any],
    sent: bytes,
    kind: str,
) -> None:
    server.script(Failure(502, body=body), Failure(502, body=body, headers={"content-type": "a/b"}))
    for content_type in (kind, "a/b"):
        async with http.post(f"{server.url}/chat/completions", json=HELLO) as response:
            assert (await response.read(), response.content_type) == (sent, content_type)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"status": 42},
        {"status": "500"},
        {"message": "x"},
        {"delay": -1},
        {"delay": math.nan},
        {"cut_after": -1},
        {"stall_after": 1.5},
        {"cut_after": 1, "stall_after": 1},
    ],
)
def test_impossible_failures_are_refused_in_one_sentence(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Failure [^.]*( to 599)?.*\.$"):
        Failure(**values)


@pytest.mark.parametrize("values", [{"content": 1}, {"tool_calls": [{}]}])
def test_impossible_replies_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Reply(**values)
    with pytest.raises(ValueError, match="not both"):
        Reply("Hi", json=1)


@pytest.mark.parametrize("count", [0, 3])
async def test_cut_after_ends_a_stream_without_its_end(
    server: LocalServer, http: aiohttp.ClientSession, count: int
) -> None:
    server.script(Failure(cut_after=count))
    texts: list[str] = []
    async with http.post(f"{server.url}/chat/completions", json=STREAM) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_tokens(response, texts)
    assert len(texts) == count
    await server.requests[0].finished()
    assert not server.requests[0].disconnected


async def test_cut_after_cuts_an_answer_that_is_shorter(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Failure(cut_after=1000))
    async with http.post(f"{server.url}/chat/completions", json=STREAM) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_cut_after_cuts_a_plain_answer_in_the_middle(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Failure(cut_after=1), Failure(500, cut_after=0))
    for status in (200, 500):
        async with http.post(f"{server.url}/chat/completions", json=HELLO) as response:
            assert response.status == status
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


@pytest.mark.parametrize("body", [HELLO, STREAM])
async def test_a_stalled_answer_waits_until_the_client_hangs_up(
    server: LocalServer, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    server.script(Failure(stall_after=0))
    async with http.post(f"{server.url}/chat/completions", json=body) as response:
        assert response.status == 200
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.05)
        response.close()
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_stall_after_sends_that_many_tokens_first(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Failure(stall_after=2))
    texts: list[str] = []
    async with http.post(f"{server.url}/chat/completions", json=STREAM) as response:
        reading = asyncio.create_task(read_tokens(response, texts))
        async with asyncio.timeout(20):
            while len(texts) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)  # a list has no event to wait for
        await asyncio.wait({reading}, timeout=0.05)
        assert not reading.done()
        reading.cancel()
    assert len(texts) == 2


async def test_a_delay_comes_before_the_usual_answer(
    server: LocalServer, http: aiohttp.ClientSession
) -> None:
    server.script(Failure(delay=0.05), Failure(503, delay=0.05))
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert [(await chat(server, http))[0] for _ in range(2)] == [200, 503]
    assert loop.time() - started >= 0.09


async def test_a_client_that_hangs_up_ends_a_delay(server: LocalServer) -> None:
    server.script(Failure(delay=60))
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http:
        asking = asyncio.create_task(chat(server, http))
        async with asyncio.timeout(20):
            request = await server.received()
        asking.cancel()
        await asyncio.wait({asking})
    async with asyncio.timeout(20):
        await request.finished()
    assert server.requests[0].disconnected


@pytest.mark.parametrize(
    "values",
    [
        {"tool_calls": [{"function": {}}]},
        {"tool_calls": ["f"]},
        {"json": {"a": {1}}},
        {"extra": {"a": object()}},
        {"content": "\ud83d"},
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Reply|tool call"):
        Reply(**values)


@pytest.mark.parametrize(
    "values",
    [{"headers": {"x": 5}}, {"headers": {"x": "a\r\nb"}}, {"body": [1]}, {"body": {"a": {1}}}],
)
def test_a_failure_that_cannot_be_sent_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Failure"):
        Failure(500, **values)
