"""What servers and gateways really send in place of what the API describes, streamed.

What fits a row (one answer, the same outcome for all readers) stands in `faults/server_faults.py`;
here is what depends on time, or has more to look at than a text.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openai_async import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncClient,
    ChatCompletionStream,
    InternalServerError,
    StreamInterruptedError,
    Timeout,
)
from openai_async.http.body import RECHECK_DELAY
from openai_async.streaming.base import FINISH_GRACE
from openai_async.types.chat import ChatCompletion

from .raw_server import DONE, Answer, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

HELLO = (chunk("hel"), chunk("lo"))
STOP = chunk(finish="stop")
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def ask(client: AsyncClient, **params: Any) -> ChatCompletionStream:
    create: Any = client.chat.completions.create
    messages = [{"role": "user", "content": "Hi"}]
    return create(model="m", messages=messages, stream=True, **params)  # type: ignore[no-any-return]


async def read(client: AsyncClient, **params: Any) -> ChatCompletion:
    """The completion, if all readers agree on its text."""
    texts = "".join([text async for text in ask(client, **params).text()])
    chunks = "".join([chunk.text async for chunk in ask(client, **params)])
    completion = await ask(client, **params).completion()
    assert texts == chunks == completion.text
    return completion


def choice(of: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The chunk with these fields on its choice."""
    return {**of, "choices": [{**of["choices"][0], **fields}]}


def saying(*events: bytes | dict[str, object], every: float = 0.0) -> Answer:
    """A stream of these events, with so many seconds between them, that ends properly."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in events:
            await exchange.part(event if isinstance(event, bytes) else sse(event))
            await asyncio.sleep(every)
        await exchange.end()

    return answer


def cut(*events: bytes | dict[str, object]) -> Answer:
    """A stream whose connection ends behind these events."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in events:
            await exchange.part(event if isinstance(event, bytes) else sse(event))
        exchange.writer.close()

    return answer


# --- ends: complete by evidence -----------------------------------------------------------------

NO_FINISH = ["", "null", "None", " "]


@pytest.mark.parametrize("word", NO_FINISH)
@pytest.mark.parametrize("ends", [saying, cut])
async def test_a_word_for_null_is_not_a_finish_reason(
    raw: RawServer, raw_client: AsyncClient, word: str, ends: Any
) -> None:
    raw.answer = ends(*(chunk(text, finish=word) for text in ("hel", "lo")))
    with pytest.raises(StreamInterruptedError) as caught:
        await ask(raw_client).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "hello"
    assert caught.value.partial.choices[0].finish_reason is None


@pytest.mark.parametrize("word", [*NO_FINISH, "stop"])
async def test_a_finish_reason_in_every_chunk_does_not_end_the_stream(
    raw: RawServer, raw_client: AsyncClient, word: str
) -> None:
    pieces = [f"{number} " for number in range(30)]
    raw.answer = saying(*(chunk(piece, finish=word) for piece in pieces), DONE, every=5)
    assert (await read(raw_client)).text == "".join(pieces)


@pytest.mark.parametrize("ends", [saying, cut])
async def test_a_finish_reason_that_is_followed_by_text_proves_nothing_any_more(
    raw: RawServer, raw_client: AsyncClient, ends: Any
) -> None:
    raw.answer = ends(chunk("hel", finish="stop"), chunk("lo", finish="stop"))
    with pytest.raises(StreamInterruptedError) as caught:
        await ask(raw_client).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "hello"


