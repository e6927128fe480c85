"""The official client on our transport: `AsyncOpenAI(http_client=http_client(client))`."""

import asyncio
import gc
import gzip
import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from openai_async import AsyncClient, InvalidArgumentError, RateLimit, Timeout
from openai_async.adapters import http_client
from openai_async.testing import Failure, LocalServer, Reply

from ..raw_server import DONE, Exchange, RawServer, chunk, sse

HI: list[Any] = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, Any] = {"model": "gpt-4o-mini", "messages": HI}


@pytest.fixture
async def ours(server: LocalServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url="http://unused.test/v1", api_key="unused") as client:
        yield client


def official_of(client: AsyncClient, url: str, **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": "sk-official-key", **options}
    return openai.AsyncOpenAI(base_url=url, http_client=http_client(client), **options)


@pytest.fixture
async def official(ours: AsyncClient, server: LocalServer) -> openai.AsyncOpenAI:
    return official_of(ours, server.url)


# --- what it sends and returns ---


async def test_a_chat_completion_is_an_official_one(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Reply("Hello!"))
    completion = await official.chat.completions.create(**ASKED)
    assert isinstance(completion, openai.types.chat.ChatCompletion)
    assert completion.choices[0].message.content == "Hello!"
    request = server.requests[-1]
    assert request.headers["Authorization"] == "Bearer sk-official-key"
    assert request.headers["User-Agent"].startswith("AsyncOpenAI/Python")
    assert request.json == ASKED


async def test_a_stream_is_an_official_one(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Reply("Hello you!"))
    stream = await official.chat.completions.create(**ASKED, stream=True)
    texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(texts) == "Hello you!"
    assert stream.response.is_closed


async def test_raw_and_streaming_responses_work(official: openai.AsyncOpenAI) -> None:
    raw = await official.chat.completions.with_raw_response.create(**ASKED)
    assert raw.headers["x-request-id"]
    assert raw.elapsed.total_seconds() > 0
    assert raw.parse().choices
    async with official.chat.completions.with_streaming_response.create(**ASKED) as answer:
        assert json.loads(await answer.read())["object"] == "chat.completion"


async def test_files_are_sent_as_forms(official: openai.AsyncOpenAI, server: LocalServer) -> None:
    sent = await official.files.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="batch")
    assert (await official.files.content(sent.id)).content == b'{"a": 1}\n'


async def test_a_compressed_answer_is_decompressed_once(raw: RawServer, ours: AsyncClient) -> None:
    body = gzip.compress(json.dumps({"object": "list", "data": [{"id": "m"}]}).encode())

    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )

    raw.answer = answer
    models = await official_of(ours, raw.url).models.list()
    assert models.data[0].id == "m"


async def test_an_azure_client_sends_only_its_own_key_header(
    ours: AsyncClient, server: LocalServer
) -> None:
    azure = openai.AsyncAzureOpenAI(
        azure_endpoint=server.url.removesuffix("/v1"),
        api_key="azure-key-0123",
        api_version="2025-01-01",
        http_client=http_client(ours),
    )
    with pytest.raises(openai.NotFoundError):  # LocalServer has no Azure paths
        await azure.chat.completions.create(**ASKED)
    request = server.requests[-1]
    assert request.headers["api-key"] == "azure-key-0123"
    assert "Authorization" not in request.headers


# --- only `client` retries ---


