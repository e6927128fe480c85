"""The reasoning of a model: one text, whatever the vendor calls it, the same for all readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openai_async import AsyncClient, InvalidArgumentError, StreamInterruptedError
from openai_async.types.chat import ChatCompletion, ChatCompletionMessage
from openai_async.types.reasoning import ThinkTags

from ..raw_server import DONE, RawServer, chunk, sse
from .test_stream import ask
from .test_stream_fuzz import split, stream_of

pytestmark = pytest.mark.virtual_time

Delta = dict[str, Any]
Server = Callable[[str], Delta]


def detail(**fields: Any) -> Delta:
    return {"reasoning_details": [{"type": "reasoning.text", "index": 0, **fields}]}


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text}


# How servers stream a piece of reasoning.
SERVERS: dict[str, Server] = {
    "DeepSeek": lambda text: {"content": None, "reasoning_content": text},
    "OpenRouter": lambda text: {"content": "", "reasoning": text, **detail(text=text)},
    "OpenRouter's summaries": lambda text: {
        "reasoning_details": [{"type": "reasoning.summary", "summary": text, "index": 0}]
    },
    "Ollama": lambda text: {"role": "assistant", "content": "", "reasoning": text},
    "Copilot": lambda text: {"reasoning_text": text},
    "StepFun": lambda text: {"reasoning": text, "reasoning_content": text},
    "LiteLLM": lambda text: {
        "reasoning_content": text,
        "thinking_blocks": [{"type": "thinking", "thinking": text, "signature": ""}],
    },
    "MiniMax": lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text}]},
    "Mistral": lambda text: {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
    },
    "Anthropic-style": lambda text: {"content": [thinking(text)]},
}
each_server = pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS.keys())


def stream_bytes(*deltas: Delta) -> bytes:
    return b"".join(sse(chunk(**delta)) for delta in deltas) + sse(chunk(finish="stop")) + DONE


async def read_by_all(data: list[bytes], n: int = 1) -> tuple[set[str], set[str]]:
    """The reasoning, and the text, as each reader has it."""
    chunks = [piece async for piece in stream_of(data, n)]
    completion = await stream_of(data, n).completion()
    saved = ChatCompletion.from_dict(completion.to_dict())
    return (
        {
            "".join([text async for text in stream_of(data, n).reasoning()]),
            "".join([piece.reasoning for piece in chunks]),
            completion.reasoning,
            saved.reasoning,
        },
        {
            "".join([text async for text in stream_of(data, n).text()]),
            "".join([piece.text for piece in chunks]),
            completion.text,
            saved.text,
        },
    )


@each_server
async def test_all_readers_have_the_same_reasoning_and_text(server: Server) -> None:
    deltas = [*map(server, ["Let ", "me ", "see."]), {"content": "It is "}, {"content": "blue."}]
    assert await read_by_all([stream_bytes(*deltas)]) == ({"Let me see."}, {"It is blue."})


@each_server
async def test_a_plain_answer_has_the_same_reasoning_as_a_stream(server: Server) -> None:
    message = {"role": "assistant", **server("Let me see.")}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    completion = ChatCompletion.from_dict(body)
    assert completion.choices[0].message.reasoning == completion.reasoning == "Let me see."
    assert completion.text == ""
    assert completion.to_dict() == body


@each_server
async def test_a_delta_has_its_reasoning(server: Server) -> None:
    data = stream_bytes({"role": "assistant", "content": ""}, server("Hm."), {"content": "Hi"})
    deltas = [one.choices[0].delta async for one in stream_of([data], 1)]
    assert [delta.reasoning for delta in deltas] == [None, "Hm.", None, None]


@each_server
async def test_the_reasoning_so_far_is_in_the_error_that_ends_a_stream(server: Server) -> None:
    data = b"".join(sse(chunk(**server(text))) for text in ("Let ", "me"))
    with pytest.raises(StreamInterruptedError) as caught:
        await stream_of([data], 1).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.reasoning == "Let me"


async def test_a_copy_of_the_reasoning_in_another_field_is_not_read_again() -> None:
    """Some gateways repeat all of it at the end, with its signature."""
    deltas: list[Delta] = [
        {"reasoning": "Let "},
        {"reasoning": "me."},
        detail(text="Let me.", signature="c2ln"),
        {"content": "Hi"},
    ]
    assert await read_by_all([stream_bytes(*deltas)]) == ({"Let me."}, {"Hi"})


async def test_a_copy_in_a_field_that_would_be_read_first_is_not_read_either() -> None:
    deltas: list[Delta] = [
        {"reasoning_content": None, "reasoning": "a"},
        {"reasoning_content": "a"},
    ]
    assert await read_by_all([stream_bytes(*deltas, {"content": "Hi"})]) == ({"a"}, {"Hi"})


async def test_parts_that_take_turns_are_read_in_the_order_in_which_they_came() -> None:
    """A signature, which is no text, still joins the part that it belongs to."""
    deltas = [
        detail(text="a"),
        detail(text="b", index=1),
        detail(signature="c2ln"),
        detail(text="c"),
    ]
    data = [stream_bytes(*deltas)]
    assert await read_by_all(data) == ({"abc"}, {""})
    (choice,) = (await stream_of(data, 1).completion()).choices
    details = choice.message.extra["reasoning_details"]
    assert [(one["text"], one.get("signature")) for one in details] == [
        ("a", "c2ln"),
        ("b", None),
        ("c", None),
    ]


async def test_a_message_without_reasoning_has_none() -> None:
    assert ChatCompletionMessage(content="Hi").reasoning is None
    fields: Delta
    for fields in ({}, {"reasoning": None}, {"reasoning_content": ""}, {"reasoning_details": []}):
        message = ChatCompletionMessage.from_dict({"role": "assistant", "content": "Hi", **fields})
        assert message.reasoning is None
        assert message.to_dict() == {"role": "assistant", "content": "Hi", **fields}


async def test_what_is_encrypted_is_not_read_but_kept() -> None:
    details = [{"type": "reasoning.encrypted", "data": "gAAAA", "id": "rs_1", "index": 0}]
    message = ChatCompletionMessage.from_dict({"content": "Hi", "reasoning_details": details})
    assert message.reasoning is None
    assert message.extra == {"reasoning_details": details}


async def test_reasoning_of_other_choices_is_in_their_messages() -> None:
    second = chunk(index=1, reasoning="Two.")
    data = sse(chunk(reasoning="One.")) + sse(second)
    data += sse(chunk("a", finish="stop")) + sse(chunk("b", finish="stop", index=1)) + DONE
    completion = await stream_of([data], 2).completion()
    assert [c.message.reasoning for c in completion.choices] == ["One.", "Two."]
    assert [r async for r in stream_of([data], 2).reasoning()] == ["One."]


TEXTS = st.sampled_from(["a", "b c", "", "\n", "é"])


@st.composite
def deltas(draw: st.DrawFn) -> Delta:
    """A delta of any server, or of two at once; or only text."""
    made: Delta = {"content": draw(TEXTS)} if draw(st.booleans()) else {}
    for server in draw(st.lists(st.sampled_from([*SERVERS.values()]), max_size=2)):
        made |= server(draw(TEXTS))
    return made


@given(
    st.lists(st.tuples(deltas(), st.sampled_from([0, 0, 0, 1]), st.booleans()), max_size=8),
    st.sampled_from([1, 1, 2]),
    st.lists(st.integers(0, 3000), max_size=4),
)
@settings(max_examples=400)
def test_readers_agree_on_any_mixture(
    made: list[tuple[Delta, int, bool]], n: int, cuts: list[int]
) -> None:
    events: list[Any] = [chunk(index=index, **delta) for delta, index, _ in made]
    for event, (_, _, whole) in zip(events, made, strict=True):
        if whole:
            event["choices"][0]["message"] = event["choices"][0].pop("delta")
    data = b"".join(map(sse, [*events, chunk(finish="stop"), chunk(index=1, finish="stop")])) + DONE
    reasoning, text = asyncio.run(read_by_all(split(data, cuts), n))
    assert (len(reasoning), len(text)) == (1, 1), (reasoning, text)


@each_server
async def test_reasoning_can_be_taken_out_for_another_vendor(server: Server) -> None:
    """Groq, Cerebras: "property 'reasoning_content' is unsupported", 400."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    fields = {"role": "assistant", **server("Hm."), "tool_calls": [call]}
    text = [{"type": "text", "text": "Hi"}]
    fields["content"] = [*fields["content"], *text] if fields.get("content") else "Hi"
    message = ChatCompletionMessage.from_dict(fields)
    rest = message.without_reasoning()
    assert rest.to_dict() == {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    assert (rest.reasoning, message.reasoning) == (None, "Hm.")


async def test_parts_that_are_not_text_stay_when_reasoning_is_taken_out() -> None:
    parts = [thinking("Hm."), {"type": "text", "text": "Hi"}, {"type": "reference", "ids": [1]}]
    rest = ChatCompletionMessage.from_dict({"content": parts}).without_reasoning()
    assert rest.to_dict() == {"content": parts[1:]}
    assert ChatCompletionMessage(content="Hi").without_reasoning().content == "Hi"


# --- <think> ------------------------------------------------------------------------------------

THINKING = "<think>\nLet me see.\n</think>\n\nIt is </think> blue."


async def think_tags(parts: list[str], option: Literal[True, "opened"] = True) -> tuple[str, str]:
    data = [stream_bytes(*({"content": part} for part in parts))]
    reasoning = [text async for text in stream_of(data, 1).reasoning(think_tags=option)]
    answer = [text async for text in stream_of(data, 1).text(think_tags=option)]
    assert "" not in reasoning + answer
    return "".join(reasoning), "".join(answer)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_think_tags_are_split_off_if_asked_for(size: int) -> None:
    parts = [THINKING[at : at + size] for at in range(0, len(THINKING), size)]
    assert await think_tags(parts) == ("Let me see.", "It is </think> blue.")


async def test_think_tags_stay_in_the_text_by_default() -> None:
    assert await read_by_all([stream_bytes({"content": THINKING})]) == ({""}, {THINKING})


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "thi", "nk>", "</", "\n", " ", "a", "b<"]),
    max_size=12,
)


