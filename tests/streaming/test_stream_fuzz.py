"""Streams as servers send them, mutated: never a silent loss.

A slow and obvious reader (`expected_text`, `is_proven`) says what a list of events holds. Whatever
becomes of the events, and however their bytes are split, the stream gives all of that, by each way
of reading it, or it raises an `APIError` that holds what came before.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from openai_async import APIError, ChatCompletionStream
from openai_async.http.request import Response
from openai_async.types.chat import ChatCompletion

from ..raw_server import DONE, chunk, sse

USAGE: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 5, "total_tokens": 7}}


def call(arguments: str, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **fields.pop("function", {})}
    return chunk(tool_calls=[{"index": 0, **fields, "function": function}])


RECORDED: list[list[dict[str, Any]]] = [
    [chunk("", role="assistant"), chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE],
    [chunk("He", finish=""), chunk("llo", finish=""), chunk("", finish="stop")],
    [chunk("He", finish="stop"), chunk("llo", finish="stop")],
    [chunk([{"type": "text", "text": "He"}]), chunk("llo"), chunk([]), chunk(finish="stop")],  # type: ignore[arg-type]
    [chunk("a"), chunk("b", index=1), chunk(finish="stop"), chunk("B", index=1, finish="length")],
    [chunk("Hel", index=1), chunk("lo", index=1), chunk(finish="stop", index=1)],
    [
        chunk("Let me see.", role="assistant"),
        call("", id="a", type="function", function={"name": "weather"}),
        call('{"city":'),
        call('"Oslo"}'),
        chunk(finish="tool_calls"),
    ],
    [chunk(reasoning_content="Hm."), chunk("Hi"), chunk(finish="stop"), {**USAGE, "id": ""}],
]

# --- the slow and obvious reader ----------------------------------------------------------------


def text_in(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_in(part) for part in content)
    if isinstance(content, dict):
        text = content.get("text")
        return text if isinstance(text, str) and content.get("type") in (None, "text") else ""
    return str(content) if content else ""


def pieces_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in events:
        choices = event.get("choices")
        found += [piece for piece in choices if piece] if isinstance(choices, list) else []
    return found


def delta_of(piece: dict[str, Any]) -> dict[str, Any]:
    delta = piece.get("delta")
    return delta if isinstance(delta, dict) else {}


def index_in(piece: dict[str, Any]) -> int:
    """The index of the choice a piece belongs to: the first, if it is not a whole number."""
    index = piece.get("index")
    return int(index) if isinstance(index, int | float) else 0


def expected_text(events: list[dict[str, Any]], n: int) -> str:
    """All text of the first choice: a single one may have any index."""
    return "".join(
        text_in(delta_of(piece).get("content"))
        for piece in pieces_of(events)
        if n == 1 or index_in(piece) == 0
    )


def expected_arguments(events: list[dict[str, Any]]) -> int:
    """How many characters of arguments there are, of all calls together."""
    calls = [c for p in pieces_of(events) for c in delta_of(p).get("tool_calls") or []]
    return sum(len(one["function"]["arguments"]) for one in calls)


def is_proven(events: list[dict[str, Any]], n: int) -> bool:
    """Whether each choice that has begun says that it has ended, and is right."""
    ended: dict[int, bool] = {}
    for piece in pieces_of(events):
        index, delta = 0 if n == 1 else index_in(piece), delta_of(piece)
        if ended.get(index) and (text_in(delta.get("content")) or delta.get("tool_calls")):
            return False
        reason = piece.get("finish_reason")
        ended[index] = ended.get(index, False) or (
            isinstance(reason, str) and reason not in ("", "null")
        )
    return bool(ended) and all(ended.values())


# --- the mutations ------------------------------------------------------------------------------

JUNK = st.sampled_from([None, "", {}, [], 0, False, "null", 7, -0.5, "x", [1], {"a": 1}])
CHOICE = ("choices", 0)
PLACES = st.sampled_from(
    [
        ("id",),
        ("model",),
        ("created",),
        ("object",),
        ("usage",),
        ("system_fingerprint",),
        (*CHOICE, "index"),
        (*CHOICE, "logprobs"),
        (*CHOICE, "finish_reason"),
        (*CHOICE, "token_ids"),
        (*CHOICE, "delta", "content"),
        (*CHOICE, "delta", "role"),
        (*CHOICE, "delta", "reasoning_content"),
        (*CHOICE, "delta", "refusal"),
        (*CHOICE, "delta", "annotations"),
    ]
)


def changed(event: dict[str, Any], place: tuple[Any, ...], drop: bool, junk: Any) -> dict[str, Any]:
    event = copy.deepcopy(event)
    holder: Any = event
    for step in place[:-1]:
        try:
            holder = holder[step]
        except (KeyError, IndexError):
            return event
    if drop:
        holder.pop(place[-1], None)
    else:
        holder[place[-1]] = junk
    return event


@st.composite
def mutated(draw: st.DrawFn) -> tuple[int, list[dict[str, Any]]]:
    """How many choices were asked for, and what came."""
    events = list(draw(st.sampled_from(RECORDED)))
    n = len({piece["index"] for piece in pieces_of(events)})
    for _ in range(draw(st.integers(0, 4))):
        where = draw(st.integers(0, len(events) - 1))
        how = draw(st.sampled_from(["drop", "change", "double", "swap", "leave out"]))
        if how == "double":
            events.insert(where, copy.deepcopy(events[where]))
        elif how == "swap":
            other = draw(st.integers(0, len(events) - 1))
            events[where], events[other] = events[other], events[where]
        elif how == "leave out" and len(events) > 1:
            del events[where]
        else:
            place, junk = draw(PLACES), draw(JUNK)
            events[where] = changed(events[where], place, how == "drop", junk)
    return n, events


# --- the stream under test ----------------------------------------------------------------------


HEADERS = {"Content-Type": "text/event-stream"}


class Body:
    """Bytes as they come, without a socket."""

    idle: float | None = None
    on_end: None = None

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter([part for part in parts if part])

    def take(self) -> bytes:
        return next(self._parts, b"")

    async def read(self) -> bytes:
        return next(self._parts, b"")

    async def finish(self) -> None: ...

    def release(self) -> None: ...

    def abort(self) -> None: ...


def stream_of(parts: list[bytes], n: int) -> ChatCompletionStream:
    async def connect(on_open: Callable[[Response], Awaitable[None]]) -> Response:
        body: Any = Body(parts)
        response = Response(status=200, headers=HEADERS, stream=body)
        await on_open(response)
        return response

    return ChatCompletionStream(connect, n=n)


async def all_readers(parts: list[bytes], n: int) -> tuple[set[str], ChatCompletion]:
    """The texts they give (one, if they agree), and the completion."""
    by_text = "".join([text async for text in stream_of(parts, n).text()])
    by_chunk = "".join([chunk.text async for chunk in stream_of(parts, n)])
    completion = await stream_of(parts, n).completion()
    return {by_text, by_chunk, first_text(completion, n)}, completion


def first_text(completion: ChatCompletion, n: int) -> str:
    first = next((c for c in completion.choices if n == 1 or c.index == 0), None)
    return (first and first.message.content) or ""


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(mutated(), st.booleans(), st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=400)
def test_nothing_is_lost_silently(
    asked: tuple[int, list[dict[str, Any]]], done: bool, cuts: list[int]
) -> None:
    n, events = asked
    data = b"".join(map(sse, events)) + (DONE if done else b"")
    failure: APIError | None = None
    try:
        texts, completion = asyncio.run(all_readers(split(data, cuts), n))
    except APIError as error:
        failure = error
    if failure is not None:
        partial = failure.partial
        text = expected_text(events, n)
        assert partial is None or text.startswith(first_text(partial, n))
        assert not (done and is_proven(events, n)), "a whole answer was refused"
        return
    assert texts == {expected_text(events, n)}
    assert done or is_proven(events, n), "nothing says that this was all"
    calls = [c for one in completion.choices for c in one.message.tool_calls or []]
    arguments = [c.to_dict()["function"]["arguments"] for c in calls]
    assert sum(map(len, arguments)) == expected_arguments(events)
