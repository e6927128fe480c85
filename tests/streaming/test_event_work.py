"""The work that events take: linear in the length of the stream, and nothing is made unasked."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import openai_async
from openai_async import AsyncClient
from openai_async.streaming.chat import ChatAnswer, ChatCompletionStream
from openai_async.streaming.events import Events
from openai_async.streaming.receiver import Receiver
from openai_async.types.base import ResponseMeta
from openai_async.types.chat_chunk import ChatCompletionChunk
from openai_async.types.growing_text import TextSoFar
from openai_async.wire.assembly import Assembly
from openai_async.wire.merging import Fields

from ..raw_server import DONE, RawServer, chunk, sse
from .events import FINISH, Event, ask, call


def steps(run: Callable[[], object]) -> int:
    """How many functions the package calls, and how many are called by it, its lines apart."""
    package, count = str(Path(openai_async.__file__).parent), 0

    def step(frame: Any, event: str, _: object) -> None:
        nonlocal count
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(package):
            count += 1

    sys.setprofile(step)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def answer_in_pieces(kind: str, count: int) -> list[dict[str, Any]]:
    """The chunks of a long answer."""
    match kind:
        case "text":
            chunks = [chunk(f"{number:05} ") for number in range(count)]
        case "tool call":
            pieces = [call(0, f"{number:05} ") for number in range(count)]
            begin = chunk(None, tool_calls=[call(0, "", "f", "c1")])
            chunks = [begin, *(chunk(None, tool_calls=[piece]) for piece in pieces)]
        case "two choices":
            chunks = [chunk(f"{number:05} ", index=number % 2) for number in range(count)]
        case _:
            chunks = [chunk(f"{number:05} ") for number in range(count)]
            for sent in chunks:
                token = {"token": "t", "logprob": -1.0}
                sent["choices"][0]["logprobs"] = {"content": [token]}  # type: ignore[index]
    return [*chunks, FINISH]


@pytest.mark.parametrize("kind", ["text", "tool call", "two choices", "logprobs"])
def test_the_work_grows_with_the_length_of_the_stream(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 2 if kind == "two choices" else 1
    joined = copied = 0
    between, after = TextSoFar.between, TextSoFar.after

    def counted_between(self: TextSoFar, start: int, end: int) -> str:
        nonlocal joined
        joined += end - start
        return between(self, start, end)

    def counted_after(self: TextSoFar, count: int) -> str:
        nonlocal copied
        text = after(self, count)
        copied += len(text)
        return text

    monkeypatch.setattr(TextSoFar, "between", counted_between)
    monkeypatch.setattr(TextSoFar, "after", counted_after)
    monkeypatch.setattr(Assembly, "completion", lambda _: pytest.fail("put together unasked"))

    def work(count: int) -> tuple[int, int, int, int]:
        nonlocal joined, copied
        joined = copied = 0
        receiver = Receiver(ChatAnswer(n, False), ResponseMeta(), None)
        stream = ChatCompletionStream(None, n=n)  # type: ignore[arg-type] # it is never opened
        values = receiver.receive_data(b"".join(map(sse, answer_in_pieces(kind, count))))
        received = [(value, stream._structure(value)) for value in values]
        events = Events(n == 1, None, lambda name, text: text)
        made: list[Event] = []

        def run() -> None:
            for value, structured in received:
                made.extend(events.of(value, structured))
            made.extend(events.last(complete=True))

        return steps(run), len(made), joined, copied

    work(10)  # makes what is made once
    tenth, whole = work(1_000), work(10_000)
    assert whole[1] > 20_000
    for shorter, longer in zip(tenth, whole, strict=True):
        assert longer <= 10.01 * shorter
    assert whole[2] <= 2 * 10_002  # each piece once when it arrives, and once at the end


def test_reading_every_snapshot_joins_each_piece_once() -> None:
    class Pieces(list[str]):
        taken = 0

        def __getitem__(self, part: Any) -> Any:
            found = super().__getitem__(part)
            self.taken += len(found)
            return found

    pieces = Pieces("abcdefghij" * 2_000)
    text = TextSoFar(pieces, 0)
    for count in range(1, len(pieces) + 1):
        assert len(text.after(count)) == count
    assert pieces.taken == 20_000
    assert text.after(5) == "abcde"


def test_partial_json_is_read_by_a_library_that_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, openai_async.streaming.events\n"
        "before = 'jiter' in sys.modules\n"
        "from openai_async.types.growing_text import partial_json\n"
        "print(before, partial_json('[1, 2'), 'jiter' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, timeout=30
    )
    assert shown.stdout.decode().strip() == "False [1, 2] True"


@pytest.mark.virtual_time
async def test_what_events_were_made_from_is_freed_with_them(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    """At once, without waiting for the garbage collector."""
    tool = chunk(None, tool_calls=[call(0, "{}", "f", "c1")])
    raw.answer = lambda exchange: exchange.stream(chunk("a"), chunk("b"), tool, FINISH, DONE)
    gc.disable()
    try:
        async with ask(raw_client) as stream:
            events = [event async for event in stream]
        kept: list[weakref.ref[Any]] = [weakref.ref(stream), weakref.ref(stream._events)]
        del stream
        assert [ref() is None for ref in kept] == [True, False]  # events have snapshots
        assert events
        del events
        assert kept[1]() is None
    finally:
        gc.enable()


def calls_of_two_choices(count: int) -> list[dict[str, Any]]:
    """Each chunk begins a call in both choices and goes on with the one before."""
    chunks = []
    for number in range(count):
        pieces = [call(number, '{"a', "f", f"c{number}")]
        if number:
            pieces.append(call(number - 1, '": 1}'))
        parts: list[Any] = [chunk(None, index=n, tool_calls=pieces)["choices"] for n in (0, 1)]
        chunks.append({**chunk(), "choices": [*parts[0], *parts[1]]})
    return chunks


def test_the_work_for_calls_of_several_choices_grows_with_the_stream_too() -> None:
    def work(count: int) -> int:
        values = calls_of_two_choices(count)
        chunks = [ChatCompletionChunk.from_dict(value) for value in values]
        events = Events(False, None, lambda name, text: text)
        return steps(lambda: [events.of(*pair) for pair in zip(values, chunks, strict=True)])

    work(10)  # makes what is made once
    assert work(1_000) <= 10.1 * work(100)


def test_the_call_that_a_piece_belongs_to_is_found_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = 0

    class Counted(Fields):
        def __getitem__(self, key: str) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(key)

    def work(count: int) -> int:
        nonlocal looked_at
        assembly, looked_at = Assembly(single=False), 0
        for value in calls_of_two_choices(count):
            assembly.add(value)
        return looked_at

    monkeypatch.setattr("openai_async.wire.call_assembly.Fields", Counted)
    assert 0 < work(1_000) <= 10.1 * work(100)
