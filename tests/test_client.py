"""The client: what goes into a request, and what its options do."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import logging
import pickle
import ssl
import threading
import warnings
from typing import Any

import aiohttp
import attrs
import msgspec
import pytest
from aioresponses import CallbackResult, aioresponses
from yarl import URL

from openai_async import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AsyncClient,
    AsyncOpenAI,
    ChatCompletionStream,
    InvalidArgumentError,
    OpenAIError,
    RateLimit,
    RateLimitError,
    Request,
    Response,
    Send,
)
from openai_async.http.waits import PendingWaits
from openai_async.testing import Failure, LocalServer

from .conftest import BASE_URL
from .raw_server import Exchange, RawServer, chunk

pytestmark = pytest.mark.virtual_time

MODELS = f"{BASE_URL}/models"
LIST = {"object": "list", "data": [{"id": "gpt-4o"}]}


class Sent:
    """Records what the mocked session was asked to send."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, url: URL, **kwargs: Any) -> CallbackResult:
        self.calls.append({"url": url, **kwargs})
        return CallbackResult(payload=LIST)

    @property
    def headers(self) -> Any:
        return self.calls[-1]["headers"]


@pytest.fixture
def sent(mocked: aioresponses) -> Sent:
    sent = Sent()
    mocked.get(MODELS, callback=sent, repeat=True)
    return sent


async def test_the_key_goes_into_the_authorization_header(
    mocked_client: AsyncClient, sent: Sent
) -> None:
    await mocked_client.models.list()
    assert sent.headers["Authorization"] == "Bearer sk-test-0123456789"


async def test_a_key_function_is_asked_for_each_attempt(
    mocked: aioresponses, waits: list[float]
) -> None:
    keys = iter(["first", "second"])
    sent = Sent()
    mocked.get(MODELS, status=500)
    mocked.get(MODELS, callback=sent)
    async with AsyncClient(base_url=BASE_URL, api_key=lambda: next(keys)) as client:
        await client.models.list()
    assert sent.headers["Authorization"] == "Bearer second"


async def test_an_async_key_function(mocked: aioresponses, sent: Sent) -> None:
    async def key() -> str:
        return "from-vault"

    async with AsyncClient(base_url=BASE_URL, api_key=key) as client:
        await client.models.list()
    assert sent.headers["Authorization"] == "Bearer from-vault"


async def test_a_failing_key_function_is_an_openai_error(sent: Sent) -> None:
    def key() -> str:
        raise LookupError("vault is sealed")

    async with AsyncClient(base_url=BASE_URL, api_key=key) as client:
        with pytest.raises(OpenAIError, match="LookupError") as caught:
            await client.models.list()
    assert isinstance(caught.value.__cause__, LookupError)
    assert sent.calls == []


async def test_a_key_function_that_returns_an_invalid_key(sent: Sent) -> None:
    async with AsyncClient(base_url=BASE_URL, api_key=lambda: "a\nb") as client:
        with pytest.raises(InvalidArgumentError, match="line break"):
            await client.models.list()
    assert sent.calls == []


async def test_headers_of_organization_project_and_defaults(sent: Sent) -> None:
    async with AsyncClient(
        base_url=BASE_URL,
        api_key="k",
        organization="org-1",
        project="proj-1",
        default_headers={"X-Team": "search", "User-Agent": "mine"},
    ) as client:
        await client.models.list(extra_headers={"x-team": "ads"})
    assert sent.headers["OpenAI-Organization"] == "org-1"
    assert sent.headers["OpenAI-Project"] == "proj-1"
    assert sent.headers["User-Agent"] == "mine"
    assert sent.headers.getall("X-Team") == ["ads"]


async def test_extra_headers_may_replace_the_authorization(
    mocked_client: AsyncClient, sent: Sent
) -> None:
    await mocked_client.models.list(extra_headers={"Authorization": "Basic abc"})
    assert sent.headers["Authorization"] == "Basic abc"


async def test_queries_are_merged_and_quoted(mocked: aioresponses) -> None:
    mocked.get(f"{MODELS}?api-version=1&deep=true&name=a%26b", payload=LIST)
    async with AsyncClient(
        base_url=BASE_URL, api_key="k", default_query={"api-version": 1, "deep": False}
    ) as client:
        assert len(await client.models.list(extra_query={"deep": True, "name": "a&b"})) == 1


