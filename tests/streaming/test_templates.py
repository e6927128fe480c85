"""Templates change nothing: a stream gives the same with them as without them.

Whatever the server writes, and however the bytes are split or damaged: the same chunks, texts and
completion, followed by the same error.
"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openai_async import APIError, APIResponseValidationError, ChatCompletionStream
from openai_async.types.base import APIObject
from openai_async.types.chat import ChatCompletionChunk, ChoiceDelta, ChunkChoice
from openai_async.types.repeating import is_flat
from openai_async.wire.template import Match, Template, Templates

from .test_stream_fuzz import split, stream_of

# --- servers ------------------------------------------------------------------------------------

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}


def event(delta: dict[str, Any], finish: object = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **fields}


def openai(text: str) -> dict[str, Any]:
    padding = "Xq3" * (1 + len(text) % 3)
    return event({"content": text}, service_tier="default", usage=None, obfuscation=padding)


def azure(text: str) -> dict[str, Any]:
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    choice = {"content_filter_results": filters, "delta": {"content": text}, "index": 0}
    return {"choices": [{**choice, "finish_reason": None, "logprobs": None}], **HEAD}


def vllm(text: str) -> dict[str, Any]:
    one = event({"content": text, "reasoning_content": None})
    one["choices"][0] |= {"token_ids": None, "stop_reason": None}
    return one


def vllm_with_usage(text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "completion_tokens": len(text), "total_tokens": 5 + len(text)}
    return event({"content": text}, usage=usage)


def ollama(text: str) -> dict[str, Any]:
    return event({"role": "assistant", "content": text}, system_fingerprint="fp_ollama")


def llama_cpp(text: str) -> dict[str, Any]:
    choice = {"finish_reason": None, "index": 0, "delta": {"content": text}}
    return {"choices": [choice], "created": 1, "id": "c-1", "model": "m", "object": "x"}


def reasoning(text: str) -> dict[str, Any]:
    return event({"content": None, "reasoning_content": text})


def openrouter(text: str) -> dict[str, Any]:
    delta = {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": []}
    return {"provider": "P", **event(delta), "native_finish_reason": None}


def mistral(text: str) -> dict[str, Any]:
    return event({"content": [{"type": "thinking", "thinking": text}]})


def groq(text: str) -> dict[str, Any]:
    return event({"content": text}, x_groq={"id": "req"})


def numbers(text: str) -> dict[str, Any]:
    one = event({"content": text})
    one["choices"][0]["token_ids"] = [1]
    return one


def calling(text: str) -> dict[str, Any]:
    return event({"tool_calls": [{"index": 0, "id": "call", "function": {"arguments": text}}]})


def second(text: str) -> dict[str, Any]:
    one = event({"content": text})
    one["choices"][0]["index"] = 1
    return one


def twice(text: str) -> dict[str, Any]:
    return event({"reasoning": text, "reasoning_content": text})


def both(text: str) -> dict[str, Any]:
    return event({"reasoning": "Hm. ", "content": text})


def with_list(text: str) -> dict[str, Any]:
    return event({"role": ["assistant"], "content": text})


def refusing(text: str) -> dict[str, Any]:
    return event({"refusal": "No. ", "content": text})


def whole(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": None}
    return {**HEAD, "choices": [choice]}


def with_empty(text: str) -> dict[str, Any]:
    return event({"content": text, "tool_calls": [], "function_call": {}, "refusal": ""})


def ended(text: str) -> dict[str, Any]:
    return event({"content": text}, "stop")


def failing(text: str) -> dict[str, Any]:
    return event({"content": text}, error={"message": text})


TEMPLATED = [openai, azure, vllm, ollama, llama_cpp, reasoning, openrouter]
SERVERS = [
    *TEMPLATED,
    *(vllm_with_usage, mistral, groq, numbers, calling, second, twice, refusing, whole),
    *(with_empty, with_list, both, ended, failing),
]

TEXTS = st.one_of(
    st.sampled_from(["", " the", "Hi", "a", "m", "content", "c-1", "\n\n", 'a"b', "\\", "é", "🙂"]),
    st.sampled_from(
        ['"},"index', "data: x\n\ndata: ", "\\u0022", "]}", "\ud83d", "[DONE]", "null"]
    ),
    st.text(max_size=6),
)


@st.composite
def events(draw: Any) -> list[dict[str, Any]]:
    """Runs of events of one server, sometimes of several in turn."""
    made = [event({"role": "assistant", "content": ""})]
    server = draw(st.sampled_from(SERVERS))
    for _ in range(draw(st.integers(1, 4))):
        made += [server(text) for text in draw(st.lists(TEXTS, max_size=6))]
        if draw(st.booleans()):
            server = draw(st.sampled_from(SERVERS))
        elif made and draw(st.booleans()):
            key = draw(st.sampled_from(["model", "created", "usage", "obfuscation", "extra"]))
            made[-1] = {**made[-1], key: draw(st.sampled_from([None, "", "x", 5, {"a": 1}]))}
    return made if draw(st.booleans()) else [*made, event({}, "stop")]


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """The bytes of a stream, read by read."""
    colon = draw(st.sampled_from([": ", ":"]))
    encoder = json.JSONEncoder(separators=(", ", colon), ensure_ascii=draw(st.booleans()))
    field = draw(st.sampled_from([b"data: ", b"data: ", b"data:", b"id: 7\ndata: "]))
    end = draw(st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n", b"\n\n: ping\n\n", b"\n\n\n"]))
    data = b"".join(
        field + encoder.encode(one).encode("utf-8", "surrogatepass") + end for one in draw(events())
    )
    data += draw(st.sampled_from([b"data: [DONE]\n\n", b"", b"event: error\ndata: {}\n\n"]))
    return split(data, draw(st.lists(st.integers(0, 9000), max_size=8)))


BYTES = st.one_of(st.binary(max_size=2), st.sampled_from([b'"', b",", b"\n", b"\\", b'","', b"\r"]))


@st.composite
def damaged(draw: st.DrawFn) -> list[bytes]:
    """A stream in which a few bytes have been replaced."""
    data = b"".join(draw(streams()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(BYTES) + data[at + draw(st.integers(0, 2)) :]
    return split(data, draw(st.lists(st.integers(0, 9000), max_size=4)))


# --- what a stream gives ------------------------------------------------------------------------


def seen(value: Any) -> Any:
    """Everything visible of an object: attributes, JSON in its order, extra fields."""
    if isinstance(value, list):
        return [seen(item) for item in value]
    if not isinstance(value, APIObject):
        return type(value), value
    names = [a.name for a in attrs.fields(type(value)) if a.name not in ("_raw", "meta")]
    raw = json.dumps(value._raw)
    assert copy.copy(value) == value
    return type(value), raw, value.extra, repr(value), [seen(getattr(value, n)) for n in names]


async def given_by(stream: ChatCompletionStream, read: Callable[[Any], Any]) -> list[Any]:
    """What a stream gives, and its error."""
    came: list[Any] = []
    try:
        async for item in read(stream):
            assert pickle.loads(pickle.dumps(item)) == item
            came.append(seen(item))
    except APIError as error:
        partial = None if error.partial is None else seen(error.partial)
        came.append((type(error), str(error), error.body, partial))
    came.append(seen(stream.partial))
    return came


async def completed(stream: ChatCompletionStream) -> Any:
    yield await stream.completion()


READERS = (
    lambda stream: stream,
    lambda stream: stream.text(),
    lambda stream: stream.reasoning(),
    completed,
)


async def all_of(parts: list[bytes], n: int) -> list[Any]:
    return [await given_by(stream_of(parts, n), reader) for reader in READERS]


@contextmanager
def no_templates() -> Iterator[None]:
    with patch.object(Templates, "make", lambda *_: None):
        yield


def assert_same(parts: list[bytes], n: int) -> None:
    async def compare() -> None:
        with no_templates():
            expected = await all_of(parts, n)
        assert await all_of(parts, n) == expected

    # One loop, and no result: `asyncio.run` has signal.py write the repr of its task, twice.
    asyncio.run(compare())


@given(streams(), st.sampled_from([1, 1, 2]))
@settings(max_examples=500)
def test_a_stream_gives_the_same_with_and_without_templates(parts: list[bytes], n: int) -> None:
    assert_same(parts, n)


@given(damaged())
@settings(max_examples=500)
def test_a_damaged_stream_gives_the_same_with_and_without_templates(parts: list[bytes]) -> None:
    assert_same(parts, 1)


# --- which events they are for ------------------------------------------------------------------


def written(*made: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in made)


def hits(data: bytes) -> int:
    """How many events of a stream have fitted a template."""
    counts: dict[Template, int] = {}
    make = Template._filled

    def counted(self: Template, gaps: list[bytes]) -> list[Match]:
        matches = make(self, gaps)
        counts[self] = self.hits
        return matches

    with patch.object(Template, "_filled", counted):
        asyncio.run(given_by(stream_of([data], 1), lambda stream: stream))
    return sum(counts.values())


WORDS = ["The", " sky", "", " is", ' "blue"', "\n", "é", "."]


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: str(server.__name__))
def test_events_that_differ_only_in_their_text_fit(
    server: Callable[[str], dict[str, Any]],
) -> None:
    data = written(event({"role": "assistant", "content": ""}), *map(server, WORDS))
    assert hits(data) == (len(WORDS) - 1 if server in TEMPLATED else 0)


def test_no_more_templates_are_made_where_too_few_events_fit() -> None:
    """For example, if a server writes the time in seconds into chunks, and sends few a second."""
    made = [{**openai(f"text {n}"), "created": n // 5} for n in range(100)]
    assert hits(written(*made)) == 4 * 4
    made = [{**openai(f"text {n}"), "created": n // 20} for n in range(200)]
    assert hits(written(*made)) == 10 * 19


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("alone", [True, False], ids=["in a read of its own", "with others"])
def test_an_event_that_only_a_lenient_parser_reads_is_malformed_with_a_template_too(
    encoding: str, alone: bool
) -> None:
    """The standard library guesses the encoding of bytes; an event stream is UTF-8."""
    data = written(*(azure(word) for word in WORDS))
    odd = b"data: " + json.dumps(azure("x")).encode() + b"\n\n"
    odd = odd.replace(b'"x"', '"a"'.encode(encoding))
    reads = [data, odd] if alone else [data + odd]
    *_, error, _ = asyncio.run(given_by(stream_of(reads, 1), lambda stream: stream))
    assert error[0] is APIResponseValidationError


def test_an_event_that_does_not_fit_ends_a_template() -> None:
    """Otherwise the last event would bring back what the one before it has replaced."""
    made = [openai("a b"), openai("c"), {**openai("d"), "service_tier": "flex"}, openai("e")]
    stream = stream_of([written(*made, event({}, "stop", service_tier="default"))], 1)
    completion = asyncio.run(stream.completion())
    assert (completion.text, completion.service_tier) == ("a bcde", "default")


# --- what is in the gaps ------------------------------------------------------------------------


@pytest.mark.parametrize("server", [openai, ollama])
@pytest.mark.parametrize(
    "gaps",
    [
        [b'"a","b"', b'"c"'],
        [b'"a"', b'"b"', b'"c","d"'],
        [b'"a","b"', b""],
        [b'"a', b'b"'],
        [b'["a"', b'"b"]'],
        [b'"\\"', b'","'],
        [b'"a"', b"1"],
        [b'"a"', b"null"],
        [b'"\t"', b'"b"'],
        [b'"a" "b"', b'"c"'],
        [b'"a",\n"b"', b'"c"'],
        [b'"a"\n', b'"c"'],
    ],
)
def test_nothing_but_one_json_string_each_is_taken(
    gaps: list[bytes], server: Callable[[str], dict[str, Any]]
) -> None:
    one = json.dumps(server("TEXT")).encode()
    before, after = one.split(b'"TEXT"')
    data = b"".join(b"data: " + before + gap + after + b"\n\n" for gap in gaps)
    assert_same([b"data: " + one + b"\n\n" + data], 1)
    assert_same([b"data: " + one + b"\n\n", data, b"data: [DONE]\n\n"], 1)


def test_each_event_has_its_own_text_and_its_own_padding() -> None:
    one = json.dumps(openai("TEXT")).encode()
    before, between, after = one.replace(b'"Xq3Xq3"', b'"TEXT"').split(b'"TEXT"')
    gaps = [between.join([b'"a"', b'"p"', b'"b"']), b'"c"']
    data = b"".join(b"data: " + before + gap + after + b"\n\n" for gap in gaps)
    assert_same([b"data: " + one + b"\n\n", data, b"data: [DONE]\n\n"], 1)


@pytest.mark.parametrize(
    "reads",
    [
        [b"event: error\ndata: EVENT\n\n"],
        [b"data: EVENT\n", b"data: more\n\n"],
        [b"data: EVENT\ndata: more\n\ndata: EVENT\n\n"],
        [b"data: EVENT\n: comment\n\ndata: EVENT\n\n"],
        [b"data: EVENT\n\ndata: EVENT\nevent: error\n\n"],
        [b"data: EVENT\n\ndata: EVENT\n\ndata: EV", b"ENT\n\n"],
        [b"data: EVENT\n\n: comment\n\ndata: EVENT\n\n"],
        [b"event: error\n", b"data: EVENT\n\n"],
        [b"retry: 5\n", b"data: EVENT\n\n"],
        [b"data: [", b"data: EVENT\n\n"],
        [b'data: {"choices": [', b"\n\ndata: EVENT\n\n"],
    ],
)
def test_an_event_is_more_than_the_bytes_of_its_data(reads: list[bytes]) -> None:
    one = json.dumps(ollama("text")).encode()
    first = b"data: " + one.replace(b"text", b"first") + b"\n\n"
    assert_same([first, *(read.replace(b"EVENT", one) for read in reads)], 1)
    assert_same([first + b"".join(reads).replace(b"EVENT", one)], 1)


def test_a_string_may_have_white_space_around_it() -> None:
    one = json.dumps(ollama("TEXT"))
    data = b"".join(b"data: " + one.replace('"TEXT"', f' "{n}" ').encode() + b"\n\n" for n in "12")
    assert hits(b"data: " + one.encode() + b"\n\n" + data) == 2


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"index":0,"delta":{"content":"a b","content":"a b"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a b","content":"\\u0061 b"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a b"},"stop":"a b"}]}',
        b'{"a b":1,"choices":[{"index":0,"delta":{"content":"\\u0061 b"}}]}',
        b'{"obfuscation":"pad","choices":[{"index":0,"delta":{"content":"a b"}}]}',
        b'{"obfuscation":"a b","choices":[{"index":0,"delta":{"content":"a b"}}]}',
    ],
)
def test_there_is_no_template_where_the_text_cannot_be_found(data: bytes) -> None:
    assert hits(b"data: " + data + b"\n\ndata: " + data + b"\n\n") == 0
    assert_same([b"data: " + data + b"\n\n" + b"data: " + data.replace(b"a b", b"c") + b"\n\n"], 1)


# --- typed --------------------------------------------------------------------------------------


def chunks_of(*made: dict[str, Any]) -> list[ChatCompletionChunk]:
    async def read() -> list[ChatCompletionChunk]:
        return [one async for one in stream_of([written(*made), b"data: [DONE]\n\n"], 1)]

    return asyncio.run(read())


def test_each_chunk_has_attributes_and_json_of_its_own() -> None:
    made = [openai(text) for text in ("a b", "c", "d", "e")]
    chunks = chunks_of(*made)
    for number, one in enumerate(chunks):
        one.model = f"m{number}"
        one.choices[0].index = number
        one.choices[0].delta.content = f"text {number}"
        one.obfuscation = None
    for number, (one, received) in enumerate(zip(chunks, made, strict=True)):
        changed = copy.deepcopy(received) | {"model": f"m{number}", "obfuscation": None}
        changed["choices"][0] |= {"index": number}
        changed["choices"][0]["delta"] = {"content": f"text {number}"}
        assert one.to_dict() == changed
        assert one.choices[0].delta.content == f"text {number}"


def test_no_copied_field_holds_an_object_that_two_chunks_would_share() -> None:
    full = event({"content": "Hi", "role": "assistant", "refusal": ""}, obfuscation="x")
    assert is_flat(full)
    junk = {"a": [1]}
    for cls, holder in (
        (ChatCompletionChunk, full),
        (ChunkChoice, full["choices"][0]),
        (ChoiceDelta, full["choices"][0]["delta"]),
    ):
        for name in [a.name for a in attrs.fields(cls) if a.init]:
            if name not in ("choices", "delta", "content"):
                before = holder.get(name)
                holder[name] = junk
                if is_flat(full):
                    shown = getattr(cls.from_dict(holder), name)
                    assert shown is None or type(shown) in (str, int, float, bool), name
                holder[name] = before


def test_the_ways_of_reading_can_be_mixed() -> None:
    async def read() -> list[Any]:
        stream = stream_of([written(*map(openai, "abcdef")), b"data: [DONE]\n\n"], 1)
        first = [(await anext(stream)).text for _ in range(3)]
        texts = stream.text()
        text = await anext(texts)
        return [*first, text, (await stream.completion()).text]

    assert asyncio.run(read()) == ["a", "b", "c", "d", "abcdef"]