@given(PIECES)
@settings(max_examples=300)
def test_a_stream_is_split_as_the_whole_message_is(parts: list[str]) -> None:
    message = ChatCompletionMessage.from_dict({"content": "".join(parts)})
    assert asyncio.run(think_tags(parts)) == message.split_think_tags()
    assert asyncio.run(think_tags(parts, "opened")) == message.split_think_tags(opened=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<think>a</think>b", ("a", "b")),
        ("  \n<think> a </think> b ", ("a", "b ")),
        ("<think></think>b", ("", "b")),
        ("<think>a", ("a", "")),
        ("Use <think>a</think>.", ("", "Use <think>a</think>.")),
        ("<thin", ("", "<thin")),
        ("a</think>b", ("", "a</think>b")),
        (None, ("", "")),
    ],
)
async def test_only_a_block_at_the_beginning_is_reasoning(
    content: str | None, expected: tuple[str, str]
) -> None:
    message = ChatCompletionMessage.from_dict({"content": content})
    assert message.split_think_tags() == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Let me see.\n</think>\n\nIt is </think> blue.", ("Let me see.", "It is </think> blue.")),
        ("\n<think>\na</think>b", ("a", "b")),
        ("<th</think>b", ("<th", "b")),
        ("</think>b", ("", "b")),
        ("cut off", ("cut off", "")),
        ("<thin", ("<thin", "")),
        (" ", ("", "")),
        (None, ("", "")),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_a_text_may_begin_inside_the_block(
    content: str | None, expected: tuple[str, str], size: int
) -> None:
    """The template of DeepSeek-R1 has the `<think>`, and vLLM without a parser sends the rest."""
    message = ChatCompletionMessage.from_dict({"content": content})
    assert message.split_think_tags(opened=True) == expected
    text = content or ""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    assert await think_tags(parts, "opened") == expected


