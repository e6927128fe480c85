"""No error of a typed answer shows the API key, even if the model repeats it."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pydantic
import pytest

from openai_async import APIResponseValidationError, AsyncClient, tool
from openai_async.batch import run_requests
from openai_async.streaming.events import ChatCompletionEventStream
from openai_async.structured import make_converter, parsed, response_format
from openai_async.testing import LocalServer, Reply
from openai_async.types.chat import ChatCompletion

pytestmark = pytest.mark.virtual_time

KEY = "sk-secret-0123456789"
HI: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


@attrs.define
class Step:
    output: int


class Model(pydantic.BaseModel):
    output: int


def weather(city: int) -> str:
    return str(city)


def look_up(value: object, _: object) -> complex:
    msg = f"there is no {value}"
    raise LookupError(msg)


MISFIT = json.dumps({"output": KEY})
ARGUMENTS = json.dumps({"city": KEY})


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=server.url, api_key=KEY, max_retries=0) as client:
        yield client


def assert_hidden(error: BaseException | None, shown: str = "[api_key]") -> None:
    """The error, and its causes, show something in place of the key."""
    assert isinstance(error, APIResponseValidationError)
    assert shown in error.message
    text = "".join(traceback.format_exception(error))
    for said in (text, f"{error.body!r} {error.path!r} {error.headers!r}"):
        assert "sk-secret" not in said, said
    cause: BaseException | None = error
    while cause is not None:
        assert "sk-secret" not in f"{cause!r} {cause.args!r}"
        cause = cause.__cause__ or cause.__context__


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Step, MISFIT),
        (Step, f'{{"output": "sk-\\u0073ecret-{KEY[10:]}"}}'),
        (Step, json.dumps({"output": "x" * 40 + KEY})),  # where a message would be cut
        (Step, f"```json\n{MISFIT}\n```"),
        (Step, f"The key is {KEY}."),
        (list[Step], f'{{"value": [{MISFIT}]}}'),
        (int, json.dumps(KEY)),
        (Step | int, json.dumps({"value": KEY})),
        (Literal["a"], json.dumps({"value": KEY})),
        (Model, MISFIT),
        (list[Model], f'{{"value": [{MISFIT}]}}'),
        (Annotated[str, msgspec.Meta(pattern="^a")], json.dumps({"value": KEY})),
    ],
)
async def test_nor_does_a_misfit(
    server: LocalServer, client: AsyncClient, kind: Any, content: str
) -> None:
    server.script(Reply(content))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(response_format=kind, **HI)
    assert_hidden(caught.value, shown="")
    assert caught.value.completion is not None
    assert caught.value.completion.text == content  # the answer is as it came


async def test_what_does_not_fit_is_shown_without_the_key(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(MISFIT))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(response_format=Step, **HI)
    assert caught.value.message == (
        "The answer does not match Step: output: expected int, got '[api_key]'."
    )
    assert caught.value.path == "output"
    assert_hidden(caught.value)


async def test_the_path_does_not_have_the_key(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(json.dumps({"value": {KEY: "x"}})))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(response_format=dict[str, int], strict=False, **HI)
    assert caught.value.path == "['[api_key]']"
    assert_hidden(caught.value)


async def test_what_fits_once_the_key_is_removed_is_a_misfit_all_the_same(
    server: LocalServer, client: AsyncClient
) -> None:
    kind = Annotated[str, msgspec.Meta(max_length=12)]
    server.script(Reply(json.dumps({"value": KEY})))
    with pytest.raises(
        APIResponseValidationError, match="what does not match is the API"
    ) as caught:
        await client.chat.completions.parse(response_format=kind, **HI)
    assert_hidden(caught.value, shown="")


async def test_what_a_hook_of_the_user_raises_has_no_key(
    server: LocalServer, client: AsyncClient
) -> None:
    converter = make_converter()
    converter.register_structure_hook(Step, look_up)
    server.script(Reply(MISFIT))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(response_format=Step, converter=converter, **HI)
    assert_hidden(caught.value)
    assert "LookupError: there is no {'output': '[api_key]'}" in "".join(
        traceback.format_exception(caught.value)
    )


STRICT: Any = {
    "type": "function",
    "function": {"name": "given", "parameters": {"type": "object"}, "strict": True},
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("weather", ARGUMENTS), ("weather", KEY), ("given", KEY)],
)
async def test_arguments_that_do_not_fit_are_shown_without_the_key(
    server: LocalServer, client: AsyncClient, name: str, arguments: str
) -> None:
    server.script(Reply(tool_calls=[{"name": name, "arguments": arguments}]))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(tools=[weather, STRICT], **HI)
    assert_hidden(caught.value)


async def test_the_complaint_is_sent_without_the_key(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(MISFIT), Reply('{"output": 1}'))
    await client.chat.completions.parse(response_format=Step, reask=1, **HI)
    assert "[api_key]" in server.requests[1].json["messages"][-1]["content"]


async def test_a_response_without_choices_is_shown_without_the_key(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(json={"choices": [], "note": KEY}))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.chat.completions.parse(response_format=Step, **HI)
    assert_hidden(caught.value, shown="There are no choices")


@pytest.mark.parametrize("way", ["snapshots", "items", "completion"])
async def test_nor_does_the_error_of_a_stream(
    server: LocalServer, client: AsyncClient, way: str
) -> None:
    server.script(Reply(f'{{"value": [{MISFIT}]}}'))
    stream = client.chat.completions.parse(response_format=list[Step], stream=True, **HI)
    with pytest.raises(APIResponseValidationError) as caught:
        if way == "completion":
            await stream.completion()
        else:
            async for _ in getattr(stream, way)():
                pass
    assert_hidden(caught.value)


@pytest.mark.parametrize("opened", [False, True])
async def test_nor_does_the_error_of_an_event(
    server: LocalServer, client: AsyncClient, opened: bool
) -> None:
    server.script(Reply(MISFIT, tool_calls=[{"name": KEY, "arguments": "?"}]))
    stream = client.chat.completions.parse(response_format=Step, tools=[weather], stream=True, **HI)
    if opened:
        await stream
    seen = set()
    async for event in ChatCompletionEventStream(stream):
        if event.type == "content.done":
            with pytest.raises(APIResponseValidationError) as caught:
                _ = event.parsed
        elif event.type == "tool_calls.function.arguments.done":
            with pytest.raises(APIResponseValidationError) as caught:
                _ = event.parsed_arguments
        else:
            continue
        seen.add(event.type)
        assert_hidden(caught.value)
    assert len(seen) == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_nor_do_the_calls_of_a_run(
    server: LocalServer, client: AsyncClient, caplog: pytest.LogCaptureFixture, streamed: bool
) -> None:
    calls = [{"name": "weather", "arguments": ARGUMENTS}, {"name": KEY, "arguments": "{}"}]
    errors: list[Exception] = []
    server.script(Reply(tool_calls=calls), Reply("Done."), Reply(tool_calls=calls), Reply("Done."))
    caplog.set_level(logging.WARNING)
    for hook in (None, lambda call, error: errors.append(error)):
        run = client.chat.completions.run_tools(tools=[weather], on_tool_error=hook, **HI)
        if streamed:
            async for _ in run:
                pass
        else:
            await run
        told = [m["content"] for m in run.messages if isinstance(m, dict) and m["role"] == "tool"]
        assert len(told) == 2
        assert all("[api_key]" in text for text in told)
    assert caplog.text.count("[api_key]") >= 2
    assert "sk-secret" not in caplog.text
    misfit, unknown = errors
    assert_hidden(misfit)
    assert "There is no tool '[api_key]'." in str(unknown)


async def test_nor_does_a_batch(server: LocalServer, client: AsyncClient) -> None:
    request = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": HI,
    }
    server.script(Reply(MISFIT))
    (result,) = [result async for result in run_requests(client, [request], parse=Step)]
    assert_hidden(result.exception)
    assert result.error is not None
    assert "[api_key]" in result.error.message


def test_parsed_takes_the_keys_too() -> None:
    message = {"role": "assistant", "content": MISFIT}
    completion = ChatCompletion.from_dict({"choices": [{"index": 0, "message": message}]})
    with pytest.raises(APIResponseValidationError) as caught:
        parsed(completion, response_format(Step), {}, KEY)
    assert_hidden(caught.value)


def test_a_tool_takes_them_as_well() -> None:
    with pytest.raises(ValueError, match=r"got '\[api_key\]'"):
        tool(weather).arguments(ARGUMENTS, KEY)
