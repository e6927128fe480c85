"""`send_request`: what becomes of an answer, and of each way to fail."""

from __future__ import annotations

import re
from typing import Any

import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    InvalidArgumentError,
    OpenAIError,
    RateLimitError,
)
from openai_async.batch.requests import BatchRequest
from openai_async.batch.results import BatchError, BatchResponse
from openai_async.batch.sending import send_request
from openai_async.testing import Failure, LocalServer, Reply, aioresponses

from ..conftest import BASE_URL

CHAT = f"{BASE_URL}/chat/completions"
GOOD: dict[str, Any] = {"choices": [], "usage": {"total_tokens": 12}}
KEY = "sk-test-0123456789"


def request(**body: Any) -> BatchRequest:
    return BatchRequest(custom_id="one", url="/v1/chat/completions", body=body)


async def test_a_good_answer(mocked: aioresponses, mocked_client: AsyncClient) -> None:
    mocked.post(CHAT, payload=GOOD, headers={"x-request-id": "req_1"})
    result = await send_request(mocked_client, request(model="gpt-4o"))
    assert (result.custom_id, result.error, result.exception) == ("one", None, None)
    assert result.response == BatchResponse(status_code=200, request_id="req_1", body=GOOD)
    assert (result.attempts, result.tokens, result.rejections) == (1, 12, 0)
    assert result.elapsed > 0


async def test_the_body_is_sent_as_it_is(client: AsyncClient, server: LocalServer) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}
    result = await send_request(client, request(**body))
    (sent,) = server.requests
    assert (sent.method, sent.path, sent.json) == ("POST", "/v1/chat/completions", body)
    assert not result.failed


async def test_a_get_has_no_body(client: AsyncClient, server: LocalServer) -> None:
    models = BatchRequest(custom_id="m", method="GET", url="/v1/models", body={})
    result = await send_request(client, models)
    (sent,) = server.requests
    assert (sent.method, sent.path, sent.body) == ("GET", "/v1/models", b"")
    assert result.response is not None
    assert result.response.body["object"] == "list"


async def test_ids_are_different(client: AsyncClient) -> None:
    models = BatchRequest(custom_id="m", method="GET", url="/v1/models", body={})
    results = [await send_request(client, models) for _ in range(3)]
    assert len({result.id for result in results}) == 3
    assert all(result.id.startswith("batch_req_") for result in results)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"total_tokens": 5}, 5),
        ({"total_tokens": 5.0}, 5),
        ({"total_tokens": None}, 0),
        ({"total_tokens": True}, 0),
        ({"total_tokens": "5"}, 0),
        ({"total_tokens": 5.5}, 0),
        ({}, 0),
        (None, 0),
        ([], 0),
    ],
)
async def test_tokens_are_counted_where_they_are_numbers(
    mocked: aioresponses, mocked_client: AsyncClient, usage: Any, tokens: int
) -> None:
    mocked.post(CHAT, payload={"usage": usage})
    assert (await send_request(mocked_client, request())).tokens == tokens


async def test_a_refused_request_is_a_result(client: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(status=400, message="Too long.", code="context_length_exceeded"))
    result = await send_request(client, request())
    assert result.failed
    assert result.error is not None
    assert result.error.code == "context_length_exceeded"
    assert "Too long." in result.error.message
    assert result.response is not None
    assert result.response.status_code == 400
    assert result.response.body["error"]["message"] == "Too long."


async def test_an_error_that_is_not_json_keeps_its_text(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, status=404, body="no such page", headers={"x-request-id": "req_4"})
    result = await send_request(mocked_client, request())
    wanted = BatchResponse(status_code=404, request_id="req_4", body="no such page")
    assert result.response == wanted


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"code": "model_not_found", "type": "invalid_request_error"}, "model_not_found"),
        ({"code": None, "type": "invalid_request_error"}, "invalid_request_error"),
        ({"code": 400, "type": "BadRequestError"}, "BadRequestError"),  # vLLM
        ({"code": "400"}, "BadRequestError"),
        ({}, "BadRequestError"),
    ],
)
async def test_errors_are_distinguished_by_their_code(
    mocked: aioresponses, mocked_client: AsyncClient, said: dict[str, Any], code: str
) -> None:
    mocked.post(CHAT, status=400, payload={"error": {"message": "No.", **said}})
    result = await send_request(mocked_client, request())
    assert result.error is not None
    assert result.error.code == code


async def test_without_an_answer_there_is_no_response(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, exception=ConnectionResetError(), repeat=True)
    result = await send_request(mocked_client, request())
    assert result.response is None
    assert result.error is not None
    assert result.error.code == "APIConnectionError"
    assert result.attempts == 3


async def test_attempts_and_rejections_are_counted(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, status=429)
    mocked.post(CHAT, status=500)
    mocked.post(CHAT, payload=GOOD)
    result = await send_request(mocked_client, request())
    assert (result.failed, result.attempts, result.rejections) == (False, 3, 1)


async def test_attempts_count_where_a_good_answer_is_an_error(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, status=429)
    mocked.post(CHAT, payload={"error": {"message": "Busy."}})
    result = await send_request(mocked_client, request())
    assert (result.failed, result.attempts, result.rejections) == (True, 2, 1)