def test_other_values_for_think_tags_are_refused() -> None:
    stream: Any = stream_of([], 1)
    for method in (stream.text, stream.reasoning):
        with pytest.raises(InvalidArgumentError, match="think_tags is 'open': pass True"):
            method(think_tags="open")


@pytest.mark.parametrize("begin", ["", "<think>a", "<think>a</think>"])
def test_white_space_is_looked_at_once(begin: str) -> None:
    """Models write long runs of it, which belong to the text only if more follows."""
    looked_at = 0

    class Counted(str):
        def __add__(self, other: str) -> str:
            nonlocal looked_at
            looked_at += len(self) + len(other)
            return Counted(super().__add__(other))

        def __radd__(self, other: str) -> str:
            nonlocal looked_at
            looked_at += len(self) + len(other)
            return Counted(other + str(self))

    tags = ThinkTags()
    tags.split(begin)
    for _ in range(1_000):
        tags.split(Counted(" \n"))
    assert looked_at <= 2 * 1_000
    assert (
        tags.split("b")
        == {
            "": ("", " \n" * 1_000 + "b"),
            "<think>a": (" \n" * 1_000 + "b", ""),
            "<think>a</think>": ("", "b"),
        }[begin]
    )


async def test_reasoning_in_a_field_comes_before_that_in_tags() -> None:
    fields = {"reasoning": "One. ", "content": "<think>Two.</think>Hi"}
    assert ChatCompletionMessage.from_dict(fields).split_think_tags() == ("One. Two.", "Hi")
    data = [stream_bytes({"reasoning": "One. "}, {"content": fields["content"]})]
    read = [text async for text in stream_of(data, 1).reasoning(think_tags=True)]
    assert read == ["One. ", "Two."]


