"""Whatever chunks a server sends, their events add up to the completion that they make."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_async.streaming.chat import ChatAnswer, ChatCompletionStream
from openai_async.streaming.events import Events
from openai_async.streaming.receiver import Receiver
from openai_async.types.base import ResponseMeta
from openai_async.types.chat import ChatCompletion

from ..raw_server import sse
from .events import Event

OPTIONAL_TEXT = st.sampled_from([None, "", "a", "bc"])
CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, "0", None]),
        "id": st.sampled_from(["a", "b", ""]),
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["f", "g", ""]),
                "arguments": st.sampled_from(["", "{", "}", "{}", '"x": 1', {}, {"x": 1}]),
            },
        ),
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": OPTIONAL_TEXT | st.just([{"type": "text", "text": "part"}]),
        "refusal": OPTIONAL_TEXT,
        "reasoning_content": OPTIONAL_TEXT,
        "reasoning": OPTIONAL_TEXT,
        "tool_calls": st.lists(CALL, max_size=2),
    },
)
LOGPROBS = st.fixed_dictionaries({"content": st.lists(st.just({"token": "t"}), max_size=2)})
PIECE = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 1, "0", None])},
    optional={
        "delta": st.none() | MESSAGE,
        "message": MESSAGE,
        "finish_reason": st.sampled_from([None, "", "stop"]),
        "logprobs": st.none() | LOGPROBS,
    },
)
ALIKE = st.builds(
    lambda field, texts: [{"choices": [{"index": 0, "delta": {field: text}}]} for text in texts],
    st.sampled_from(["content", "reasoning_content", "reasoning"]),
    st.lists(st.sampled_from(["a", "bc", " "]), min_size=3, max_size=6),
)
ANY = st.lists(PIECE, max_size=3).map(lambda pieces: [{"choices": pieces}])
# Runs of similar chunks too, for which templates are made.
STREAMS = st.lists(ANY | ALIKE, max_size=8).map(
    lambda runs: [chunk for run in runs for chunk in run]
)


def events_of(chunks: list[Any], n: int) -> tuple[list[Event], ChatCompletion, bool]:
    """The events of the chunks that a stream takes in, what they make, and if it is complete."""
    answer = ChatAnswer(n, False)
    receiver = Receiver(answer, ResponseMeta(), None)
    stream = ChatCompletionStream(None, n=n)  # type: ignore[arg-type] # it is never opened
    events = Events(n == 1, None, lambda name, text: text)
    made: list[Event] = []
    for chunk in [*chunks, None]:
        data = b"data: [DONE]\n\n" if chunk is None else sse(chunk)
        for value in [] if receiver.over else receiver.receive_data(data):
            made += reversed(events.of(value, stream._structure(value)))
    made += reversed(events.last(complete=receiver.failure is None))
    assert events.completion().to_dict() == answer.partial().to_dict()
    return made, answer.partial(), receiver.failure is None


@given(STREAMS, st.sampled_from([1, 2]))
def test_the_events_of_any_chunks_add_up_to_their_completion(chunks: list[Any], n: int) -> None:
    events, completion, complete = events_of(chunks, n)
    for choice in completion.choices:
        mine = [e for e in events if e.type != "chunk" and e.choice_index == choice.index]
        message = choice.message
        contents = [e for e in mine if e.type == "content.delta"]
        assert "".join(e.delta for e in contents) == (message.content or "")
        refusals = [e for e in mine if e.type == "refusal.delta"]
        assert "".join(e.delta for e in refusals) == (message.refusal or "")
        thoughts = [e for e in mine if e.type == "reasoning.delta"]
        copies = [message.extra.get(name) or "" for name in ("reasoning_content", "reasoning")]
        assert "".join(e.delta for e in thoughts) in [copy for copy in copies if copy] or copies
        tokens = [e for e in mine if e.type == "logprobs.content.delta"]
        logprobs = choice.logprobs.content if choice.logprobs is not None else None
        assert [token for e in tokens for token in e.content] == (logprobs or [])
        for deltas in (contents, refusals, thoughts):
            assert all(
                deltas[end].snapshot.endswith(deltas[end].delta) for end in range(len(deltas))
            )
        if complete:
            check_done(mine, choice.index, completion)


def check_done(events: list[Any], index: int, completion: ChatCompletion) -> None:
    """What is told to be done last is what is in the completion."""
    message = next(c.message for c in completion.choices if c.index == index)
    contents = [e.content for e in events if e.type == "content.done"]
    assert (contents[-1] if contents else "") == (message.content or "")
    refusals = [e.refusal for e in events if e.type == "refusal.done"]
    assert (refusals[-1] if refusals else "") == (message.refusal or "")
    functions = [getattr(call, "function", None) for call in message.tool_calls or []]
    wanted = sorted((f.name, f.arguments) for f in functions if f and (f.name or f.arguments))
    done = {
        e.index: (e.name, e.arguments)
        for e in events
        if e.type == "tool_calls.function.arguments.done"
    }
    assert sorted(done.values()) == wanted
