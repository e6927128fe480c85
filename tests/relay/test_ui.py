"""What a browser gets of an answer in the form "ui", byte by byte; test_use_chat.py has the
program that reads it.
"""

from __future__ import annotations

import pytest

from openai_async import AsyncClient
from openai_async.testing import LocalServer, Reply

from ..raw_server import DONE, RawServer, chunk, sse
from ..streaming.events import call
from .relayed import MESSAGES, USAGE_AND_DONE, calling, lines, relayed

pytestmark = pytest.mark.virtual_time

START = b'data: {"type":"start"}\n\ndata: {"type":"start-step"}\n\n'
USAGE = '"messageMetadata":{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}'


def end(reason: str) -> bytes:
    return (
        'data: {"type":"finish-step"}\n\n'
        f'data: {{"type":"finish","finishReason":"{reason}",{USAGE}}}\n\n'
        "data: [DONE]\n\n"
    ).encode()


def parts(body: bytes) -> list[str]:
    """The JSON of the events between the start and the end of the step, which must be there."""
    assert body.startswith(START)
    found = [line.removeprefix("data: ") for line in lines(body)[2:]]
    assert found[-3] == '{"type":"finish-step"}'
    assert found[-1] == "[DONE]"
    return found[:-3]


async def test_a_text(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = [chunk("", role="assistant"), chunk("Grüße"), chunk("!"), chunk(finish="stop")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    text = (
        'data: {"type":"text-start","id":"text-1"}\n\n'
        'data: {"type":"text-delta","id":"text-1","delta":"Grüße"}\n\n'
        'data: {"type":"text-delta","id":"text-1","delta":"!"}\n\n'
        'data: {"type":"text-end","id":"text-1"}\n\n'
    )
    assert body == START + text.encode() + end("stop")


async def test_its_header_says_what_it_is(client: AsyncClient) -> None:
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    headers = stream.sse(form="ui").headers
    assert headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert headers["Content-Type"].startswith("text/event-stream")


async def test_the_answer_of_a_local_server(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply("Hi.", reasoning="Hm."))
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    body = b"".join([data async for data in stream.sse(form="ui")])
    kinds = [part.split('"')[3] for part in parts(body)]
    assert list(dict.fromkeys(kinds)) == [
        *("reasoning-start", "reasoning-delta", "reasoning-end"),
        *("text-start", "text-delta", "text-end"),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
async def test_a_part_ends_before_the_next_one_begins(
    raw: RawServer, raw_client: AsyncClient, field: str
) -> None:
    def think(text: str) -> dict[str, object]:
        return chunk(**{field: text})  # type: ignore[arg-type]

    sent = [think("H"), think("m"), chunk("Hi"), think("So"), chunk("!"), chunk(finish="stop")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"reasoning-start","id":"reasoning-1"}',
        '{"type":"reasoning-delta","id":"reasoning-1","delta":"H"}',
        '{"type":"reasoning-delta","id":"reasoning-1","delta":"m"}',
        '{"type":"reasoning-end","id":"reasoning-1"}',
        '{"type":"text-start","id":"text-2"}',
        '{"type":"text-delta","id":"text-2","delta":"Hi"}',
        '{"type":"text-end","id":"text-2"}',
        '{"type":"reasoning-start","id":"reasoning-3"}',
        '{"type":"reasoning-delta","id":"reasoning-3","delta":"So"}',
        '{"type":"reasoning-end","id":"reasoning-3"}',
        '{"type":"text-start","id":"text-4"}',
        '{"type":"text-delta","id":"text-4","delta":"!"}',
        '{"type":"text-end","id":"text-4"}',
    ]


async def test_a_refusal_is_a_text(raw: RawServer, raw_client: AsyncClient) -> None:
    sent = [chunk(refusal="I "), chunk(refusal="won't."), chunk(finish="stop")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"text-start","id":"text-1"}',
        '{"type":"text-delta","id":"text-1","delta":"I "}',
        '{"type":"text-delta","id":"text-1","delta":"won\'t."}',
        '{"type":"text-end","id":"text-1"}',
    ]


async def test_calls_of_tools_whose_pieces_alternate(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [
        chunk("Let me see."),
        calling(call(0, "", "add", "c1")),
        calling(call(0, '{"a"'), call(1, '{"b"', "sub", "c2")),
        calling(call(0, ":1}"), call(1, ":2}")),
        chunk(finish="tool_calls"),
    ]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"text-start","id":"text-1"}',
        '{"type":"text-delta","id":"text-1","delta":"Let me see."}',
        '{"type":"text-end","id":"text-1"}',
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"add"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\\"a\\""}',
        '{"type":"tool-input-start","toolCallId":"c2","toolName":"sub"}',
        '{"type":"tool-input-delta","toolCallId":"c2","inputTextDelta":"{\\"b\\""}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":":1}"}',
        '{"type":"tool-input-delta","toolCallId":"c2","inputTextDelta":":2}"}',
        '{"type":"tool-input-available","toolCallId":"c1","toolName":"add","input":{"a":1}}',
        '{"type":"tool-input-available","toolCallId":"c2","toolName":"sub","input":{"b":2}}',
    ]
    assert body.endswith(end("tool-calls"))


