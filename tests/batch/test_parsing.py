"""`parse=`: the answers of a batch as values of a type, and those that do not fit."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    ContentFilterFinishReasonError,
    InvalidArgumentError,
    LengthFinishReasonError,
)
from openai_async.batch import BatchResult, run_batch, run_requests
from openai_async.structured import response_format
from openai_async.testing import Failure, LocalServer, Reply

from ..raw_server import RawServer

pytestmark = pytest.mark.virtual_time


@attrs.define
class Animal:
    name: str
    legs: int


CAT = '{"name": "cat", "legs": 4}'
WRONG = '{"name": "cat", "legs": "four"}'
COMPLAINT = "The answer does not match Animal: legs: expected int, got 'four'."


def line(custom_id: str, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": custom_id}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o", "messages": messages, **body},
    }


async def run(
    client: AsyncClient, lines: list[Any], parse: Any, **options: Any
) -> list[BatchResult]:
    results = run_requests(client, lines, parse=parse, ordered=True, concurrency=1, **options)
    return [result async for result in results]


async def test_results_have_the_value(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(CAT), Reply('{"value": []}'))
    (result,) = await run(client, [line("a", temperature=0)], Animal)
    assert result.parsed == Animal("cat", 4)
    assert result.error is None
    assert result.completion.text == CAT
    sent = server.requests[0].json
    assert sent["temperature"] == 0
    assert sent["response_format"] == response_format(Animal).param
    (result,) = await run(client, [line("a")], list[Animal])
    assert result.parsed == []


async def test_a_request_keeps_its_own_response_format(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(CAT))
    own = {"type": "json_object"}
    (result,) = await run(client, [line("a", response_format=own)], Animal)
    assert result.parsed == Animal("cat", 4)
    assert server.requests[0].json["response_format"] == own


async def test_a_response_format_may_be_made_beforehand(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"value": {"a": 1}}'))
    free = response_format(dict[str, int], strict=False)
    (result,) = await run(client, [line("a")], free)
    assert result.parsed == {"a": 1}


EMBED = {
    "custom_id": "e",
    "method": "POST",
    "url": "/v1/embeddings",
    "body": {"model": "text-embedding-3-small", "input": "Hi"},
}
NOT_CHAT = (
    "custom_id 'e' has the url '/v1/embeddings', but parse= needs '/v1/chat/completions': leave it "
    "out, or run these requests apart."
)


async def test_requests_that_are_not_chat_are_not_sent(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(CAT))
    results = run_requests(client, [line("a"), EMBED], parse=Animal, concurrency=1)
    assert (await anext(results)).parsed == Animal("cat", 4)
    with pytest.raises(InvalidArgumentError) as caught:
        await anext(results)
    assert str(caught.value) == f"request 2: {NOT_CHAT}"
    assert len(server.requests) == 1


async def test_with_such_a_line_in_a_file_nothing_is_sent(
    server: LocalServer, client: AsyncClient, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in (line("a"), EMBED)))
    with pytest.raises(InvalidArgumentError) as caught:
        await run_batch(client, source, output, parse=Animal)
    assert f"  line 2: {NOT_CHAT}\n" in str(caught.value)
    assert server.requests == []
    assert not output.exists()

    server.script(Reply(CAT))
    report = await run_batch(client, source, output, parse=Animal, skip_bad_lines=True)
    assert (report.completed, report.skipped) == (1, 1)
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]
    bad = msgspec.json.decode(output.read_bytes().splitlines()[0])
    assert bad["custom_id"] == "e"
    assert bad["error"]["message"] == f"line 2: {NOT_CHAT}"


async def test_what_does_not_fit_is_a_failed_result(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(
        Reply(WRONG), Reply(CAT, finish_reason="length"), Reply("", finish_reason="content_filter")
    )
    misfit, cut, filtered = await run(client, [line(name) for name in "abc"], Animal)
    assert misfit.error is not None
    assert (misfit.error.code, misfit.error.message) == ("misfit", COMPLAINT)
    assert misfit.response is not None
    assert misfit.response.body["choices"][0]["message"]["content"] == WRONG
    assert misfit.parsed is None
    assert not misfit.refused
    assert isinstance(misfit.exception, APIResponseValidationError)
    assert misfit.exception.path == "legs"
    assert misfit.exception.status_code == 200
    assert misfit.exception.completion is not None
    assert pickle.loads(pickle.dumps(misfit)) == misfit
    for result, code, kind in (
        (cut, "length", LengthFinishReasonError),
        (filtered, "content_filter", ContentFilterFinishReasonError),
    ):
        assert result.error is not None
        assert (result.error.code, result.error.message) == (code, str(result.exception))
        assert type(result.exception) is kind
        assert result.exception.completion.choices[0].finish_reason == code
        assert type(pickle.loads(pickle.dumps(result)).exception) is kind


async def test_a_refusal_is_no_value_and_no_error(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(refusal="No."))
    (result,) = await run(client, [line("a")], Animal)
    assert result.parsed is None
    assert result.error is None
    assert result.completion.choices[0].message.refusal == "No."


async def test_a_failed_call_is_what_it_was(server: LocalServer, client: AsyncClient) -> None:
    server.script(Failure(400, message="no", code="bad"))
    (result,) = await run(client, [line("a")], Animal, reask=3)
    assert result.error is not None
    assert result.error.code == "bad"
    assert len(server.requests) == 1


async def test_it_is_asked_for_again_with_the_complaint(
    server: LocalServer, client: AsyncClient
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    server.script(Reply(WRONG, usage=usage), Reply(CAT, usage=usage))
    server.script(Reply(WRONG, usage=usage), times=2)
    mended, hopeless = await run(client, [line("a"), line("b")], Animal, reask=1)
    assert mended.parsed == Animal("cat", 4)
    assert mended.error is None
    assert (mended.attempts, mended.tokens) == (2, 20)
    assert hopeless.error is not None
    assert hopeless.error.code == "misfit"
    messages = server.requests[1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[2]["content"].startswith(COMPLAINT)
    assert server.requests[1].json["response_format"] == response_format(Animal).param


@pytest.mark.parametrize("messages", [{}, {"messages": None}, {"messages": 3}], ids=str)
async def test_what_a_server_answers_without_messages_is_not_asked_for_again(
    raw: RawServer, raw_client: AsyncClient, messages: dict[str, Any]
) -> None:
    """Some servers take a `prompt_id`, say, in their place; the other requests go on."""
    choice = {"message": {"role": "assistant", "content": WRONG}}
    raw.answer = lambda exchange: exchange.whole(msgspec.json.encode({"choices": [choice]}))
    odd = {**line("odd"), "body": {"model": "gpt-4o", **messages}}
    failed, other = await run(raw_client, [odd, line("other")], Animal, reask=1)
    for result in (failed, other):
        assert result.error is not None
        assert (result.error.code, result.error.message) == ("misfit", COMPLAINT)
    assert (failed.attempts, other.attempts) == (1, 2)


def test_mistakes_are_raised_by_the_call_itself(client_of_nothing: AsyncClient) -> None:
    for options, message in (
        ({"parse": bytes}, "bytes has type bytes, which has no JSON schema"),
        ({"parse": dict[str, int]}, "dict with arbitrary keys"),
        ({"parse": {"type": "json_object"}}, "which is not a type"),
        ({"parse": Animal, "reask": -1}, "reask is -1"),
        ({"reask": True}, "reask is True"),
    ):
        given: Any = options
        with pytest.raises(InvalidArgumentError, match=message):
            run_requests(client_of_nothing, [], **given)


@pytest.fixture
def client_of_nothing() -> AsyncClient:
    return AsyncClient(api_key="k", base_url="http://localhost:1")


async def test_in_a_file_a_misfit_is_an_error_that_is_sent_again_if_asked(
    server: LocalServer, client: AsyncClient, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(line(n)) + b"\n" for n in ("a", "b")))
    server.script(Reply(CAT), Reply(WRONG))
    report = await run_batch(client, source, output, parse=Animal, concurrency=1)
    assert (report.completed, report.failed, report.errors) == (1, 1, {"misfit": 1})

    first, second = (msgspec.json.decode(text) for text in output.read_bytes().splitlines())
    assert first.keys() == second.keys() == {"id", "custom_id", "response", "error"}
    assert first["response"]["body"]["choices"][0]["message"]["content"] == CAT
    assert first["error"] is None
    assert second["response"]["body"]["choices"][0]["message"]["content"] == WRONG
    assert second["error"] == {"code": "misfit", "message": COMPLAINT}

    await run_batch(client, source, output, parse=Animal, concurrency=1)
    assert len(server.requests) == 2
    server.script(Reply(WRONG), Reply(CAT))
    report = await run_batch(
        client, source, output, parse=Animal, concurrency=1, retry_failed=True, reask=1
    )
    assert len(server.requests) == 4
    assert (report.completed, report.failed) == (1, 0)
    assert b"misfit" not in output.read_bytes()
