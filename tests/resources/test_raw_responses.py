"""`with_raw_response` and `with_streaming_response`, on every resource."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import pydoc
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any, assert_type

import PIL.Image
import pytest

from openai_async import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncClient,
    ChatCompletionStream,
    InvalidArgumentError,
    LengthFinishReasonError,
    NotFoundError,
    OpenAIError,
    RateLimitError,
    Request,
    Response,
    Send,
)
from openai_async.resources.raw_responses import RawResponse
from openai_async.resources.streaming_responses import StreamingCall
from openai_async.streaming.binary import BinaryContent
from openai_async.streaming.images import ImageStream
from openai_async.types.batches import Batch, BatchPage
from openai_async.types.chat import ChatCompletion
from openai_async.types.chat_params import ChatCompletionMessageParam
from openai_async.types.embeddings import CreateEmbeddingResponse
from openai_async.types.image_events import ImageGenStreamEvent
from openai_async.types.images import ImagesResponse
from openai_async.types.models import Model, ModelList
from openai_async.types.parsed_chats import ParsedChatCompletion

from ..conftest import BASE_URL
from ..raw_server import DONE, Exchange, RawServer, chunk, sse
from ..typing import checkers

pytestmark = pytest.mark.virtual_time

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
CHAT: Any = {"model": "gpt-4o", "messages": HI}
UPLOAD: Any = {"bytes": 2, "filename": "a", "mime_type": "text/plain", "purpose": "user_data"}
BATCH: Any = {"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h"}
PICTURE = BytesIO()
PIL.Image.new("RGBA", (8, 8)).save(PICTURE, "PNG")

# Every method that sends one request.
METHODS: list[tuple[str, str, dict[str, Any]]] = [
    ("models", "list", {}),
    ("models", "retrieve", {"model": "m"}),
    ("models", "delete", {"model": "m"}),
    ("chat.completions", "create", CHAT),
    ("chat.completions", "parse", {**CHAT, "response_format": dict[str, int], "strict": False}),
    ("chat.completions", "list", {}),
    ("chat.completions", "retrieve", {"completion_id": "c"}),
    ("chat.completions", "update", {"completion_id": "c", "metadata": {"a": "b"}}),
    ("chat.completions", "delete", {"completion_id": "c"}),
    ("chat.completions.messages", "list", {"completion_id": "c"}),
    ("embeddings", "create", {"model": "m", "input": "a"}),
    ("moderations", "create", {"input": "Hi"}),
    ("images", "generate", {"model": "gpt-image-1", "prompt": "A cat"}),
    ("images", "edit", {"model": "gpt-image-1", "prompt": "A cat", "image": PICTURE.getvalue()}),
    ("images", "create_variation", {"image": PICTURE.getvalue()}),
    ("files", "create", {"file": ("a.jsonl", b"{}"), "purpose": "user_data"}),
    ("files", "list", {}),
    ("files", "retrieve", {"file_id": "f"}),
    ("files", "content", {"file_id": "f"}),
    ("files", "delete", {"file_id": "f"}),
    ("uploads", "create", UPLOAD),
    ("uploads", "complete", {"upload_id": "u", "part_ids": ["p"]}),
    ("uploads", "cancel", {"upload_id": "u"}),
    ("uploads.parts", "create", {"upload_id": "u", "data": b"{}"}),
    ("batches", "create", BATCH),
    ("batches", "list", {}),
    ("batches", "retrieve", {"batch_id": "b"}),
    ("batches", "cancel", {"batch_id": "b"}),
]
# Those that send several, or whose answer is events. They have no raw form in the official SDK
# either.
OTHERS = {"stream", "run_tools", "wait_for_processing", "upload_file_chunked", "poll"}

# What answers any of them.
MESSAGE = {"role": "assistant", "content": '{"a": 1}'}
ITEM = {"id": "1", "index": 0, "embedding": [0.5, 1.0], "b64_json": "aGk="}
ANSWER = {
    "id": "1",
    "object": "any",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "data": [ITEM],
    "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
}
BODY = json.dumps(ANSWER).encode()


def resource_of(client: AsyncClient, path: str) -> Any:
    return attrgetter(path)(client)


async def read(parsed: Any) -> Any:
    return await parsed.read() if isinstance(parsed, BinaryContent) else parsed


def sent(exchange: Exchange) -> tuple[str, bytes]:
    """The request, without what differs from one form to the next: the boundary."""
    line = exchange.head.split("\r\n")[0]
    boundary = exchange.headers.get("content-type", "").partition("boundary=")[2]
    return line, exchange.body.replace(boundary.encode() or b"\0", b"")


async def canned(exchange: Exchange) -> None:
    await exchange.whole(BODY)


async def streamed(exchange: Exchange) -> None:
    await exchange.stream(chunk("Hel"), chunk("lo"), chunk(finish="stop"), DONE)


async def endless(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.part(sse(chunk("Hel")))


# --- every method ---


def test_no_method_is_missing(client: AsyncClient) -> None:
    for path in {path for path, *_ in METHODS}:
        resource = resource_of(client, path)
        public = {
            name
            for name, value in vars(type(resource)).items()
            if inspect.isfunction(value) and not name.startswith("_")
        }
        assert public - OTHERS == {name for place, name, _ in METHODS if place == path}
        assert not [name for name in OTHERS if hasattr(resource.with_raw_response, name)]


@pytest.mark.parametrize(("path", "name", "params"), METHODS)
async def test_parse_is_what_the_method_returns(
    raw: RawServer, raw_client: AsyncClient, path: str, name: str, params: dict[str, Any]
) -> None:
    raw.answer = canned
    resource = resource_of(raw_client, path)
    plain = await read(await getattr(resource, name)(**params))
    response = await getattr(resource.with_raw_response, name)(**params)
    assert (response.content, response.is_closed) == (BODY, True)
    assert await read(response.parse()) == plain
    async with getattr(resource.with_streaming_response, name)(**params) as response:
        assert not response.is_closed
        assert await read(await response.parse()) == plain
    assert response.is_closed
    assert {sent(exchange) for exchange in raw.exchanges} == {sent(raw.exchanges[0])}
    assert (len(raw.exchanges), raw.connections) == (3, 1)


@pytest.mark.parametrize(
    ("outer", "inner", "params"),
    [
        ("chat", "completions.create", CHAT),
        ("chat.completions", "messages.list", {"completion_id": "c"}),
        ("uploads", "parts.create", {"upload_id": "u", "data": b"{}"}),
    ],
)
async def test_resources_inside_others_are_reached_through_them(
    raw: RawServer, raw_client: AsyncClient, outer: str, inner: str, params: dict[str, Any]
) -> None:
    raw.answer = canned
    resource = resource_of(raw_client, outer)
    assert (await attrgetter(inner)(resource.with_raw_response)(**params)).content == BODY
    async with attrgetter(inner)(resource.with_streaming_response)(**params) as response:
        assert await response.read() == BODY


@pytest.mark.parametrize(("path", "name", "params"), METHODS)
async def test_every_method_is_reached_through_the_client(
    raw: RawServer, raw_client: AsyncClient, path: str, name: str, params: dict[str, Any]
) -> None:
    raw.answer = canned
    method = attrgetter(f"{path}.{name}")
    assert (await method(raw_client.with_raw_response)(**params)).content == BODY
    async with method(raw_client.with_streaming_response)(**params) as response:
        assert await response.read() == BODY


# --- with_raw_response ---


async def test_a_raw_response_shows_how_it_arrived(raw: RawServer, waits: list[float]) -> None:
    async def busy_at_first(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            await exchange.whole(b"{}", status="503 Busy")
        else:
            head = f"HTTP/1.1 200 OK\r\nX-Request-Id: req_1\r\nContent-Length: {len(BODY)}"
            await exchange.send(f"{head}\r\n\r\n".encode() + BODY)

    raw.answer = busy_at_first
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        response = await client.models.with_raw_response.retrieve("m", extra_query={"a": "b"})
    assert (response.status_code, response.request_id) == (200, "req_1")
    assert (response.headers["X-REQUEST-ID"], response.retries_taken) == ("req_1", 1)
    assert (response.method, str(response.url)) == ("GET", f"{raw.url}/models/m?a=b")
    assert response.http_request.headers["accept"] == "application/json"
    assert response.http_version == "HTTP/1.1"
    assert response.elapsed == timedelta(seconds=response.parse().meta.elapsed)
    assert (response.text, response.json()) == (BODY.decode(), ANSWER)
    assert repr(response) == "<RawResponse 200>"


async def test_a_raw_list_is_a_page_that_requests_the_next(client: AsyncClient) -> None:
    for text in ("a", "b", "c"):
        await client.files.create(file=(f"{text}.txt", text.encode()), purpose="user_data")
    response = await client.files.with_raw_response.list(limit=2)
    page = response.parse()
    assert len(page) == len(response.json()["data"]) == 2
    assert len([file async for file in page]) == 3
    async with client.files.with_streaming_response.list(limit=2) as streaming:
        assert len([file async for file in await streaming.parse()]) == 3


async def test_a_raw_stream_is_what_parse_returns(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = streamed
    response = await raw_client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    assert (response.headers["content-type"], response.is_closed) == ("text/event-stream", False)
    with pytest.raises(OpenAIError, match=r"is a stream: read it with \.parse\(\)"):
        _ = response.content
    assert response.parse() is response.parse()
    assert [chunk.text async for chunk in response.parse()] == ["Hel", "lo", ""]


async def test_a_raw_stream_that_is_dropped_hangs_up(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = endless
    gc.disable()
    try:
        response = await raw_client.chat.completions.with_raw_response.create(**CHAT, stream=True)
        del response
        await raw.hung_up.wait()
    finally:
        gc.enable()


async def test_files_can_be_read_from_both(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = canned
    response = await raw_client.files.with_raw_response.content("f")
    assert response.text == BODY.decode()
    assert b"".join([data async for data in response.parse().iter_bytes()]) == BODY


async def test_an_error_status_is_raised_by_the_call(client: AsyncClient) -> None:
    with pytest.raises(NotFoundError):
        await client.models.with_raw_response.retrieve("unknown")
    with pytest.raises(NotFoundError):
        async with client.models.with_streaming_response.retrieve("unknown"):
            raise AssertionError


async def test_a_malformed_answer_is_raised_by_parse(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b"<html>")
    response = await raw_client.chat.completions.with_raw_response.create(**CHAT)
    assert response.text == "<html>"
    for _ in range(2):
        with pytest.raises(APIResponseValidationError, match="not JSON"):
            response.parse()
    with pytest.raises(APIResponseValidationError, match="not JSON"):
        response.json()
    async with raw_client.chat.completions.with_streaming_response.create(**CHAT) as streaming:
        for _ in range(2):
            with pytest.raises(APIResponseValidationError, match="not JSON"):
                await streaming.parse()
        assert await streaming.text() == "<html>"


async def test_an_incomplete_value_is_raised_by_parse(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    cut_off = {"index": 0, "message": {"role": "assistant", "content": "["}}
    body = json.dumps({"choices": [{**cut_off, "finish_reason": "length"}]}).encode()
    raw.answer = lambda exchange: exchange.whole(body)
    completions = raw_client.chat.completions.with_raw_response
    response = await completions.parse(**CHAT, response_format=list[int])
    with pytest.raises(LengthFinishReasonError):
        response.parse()


async def test_one_failed_request_of_several_is_raised_by_the_call(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Although another was answered."""

    async def first_only(exchange: Exchange) -> None:
        if len(raw.exchanges) == 1:
            vectors = [{"index": n, "embedding": [0.5]} for n in range(2048)]
            await exchange.whole(json.dumps({"data": vectors}).encode())
            return
        await asyncio.sleep(1)
        await exchange.whole(b"{}", status="429 Too Many")

    raw.answer = first_only
    with pytest.raises(RateLimitError):
        await raw_client.embeddings.with_raw_response.create(model="m", input=["a"] * 2049)