# --- sending it back ----------------------------------------------------------------------------


async def sent_back(raw: RawServer, client: AsyncClient, *deltas: Delta) -> Any:
    """The message of a streamed answer, as it is in the next request."""
    import msgspec

    raw.answer = lambda exchange: exchange.stream(stream_bytes(*deltas))
    completion = await ask(client).completion()
    messages: list[Any] = [completion.choices[0].message, {"role": "user", "content": "And?"}]
    await client.chat.completions.create(model="m", messages=messages, stream=True).completion()
    return msgspec.json.decode(raw.exchanges[-1].body)["messages"][0]


@each_server
async def test_a_message_goes_back_as_its_vendor_made_it(
    server: Server, raw: RawServer, raw_client: AsyncClient
) -> None:
    """DeepSeek answers 400 if `reasoning_content` is missing beside a tool call."""
    sent = await sent_back(raw, raw_client, server("Let "), server("me."), {"content": "Hi"})
    expected: Any = {"role": "assistant", "content": None, **server("Let me.")}
    if isinstance(expected["content"], list):
        expected["content"] += [{"type": "text", "text": "Hi"}]
    else:
        expected["content"] = "Hi"
    if "thinking_blocks" in expected:
        expected["thinking_blocks"][0].pop("signature")  # it was empty
        sent["thinking_blocks"][0].pop("signature", None)
    assert sent == expected


async def test_reasoning_before_a_tool_call_goes_back_with_the_call(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """DeepSeek: "Missing `reasoning_content` field in the assistant message", 400."""
    call = {"index": 0, "id": "call_1", "type": "function"}
    sent = await sent_back(
        raw,
        raw_client,
        {"role": "assistant", "content": None, "reasoning_content": ""},
        {"content": None, "reasoning_content": "I need "},
        {"content": None, "reasoning_content": "the time."},
        {"tool_calls": [{**call, "function": {"name": "now", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    )
    assert sent["reasoning_content"] == "I need the time."
    assert sent["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}


async def test_signatures_and_encrypted_parts_go_back_unchanged(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    encrypted = {"type": "reasoning.encrypted", "data": "gAA=", "id": "call_1", "index": 0}
    sent = await sent_back(
        raw,
        raw_client,
        {"reasoning": "Let ", **detail(text="Let ", format="anthropic-claude-v1")},
        {"reasoning": "me.", **detail(text="me.")},
        {"content": "Hi"},
        detail(signature="c2ln"),  # sometimes after the text
        {"reasoning_details": [encrypted]},
        {"reasoning_details": [encrypted | {"data": "gBB=", "id": "call_2"}]},
    )
    assert sent["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "index": 0,
            "text": "Let me.",
            "format": "anthropic-claude-v1",
            "signature": "c2ln",
        },
        encrypted,
        encrypted | {"data": "gBB=", "id": "call_2"},
    ]


async def test_thinking_goes_back_to_mistral_in_one_part(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """It refuses two, but sends empty texts in between."""
    sent = await sent_back(
        raw,
        raw_client,
        {"content": ""},
        SERVERS["Mistral"]("Let "),
        {"content": ""},
        SERVERS["Mistral"]("me."),
        {"content": [{"type": "text", "text": "Hi"}]},
        {"content": "!"},
    )
    assert sent["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Let me."}]},
        {"type": "text", "text": "Hi!"},
    ]


async def test_thinking_after_a_signature_is_another_part(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    signed = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    sent = await sent_back(
        raw,
        raw_client,
        *({"content": [part]} for part in (thinking("One"), signed, thinking("Two"), signed)),
    )
    one, two = (thinking(text) | {"signature": "c2ln"} for text in ("One", "Two"))
    assert sent["content"] == [one, two]


async def test_thinking_blocks_without_an_index_are_put_together_up_to_their_signature(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    parts = [thinking("a"), thinking("b"), thinking("") | {"signature": "s1"}, thinking("c")]
    sent = await sent_back(raw, raw_client, *({"thinking_blocks": [part]} for part in parts))
    assert sent["thinking_blocks"] == [thinking("ab") | {"signature": "s1"}, thinking("c")]