async def test_the_last_rejection_counts_too(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, status=500)
    mocked.post(CHAT, status=429, repeat=True)
    result = await send_request(mocked_client, request())
    assert (result.failed, result.attempts, result.rejections) == (True, 3, 2)
    assert isinstance(result.exception, RateLimitError)


@pytest.mark.parametrize("text", ["<html>hello</html>", "", "{", "[]", "null", '"ok"'])
async def test_an_answer_that_is_not_a_json_object_is_an_error(
    mocked: aioresponses, mocked_client: AsyncClient, text: str
) -> None:
    mocked.post(CHAT, body=text, headers={"x-request-id": "req_2"})
    result = await send_request(mocked_client, request())
    assert result.error is not None
    assert result.error.code == "APIResponseValidationError"
    assert result.error.message.startswith("The answer is not a JSON object: ")
    assert isinstance(result.exception, APIResponseValidationError)
    assert result.exception.request_id == "req_2"


@pytest.mark.parametrize(
    ("text", "said"),
    [("null", "null"), ("[null, true]", "[null, true]"), ('"ok"', "'ok'"), ("[NaN]", "[NaN]")],
)
async def test_an_answer_that_is_not_an_object_is_shown_as_json(
    mocked: aioresponses, mocked_client: AsyncClient, text: str, said: str
) -> None:
    mocked.post(CHAT, body=text)
    result = await send_request(mocked_client, request())
    assert result.error is not None
    assert result.error.message.startswith(f"The answer is not a JSON object: {said}. Check")


async def test_an_error_object_in_a_good_answer_is_an_error(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    body = {"error": {"message": "Busy.", "type": "rate_limit_error"}}
    mocked.post(CHAT, payload=body, headers={"x-request-id": "req_3"})
    result = await send_request(mocked_client, request())
    assert result.error == BatchError(
        code="rate_limit_error",
        message="The server reported an error: Busy. Send more slowly.",
    )
    assert result.response == BatchResponse(status_code=200, request_id="req_3", body=body)
    assert isinstance(result.exception, RateLimitError)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", [f'{{"error": "bad key {KEY}"}}', f"bad key {KEY}"])
async def test_no_failed_result_shows_the_key(
    mocked: aioresponses, mocked_client: AsyncClient, status: int, body: str
) -> None:
    mocked.post(CHAT, status=status, body=body)
    result = await send_request(mocked_client, request())
    assert result.failed
    assert "[api_key]" in str(result.to_dict())
    chain: BaseException | None = result.exception
    while chain is not None:
        assert KEY not in str(vars(chain)) + str(chain)
        chain = chain.__cause__ or chain.__context__


async def test_no_failed_result_shows_half_the_key(
    mocked: aioresponses, mocked_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.http.request.MAX_ERROR_BODY", 12)
    mocked.post(CHAT, body=f"bad key {KEY}")
    result = await send_request(mocked_client, request())
    assert isinstance(result.exception, APIResponseValidationError)
    assert result.exception.body == "bad key [api"


async def test_an_exception_keeps_no_frames(
    mocked: aioresponses, mocked_client: AsyncClient, waits: list[float]
) -> None:
    mocked.post(CHAT, exception=ConnectionResetError(), repeat=True)
    error: BaseException | None = (await send_request(mocked_client, request())).exception
    assert error is not None
    while error is not None:
        assert error.__traceback__ is None
        error = error.__cause__ or error.__context__


async def test_what_is_wrong_before_anything_is_sent_is_raised(mocked_client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError):
        await send_request(mocked_client, request(user=object()))


async def test_a_closed_client_raises_instead_of_returning_a_result(client: AsyncClient) -> None:
    await client.close()
    with pytest.raises(OpenAIError, match="closed"):
        await send_request(client, request())


async def test_the_exception_is_not_part_of_the_line(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(status=400))
    result = await send_request(client, request())
    assert type(result).from_dict(result.to_dict()) == result
    assert "exception" not in result.to_dict()
    assert "exception" not in repr(result)


# --- urls ---


@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/models/a/b"])
@pytest.mark.parametrize("version", ["", "/v1"], ids=["Azure's", "OpenAI's"])
async def test_a_url_may_go_without_its_version(
    client: AsyncClient, server: LocalServer, path: str, version: str
) -> None:
    server.script(Reply(json={"object": "anything"}))
    value: dict[str, Any] = {"custom_id": "a", "url": version + path, "body": {}}
    if "models" in path:
        value["method"] = "GET"
    request = BatchRequest.of(value)
    result = await send_request(client, request)
    assert (result.error, request.to_dict()["url"]) == (None, version + path)
    assert server.requests[0].path == f"/v1{path}"


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://api.openai.com/v1/chat/completions", "/v1/chat/completions"),
        ("HTTP://localhost:8000/embeddings", "/v1/embeddings"),
        ("https://api.openai.com", "/v1/chat/completions"),
    ],
)
def test_a_url_that_names_a_server_is_refused_as_another_would_be_asked(
    url: str, written: str
) -> None:
    said = f"names a server, but that is what base_url is for: write '{written}'."
    with pytest.raises(InvalidArgumentError, match=re.escape(said)):
        BatchRequest(custom_id="a", url=url)