async def test_a_chunk_without_text_after_a_finish_reason_changes_nothing(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    filters = choice(chunk(), content_filter_offsets={"start": 0})
    raw.answer = saying(*HELLO, STOP, chunk(""), filters)
    assert (await read(raw_client)).text == "hello"


async def test_the_grace_after_a_finish_counts_from_the_last_event(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    late: list[dict[str, object]] = [
        choice(chunk(), content_filter_offsets={"start": n}) for n in range(5)
    ]
    raw.answer = saying(*HELLO, STOP, *late, {"choices": [], "usage": USAGE}, every=9)
    completion = await ask(raw_client).completion()
    assert completion.usage is not None


async def test_silence_after_a_finish_reason_ends_the_stream(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in (*HELLO, STOP):
            await exchange.part(sse(event))
        await asyncio.Event().wait()

    raw.answer = answer
    assert (await ask(raw_client).completion()).text == "hello"
    assert asyncio.get_running_loop().time() == pytest.approx(FINISH_GRACE + RECHECK_DELAY)


@pytest.mark.parametrize("seconds", [0.1, 12, 200])
async def test_requested_usage_is_waited_for(
    raw: RawServer, raw_client: AsyncClient, seconds: float
) -> None:
    comments = [b": working\n\n"] * 4
    usage: dict[str, object] = {"choices": [], "usage": USAGE}
    raw.answer = saying(*HELLO, STOP, *comments, usage, DONE, every=seconds / 5)
    completion = await ask(raw_client, stream_options={"include_usage": True}).completion()
    assert completion.usage is not None
    assert completion.usage.total_tokens == 7


@pytest.mark.parametrize("end", [[], [DONE]])
async def test_requested_usage_that_never_arrives_is_logged(
    raw: RawServer, raw_client: AsyncClient, caplog: pytest.LogCaptureFixture, end: list[bytes]
) -> None:
    raw.answer = saying(*HELLO, STOP, *end)
    assert (await ask(raw_client).completion()).usage is None
    assert not caplog.records
    completion = await ask(raw_client, stream_options={"include_usage": True}).completion()
    assert completion.text == "hello"
    assert [record.message for record in caplog.records] == [
        "The stream ended without the usage that was requested."
    ]


async def test_comments_alone_do_not_keep_a_complete_answer_open_forever(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = saying(*HELLO, STOP, *[b": ping\n\n"] * 1000, every=1)
    stream = ask(raw_client)
    assert (await stream.completion()).text == "hello"
    await raw.hung_up.wait()
    assert asyncio.get_running_loop().time() < 30


# --- content in parts ---------------------------------------------------------------------------

THINKING: dict[str, Any] = {
    "type": "thinking",
    "thinking": [{"type": "text", "text": "a greeting"}],
}
REFERENCE: dict[str, Any] = {"type": "reference", "reference_ids": [0]}


async def test_parts_that_are_not_text_keep_their_position(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = saying(chunk([THINKING]), *HELLO, chunk([REFERENCE]), STOP, DONE)  # type: ignore[arg-type]
    completion = await ask(raw_client).completion()
    assert completion.choices[0].message.to_dict()["content"] == [
        THINKING,
        {"type": "text", "text": "hello"},
        REFERENCE,
    ]


# --- failures in disguise -----------------------------------------------------------------------


async def test_a_server_message_does_not_fail_an_answer_that_completes(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    status: dict[str, object] = {"type": "status", "message": "loading the model"}
    raw.answer = saying(status, *HELLO, status, STOP, status, DONE)
    completion = await read(raw_client)
    assert (completion.text, completion.extra) == ("hello", {})
    assert not any(["message" in chunk.extra async for chunk in ask(raw_client)])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><title>Sign in</title></html>", "Sign in"),
        (b"upstream timed out", "upstream timed out"),
        (b"Error: no healthy upstream\n", "no healthy upstream"),
    ],
)
async def test_a_page_instead_of_a_stream_is_an_error_that_quotes_it(
    raw: RawServer, raw_client: AsyncClient, body: bytes, words: str
) -> None:
    raw.answer = lambda e: e.whole(body, content_type="text/plain")
    with pytest.raises(APIResponseValidationError, match=words):
        await ask(raw_client).completion()


async def test_a_message_in_place_of_deltas_is_the_answer(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    message = {"role": "assistant", "content": "hello", "tool_calls": None}
    whole: dict[str, object] = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]
    }
    raw.answer = saying(whole, DONE)
    assert (await read(raw_client)).text == "hello"


def said(content: object, finish: str | None = None, **message: Any) -> dict[str, object]:
    """A chunk with a whole message in place of a delta."""
    whole = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "message": whole, "finish_reason": finish}]}