async def test_wrong_parameters_are_refused_when_it_is_awaited_or_entered(
    client: AsyncClient,
) -> None:
    wrong: Any = {"model": "m", "messages": []}
    with pytest.raises(InvalidArgumentError, match="messages is empty"):
        await client.chat.completions.with_raw_response.create(**wrong)
    with pytest.raises(InvalidArgumentError, match="messages is empty"):
        async with client.chat.completions.with_streaming_response.create(**wrong):
            raise AssertionError


async def test_the_client_itself_sends_as_before(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = canned
    completions = raw_client.chat.completions
    await completions.with_raw_response.create(**CHAT)
    async with completions.with_streaming_response.create(**CHAT) as response:
        assert (await completions.create(**CHAT)).text == '{"a": 1}'
        assert (await response.parse()).text == '{"a": 1}'


# --- with_streaming_response ---


async def test_a_streaming_response_is_there_before_its_body(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    more = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream("X-Request-Id: req_1\r\n")
        await more.wait()
        await exchange.part(BODY)
        await exchange.end()

    raw.answer = answer
    async with raw_client.models.with_streaming_response.retrieve("m") as response:
        assert (response.status_code, response.request_id) == (200, "req_1")
        assert (response.method, str(response.url)) == ("GET", f"{raw.url}/models/m")
        more.set()
        assert await response.json() == ANSWER
        assert (await response.read(), await response.text()) == (BODY, BODY.decode())
        assert (await response.parse()).id == "1"
        assert await response.parse() is await response.parse()


async def test_bytes_come_in_pieces_of_the_size_asked_for(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(b"abc", b"defgh", b"i")
    content = raw_client.files.with_streaming_response.content
    async with content("f") as response:
        assert [data async for data in response.iter_bytes(4)] == [b"abcd", b"efgh", b"i"]
    async with content("f") as response:
        with pytest.raises(InvalidArgumentError, match="chunk_size"):
            await anext(response.iter_bytes(0))
        assert b"".join([data async for data in response.iter_bytes()]) == b"abcdefghi"


async def test_text_is_decoded_across_pieces(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream("né".encode(), b"\xc3")
    async with raw_client.files.with_streaming_response.content("f") as response:
        assert [text async for text in response.iter_text(2)] == ["n", "é", "\ufffd"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_lines_end_in_lf_cr_lf_or_cr(
    raw: RawServer, raw_client: AsyncClient, size: int
) -> None:
    """A line separator of Unicode ends none: JSON may contain it."""
    body = "one\ntwo\r\n\rthree\u2028é\r".encode()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    raw.answer = lambda exchange: exchange.stream(*pieces)
    async with raw_client.files.with_streaming_response.content("f") as response:
        lines = [line async for line in response.iter_lines()]
    assert lines == ["one", "two", "", "three\u2028é"]


async def test_the_last_line_needs_no_end(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream(b"one\n", b"tw", b"o")
    async with raw_client.files.with_streaming_response.content("f") as response:
        assert [line async for line in response.iter_lines()] == ["one", "two"]


async def test_the_body_is_written_to_a_file(
    raw: RawServer, raw_client: AsyncClient, tmp_path: Path
) -> None:
    raw.answer = canned
    path = tmp_path / "model.json"
    async with raw_client.models.with_streaming_response.retrieve("m") as response:
        assert await response.stream_to_file(path) == path
    assert path.read_bytes() == BODY


async def test_lines_of_a_stream_are_what_the_request_asked_for(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """Without a chunk for the usage."""
    raw.answer = streamed
    call = raw_client.chat.completions.with_streaming_response.create
    async with call(**CHAT, stream=True) as response:
        lines = [line async for line in response.iter_lines() if line]
    assert (len(lines), lines[-1]) == (4, "data: [DONE]")
    assert json.loads(raw.exchanges[0].body) == {**CHAT, "stream": True}


async def test_parse_of_a_stream_reads_it_as_it_arrives(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    more = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))
        await more.wait()
        await exchange.part(sse(chunk("lo", finish="stop")) + DONE)
        await exchange.end()

    raw.answer = answer
    call = raw_client.chat.completions.with_streaming_response.create
    async with call(**CHAT, stream=True) as response:
        stream = await response.parse()
        assert (await anext(stream)).text == "Hel"
        more.set()
        assert [chunk.text async for chunk in stream] == ["lo"]
    raw.answer = canned
    await raw_client.models.list()
    assert raw.connections == 1


async def test_a_stream_is_closed_with_the_response(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = endless
    call = raw_client.chat.completions.with_streaming_response.create
    async with call(**CHAT, stream=True) as response:
        stream = await response.parse()
    await raw.hung_up.wait()
    with pytest.raises(OpenAIError, match="closed before its end"):
        await anext(stream)


async def test_what_was_not_read_hangs_up(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = endless
    async with raw_client.models.with_streaming_response.retrieve("m") as response:
        assert not response.is_closed
    assert response.is_closed
    await raw.hung_up.wait()
    with pytest.raises(OpenAIError, match="closed before it was parsed"):
        await response.parse()
    assert len(asyncio.all_tasks() - raw._tasks) == 1


@pytest.mark.parametrize("again", ["iter_lines", "read", "parse"])
async def test_what_was_iterated_over_is_not_there_twice(
    raw: RawServer, raw_client: AsyncClient, again: str
) -> None:
    raw.answer = canned
    async with raw_client.models.with_streaming_response.retrieve("m") as response:
        async for _ in response.iter_lines():
            pass
        with pytest.raises(OpenAIError, match="has been read"):
            if again == "iter_lines":
                await anext(response.iter_lines())
            else:
                await getattr(response, again)()


async def test_a_body_that_is_cut_off_fails_where_it_is_read(raw: RawServer) -> None:
    async def cut_off(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(b"{")
        exchange.abort()

    raw.answer = cut_off
    async with (
        AsyncClient(base_url=raw.url, api_key="k") as client,
        client.models.with_streaming_response.retrieve("m") as response,
    ):
        with pytest.raises(APIConnectionError):
            await response.parse()
    assert len(raw.exchanges) == 1


async def test_cancelling_the_call_stops_it(raw: RawServer, raw_client: AsyncClient) -> None:
    async def silent(exchange: Exchange) -> None:
        arrived.set()

    async def enter() -> None:
        async with raw_client.models.with_streaming_response.retrieve("m"):
            raise AssertionError

    raw.answer, arrived = silent, asyncio.Event()
    task = asyncio.create_task(enter())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await raw.hung_up.wait()
    assert len(asyncio.all_tasks() - raw._tasks) == 1


async def test_cancelling_the_call_just_as_it_is_answered_hangs_up(raw: RawServer) -> None:
    async def cancel(request: Request, send: Send) -> Response:
        response = await send(request)
        task.cancel()
        return response

    async def enter() -> None:
        async with call:
            raise AssertionError

    raw.answer = endless
    async with AsyncClient(base_url=raw.url, api_key="k", middlewares=[cancel]) as client:
        call = client.models.with_streaming_response.retrieve("m")
        task = asyncio.create_task(enter())
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await raw.hung_up.wait()
        assert len(asyncio.all_tasks() - raw._tasks) == 1


async def test_many_inputs_are_answered_together(client: AsyncClient) -> None:
    call = client.embeddings.with_streaming_response.create
    async with call(model="text-embedding-3-small", input=["a"] * 2049) as response:
        assert len((await response.parse()).data) == 2049
    raw_call = client.embeddings.with_raw_response.create
    answer = await raw_call(model="text-embedding-3-small", input=["a"] * 2049)
    assert len(answer.parse().data) == 2049


async def test_what_was_refused_is_sent_again_without_it(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def no_base64(exchange: Exchange) -> None:
        if b"base64" in exchange.body:
            await exchange.whole(b'{"error": {"message": "base64?"}}', status="400 Bad")
        else:
            await exchange.whole(BODY)

    raw.answer = no_base64
    embeddings = raw_client.embeddings
    assert (await embeddings.with_raw_response.create(model="m", input="a")).content == BODY
    async with embeddings.with_streaming_response.create(model="m", input="a") as response:
        assert await response.read() == BODY
        assert [*(await response.parse()).data[0].embedding] == [0.5, 1.0]


async def test_an_open_file_is_read_once(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = canned
    file = BytesIO(PICTURE.getvalue())
    async with raw_client.images.with_streaming_response.create_variation(image=file) as response:
        assert (await response.parse()).data[0].b64_json == "aGk="
    assert PICTURE.getvalue() in raw.exchanges[0].body


async def test_a_call_can_only_be_entered_once(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = canned
    call = raw_client.models.with_streaming_response.retrieve("m")
    async with call:
        pass
    with pytest.raises(OpenAIError, match="entered before"):
        async with call:
            raise AssertionError


async def test_a_middleware_has_to_send_the_request() -> None:
    async def cached(request: Request, send: Send) -> Response:
        return Response(status=200, headers={}, body=BODY)

    client = AsyncClient(base_url=BASE_URL, api_key="k", middlewares=[cached])
    assert (await client.models.with_raw_response.retrieve("m")).parse().id == "1"
    with pytest.raises(OpenAIError, match="without sending the request"):
        async with client.models.with_streaming_response.retrieve("m"):
            raise AssertionError


# --- iscoroutinefunction ---


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """What libraries ask: from Python 3.12 on, `inspect` sees the marks that asyncio saw before."""
    if sys.version_info >= (3, 12):
        return inspect.iscoroutinefunction(function)
    return asyncio.iscoroutinefunction(function)


def test_create_passes_for_a_coroutine_function(client: AsyncClient) -> None:
    completions, images = client.chat.completions, client.images
    for function in (completions.create, completions.parse, images.generate, images.edit):
        assert is_coroutine_function(function)
    assert is_coroutine_function(completions.with_raw_response.create)
    assert not is_coroutine_function(completions.stream)
    assert not is_coroutine_function(completions.with_streaming_response.create)


def test_the_wrapped_method_can_be_seen(client: AsyncClient) -> None:
    completions = client.chat.completions
    for responses in (completions.with_raw_response, completions.with_streaming_response):
        assert getattr(responses.create, "__name__", "") == "create"
        assert inspect.signature(responses.create) == inspect.signature(completions.create)
        assert inspect.getdoc(responses.create) == inspect.getdoc(completions.create)


def test_help_shows_the_methods(client: AsyncClient) -> None:
    assert "create" in pydoc.render_doc(type(client.chat.completions.with_raw_response))


# --- types ---


def test_mypy_agrees() -> None:
    assert checkers.mypy(__file__) == ""


async def raw_types(client: AsyncClient, stream: bool) -> None:
    models = client.models.with_raw_response
    assert_type(await models.retrieve("m"), RawResponse[Model])
    assert_type((await models.list()).parse(), ModelList)
    await models.retrieve(1)  # type: ignore[arg-type]
    await models.retrieve("m", other=1)  # type: ignore[call-arg]
    assert_type((await client.batches.with_raw_response.list()).parse(), BatchPage)
    assert_type((await client.with_raw_response.batches.list()).parse(), BatchPage)
    assert_type((await client.files.with_raw_response.content("f")).parse(), BinaryContent)
    completions = client.chat.with_raw_response.completions
    assert_type((await completions.create(model="m", messages=HI)).parse(), ChatCompletion)
    assert_type(
        (await completions.create(model="m", messages=HI, stream=True)).parse(),
        ChatCompletionStream,
    )
    assert_type(
        completions.create(model="m", messages=HI, stream=stream),
        Coroutine[Any, Any, RawResponse[ChatCompletion]]
        | Coroutine[Any, Any, RawResponse[ChatCompletionStream]],
    )
    parsed = await completions.parse(model="m", messages=HI, response_format=list[int])
    assert_type(parsed.parse(), ParsedChatCompletion[list[int]])
    either = await completions.parse(model="m", messages=HI, response_format=int | str)
    assert_type(either.parse(), ParsedChatCompletion[int | str])


async def streaming_types(client: AsyncClient) -> None:
    batches = client.batches.with_streaming_response
    assert_type(batches.retrieve("b"), StreamingCall[Batch])
    batches.retrieve()  # type: ignore[call-arg]
    assert_type(client.with_streaming_response.batches.retrieve("b"), StreamingCall[Batch])
    async with client.embeddings.with_streaming_response.create(model="m", input="") as vectors:
        assert_type(await vectors.parse(), CreateEmbeddingResponse)
    images = client.images.with_streaming_response
    async with images.generate(prompt="") as pictures:
        assert_type(await pictures.parse(), ImagesResponse)
    async with images.generate(prompt="", stream=True) as events:
        assert_type(await events.parse(), ImageStream[ImageGenStreamEvent])
    async with client.chat.completions.with_streaming_response.create(
        model="m", messages=HI
    ) as response:
        assert_type(await response.parse(), ChatCompletion)
        assert_type([line async for line in response.iter_lines()], list[str])
