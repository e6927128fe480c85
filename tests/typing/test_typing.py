"""What a type checker sees, as users rely on it.

`mypy --strict` checks this file: `assert_type` fails on another type, and each `type: ignore` names
an error that must be there, since strict mode complains about those that are not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import IO, Any, Literal, assert_type

import attrs
import PIL.Image

from openai_async import (
    AsyncClient,
    AsyncStream,
    ChatCompletionEventStream,
    ChatCompletionStream,
    Conversation,
    Hooks,
    ParsedChatCompletionStream,
    Request,
    Response,
    RetryDetails,
    StreamEnd,
    Timeout,
    ToolRun,
    audio_part,
    file_part,
    image_part,
    tool,
)
from openai_async.batch import BatchRequest, BatchResult, run_requests
from openai_async.streaming.binary import BinaryContent
from openai_async.structured import ResponseFormat, response_format
from openai_async.types.batches import Batch, BatchPage
from openai_async.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageToolCall,
    ChatCompletionTokenLogprob,
    ChatCompletionToolParam,
    ChatCompletionUserMessageParam,
    ChoiceDeltaAudio,
    CompletionCreateParams,
    CompletionUsage,
)
from openai_async.types.chat_events import (
    ChatCompletionStreamEvent,
    ContentDeltaEvent,
    ContentDoneEvent,
)
from openai_async.types.chat_params import ChatCompletionMessageParam
from openai_async.types.embeddings import CreateEmbeddingResponse, Embedding
from openai_async.types.files import FileObject
from openai_async.types.image_events import ImageEditStreamEvent, ImageGenStreamEvent
from openai_async.types.images import Image, ImagesResponse
from openai_async.types.models import Model, ModelDeleted, ModelList
from openai_async.types.moderations import Moderation
from openai_async.types.parsed_chats import (
    ParsedChatCompletion,
    ParsedFunctionToolCall,
    ParsedToolCall,
)
from openai_async.types.tool_steps import CompletionStep
from openai_async.types.uploads import UploadPart

from . import checkers


def test_mypy_agrees() -> None:
    assert checkers.mypy(__file__) == ""


async def plain(client: AsyncClient) -> None:
    call = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    task = asyncio.create_task(assert_type(call, Coroutine[Any, Any, ChatCompletion]))
    result = await task
    assert_type(result, ChatCompletion)
    assert_type(result.text, str)
    assert_type(result.choices[0].message.content, str | None)
    assert_type(result.message, ChatCompletionMessage)
    assert_type(result.tool_calls, list[ChatCompletionMessageToolCall])
    assert_type(result.total_tokens, int)
    assert_type(result.meta.request_id, str | None)


async def streamed(client: AsyncClient) -> None:
    stream = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    assert_type(stream, ChatCompletionStream)
    assert_type(await stream, ChatCompletionStream)
    async with stream as entered:
        assert_type(entered, ChatCompletionStream)
    async for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
    async for text in stream.text():
        assert_type(text, str)
    assert_type(await stream.completion(), ChatCompletion)


async def either(client: AsyncClient, stream: bool) -> None:
    assert_type(
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=stream
        ),
        Coroutine[Any, Any, ChatCompletion] | ChatCompletionStream,
    )


async def conversations(client: AsyncClient) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is this?"}, await image_part("cat.png")],
        },
    ]
    result = await client.chat.completions.create(model="m", messages=messages)
    messages.append(result.choices[0].message)
    for call in result.choices[0].message.tool_calls or []:
        if call.type == "function":
            assert_type(call.function.arguments, str)
        else:
            assert_type(call.custom.input, str)
        messages.append({"role": "tool", "content": "42", "tool_call_id": call.id})
    await client.chat.completions.create(
        model="m",
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "And this?"}, await image_part(b"...")],
            }
        ],
        tools=[
            {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
        ],
        tool_choice={"type": "function", "function": {"name": "add"}},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        logit_bias={50256: -100},
        stop=None,
        timeout=5,
        extra_headers={"X": "y"},
    )


async def reasoning_usage_and_audio(client: AsyncClient, stream: ChatCompletionStream) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": [await audio_part(b"", "wav"), await file_part("file-1")]}
    ]
    result = await client.chat.completions.create(
        model="m", messages=messages, timeout=Timeout(first=900, idle=30)
    )
    message = result.choices[0].message
    assert_type(message.reasoning, str | None)
    assert_type(message.split_think_tags(), tuple[str, str])
    assert_type(result.reasoning, str)
    async for chunk in stream:
        assert_type(chunk.reasoning, str)
        assert_type(chunk.choices[0].delta.reasoning, str | None)
        assert_type(chunk.choices[0].delta.audio, ChoiceDeltaAudio | None)
    async for text in stream.reasoning():
        assert_type(text, str)
    assert_type(stream.usage, CompletionUsage | None)
    if stream.usage is not None:
        assert_type(stream.usage.estimated, bool)
    Timeout(first="5")  # type: ignore[arg-type]
    await audio_part(5)  # type: ignore[arg-type]


async def dicts_made_in_steps(client: AsyncClient) -> None:
    messages = [{"role": "system", "content": "Be brief."}]
    messages.append({"role": "user", "content": "Hi"})
    parts = {"type": "text", "text": "What is this?"}
    mixed = [{"role": "user", "content": [parts, await image_part("cat.png")]}]
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    format = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    create = client.chat.completions.create
    result = await create(model="m", messages=messages, tools=[tool], response_format=format)
    messages.append(result.message.to_dict())
    await create(model="m", messages=mixed)
    await create(model="m", messages=(*messages, *mixed, result.message))
    await create(model="m", messages="Hi")  # type: ignore[arg-type]
    await create(model="m", messages=["Hi"])  # type: ignore[list-item]
    await create(model="m", messages=messages, tools=tool)  # type: ignore[call-overload]


async def official_names(client: AsyncClient) -> None:
    user: ChatCompletionUserMessageParam = {"role": "user", "content": "Hi"}
    tool: ChatCompletionToolParam = {"type": "function", "function": {"name": "add"}}
    params: CompletionCreateParams = {"model": "m", "messages": [user], "tools": [tool]}
    assert_type(await client.chat.completions.create(**params), ChatCompletion)
    user = {"role": "usr", "content": "Hi"}  # type: ignore[typeddict-item]
    params = {"model": "m", "messages": [user], "temprature": 1}  # type: ignore[typeddict-unknown-key]


async def qualities_of_next_year(client: AsyncClient) -> None:
    await client.images.generate(prompt="x", quality="xhigh", output_format="avif")


async def mistakes(client: AsyncClient) -> None:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    create = client.chat.completions.create
    await create(model="m", messages=hi, temprature=1)  # type: ignore[call-overload]
    await create(model="m", messages=hi, temperature="hot")  # type: ignore[call-overload]
    await create(messages=hi)  # type: ignore[call-overload]
    await create(model="m", messages="Hi")  # type: ignore[arg-type]
    await client.images.generate(prompt="x", style="odd")  # type: ignore[call-overload]
    await client.images.generate(prompt="x", quality=5)  # type: ignore[call-overload]
    await client.models.list(time_out=1)  # type: ignore[call-arg]
    client.with_options(max_connections=1)  # type: ignore[call-arg]
    AsyncClient(key="k")  # type: ignore[call-arg]


async def events(client: AsyncClient) -> None:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    async with client.chat.completions.stream(model="m", messages=hi) as stream:
        assert_type(stream, ChatCompletionEventStream[None])
        async for event in stream:
            assert_type(event, ChatCompletionStreamEvent)
            if event.type == "chunk":
                assert_type(event.chunk, ChatCompletionChunk)
                assert_type(event.snapshot, ChatCompletion)
            elif event.type == "content.delta":
                assert_type(event, ContentDeltaEvent)
                assert_type(event.snapshot, str)
            elif event.type == "content.done":
                assert_type(event, ContentDoneEvent[None])
                assert_type(event.parsed, None)
            match event.type:
                case "tool_calls.function.arguments.delta":
                    assert_type(event.arguments_delta, str)
                    assert_type(event.parsed_arguments, object)
                case "logprobs.content.done" | "logprobs.content.delta":
                    assert_type(event.content, list[ChatCompletionTokenLogprob])
                case "reasoning.done":
                    assert_type(event.reasoning, str)
        assert_type(await stream.get_final_completion(), ParsedChatCompletion[None])
        assert_type(stream.current_completion_snapshot, ChatCompletion)
    await client.chat.completions.stream(model="m", messages=hi)  # type: ignore[misc]
    client.chat.completions.stream(  # type: ignore[call-overload]
        model="m", messages=hi, stream=True
    )


async def typed_events(client: AsyncClient) -> None:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    chats = client.chat.completions
    async with chats.stream(model="m", messages=hi, response_format=list[int]) as stream:
        assert_type(stream, ChatCompletionEventStream[list[int]])
        async for event in stream:
            if event.type == "content.done":
                assert_type(event.parsed, list[int] | None)
        assert_type((await stream.get_final_completion()).parsed, list[int] | None)


async def parsed(client: AsyncClient) -> None:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    chats = client.chat.completions
    one = await chats.parse(model="m", messages=hi, response_format=Path)
    assert_type(one, ParsedChatCompletion[Path])
    assert_type(one.parsed, Path | None)
    assert_type(one.choices[0].message.parsed, Path | None)
    for call in one.tool_calls:
        print(call.parsed_arguments)  # type: ignore[union-attr]
        if call.type == "custom":
            assert_type(call.custom.input, str)
        else:
            assert_type(call, ParsedFunctionToolCall)
    assert_type(one.message.tool_calls, list[ParsedToolCall] | None)
    many = await chats.parse(model="m", messages=hi, response_format=list[Path], reask=2)
    assert_type(many.parsed, list[Path] | None)
    stream = chats.parse(model="m", messages=hi, response_format=list[Path], stream=True)
    assert_type(stream, ParsedChatCompletionStream[list[Path]])
    async for item in stream.items():
        assert_type(item, Path)
    assert_type((await stream.completion()).parsed, list[Path] | None)
    either = await chats.parse(model="m", messages=hi, response_format=Path | int)
    assert_type(either, ParsedChatCompletion[Path | int])
    word = await chats.parse(model="m", messages=hi, response_format=Literal["a", "b"])
    assert_type(word, ParsedChatCompletion[Literal["a", "b"]])
    words = chats.parse(model="m", messages=hi, response_format=list[Path | int], stream=True)
    assert_type(words, ParsedChatCompletionStream[list[Path | int]])
    some = chats.run_tools(model="m", messages=hi, tools=[], response_format=Path | None)
    assert_type(some, ToolRun[Path | None])
    alias = Literal["a", "b"]
    local = await chats.parse(model="m", messages=hi, response_format=list[alias])
    assert_type(local.parsed, list[Literal["a", "b"]] | None)
    calls = await chats.parse(model="m", messages=hi, tools=[])
    assert_type(calls, ParsedChatCompletion[Any])
    chats.parse(model="m", messages=hi, response_format=Path, stream=True, reask=1)  # type: ignore[call-overload]
    chats.parse(model="m", messages=hi, response_format=Path, temprature=1)  # type: ignore[call-overload]


def decoded(
    plain: ParsedChatCompletionStream[list[str]], event: ChatCompletionStreamEvent[Path]
) -> None:
    assert_type(
        ChatCompletionEventStream(plain, decode=str.split), ChatCompletionEventStream[list[str]]
    )
    if event.type == "content.done":
        assert_type(event.parsed, Path | None)


async def models(client: AsyncClient) -> None:
    found = await client.models.list()
    assert_type(found, ModelList)
    assert_type([model for model in found], list[Model])  # noqa: C416
    async for model in client.models.list():
        assert_type(model, Model)
    assert_type(await client.models.retrieve("m"), Model)
    assert_type(await client.models.delete("m"), ModelDeleted)


async def pages(client: AsyncClient) -> None:
    page = await client.batches.list(limit=5)
    assert_type(page, BatchPage)
    assert_type(page.data, list[Batch])
    assert_type(await page.next_page(), BatchPage | None)
    async for batch in client.batches.list():
        assert_type(batch, Batch)
    async for batch in page:
        assert_type(batch, Batch)
    completions = client.chat.completions
    async for completion in completions.list(metadata={"user": "7"}):
        assert_type(completion, ChatCompletion)
    async for message in completions.messages.list("chatcmpl-1"):
        assert_type(message.content, str | None)
    client.batches.list(limt=5)  # type: ignore[call-arg]
    await client.batches.create(input_file_id="f", endpoint="/v1/videos")  # type: ignore[call-arg]


async def images(client: AsyncClient) -> None:
    result = await client.images.generate(prompt="x")
    assert_type(result, ImagesResponse)
    assert_type(result.data, list[Image])
    assert_type(await result.data[0].read(), bytes)
    assert_type(await result.data[0].save("x.png"), Path)
    stream: AsyncStream[ImageGenStreamEvent] = client.images.generate(prompt="x", stream=True)
    async for event in stream:
        assert_type(event, ImageGenStreamEvent)


async def embeddings(client: AsyncClient) -> None:
    response = await client.embeddings.create(model="m", input=["a", "b"], dimensions=8)
    assert_type(response, CreateEmbeddingResponse)
    assert_type([item for item in response], list[Embedding])  # noqa: C416
    assert_type(response.data[0].embedding[0], float)
    assert_type(response.data[0].embedding.tolist(), list[float])
    await client.embeddings.create(model="m", input=[[1, 2], [3]])
    await client.embeddings.create(model="m", input=[1.5])  # type: ignore[arg-type]
    await client.embeddings.create(model="m", input="a", encoding_format="hex")  # type: ignore[arg-type]


async def moderations(client: AsyncClient) -> None:
    picture = await image_part("cat.png")
    response = await client.moderations.create(input=[{"type": "text", "text": "a"}, picture])
    assert_type(response.results, list[Moderation])
    assert_type(response.results[0].categories.self_harm_intent, bool)
    assert_type(response.results[0].category_scores.violence_graphic, float)
    await client.moderations.create(input=["a", "b"])


async def edits(client: AsyncClient, file: IO[bytes], cat: PIL.Image.Image) -> None:
    result = await client.images.edit(
        image=[Path("x.png"), file, cat, ("x", b"..."), ("x", "x.png", "image/png")],
        prompt="x",
        mask=file,
    )
    assert_type(result, ImagesResponse)
    assert_type(await result.save_all("there"), list[Path])
    await client.images.edit(image=result.data[0], prompt="x")
    await client.images.edit(image=["x.png", "y.png"], prompt="x")
    await client.images.edit(image=[{"file_id": "file-1"}], prompt="x", mask={"file_id": "file-2"})
    await client.images.edit(image=[{"id": "file-1"}], prompt="x")  # type: ignore[list-item]
    await client.images.edit(image=5, prompt="x")  # type: ignore[call-overload]
    async for event in client.images.edit(image="x.png", prompt="x", stream=True):
        assert_type(event, ImageEditStreamEvent)
    assert_type(await client.images.create_variation(image="x.png"), ImagesResponse)


async def files(client: AsyncClient, file: IO[bytes]) -> None:
    created = await client.files.create(file=Path("x"), purpose="batch")
    assert_type(created, FileObject)
    await client.files.create(file=("x", file, "text/plain"), purpose="user_data")
    await client.files.create(file="x", purpose="batch")  # type: ignore[arg-type]
    for _ in client.files.list():  # type: ignore[attr-defined]
        pass
    async for one in client.files.list():
        assert_type(one, FileObject)
    content = await client.files.content("file-1")
    assert_type(content, BinaryContent)
    assert_type(await content.read(), bytes)
    assert_type(await content.save("x"), Path)
    async for part in content.iter_bytes():
        assert_type(part, bytes)
    upload = await client.uploads.upload_file_chunked(file=file, mime_type="a/b", purpose="batch")
    assert_type(upload.file, FileObject | None)
    assert_type(await client.uploads.parts.create("upload_1", data=b"x"), UploadPart)


@attrs.define
class Answer:
    text: str


async def lookup(city: str) -> int:
    return len(city)


def lookup_in_a_thread(city: str, days: int = 1) -> list[str]:
    return [city] * days


async def tools(client: AsyncClient) -> None:
    hi: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
    made = tool(lookup, name="search")
    assert_type(await made("Bern"), int)
    assert_type(tool(lookup_in_a_thread)("Bern", days=2), list[str])
    await made(5)  # type: ignore[arg-type]
    run_tools = client.chat.completions.run_tools
    run = run_tools(model="m", messages=hi, tools=[made, lookup_in_a_thread], max_rounds=3)
    assert_type(run, ToolRun[None])
    assert_type(await run, ParsedChatCompletion[None])
    answered = run_tools(model="m", messages=hi, tools=[lookup], response_format=Answer)
    assert_type(answered, ToolRun[Answer])
    assert_type((await answered).parsed, Answer | None)
    assert_type(answered.completions[0].parsed, Answer | None)
    await client.chat.completions.create(model="m", messages=answered.messages)
    either = run_tools(model="m", messages=hi, tools=[lookup], response_format=Answer | int)
    assert_type(either, ToolRun[Answer | int])
    async with answered as entered:
        async for step in entered:
            if step.type == "content.delta":
                assert_type(step.delta, str)
            elif step.type == "tool_call":
                assert_type(step.call.function.name, str)
            elif step.type == "tool_result":
                assert_type(step.content, str)
                assert_type(step.error, Exception | None)
            else:
                assert_type(step, CompletionStep[Answer])
                assert_type(step.completion.parsed, Answer | None)

    def told(call: ParsedFunctionToolCall, error: Exception) -> str:
        return f"{call.function.name}: {error}"

    async def logged(call: ParsedFunctionToolCall, error: Exception) -> None: ...

    await run_tools(model="m", messages=hi, tools=[lookup], on_tool_error=told, tool_timeout=5)
    await run_tools(model="m", messages=hi, tools=[lookup], on_tool_error=logged)
    await run_tools(model="m", messages=hi, tools=[lookup], on_tool_error=print, tool_timeout="5")  # type: ignore[call-overload]
    run_tools(model="m", messages=hi, tools=[lookup], stream=True)  # type: ignore[call-overload]
    run_tools(model="m", messages=hi, tools=[5])  # type: ignore[list-item]


def options(client: AsyncClient) -> None:
    assert_type(client.with_options(timeout=5, max_retries=1), AsyncClient)


def hooks(client: AsyncClient) -> None:
    Hooks(on_request=lambda request: assert_type(request, Request))
    Hooks(on_response=lambda _, response: assert_type(response, Response))
    Hooks(on_error=lambda _, error: assert_type(error, BaseException))
    Hooks(on_retry=lambda _, retry: assert_type(retry, RetryDetails))
    Hooks(on_stream_end=lambda _, end: assert_type(end, StreamEnd))
    Hooks(on_request=print, on_stream_end=print)
    Hooks(on_response=bool)  # type: ignore[arg-type]
    client.with_options(hooks=[Hooks(), Hooks()])
    client.with_options(hooks=None)
    AsyncClient(hooks=print)  # type: ignore[arg-type]


def stream_ends(response: Response, end: StreamEnd) -> None:
    assert_type(end.completion, ChatCompletion | None)
    assert_type(end.usage, CompletionUsage | None)
    assert_type(end.error, BaseException | None)
    assert_type((end.first_event, end.elapsed), tuple[float, float])
    assert_type((end.bytes, end.chunks, end.complete), tuple[int, int, bool])
    response.on_stream_end.append(lambda end: assert_type(end, StreamEnd))
    response.on_stream_end.append(len)  # type: ignore[arg-type]


async def talks(client: AsyncClient) -> None:
    talk = Conversation(client, model="m")
    assert_type(await talk.say("Hi"), ChatCompletion)
    assert_type((await talk.say("Count.", response_format=list[int])).parsed, list[int] | None)
    assert_type((await talk.say("One?", response_format=bool | None)).parsed, bool | None)
    async for text in talk.stream("Hi"):
        assert_type(text, str)
    # Its history goes where a run's does, and takes plain dicts.
    history: list[ChatCompletionMessageParam] = talk.messages
    asked = {"role": "user", "content": "Hi"}
    talk.messages.append(asked)
    talk.messages += [asked, *history]
    talk.messages = [{"role": "user", "content": "Hi"}]
    assert_type(talk.partial, ChatCompletion | None)


async def batches_with_types(client: AsyncClient) -> None:
    lines: list[BatchRequest] = []
    async for plain in run_requests(client, lines):
        assert_type(plain.parsed, None)
    async for one in run_requests(client, lines, parse=Answer, reask=1):
        assert_type(one, BatchResult[Answer])
        assert_type(one.parsed, Answer | None)
    async for either in run_requests(client, lines, parse=Answer | Literal["none"]):
        assert_type(either.parsed, Answer | Literal["none"] | None)
    async for loose in run_requests(client, lines, parse=response_format(Answer, strict=False)):
        assert_type(loose.parsed, Answer | None)


def results(kept: list[BatchResult], kind: Any) -> None:
    assert_type(kept[0].parsed, Any | None)  # a result of any type
    assert_type(response_format(kind), ResponseFormat[Any])