async def test_whole_calls_without_ids_get_an_id_each(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    both = calling(call(0, {"a": 1}, "f"), call(0, {"a": 2}, "f"), finish="tool_calls")
    body = await relayed(raw, raw_client, "ui", both, USAGE_AND_DONE)
    assert [part for part in parts(body) if "available" in part] == [
        '{"type":"tool-input-available","toolCallId":"chatcmpl-1-0","toolName":"f","input":{"a":1}}',
        '{"type":"tool-input-available","toolCallId":"chatcmpl-1-1","toolName":"f","input":{"a":2}}',
    ]


async def test_a_call_has_an_id_even_if_nothing_in_the_answer_has_one(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = calling(call(0, {"a": 1}, "f"), finish="tool_calls") | {"id": ""}
    body = await relayed(raw, raw_client, "ui", sent, USAGE_AND_DONE)
    assert parts(body)[0] == '{"type":"tool-input-start","toolCallId":"call-0","toolName":"f"}'


async def test_calls_with_the_same_id_get_different_ones(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    both = calling(call(0, '{"a":1}', "f", "c"), call(0, '{"a":2}', "f", "c"), finish="tool_calls")
    body = await relayed(raw, raw_client, "ui", both, USAGE_AND_DONE)
    assert [part for part in parts(body) if "available" in part] == [
        '{"type":"tool-input-available","toolCallId":"c","toolName":"f","input":{"a":1}}',
        '{"type":"tool-input-available","toolCallId":"c-1","toolName":"f","input":{"a":2}}',
    ]


async def test_a_call_begins_once_its_name_is_whole(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [
        calling(call(0, None, "get_", "c1")),
        calling(call(0, "", "weather")),
        calling(call(0, "{}")),
        chunk(finish="tool_calls"),
    ]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"get_weather"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{}"}',
        '{"type":"tool-input-available","toolCallId":"c1","toolName":"get_weather","input":{}}',
    ]


@pytest.mark.parametrize("arguments", [None, ""])
async def test_a_call_without_arguments_has_an_empty_input(
    raw: RawServer, raw_client: AsyncClient, arguments: str | None
) -> None:
    sent = [calling(call(0, arguments, "now", "c1"), finish="tool_calls")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"now"}',
        '{"type":"tool-input-available","toolCallId":"c1","toolName":"now","input":{}}',
    ]


@pytest.mark.parametrize("arguments", ['{"a":', '{"a": NaN}', "a=1"])
async def test_arguments_that_are_not_json_are_an_error_of_the_call(
    raw: RawServer, raw_client: AsyncClient, arguments: str
) -> None:
    sent = [calling(call(0, arguments, "f", "c1"), finish="length")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE)
    quoted = arguments.replace('"', '\\"')
    assert parts(body)[-1] == (
        f'{{"type":"tool-input-error","toolCallId":"c1","toolName":"f","input":"{quoted}",'
        '"errorText":"The arguments are not valid JSON."}'
    )
    assert body.endswith(end("length"))


async def test_arguments_that_are_sent_again_begin_the_call_again(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [calling(call(0, {"a": 1}, "f", "c1")), calling(call(0, {"b": 2}))]
    body = await relayed(raw, raw_client, "ui", *sent, chunk(finish="tool_calls"), USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"f"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\\"a\\": 1}"}',
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"f"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\\"b\\": 2}"}',
        '{"type":"tool-input-available","toolCallId":"c1","toolName":"f","input":{"b":2}}',
    ]


async def test_the_input_of_a_custom_tool_is_text(raw: RawServer, raw_client: AsyncClient) -> None:
    first = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}
    sent = [calling(first), calling({"index": 0, "custom": {"input": " 1"}})]
    body = await relayed(raw, raw_client, "ui", *sent, chunk(finish="tool_calls"), USAGE_AND_DONE)
    assert parts(body) == [
        '{"type":"tool-input-start","toolCallId":"c1","toolName":"sql","inputEncoding":"text"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"SELECT"}',
        '{"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":" 1"}',
        '{"type":"tool-input-available","toolCallId":"c1","toolName":"sql","input":"SELECT 1"}',
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content-filter"),
        ("tool_calls", "tool-calls"),
        ("function_call", "tool-calls"),
        ("eos", "other"),
    ],
)
async def test_finish_reasons_are_those_of_the_sdk(
    raw: RawServer, raw_client: AsyncClient, theirs: str, ours: str
) -> None:
    body = await relayed(raw, raw_client, "ui", chunk("Hi"), chunk(finish=theirs), USAGE_AND_DONE)
    assert body.endswith(end(ours))