@pytest.mark.parametrize(
    "events",
    [
        [said("hel"), said("lo"), STOP],
        [said("hel"), said("lo", "stop")],
        [said("h"), said("hel"), said("hello", "stop")],
        [said("h"), said("hello"), said("hello", "stop")],
        [said("hel"), said("lo"), said("hello", "stop")],
        [*HELLO, said("hello", "stop")],
        [said([{"type": "text", "text": "hel"}]), said([{"type": "text", "text": "lo"}], "stop")],
        [said(""), said("hel"), said("lo"), said("", "stop")],
        [chunk(" hel"), chunk("lo"), said("hello", "stop")],
        [*HELLO, STOP, said("hello")],
        [*HELLO, said("hello"), STOP],
        [said("hel"), said("hello"), said("hello"), STOP],
        [said("hel"), chunk("lo"), said("hello", "stop")],
    ],
    ids=[
        "in pieces",
        "in pieces, the last with the finish_reason",
        "all so far, each time",
        "all so far, and once more",
        "in pieces, and the whole at the end",
        "deltas, and the whole at the end",
        "parts of content",
        "empty ones around",
        "deltas, and the whole in another spelling",
        "the whole behind the finish_reason",
        "the whole before the finish_reason",
        "all so far, twice",
        "a piece, a delta and the whole",
    ],
)
async def test_messages_instead_of_deltas_yield_each_text_once(
    raw: RawServer, raw_client: AsyncClient, events: list[Any]
) -> None:
    raw.answer = saying(*events, DONE)
    assert (await read(raw_client)).text.strip() == "hello"


