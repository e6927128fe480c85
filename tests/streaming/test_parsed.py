"""`client.chat.completions.parse(stream=True)`: a value while it is written, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
import jiter
import pytest

from openai_async import (
    APIResponseValidationError,
    AsyncClient,
    InvalidArgumentError,
    LengthFinishReasonError,
    ParsedChatCompletionStream,
    StreamInterruptedError,
)
from openai_async.streaming.parsed import _Snapshots, _SnapshotsRead
from openai_async.structured.elements import Elements
from openai_async.structured.response_formats import response_format
from openai_async.testing import LocalServer, Reply
from openai_async.types.chat_params import ChatCompletionMessageParam

from ..raw_server import DONE, Exchange, RawServer, chunk, sse

pytestmark = pytest.mark.virtual_time

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


@attrs.define
class Step:
    explanation: str
    output: int


STEP = '{"explanation": "add", "output": 4}'
STEPS = f'{{"value": [{STEP}, {STEP}]}}'


def asked(client: AsyncClient, kind: Any, **params: Any) -> ParsedChatCompletionStream[Any]:
    stream: ParsedChatCompletionStream[Any] = client.chat.completions.parse(
        model="gpt-4o", messages=HI, response_format=kind, stream=True, **params
    )
    return stream


async def test_snapshots_are_the_json_so_far(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(STEPS))
    stream = asked(client, list[Step])
    snapshots = [snapshot async for snapshot in stream.snapshots()]
    whole = [{"explanation": "add", "output": 4}] * 2
    assert snapshots[-1] == whole
    assert snapshots[0] in ([], [{}], [{"explanation": ""}], [{"explanation": "add"}], whole)
    sizes = [len(str(snapshot)) for snapshot in snapshots]
    assert sizes == sorted(sizes)
    assert (await stream.completion()).parsed == [Step("add", 4)] * 2


async def test_the_elements_of_a_list_come_one_by_one(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(STEPS), Reply(f"```json\n[{STEP}]\n```"), Reply('{"value": []}'))
    for count in (2, 1, 0):
        stream = asked(client, list[Step])
        assert [step async for step in stream.items()] == [Step("add", 4)] * count
        assert (await stream.completion()).parsed == [Step("add", 4)] * count


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    "text",
    [
        'It is 5" long, [sic]:\n```json\n{"value": [1, 2]}\n```',
        '{"note": [7], "value": [1, 2]}',
        '{"value": [1, 2]}',
        "[1, 2]",
        "```\n[1, 2]\n```",
        "```json\n[1, 2]",
        "\ufeff[1, 2]",
        "<think>\n[3]?\n</think>\n\n[1, 2]",
        '<think>```json\n[3]\n```</think>```json\n{"value": [1, 2]}\n```',
    ],
)
async def test_elements_agree_with_the_whole_value(raw: RawServer, text: str, size: int) -> None:
    raw.answer = lambda exchange: exchange.stream(*pieces(text, size), STOP, DONE)
    async with AsyncClient(base_url=raw.url, api_key="x") as client:
        stream = asked(client, list[int], converter=None)
        try:
            found = [item async for item in stream.items()]
        except APIResponseValidationError:
            with pytest.raises(APIResponseValidationError):
                await stream.completion()
        else:
            assert found == (await stream.completion()).parsed == [1, 2]


STOP = chunk(finish="stop")


def pieces(text: str, size: int = 4) -> list[bytes]:
    """The text as events."""
    return [sse(chunk(text[at : at + size])) for at in range(0, len(text), size)]


async def test_a_stream_is_parsed_as_the_plain_answer_is(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(STEP), Reply(STEP))
    plain = await client.chat.completions.parse(model="gpt-4o", messages=HI, response_format=Step)
    streamed = await asked(client, Step).completion()
    assert type(streamed) is type(plain)
    assert streamed.parsed == plain.parsed == Step("add", 4)
    assert streamed.text == plain.text
    sent = server.requests[1].json
    assert sent.pop("stream_options") == {"include_usage": True}
    assert sent == {**server.requests[0].json, "stream": True}


async def test_an_element_is_there_before_the_next_is_written(raw: RawServer) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in pieces(f"[{STEP},"):
            await exchange.part(event)
        await go_on.wait()
        for event in (*pieces(f"{STEP}]"), sse(STOP), DONE):
            await exchange.part(event)
        await exchange.end()

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        items = asked(client, list[Step]).items()
        assert await anext(items) == Step("add", 4)
        go_on.set()
        assert [item async for item in items] == [Step("add", 4)]


async def test_an_element_does_not_wait_for_events_without_text(raw: RawServer) -> None:
    """They may have arrived together with its last piece, and nothing may follow for long."""
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("", role="assistant")))
        await exchange.part(b"".join([*pieces(f"[{STEP}]"), sse(chunk()), sse(STOP)]))
        await go_on.wait()
        await exchange.part(DONE)
        await exchange.end()

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        items = asked(client, list[Step]).items()
        assert await anext(items) == Step("add", 4)
        assert not go_on.is_set()
        go_on.set()
        assert [item async for item in items] == []
        snapshots = asked(client, list[Step]).snapshots()
        assert [s async for s in snapshots][-1] == [{"explanation": "add", "output": 4}]


async def test_a_stream_that_is_cut_off_gives_the_elements_that_came(raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("", role="assistant")))
        await exchange.part(b"".join(pieces(f"[{STEP}, {STEP}, {STEP[:20]}")))
        exchange.writer.close()

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        found = []
        with pytest.raises(StreamInterruptedError) as caught:
            async for step in asked(client, list[Step]).items():
                found.append(step)
        assert found == [Step("add", 4)] * 2
        assert caught.value.partial is not None
        snapshots = []
        with pytest.raises(StreamInterruptedError):
            async for snapshot in asked(client, list[Step]).snapshots():
                snapshots.append(snapshot)
        assert snapshots[-1][:2] == [{"explanation": "add", "output": 4}] * 2


async def test_an_error_inside_the_stream_comes_after_the_elements(raw: RawServer) -> None:
    async def answer(exchange: Exchange) -> None:
        error: dict[str, object] = {"error": {"message": "overloaded", "type": "server_error"}}
        await exchange.stream(
            sse(chunk("", role="assistant")), b"".join([*pieces(f"[{STEP},"), sse(error)])
        )

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k", max_retries=0) as client:
        items = asked(client, list[Step]).items()
        assert await anext(items) == Step("add", 4)
        with pytest.raises(Exception, match="overloaded"):
            await anext(items)


@pytest.mark.parametrize("method", ["items", "snapshots"])
async def test_break_hangs_up(raw: RawServer, method: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in pieces('["a", "b", "'):
            await exchange.part(event)
        while True:  # until the connection is closed
            await exchange.part(sse(chunk("and so on ")))
            await asyncio.sleep(0)

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        stream = asked(client, list[str])
        async for _ in getattr(stream, method)():
            break
        async with asyncio.timeout(5):
            await raw.hung_up.wait()


async def test_what_is_wrong_with_the_answer_is_raised_at_the_end(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(STEPS[:-20], finish_reason="length"), times=2)
    for method in ("items", "snapshots"):
        found = []
        with pytest.raises(LengthFinishReasonError):
            async for part in getattr(asked(client, list[Step]), method)():
                found.append(part)
        assert found
    server.script(Reply("Sure! I add 2 and 2."), times=2)
    for method in ("items", "snapshots"):
        with pytest.raises(APIResponseValidationError, match="it is not JSON: 'Sure!"):
            async for _ in getattr(asked(client, list[Step]), method)():
                pytest.fail("there is nothing to show")


async def test_an_element_that_does_not_fit_has_its_place(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply(f'[{STEP}, {{"explanation": 1, "output": 2}}, {STEP}]'))
    items = asked(client, list[Step]).items()
    assert await anext(items) == Step("add", 4)
    with pytest.raises(APIResponseValidationError) as caught:
        await anext(items)
    assert caught.value.path == "[1].explanation"
    assert caught.value.message == (
        "Element 1 of list[Step] does not match: explanation: expected str, got 1."
    )
    assert caught.value.completion is not None


async def test_a_refusal_shows_nothing(server: LocalServer, client: AsyncClient) -> None:
    server.script(Reply(refusal="No."), times=2)
    for method in ("items", "snapshots"):
        stream = asked(client, list[Step])
        assert [part async for part in getattr(stream, method)()] == []
        completion = await stream.completion()
        assert completion.parsed is None
        assert completion.choices[0].message.refusal == "No."


async def test_snapshots_of_a_plain_value_and_of_a_class(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply('{"value": "Hello world"}'), Reply(f"```json\n{STEP}\n```"))
    texts = [s async for s in asked(client, str).snapshots()]
    assert texts[-1] == "Hello world"
    assert all("Hello world".startswith(text) for text in texts)
    steps = [s async for s in asked(client, Step).snapshots()]
    assert steps[-1] == {"explanation": "add", "output": 4}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "before", ["\ufeff", "\n" * 50, "<think>\n```json\n[3]\n```\n</think>\n\n", "<think></think>"]
)
async def test_snapshots_begin_after_what_is_before_the_json(
    raw: RawServer, before: str, size: int
) -> None:
    raw.answer = lambda exchange: exchange.stream(*pieces(before + "[1, 2]", size), STOP, DONE)
    async with AsyncClient(base_url=raw.url, api_key="x") as client:
        stream = asked(client, list[int])
        shown = [snapshot async for snapshot in stream.snapshots()]
        assert shown[-1] == (await stream.completion()).parsed == [1, 2]
        assert all([1, 2][: len(snapshot)] == snapshot for snapshot in shown)
        found = [item async for item in asked(client, list[int]).items()]
        assert found == [1, 2]


async def test_an_element_after_reasoning_is_there_before_the_next(raw: RawServer) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in pieces("<think>Two?</think>[1, "):
            await exchange.part(event)
        await go_on.wait()
        await exchange.part(b"".join([*pieces("2]"), sse(STOP), DONE]))
        await exchange.end()

    raw.answer = answer
    async with AsyncClient(base_url=raw.url, api_key="k") as client:
        items = asked(client, list[int]).items()
        assert await anext(items) == 1
        go_on.set()
        assert [item async for item in items] == [2]


async def test_reasoning_that_does_not_end_is_no_answer(
    server: LocalServer, client: AsyncClient
) -> None:
    server.script(Reply("<think>Is it [1, 2]?"), times=2)
    for method in ("items", "snapshots"):
        with pytest.raises(APIResponseValidationError, match="it is not JSON: '<think>Is it"):
            async for _ in getattr(asked(client, list[int]), method)():
                pytest.fail("there is nothing to show")


def test_items_needs_a_list_and_both_need_a_type() -> None:
    client = AsyncClient(api_key="k", base_url="http://localhost:1")
    with pytest.raises(
        InvalidArgumentError, match=r"items\(\) needs a list type, such as list\[Step"
    ):
        asked(client, Step).items()
    for method in ("items", "snapshots"):
        with pytest.raises(InvalidArgumentError, match=rf"{method}\(\) needs a type"):
            getattr(asked(client, None), method)()


class OneByOne:
    """A stream whose tokens arrive one by one, without the sockets."""

    def __init__(self, tokens: list[str]) -> None:
        self._ready: list[Any] = []
        self._tokens = tokens

    async def text(self) -> AsyncIterator[str]:
        for token in self._tokens:
            yield token

    async def completion(self) -> None:
        """It fits."""


async def test_the_work_for_snapshots_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["[1", *[", 12"] * 100_000, "]"]
    length = sum(map(len, tokens))
    parsed: list[int] = []
    from_json = jiter.from_json

    def counted(data: bytes, **options: Any) -> Any:
        parsed.append(len(data))
        return from_json(data, **options)

    monkeypatch.setattr(jiter, "from_json", counted)
    stream: Any = OneByOne(tokens)
    last, shown = None, 0
    async for snapshot in _Snapshots(stream, response_format(list[int]), _SnapshotsRead()):
        last, shown = snapshot, shown + 1
    assert last == [1] + [12] * 100_000
    assert shown > 100  # and not only at the end
    assert sum(parsed) <= 18 * length


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_escaped_character_may_be_split_from_its_backslash(size: int) -> None:
    texts = [r'"a\"], [b"', r'"\\"', r'"\\\""', r'{"c": "\u005d\n"}']
    array = f"[{', '.join(texts)}]"
    elements = Elements()
    cut = [array[at : at + size] for at in range(0, len(array), size)]
    assert [element for piece in cut for element in elements.feed(piece)] == texts


def test_words_before_an_array_are_not_kept() -> None:
    """Each piece would be looked at together with all before it."""
    elements = Elements()
    for _ in range(1000):
        assert elements.feed("Let me think about it. ") == []
    assert len(elements._head) < 100
    assert elements.feed("\n```json\n[1, 2]") == ["1", "2"]


async def test_the_work_for_elements_is_linear() -> None:
    elements = Elements()
    looked_at = 0

    class Counted(str):
        def __getitem__(self, key: Any) -> str:
            nonlocal looked_at
            found = super().__getitem__(key)
            looked_at += len(found)
            return found

    tokens = ["[", *['{"name": "', "a b" * 3, '"}, '] * 30_000, "{}]"]
    found = [element for token in tokens for element in elements.feed(Counted(token))]
    assert len(found) == 30_001
    assert looked_at <= sum(map(len, tokens))


# --- several choices ----------------------------------------------------------------------------

CHOICES = [
    chunk("[1, ", index=1),
    chunk("[7", index=0),
    chunk("2]", index=1),
    chunk(", 8]", index=0),
    chunk(finish="stop", index=1),
    chunk(finish="stop", index=0),
]


async def test_each_of_several_choices_has_its_value(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(*CHOICES, DONE)
    completion = await asked(raw_client, list[int], n=2).completion()
    assert [choice.message.parsed for choice in completion.choices] == [[7, 8], [1, 2]]
    assert completion.parsed == [7, 8]


async def test_snapshots_and_items_are_those_of_choice_0(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(*CHOICES, DONE)
    stream = asked(raw_client, list[int], n=2)
    assert [item async for item in stream.items()] == [7, 8]
    assert [choice.message.parsed for choice in (await stream.completion()).choices] == [
        [7, 8],
        [1, 2],
    ]
    stream = asked(raw_client, list[int], n=2)
    assert [snapshot async for snapshot in stream.snapshots()][-1] == [7, 8]


async def test_a_choice_that_does_not_fit_is_told_by_its_place(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    wrong = [chunk('["one"]', index=1), chunk("[7]"), *CHOICES[-2:]]
    raw.answer = lambda exchange: exchange.stream(*wrong, DONE)
    items = asked(raw_client, list[int], n=2).items()
    assert await anext(items) == 7
    with pytest.raises(APIResponseValidationError) as caught:
        await anext(items)
    assert caught.value.path == "choices[1][0]"
    assert caught.value.completion is not None
    assert caught.value.completion.text == "[7]"


async def test_a_choice_that_has_not_arrived_is_an_interruption(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(chunk("[7]"))
    with pytest.raises(StreamInterruptedError, match="1 of 2 choices have begun") as caught:
        await asked(raw_client, list[int], n=2).completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "[7]"


async def test_events_have_the_value_of_each_choice(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.stream(*CHOICES, DONE)
    async with raw_client.chat.completions.stream(
        model="gpt-4o", messages=HI, response_format=list[int], n=2
    ) as stream:
        events = [event async for event in stream]
    deltas = [(e.choice_index, e.parsed) for e in events if e.type == "content.delta"]
    assert deltas == [(1, [1]), (0, [7]), (1, [1, 2]), (0, [7, 8])]
    done = [(e.choice_index, e.parsed) for e in events if e.type == "content.done"]
    assert done == [(1, [1, 2]), (0, [7, 8])]