async def test_what_the_client_has_retried_is_not_retried_again(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(*[Failure(status=503, headers={"retry-after": "0"})] * 9)
    with pytest.raises(openai.InternalServerError) as caught:
        await official.chat.completions.create(**ASKED)
    assert caught.value.status_code == 503
    assert len(server.requests) == 3


async def test_a_server_that_asks_for_retries_is_not_asked_again_either(
    raw: RawServer, ours: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.send(
        b"HTTP/1.1 503 Busy\r\nX-Should-Retry: true\r\nContent-Length: 0\r\n\r\n"
    )
    client = official_of(ours.with_options(max_retries=0), raw.url)
    with pytest.raises(openai.InternalServerError):
        await client.models.list()
    assert len(raw.exchanges) == 1


async def test_a_temporary_failure_is_retried_by_the_client(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(status=429, headers={"retry-after": "0"}), Reply("Now."))
    completion = await official.chat.completions.create(**ASKED)
    assert completion.choices[0].message.content == "Now."
    assert len(server.requests) == 2


async def test_an_error_has_the_servers_own_object(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await official.chat.completions.create(model="no-such-model", messages=HI)
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id


async def test_a_lost_connection_is_the_official_exception_with_our_message(
    raw: RawServer, ours: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.abort()

    raw.answer = answer
    client = official_of(ours.with_options(max_retries=0), raw.url)
    with pytest.raises(openai.APIConnectionError, match="connection") as caught:
        await client.chat.completions.create(**ASKED)
    assert type(caught.value.__cause__).__module__ == "openai_async.errors"
    assert len(raw.exchanges) == 1


async def test_a_lost_connection_is_not_retried_under_the_user_agent_of_a_framework(
    raw: RawServer, ours: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.abort()

    raw.answer = answer
    named = {"User-Agent": "framework/1.0"}
    client = official_of(ours.with_options(max_retries=0), raw.url, default_headers=named)
    with pytest.raises(openai.APIConnectionError, match="connection") as caught:
        await client.chat.completions.create(**ASKED)
    assert type(caught.value.__cause__).__module__ == "openai_async.errors"
    assert len(raw.exchanges) == 1


async def test_the_official_timeout_bounds_the_whole_attempt(
    ours: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=600))
    client = official_of(ours.with_options(max_retries=0), server.url)
    with pytest.raises(openai.APITimeoutError, match=r"within 0\.05 s"):
        await client.chat.completions.create(**ASKED, timeout=0.05)


@pytest.mark.parametrize(
    ("version", "cause"),
    [("1.60.0", "ReadTimeout"), ("2.30.0", "ReadTimeout"), ("2.31.0", "APITimeoutError")],
)
async def test_older_sdks_get_a_timeout_of_httpx(
    ours: AsyncClient,
    server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    cause: str,
) -> None:
    """Before 2.31 they took everything else for a failed connection, even their own exceptions."""
    monkeypatch.setattr(openai, "__version__", version)
    server.script(Failure(delay=600))
    client = official_of(ours.with_options(max_retries=0), server.url, max_retries=0)
    with pytest.raises(openai.APITimeoutError) as caught:
        await client.chat.completions.create(**ASKED, timeout=0.05)
    assert type(caught.value.__cause__).__name__ == cause


async def test_without_an_official_timeout_that_of_the_client_applies(
    ours: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=600))
    patient = ours.with_options(max_retries=0, timeout=Timeout(total=0.05))
    with pytest.raises(openai.APITimeoutError, match=r"within 0\.05 s"):
        await official_of(patient, server.url).chat.completions.create(**ASKED)


async def test_a_timeout_that_is_httpxs_default_is_passed_on_too(ours: AsyncClient) -> None:
    """The official client would take it for "not given", and use ten minutes."""
    limited = ours.with_options(timeout=Timeout(total=5, connect=5))
    official: Any = openai.AsyncOpenAI(api_key="k", http_client=http_client(limited))
    assert official.timeout.read == 5


async def test_requests_are_paced(server: LocalServer) -> None:
    async with AsyncClient(
        base_url=server.url, api_key="unused", rate_limit=RateLimit(requests_per_minute=600)
    ) as client:
        await official_of(client, server.url).chat.completions.create(**ASKED)
        assert "gpt-4o-mini" in client.rate_limits


# --- streams ---


async def test_a_stream_that_is_left_hangs_up(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(stall_after=3))
    async with await official.chat.completions.create(**ASKED, stream=True) as stream:
        await anext(stream)
    async with asyncio.timeout(10):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected


async def test_a_stream_that_is_dropped_hangs_up_when_it_is_collected(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(stall_after=3))
    stream = await official.chat.completions.create(**ASKED, stream=True)
    await anext(stream)
    del stream
    gc.collect()
    async with asyncio.timeout(10):
        await server.requests[-1].finished()
    assert server.requests[-1].disconnected


async def test_a_stream_that_ends_unfinished_is_an_error(raw: RawServer, ours: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("Hel"), chunk("lo"))
    stream = await official_of(ours, raw.url).chat.completions.create(**ASKED, stream=True)
    texts = []
    with pytest.raises(openai.APIConnectionError, match="ended before the answer was complete"):
        async for piece in stream:
            texts.append(piece.choices[0].delta.content)
    assert "".join(filter(None, texts)) == "Hello"


@pytest.mark.parametrize(
    "seen",
    [
        chunk("[DONE]"),
        chunk("data: [DONE]"),
        chunk('"finish_reason":"stop"'),
        chunk("Hi", finish=""),
        {**chunk("Hi"), "error": None},
    ],
    ids=["the word", "the line", "quoted", "an empty reason", "no error"],
)
async def test_what_only_looks_like_an_end_does_not_complete_a_stream(
    raw: RawServer, ours: AsyncClient, seen: dict[str, object]
) -> None:
    raw.answer = lambda exchange: exchange.stream(seen)
    stream = await official_of(ours, raw.url).chat.completions.create(**ASKED, stream=True)
    with pytest.raises(openai.APIConnectionError, match="ended before the answer was complete"):
        async for _ in stream:
            pass


async def test_a_connection_lost_after_the_end_is_not_an_error(
    raw: RawServer, ours: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hello")) + DONE)
        exchange.abort()

    raw.answer = answer
    stream = await official_of(ours, raw.url).chat.completions.create(**ASKED, stream=True)
    assert [piece.choices[0].delta.content async for piece in stream] == ["Hello"]


@pytest.mark.parametrize("end", ["done", "finish_reason"])
async def test_a_stream_is_complete_with_either_end(
    raw: RawServer, ours: AsyncClient, end: str
) -> None:
    last = DONE if end == "done" else chunk("", finish="stop")
    raw.answer = lambda exchange: exchange.stream(chunk("Hello"), last)
    stream = await official_of(ours, raw.url).chat.completions.create(**ASKED, stream=True)
    texts = [piece.choices[0].delta.content async for piece in stream]
    assert texts[0] == "Hello"


async def test_a_stream_that_is_cut_is_an_error(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(cut_after=3))
    stream = await official.chat.completions.create(**ASKED, stream=True)
    with pytest.raises(openai.APIConnectionError, match="was cut off"):
        async for _ in stream:
            pass


async def test_a_silent_stream_is_a_timeout(ours: AsyncClient, server: LocalServer) -> None:
    server.script(Failure(stall_after=3))
    impatient = ours.with_options(timeout=Timeout(idle=0.05))
    stream = await official_of(impatient, server.url).chat.completions.create(**ASKED, stream=True)
    with pytest.raises(openai.APITimeoutError, match=r"0\.05"):
        async for _ in stream:
            pass


async def test_an_official_timeout_bounds_each_silence_of_a_stream(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(stall_after=3))
    stream = await official.chat.completions.create(**ASKED, stream=True, timeout=0.2)
    with pytest.raises(openai.APITimeoutError, match=r"0\.2 s"):
        async for _ in stream:
            pass


async def test_a_stream_that_fails_before_it_begins_is_retried(
    official: openai.AsyncOpenAI, server: LocalServer
) -> None:
    server.script(Failure(status=503, headers={"retry-after": "0"}), Reply("Now."))
    stream = await official.chat.completions.create(**ASKED, stream=True)
    texts = [piece.choices[0].delta.content or "" async for piece in stream]
    assert "".join(texts) == "Now."


# --- the HTTP client itself ---


async def test_a_redirect_does_not_send_the_key_elsewhere(
    raw: RawServer, ours: AsyncClient, server: LocalServer
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: "
            + server.url.encode()
            + b"/models\r\n\r\n"
        )

    raw.answer = answer
    with pytest.raises(openai.APIStatusError):
        await official_of(ours, raw.url).models.list()
    assert server.requests == []


async def test_closing_the_official_client_leaves_ours_open(
    ours: AsyncClient, server: LocalServer
) -> None:
    async with official_of(ours, server.url) as first:
        await first.models.list()
    await official_of(ours, server.url).models.list()
    with pytest.raises(RuntimeError, match="closed"):
        await first.models.list()


async def test_a_closed_client_says_so(server: LocalServer) -> None:
    ours = AsyncClient(base_url=server.url, api_key="unused")
    official = official_of(ours, server.url)
    await ours.close()
    with pytest.raises(openai.APIConnectionError, match="closed"):
        await official.models.list()


def test_one_client_serves_two_loops() -> None:
    async def models(official: openai.AsyncOpenAI) -> int:
        async with LocalServer() as server:
            return len((await official.with_options(base_url=server.url).models.list()).data)

    ours = AsyncClient(base_url="http://unused.test/v1", api_key="unused")
    official = official_of(ours, "http://unused.test/v1")
    assert asyncio.run(models(official)) == asyncio.run(models(official)) > 0
    asyncio.run(ours.close())


async def test_a_pickled_http_client_sends_again(server: LocalServer) -> None:
    async with AsyncClient(base_url=server.url, api_key="unused") as ours:
        made = http_client(ours)
        copied = pickle.loads(pickle.dumps(made))
        client = openai.AsyncOpenAI(base_url=server.url, api_key="k", http_client=copied)
        assert (await client.models.list()).data
        await copied._sender.client.close()


async def test_only_encodings_that_can_be_decompressed_are_accepted(
    ours: AsyncClient, server: LocalServer
) -> None:
    client = official_of(ours, server.url, default_headers={"Accept-Encoding": "strange"})
    await client.models.list()
    assert "strange" not in server.requests[-1].headers["Accept-Encoding"]


async def test_the_authentication_of_the_http_client_is_used(
    ours: AsyncClient, server: LocalServer
) -> None:
    async with http_client(ours) as client:
        client.auth = ("user", "password")
        await client.get(f"{server.url}/models")
    assert server.requests[-1].headers["Authorization"].startswith("Basic ")


async def test_a_password_in_the_url_is_sent_as_by_httpx(raw: RawServer, ours: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.whole(b'{"object": "list", "data": []}')
    url = raw.url.replace("http://", "http://user:password@")
    await official_of(ours, url).models.list()
    assert raw.exchanges[-1].headers["authorization"].startswith("Basic ")


async def test_every_kind_of_answer_has_its_elapsed_time(
    ours: AsyncClient, server: LocalServer
) -> None:
    async with http_client(ours) as client:
        whole = await client.get(f"{server.url}/models")
        refused = await client.get(f"{server.url}/no-such-path")
        async with client.stream("GET", f"{server.url}/models") as streamed:
            pass
    for response in (whole, refused, streamed):
        assert response.elapsed.total_seconds() > 0


async def test_a_synchronous_body_is_refused_as_by_httpx(
    ours: AsyncClient, server: LocalServer
) -> None:
    async with http_client(ours) as client:
        with pytest.raises(RuntimeError, match="sync request with an AsyncClient"):
            await client.post(f"{server.url}/files", content=iter([b"a"]))


async def test_hooks_of_the_http_client_are_called(ours: AsyncClient, server: LocalServer) -> None:
    seen: list[str] = []

    async def note(request: Any) -> None:
        seen.append(request.url.path)

    made = http_client(ours)
    made.event_hooks = {"request": [note], "response": []}
    client = openai.AsyncOpenAI(base_url=server.url, api_key="k", http_client=made)
    assert (await client.models.list()).data
    assert seen == ["/v1/models"]


def test_the_library_is_the_one_that_the_official_client_uses(ours: AsyncClient) -> None:
    base = openai.DefaultAsyncHttpxClient.__mro__[1]
    assert isinstance(http_client(ours), base)


def test_anything_but_a_client_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="pass an openai_async.AsyncClient"):
        http_client("http://localhost")  # type: ignore[arg-type]


def test_the_package_itself_does_not_import_httpx() -> None:
    code = "import sys, openai_async.client; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("library", ["httpx", json], ids=["name", "other module"])
def test_something_else_than_a_library_is_refused(ours: AsyncClient, library: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pass the module httpx or httpx2 itself"):
        http_client(ours, library=library)