async def test_an_estimated_usage_is_marked(raw: RawServer, raw_client: AsyncClient) -> None:
    body = await relayed(raw, raw_client, "ui", chunk("Hi", finish="stop"), DONE)
    assert lines(body)[-2].endswith('"totalTokens":20,"estimated":true}}}')


async def test_only_the_first_of_several_choices_is_relayed(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [chunk("no", index=1), chunk(finish="length", index=1), chunk(finish="stop")]
    body = await relayed(raw, raw_client, "ui", *sent, USAGE_AND_DONE, n=2)
    assert body == START + end("stop")


async def test_an_empty_answer(raw: RawServer, raw_client: AsyncClient) -> None:
    body = await relayed(raw, raw_client, "ui", chunk("", finish="stop"), USAGE_AND_DONE)
    assert body == START + end("stop")


@pytest.mark.parametrize("kind", ["text", "reasoning"])
async def test_an_error_ends_the_part_that_is_open_and_gives_nothing_away(
    raw: RawServer, raw_client: AsyncClient, kind: str
) -> None:
    failure = sse({"error": {"message": "sk-secret at 10.0.0.1"}})
    first = chunk("Hi") if kind == "text" else chunk(reasoning="Hi")
    body = await relayed(raw, raw_client, "ui", first, failure)
    assert body.startswith(START)
    assert lines(body)[2:] == [
        f'data: {{"type":"{kind}-start","id":"{kind}-1"}}',
        f'data: {{"type":"{kind}-delta","id":"{kind}-1","delta":"Hi"}}',
        f'data: {{"type":"{kind}-end","id":"{kind}-1"}}',
        'event: error\ndata: {"type":"error","errorText":"The service reported an error."}',
    ]


async def test_the_input_of_a_call_is_not_available_if_the_answer_fails(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    sent = [calling(call(0, '{"a":1}', "f", "c1"), finish="tool_calls")]
    failure = sse({"error": {"message": "No."}})
    body = await relayed(raw, raw_client, "ui", *sent, failure)
    assert lines(body)[2:] == [
        'data: {"type":"tool-input-start","toolCallId":"c1","toolName":"f"}',
        'data: {"type":"tool-input-delta","toolCallId":"c1","inputTextDelta":"{\\"a\\":1}"}',
        'event: error\ndata: {"type":"error","errorText":"The service reported an error."}',
    ]