async def test_a_per_call_option_lasts_one_call(mocked_client: AsyncClient, sent: Sent) -> None:
    await mocked_client.models.list(extra_headers={"X-Once": "1"})
    await mocked_client.models.list()
    assert "X-Once" not in sent.headers


async def test_with_options_changes_a_copy(mocked_client: AsyncClient, sent: Sent) -> None:
    copy = mocked_client.with_options(api_key="other", max_retries=7, timeout=5)
    await copy.models.list()
    assert sent.headers["Authorization"] == "Bearer other"
    assert (copy.max_retries, mocked_client.max_retries) == (7, 2)
    assert (copy.timeout.total, mocked_client.timeout.total) == (5, 600)


async def test_copy_is_another_name_of_with_options(mocked_client: AsyncClient) -> None:
    copied = mocked_client.copy(max_retries=7)
    assert (copied.max_retries, mocked_client.max_retries) == (7, 2)
    assert copied.api_key == mocked_client.api_key


def test_async_openai_is_the_client_itself() -> None:
    assert AsyncOpenAI is AsyncClient
    assert isinstance(AsyncOpenAI(api_key="k"), AsyncClient)


async def test_with_options_names_what_it_cannot_change(mocked_client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="max_connections"):
        mocked_client.with_options(max_connections=5)  # type: ignore[call-arg]


async def test_a_closed_client_says_so(mocked_client: AsyncClient, sent: Sent) -> None:
    await mocked_client.close()
    await mocked_client.close()
    with pytest.raises(OpenAIError, match="closed: create a new AsyncClient"):
        await mocked_client.models.list()
    assert sent.calls == []


@pytest.mark.parametrize("times", [1, 2])
async def test_closing_ends_the_wait_for_a_retry(server: LocalServer, times: int) -> None:
    server.script(*[Failure(503, headers={"retry-after": "50"})] * times)
    async with AsyncClient(api_key="any", base_url=server.url) as client:
        calls = [asyncio.create_task(client.models.list()) for _ in range(times)]
        await server.received(times)
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(10)
        begun = clock()
    for call in calls:
        with pytest.raises(OpenAIError, match="closed: create a new AsyncClient"):
            await call
    assert clock() == begun


async def test_closing_ends_the_wait_for_a_turn(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=1)
    async with AsyncClient(api_key="any", base_url=server.url, rate_limit=limit) as client:
        await client.models.list()
        calls = [asyncio.create_task(client.models.list()) for _ in range(3)]
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(10)
        begun = clock()
    for call in calls:
        with pytest.raises(OpenAIError, match="closed: create a new AsyncClient"):
            await call
    assert clock() == begun
    assert len(server.requests) == 1


async def test_closing_ends_the_waits_of_other_loops_too(server: LocalServer) -> None:
    server.script(Failure(503, headers={"retry-after": "50"}))
    client = AsyncClient(api_key="any", base_url=server.url)
    failed: list[OpenAIError] = []

    async def call() -> None:
        with pytest.raises(OpenAIError) as caught:
            await client.models.list()
        failed.append(caught.value)

    other = threading.Thread(target=asyncio.run, args=(call(),))
    other.start()
    await server.received(1)
    while not client._transport.waits._futures:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.01)
    await client.close()
    await asyncio.to_thread(other.join)
    assert "closed" in str(failed[0])


async def test_no_request_waits_for_a_turn_with_a_closed_client(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=1)
    async with AsyncClient(api_key="any", base_url=server.url, rate_limit=limit) as client:
        await client.models.list()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(OpenAIError, match="closed: create a new AsyncClient"):
        await client.models.list()
    assert asyncio.get_running_loop().time() == begun