NOW = {"id": "1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}
LATER = {"id": "2", "type": "function", "function": {"name": "later", "arguments": "{}"}}


def without_id(call: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in call.items() if key != "id"}


def so_far(arguments: str) -> dict[str, Any]:
    return {**NOW, "function": {"name": "now", "arguments": arguments}}


@pytest.mark.parametrize(
    ("messages", "calls"),
    [
        ([[NOW], [LATER]], [NOW, LATER]),
        ([[NOW], [NOW, LATER]], [NOW, LATER]),
        ([[so_far("")], [so_far('{"a"')], [so_far('{"a": 1}')], [NOW]], [NOW]),
        ([[so_far('{"a"')], [{"function": {"arguments": ": 1}"}}]], [NOW]),
        ([[], [NOW], []], [NOW]),
        (
            [[without_id(NOW), without_id(LATER)]] * 2,
            [without_id(NOW), without_id(LATER)],
        ),
    ],
)
async def test_tool_calls_of_messages_in_place_of_deltas_appear_once_each(
    raw: RawServer, raw_client: AsyncClient, messages: list[Any], calls: list[Any]
) -> None:
    raw.answer = saying(*(said(None, tool_calls=part) for part in messages), STOP, DONE)
    message = (await ask(raw_client).completion()).choices[0].message
    assert message.to_dict()["tool_calls"] == calls


async def test_tool_calls_that_came_in_deltas_are_not_taken_from_the_message_at_the_end(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    last = said(None, "tool_calls", tool_calls=[so_far('{"a":1}')])  # spelled differently
    raw.answer = saying(chunk(tool_calls=[{"index": 0, **NOW}]), last, DONE)
    message = (await ask(raw_client).completion()).choices[0].message
    assert message.to_dict()["tool_calls"] == [NOW]


async def test_a_message_in_place_of_deltas_keeps_what_is_not_text(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    content = [THINKING, {"type": "text", "text": "hello"}]
    raw.answer = saying(said(content), said(content, "stop"), DONE)
    completion = await read(raw_client)
    assert completion.text == "hello"
    assert completion.choices[0].message.to_dict()["content"] == content


async def test_reasoning_in_messages_instead_of_deltas_is_concatenated(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    events = [said(None, reasoning_content="a"), said(None, reasoning_content="b")]
    raw.answer = saying(*events, said("hello", "stop", reasoning_content="ab"), DONE)
    completion = await read(raw_client)
    assert completion.choices[0].message.extra["reasoning_content"] == "ab"


@pytest.mark.parametrize("single", [True, False])
async def test_pieces_of_two_choices_in_one_chunk_are_kept_apart(
    raw: RawServer, raw_client: AsyncClient, single: bool
) -> None:
    def both(one: str, two: str) -> dict[str, object]:
        return {"choices": [chunk(one)["choices"][0], chunk(two, index=1)["choices"][0]]}  # type: ignore[index]

    ends = (STOP, chunk(finish="stop", index=1), DONE)
    raw.answer = saying(both("hel", "X"), both("lo", "Y"), *ends)
    completion = await read(raw_client, **({} if single else {"n": 2}))
    assert [one.message.content for one in completion.choices] == ["hello", "XY"]


@pytest.mark.parametrize("one", [1, 1.0, "1", "1.0"])
async def test_a_choice_is_found_by_its_index_in_any_spelling(
    raw: RawServer, raw_client: AsyncClient, one: Any
) -> None:
    second = choice(chunk("X"), index=one)
    raw.answer = saying(*HELLO, second, STOP, choice(STOP, index=one), DONE)
    completion = await read(raw_client, n=2)
    assert [each.message.content for each in completion.choices] == ["hello", "X"]


async def test_two_pieces_of_one_choice_in_one_chunk_are_both_read(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    pieces = [chunk("hel")["choices"][0], {**said("hello")["choices"][0], "index": 0}]  # type: ignore[index]
    raw.answer = saying({"choices": pieces}, STOP, DONE)
    assert (await read(raw_client)).text == "hello"


async def test_what_only_the_message_at_the_end_has_is_kept(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    raw.answer = saying(*HELLO, said("hello", "tool_calls", tool_calls=[call]), DONE)
    completion = await read(raw_client)
    assert completion.choices[0].message.to_dict()["tool_calls"] == [call]


@pytest.mark.parametrize("delta", [{}, {"content": ""}, None])
async def test_a_message_at_the_end_of_its_deltas_is_not_the_answer_again(
    raw: RawServer, raw_client: AsyncClient, delta: Any
) -> None:
    last = choice(STOP, delta=delta, message={"role": "assistant", "content": "hello"})
    raw.answer = saying(*HELLO, last, DONE)
    assert (await read(raw_client)).text == "hello"


# --- good answers in odd forms ------------------------------------------------------------------


@pytest.mark.parametrize(
    "indices",
    [[0, 1, 2], [1, 0, 2], [None, 1, 1], ["x", 1, 0], [5, 5, 5], [2, 1, 0], [{}, [], ""]],
)
async def test_a_single_choice_is_one_whatever_its_index(
    raw: RawServer, raw_client: AsyncClient, indices: list[Any]
) -> None:
    events = zip((*HELLO, STOP), indices, strict=True)
    raw.answer = saying(*(choice(event, index=index) for event, index in events))
    completion = await read(raw_client)
    assert completion.text == "hello"
    assert len(completion.choices) == 1


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\r\n"])
async def test_lines_of_complete_json_are_events(
    raw: RawServer, raw_client: AsyncClient, end: bytes
) -> None:
    lines = b"".join(sse(event)[6:].strip() + end for event in (*HELLO, STOP))
    raw.answer = saying(b": ping\n\n", lines, b"[DONE]" + end)
    assert (await read(raw_client)).text == "hello"


@pytest.mark.parametrize(
    "label", ["application/json", "text/html", "text/plain", "application/octet-stream", ""]
)
async def test_the_first_bytes_decide_what_a_stream_is_not_its_label(
    raw: RawServer, raw_client: AsyncClient, label: str
) -> None:
    body = b"\n\n" + b"".join(map(sse, (*HELLO, STOP))) + DONE
    raw.answer = lambda e: e.whole(body, content_type=label)
    assert (await read(raw_client)).text == "hello"


async def test_events_with_one_line_feed_between_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    lines = b"".join(sse(event)[:-1] for event in (*HELLO, STOP)) + b"data: [DONE]\n\n"
    raw.answer = saying(lines)
    assert (await read(raw_client)).text == "hello"


@pytest.mark.parametrize("logprobs", [-0.0231, [], "none"])
async def test_log_probabilities_of_another_shape_lose_no_text(
    raw: RawServer, raw_client: AsyncClient, logprobs: Any
) -> None:
    raw.answer = saying(*(choice(event, logprobs=logprobs) for event in HELLO), STOP, DONE)
    completion = await read(raw_client)
    assert completion.text == "hello"
    assert completion.choices[0].logprobs is None
    assert completion.choices[0].extra == {"logprobs": logprobs}


# --- put together -------------------------------------------------------------------------------


async def test_empty_names_do_not_replace_real_ones(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    empty: dict[str, object] = {"id": "", "model": "", "created": 0, "system_fingerprint": ""}
    named = {**chunk("hel"), "system_fingerprint": "fp"}
    raw.answer = saying({**empty, "choices": []}, named, {**chunk("lo"), **empty}, STOP, DONE)
    completion = await read(raw_client)
    assert (completion.id, completion.model) == ("chatcmpl-1", "gpt-4o")
    assert (completion.created, completion.system_fingerprint) == (1700000000, "fp")


@pytest.mark.parametrize(
    "last",
    [
        choice(STOP, usage=USAGE),
        {**STOP, "x_groq": {"id": "1", "usage": USAGE}},
        {**STOP, "usage": USAGE},
    ],
)
@pytest.mark.parametrize("then", [None, {}, [], {"total_tokens": 0, "prompt_tokens": 0}])
async def test_usage_is_found_where_servers_put_it_and_stays(
    raw: RawServer, raw_client: AsyncClient, last: dict[str, Any], then: Any
) -> None:
    raw.answer = saying(*HELLO, last, {"choices": [], "usage": then}, DONE)
    completion = await read(raw_client)
    assert completion.usage is not None
    assert completion.usage.total_tokens == 7


async def test_numbers_in_each_chunk_are_concatenated(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = saying(
        choice(HELLO[0], token_ids=[1, 2]), choice(HELLO[1], token_ids=[3]), STOP, DONE
    )
    assert (await read(raw_client)).choices[0].extra["token_ids"] == [1, 2, 3]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"name": "now", "arguments": "{}", "id": "1"}],
        [{"id": "1", "function": "now", "arguments": "{}"}],
        [{"id": "1", "function": {"name": "now", "arguments": {}}}],
        [
            {"id": "1", "function": {"name": "now", "arguments": {}}},
            {"function": {"arguments": ""}},
        ],
        [{"id": "1", "function": {"name": "now", "arguments": "{}"}}, None, {}],
        [{"id": "1", "function": {"name": "now", "arguments": "{}"}}, "none"],
    ],
)
async def test_a_tool_call_is_found_in_every_shape(
    raw: RawServer, raw_client: AsyncClient, pieces: list[Any]
) -> None:
    raw.answer = saying(
        *HELLO, *(chunk(tool_calls=[piece]) for piece in pieces), chunk(finish="tool_calls"), DONE
    )
    message = (await read(raw_client)).choices[0].message
    (call,) = message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments, call.id) == ("now", "{}", "1")


@pytest.mark.parametrize("value", ["none", [5], ["weather"]])
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_of_only_unreadable_tool_calls_is_an_error(
    raw: RawServer, raw_client: AsyncClient, value: Any, streamed: bool
) -> None:
    if streamed:
        raw.answer = saying(chunk(tool_calls=value), chunk(finish="tool_calls"), DONE)
    else:
        raw.answer = lambda e: e.whole(json.dumps(said(None, tool_calls=value)).encode())
    with pytest.raises(
        APIResponseValidationError, match="a list of tool calls was expected"
    ) as caught:
        if streamed:
            await ask(raw_client).completion()
        else:
            messages: Any = [{"role": "user", "content": "Hi"}]
            await raw_client.chat.completions.create(model="m", messages=messages)
    assert (caught.value.partial is not None) == streamed
    assert caught.value.attempts == 1


async def test_an_error_in_mid_stream_has_what_arrived_before_it(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = saying(*HELLO, every=1)
    client = raw_client.with_options(timeout=Timeout(idle=0.5))
    with pytest.raises(APITimeoutError) as stalled:
        await ask(client).completion()
    assert stalled.value.partial is not None
    assert stalled.value.partial.text == "hel"
    raw.answer = saying(*HELLO, {"error": {"message": "out of memory", "code": 500}})
    with pytest.raises(InternalServerError) as failed:
        await ask(client).completion()
    assert failed.value.partial is not None
    assert failed.value.partial.text == "hello"


async def test_what_has_arrived_is_available_at_any_time(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = saying(*HELLO, STOP, DONE, every=1)
    stream = ask(raw_client)
    assert stream.partial.text == ""
    seen = [stream.partial.text async for _ in stream]
    assert seen == ["hel", "hello", "hello"]


async def test_a_connection_that_breaks_is_an_error_of_the_connection(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = cut(*HELLO)
    with pytest.raises(APIConnectionError):
        await ask(raw_client).completion()