async def test_a_wait_that_was_ended_early_leaves_no_timer() -> None:
    waits = PendingWaits()
    waiting = asyncio.create_task(waits.sleep(60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    loop: Any = asyncio.get_running_loop()
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


async def test_a_waiter_cancelled_as_the_client_closes_leaves_no_exception_behind() -> None:
    waits = PendingWaits()
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    waiting = asyncio.create_task(waits.sleep(60))
    await asyncio.sleep(0)
    waits.close()
    asyncio.get_running_loop().call_soon(waiting.cancel)  # behind the end of its wait
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gc.collect()
    assert logged == []


@pytest.mark.parametrize("waits_first", [True, False])
async def test_closing_in_a_forked_child_ends_the_waits_there_and_no_others(
    monkeypatch: pytest.MonkeyPatch, waits_first: bool
) -> None:
    waits = PendingWaits()
    of_parent = asyncio.create_task(waits.sleep(60))
    await asyncio.sleep(0)
    with monkeypatch.context() as in_child:
        in_child.setattr("openai_async.http.waits.os.getpid", lambda: -1)
        if waits_first:
            of_child = asyncio.create_task(waits.sleep(60))
            await asyncio.sleep(0)
        waits.close()
        if waits_first:
            with pytest.raises(OpenAIError, match="closed"):
                await of_child
        await asyncio.sleep(1)
    assert not of_parent.done()
    await of_parent


async def test_a_call_cancelled_while_waiting_for_a_retry_ends(server: LocalServer) -> None:
    server.script(Failure(503, headers={"retry-after": "50"}))
    async with AsyncClient(api_key="any", base_url=server.url) as client:
        call = asyncio.create_task(client.models.list())
        await server.received(1)
        await asyncio.sleep(10)
        call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_unknown_keyword_is_named_with_the_nearest(mocked_client: AsyncClient) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'time_out'.*'timeout'"):
        await mocked_client.models.list(time_out=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("timeout", [-1, float("nan"), 0])
async def test_an_invalid_timeout_of_a_call(
    mocked_client: AsyncClient, sent: Sent, timeout: float
) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout"):
        await mocked_client.models.list(timeout=timeout)
    assert sent.calls == []


async def test_request_sends_anything(mocked: aioresponses, mocked_client: AsyncClient) -> None:
    mocked.post(f"{BASE_URL}/embeddings", payload={"data": [1]}, headers={"x-request-id": "req_9"})
    response = await mocked_client.request("post", "/embeddings", json={"input": "Hi"})
    assert (response.status, response.json(), response.meta.request_id) == (
        200,
        {"data": [1]},
        "req_9",
    )
    (call,) = mocked.requests["POST", URL(f"{BASE_URL}/embeddings")]
    assert call.kwargs["data"] == b'{"input":"Hi"}'


async def test_request_keeps_a_query_in_its_path(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.get(f"{BASE_URL}/files?purpose=batch", body=b"ok")
    assert (await mocked_client.request("GET", "files?purpose=batch")).text() == "ok"


async def test_request_says_when_the_answer_is_not_json(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.get(f"{BASE_URL}/x", body=b"<html>")
    response = await mocked_client.request("GET", "/x")
    with pytest.raises(APIResponseValidationError, match="not JSON"):
        response.json()


async def test_json_object_of_a_response_is_its_body(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.get(f"{BASE_URL}/x", payload={"data": [1]})
    assert (await mocked_client.request("GET", "/x")).json_object() == {"data": [1]}


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("[1]", APIResponseValidationError, r"The answer is not a JSON object: \[1\]\."),
        ("<html>", APIResponseValidationError, "The answer is not a JSON object: '<html>'"),
        ('{"error": {"message": "Busy.", "code": 429}}', RateLimitError, "Busy."),
    ],
)
async def test_json_object_raises_for_anything_else_and_for_an_error_with_status_200(
    mocked: aioresponses,
    mocked_client: AsyncClient,
    body: str,
    error: type[APIError],
    message: str,
) -> None:
    mocked.get(f"{BASE_URL}/x", body=body, headers={"x-request-id": "req_9"})
    response = await mocked_client.request("GET", "/x")
    with pytest.raises(error, match=message) as caught:
        response.json_object()
    assert caught.value.request_id == "req_9"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "https://evil.test/",
        "//evil.test",
        "/../x",
        "/a/%2e%2E/x",
        "/a\nb",
        "/a#b",
        "/\ud800",
        5,
    ],
)
async def test_request_stays_below_the_base_url(mocked_client: AsyncClient, path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path is"):
        await mocked_client.request("GET", path)


@pytest.mark.parametrize("method", ["", "GET\r\nX: y", "G T", 5])
async def test_request_refuses_an_invalid_method(mocked_client: AsyncClient, method: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="method is"):
        await mocked_client.request(method, "/x")


async def test_a_middleware_sees_the_call_once_and_may_change_it(
    mocked: aioresponses, waits: list[float]
) -> None:
    sent = Sent()
    mocked.get(MODELS, status=500)
    mocked.get(MODELS, callback=sent)
    seen = []

    async def tag(request: Request, send: Send) -> Response:
        request.headers["X-Tag"] = "yes"
        response = await send(request)
        seen.append((request.url.path, response.attempts))
        return response

    async with AsyncClient(base_url=BASE_URL, api_key="k", middlewares=[tag]) as client:
        await client.models.list()
    assert sent.headers["X-Tag"] == "yes"
    assert seen == [("/v1/models", 2)]


async def test_the_first_middleware_is_the_outermost(sent: Sent) -> None:
    order = []

    def named(name: str) -> Any:
        async def middleware(request: Request, send: Send) -> Response:
            order.append(name)
            return await send(request)

        return middleware

    async with AsyncClient(
        base_url=BASE_URL, api_key="k", middlewares=[named("outer"), named("inner")]
    ) as client:
        await client.models.list()
    assert order == ["outer", "inner"]


async def test_the_key_is_in_no_repr(mocked_client: AsyncClient, sent: Sent) -> None:
    shown = []

    async def show(request: Request, send: Send) -> Response:
        response = await send(request)
        shown.append(f"{request!r} {response!r} {response.meta!r}")
        return response

    client = mocked_client.with_options(middlewares=[show])
    await client.models.list()
    assert "sk-test" not in "".join([*shown, repr(client), repr(client.chat.completions)])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error": {"message": "Incorrect API key provided: sk-test/0123456789"}}'),
        (401, b'{"error": {"message": "Incorrect API key provided: sk-test\\/0123456789"}}'),
        (401, b"sk-test/0123456789 is no key"),
        (500, b'{"error": {"message": "' + b"x" * 290 + b'sk-test/0123456789"}}'),
        (200, b'{"error": {"message": "bad sk-test/0123456789"}}'),
        (200, b"bad sk-test/0123456789"),
        (200, b'["sk-test/0123456789"]'),
        (200, b'{"data": "sk-test/0123456789"}'),
        (200, b'{"data": [["sk-test/0123456789"]]}'),
    ],
)
@pytest.mark.parametrize("as_header", [False, True])
async def test_no_error_shows_the_key_that_the_server_repeats(
    mocked: aioresponses, mocked_client: AsyncClient, status: int, body: bytes, as_header: bool
) -> None:
    key = "sk-test/0123456789"
    mocked.get(MODELS, status=status, body=body, headers={"location": f"/?key={key}"})
    client = mocked_client.with_options(api_key="other" if as_header else key, max_retries=0)
    headers = {"Authorization": f"Bearer {key}"} if as_header else None
    with pytest.raises(APIError) as caught:
        await client.models.list(extra_headers=headers)
    for error in chain_of(caught.value):
        assert "sk-test" not in f"{error!r} {vars(error)!r}"


async def test_a_body_that_is_not_json_is_in_the_error_without_the_key(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    mocked.get(MODELS, body=b"bad sk-test/0123456789")
    response = await mocked_client.with_options(api_key="sk-test/0123456789").request(
        "GET", "/models"
    )
    with pytest.raises(APIResponseValidationError) as caught:
        response.json()
    assert caught.value.body == "bad [api_key]"
    for error in chain_of(caught.value):
        assert "sk-test" not in f"{error!r} {vars(error)!r}"


async def test_a_redirect_does_not_show_the_key(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    location = "https://elsewhere.test/?key=sk-test-0123456789"
    mocked.get(MODELS, status=307, headers={"location": location})
    with pytest.raises(APIStatusError, match="elsewhere.test") as caught:
        await mocked_client.models.list()
    assert "sk-test" not in f"{caught.value} {caught.value.headers}"


async def test_copies_keep_the_values_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "first")
    monkeypatch.setenv("OPENAI_BASE_URL", BASE_URL)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    async with AsyncClient() as client:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://evil.test/v1")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-2")
        monkeypatch.delenv("OPENAI_API_KEY")
        await client.with_options(timeout=5).models.list()
    assert sent.headers["Authorization"] == "Bearer first"
    assert sent.headers["OpenAI-Organization"] == "org-1"


async def test_a_query_in_the_path_wins_over_the_default(mocked: aioresponses) -> None:
    mocked.get(f"{BASE_URL}/x?a=path&b=2", body=b"ok")
    async with AsyncClient(
        base_url=BASE_URL, api_key="k", default_query={"a": "default", "b": 2}
    ) as client:
        assert (await client.request("GET", "/x?a=path")).text() == "ok"


@pytest.mark.parametrize(
    "query", [{"a": None}, {"a": [1, 2]}, [("a", 1)], "a=1", {"a": "\ud800"}, {"\udfff": "b"}]
)
async def test_a_query_of_the_wrong_kind_is_refused(
    mocked_client: AsyncClient, sent: Sent, query: Any
) -> None:
    with pytest.raises(InvalidArgumentError, match="query"):
        await mocked_client.models.list(extra_query=query)
    assert sent.calls == []


async def test_extra_body_alone_is_a_body(mocked: aioresponses, mocked_client: AsyncClient) -> None:
    mocked.post(f"{BASE_URL}/x", body=b"ok")
    await mocked_client.request("POST", "/x", extra_body={"a": 1})
    (call,) = mocked.requests["POST", URL(f"{BASE_URL}/x")]
    assert call.kwargs["data"] == b'{"a":1}'
    assert call.kwargs["headers"]["Content-Type"] == "application/json"


async def test_your_own_session_is_used_and_never_closed(sent: Sent) -> None:
    async with aiohttp.ClientSession() as session:
        async with AsyncClient(base_url=BASE_URL, api_key="k", session=session) as client:
            await client.models.list()
        assert not session.closed
    assert len(sent.calls) == 1


async def test_a_closed_session_of_your_own_is_named(sent: Sent) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncClient(base_url=BASE_URL, api_key="k", session=session)
    with pytest.raises(OpenAIError, match="session of this client is closed"):
        await client.models.list()


def test_the_signature_is_the_contract() -> None:
    defaults = {n: p.default for n, p in inspect.signature(AsyncClient).parameters.items()}
    assert list(defaults) == [
        "api_key",
        "base_url",
        "organization",
        "project",
        "timeout",
        "max_retries",
        "retry",
        "rate_limit",
        "max_connections",
        "default_headers",
        "default_query",
        "proxy",
        "trust_env",
        "ssl",
        "middlewares",
        "hooks",
        "session",
        # Options of the official client: `None` only.
        "http_client",
        "webhook_secret",
        "websocket_base_url",
        "_strict_response_validation",
    ]
    assert str(defaults["timeout"]) == "Timeout(total=600.0, connect=10.0, idle=300.0)"
    assert (defaults["max_retries"], defaults["max_connections"]) == (2, 1000)


@pytest.mark.parametrize(
    ("url", "key", "warned"),
    [
        ("http://10.1.2.3:8000/v1", "sk-test-0123456789", True),
        ("http://gpu-box/v1", lambda: "k", True),
        ("http://gpu-box/v1", "none", False),
        ("https://gpu-box/v1", "sk-test-0123456789", False),
        ("http://localhost:8000/v1", "sk-test-0123456789", False),
        ("http://127.0.0.2/v1", "sk-test-0123456789", False),
        ("http://[::1]:8000/v1", "sk-test-0123456789", False),
        ("http://localhost.evil.test/v1", "sk-test-0123456789", True),
        ("http://evil-localhost/v1", "sk-test-0123456789", True),
        ("http://127.evil.test/v1", "sk-test-0123456789", True),
    ],
)
def test_a_key_sent_in_clear_text_causes_one_warning(url: str, key: Any, warned: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = AsyncClient(base_url=url, api_key=key)
        client.with_options(timeout=5).with_options(timeout=6)
        client.with_options(base_url=url)
    assert [str(warning.message)[:11] for warning in caught] == ["The API key"] * warned
    assert [warning.filename for warning in caught] == [__file__] * warned


async def test_a_key_that_comes_back_in_a_header_is_not_kept(
    mocked: aioresponses, mocked_client: AsyncClient
) -> None:
    echo = {"x-echo": "sk-test-0123456789", "x-request-id": "sk-test-0123456789"}
    mocked.get(MODELS, payload=LIST, headers=echo)
    models = await mocked_client.models.list()
    assert "sk-test" not in f"{models.meta.headers} {models.meta.request_id}"


async def test_the_key_is_in_no_log_record(
    server: LocalServer, caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    server.script(Failure(503), Failure(429), Failure(401, message="sk-test-0123456789"))
    async with AsyncClient(base_url=server.url, api_key="sk-test-0123456789") as client:
        with pytest.raises(APIStatusError):
            await client.models.list()
        hi: Any = [{"role": "user", "content": "Hi"}]
        await client.chat.completions.create(model="gpt-4o", messages=hi, stream=True).completion()
    assert "retry 1 of 2" in caplog.text
    assert "sk-test" not in caplog.text


def chain_of(error: BaseException | None) -> list[BaseException]:
    """An error, its causes and contexts."""
    if error is None:
        return []
    return [error, *chain_of(error.__cause__ or error.__context__)]


@pytest.mark.parametrize("stream", [False, True])
async def test_no_error_in_the_chain_holds_a_key_that_came_back_in_the_wrong_place(
    raw: RawServer, stream: bool
) -> None:
    wrong = ["sk-secret-0123456789"]
    misshapen: Any = {"choices": [{"message": wrong, "delta": wrong}]}

    async def answer(exchange: Exchange) -> None:
        good = chunk("a")
        await (
            exchange.stream(good, misshapen)
            if stream
            else exchange.whole(msgspec.json.encode(misshapen))
        )

    raw.answer = answer
    hi: Any = [{"role": "user", "content": "Hi"}]
    async with AsyncClient(base_url=raw.url, api_key="sk-secret-0123456789") as client:
        call = client.chat.completions.create(model="m", messages=hi, stream=stream)
        reader = aiter(call) if isinstance(call, ChatCompletionStream) else None
        if reader is not None:
            await anext(reader)
        for _ in range(2 if reader else 1):  # the failure of a stream is raised again
            with pytest.raises(APIResponseValidationError) as caught:
                await (call if reader is None else anext(reader))
            for error in chain_of(caught.value):
                assert "sk-secret" not in f"{error} {vars(error)}"


async def test_no_error_in_the_chain_holds_a_key_in_headers_that_were_cut_off(
    raw: RawServer,
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 sk-secret-0123456789\r\nX-Echo: Bearer sk-secret-0123456789\r\nContent-"
        )
        exchange.writer.close()

    raw.answer = answer
    options: Any = {"api_key": "sk-secret-0123456789", "max_retries": 0}
    async with AsyncClient(base_url=raw.url, **options) as client:
        with pytest.raises(APIConnectionError, match="while sending its headers") as caught:
            await client.models.list()
    for error in chain_of(caught.value):
        assert "sk-secret" not in f"{error!r} {error} {vars(error)}"


async def test_the_fields_of_an_answer_hold_no_key(raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: application/json\r\n"
            b"X-Echo: Bearer sk-secret-0123456789\r\n\r\n" + b'{"data": []}'
        )

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="sk-secret-0123456789") as client:
        models = await client.models.list()
        response = await client.request("GET", "/models")
    for shown in (attrs.asdict(models), attrs.asdict(models.meta), attrs.astuple(response.meta)):
        assert "sk-secret" not in repr(shown)
    assert "sk-secret" not in repr(response.headers)


async def test_a_client_can_be_pickled_and_gets_a_pool_of_its_own(server: LocalServer) -> None:
    limit = RateLimit(requests_per_minute=600)
    async with AsyncClient(
        base_url=server.url, api_key="local", timeout=7, rate_limit=limit, max_connections=5
    ) as client:
        async with pickle.loads(pickle.dumps(client)) as twin:
            assert (twin.base_url, twin.timeout, twin.rate_limit) == (
                client.base_url,
                client.timeout,
                limit,
            )
            await twin.models.list()
        await client.models.list()
    assert server.connections == 2


async def test_a_client_of_a_session_of_ones_own_cannot_be_pickled() -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncClient(api_key="local", session=session)
        with pytest.raises(InvalidArgumentError, match="cannot be pickled"):
            pickle.dumps(client)


async def test_a_client_of_an_ssl_context_cannot_be_pickled() -> None:
    client = AsyncClient(api_key="local", ssl=ssl.create_default_context())
    with pytest.raises(InvalidArgumentError, match="an SSLContext cannot be pickled"):
        pickle.dumps(client.with_options(timeout=5))


@pytest.mark.parametrize("context", [None, ssl.create_default_context()])
async def test_a_client_can_be_copied_deeply_and_gets_a_pool_of_its_own(
    server: LocalServer, context: ssl.SSLContext | None
) -> None:
    async with (
        AsyncClient(base_url=server.url, api_key="local", ssl=context, timeout=7) as client,
        copy.deepcopy({"of an agent": client})["of an agent"] as twin,
    ):
        assert twin.timeout == client.timeout
        await twin.models.list()
        await client.models.list()
    assert server.connections == 2
