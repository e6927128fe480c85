"""What deltas add up to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async.assembly import Assembly

from .raw_server import chunk


def message(*chunks: dict[str, Any]) -> dict[str, Any]:
    return assembled(*chunks)["choices"][0]["message"]  # type: ignore[no-any-return]


def assembled(*chunks: dict[str, Any]) -> dict[str, Any]:
    assembly = Assembly()
    for one in chunks:
        assembly.add(one)
    return assembly.completion()


def call(index: int | None = None, **fields: Any) -> dict[str, Any]:
    piece = fields if index is None else {"index": index, **fields}
    return chunk(tool_calls=[piece])


def test_text_adds_up_and_names_do_not() -> None:
    assert message(
        chunk("Hel", role="assistant"), chunk("lo", role="assistant"), chunk(refusal="No")
    ) == {"role": "assistant", "content": "Hello", "refusal": "No"}


def test_choices_are_in_order_of_their_index() -> None:
    result = assembled(chunk("b", index=1), chunk("a"), chunk("B", index=1, finish="length"))
    assert [(c["index"], c["message"]["content"]) for c in result["choices"]] == [
        (0, "a"),
        (1, "bB"),
    ]
    assert [c["finish_reason"] for c in result["choices"]] == [None, "length"]


def test_tool_calls_interleaved() -> None:
    calls = message(
        call(1, id="b", type="function", function={"name": "sub", "arguments": ""}),
        call(0, id="a", type="function", function={"name": "add", "arguments": '{"x"'}),
        call(1, function={"arguments": "{}"}),
        call(0, function={"arguments": ": 1}"}),
    )["tool_calls"]
    assert calls == [
        {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "sub", "arguments": "{}"}},
    ]


def test_tool_calls_without_index_are_told_apart_by_id() -> None:
    calls = message(
        call(id="a", function={"name": "add", "arguments": "{}"}),
        call(id="b", function={"name": "sub", "arguments": "{"}),
        call(function={"arguments": "}"}),
    )["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("a", "{}"), ("b", "{}")]


def test_a_repeated_id_and_name_stay_single() -> None:
    (one,) = message(
        call(0, id="a", function={"name": "add", "arguments": "{"}),
        call(0, id="a", function={"name": "add", "arguments": "}"}),
    )["tool_calls"]
    assert one == {"id": "a", "function": {"name": "add", "arguments": "{}"}}


def test_custom_tools_and_audio_add_up() -> None:
    result = message(
        call(0, id="a", type="custom", custom={"name": "c", "input": "x"}),
        call(0, custom={"input": "y"}),
        chunk(audio={"id": "1", "data": "AA", "transcript": "Hel"}),
        chunk(audio={"data": "BB", "transcript": "lo", "expires_at": 5}),
    )
    assert result["tool_calls"][0]["custom"] == {"name": "c", "input": "xy"}
    assert result["audio"] == {"id": "1", "data": "AABB", "transcript": "Hello", "expires_at": 5}


def test_logprobs_are_strung_together() -> None:
    one, two = chunk("a"), chunk("b")
    one["choices"][0]["logprobs"] = {"content": [{"token": "a"}], "refusal": None}  # type: ignore[index]
    two["choices"][0]["logprobs"] = {"content": [{"token": "b"}]}  # type: ignore[index]
    logprobs = assembled(one, two)["choices"][0]["logprobs"]
    assert logprobs == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_usage_of_the_last_chunk_and_fields_of_vendors() -> None:
    last = {"id": "chatcmpl-1", "choices": [], "usage": {"total_tokens": 3}, "x_groq": {"id": 1}}
    result = assembled(chunk("a") | {"usage": None}, last)
    assert result["usage"] == {"total_tokens": 3}
    assert result["x_groq"] == {"id": 1}
    assert result["object"] == "chat.completion"


def test_reasoning_of_vendors_adds_up() -> None:
    result = message(chunk(reasoning_content="Hm"), chunk(reasoning_content=", well"), chunk("Hi"))
    assert result["reasoning_content"] == "Hm, well"


def test_depths_below_the_api_are_taken_as_they_are() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    result = message(chunk(odd=deep))
    assert result["odd"]["x"]["x"]["x"]


def test_finished_means_every_choice_that_has_begun() -> None:
    assembly = Assembly()
    assembly.add(chunk(finish="stop"))
    assert (assembly.begun, assembly.finished) == (1, True)
    assembly.add(chunk("a", index=1))
    assert not assembly.finished
    assembly.add(chunk(finish="stop", index=1))
    assert (assembly.begun, assembly.finished) == (2, True)


PIECES = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 1, 0.0, None, "0"])},
    optional={
        "delta": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "content": st.none() | st.sampled_from(["", "a", "bc"]),
                "role": st.none() | st.just("assistant"),
                "reasoning_content": st.none() | st.just("hm"),
                "refusal": st.none() | st.just("no"),
            },
        ),
        "finish_reason": st.none() | st.just("stop"),
        "logprobs": st.none() | st.just({"content": [{"token": "a"}]}),
        "stop_reason": st.none() | st.just(7),
    },
)


@given(st.lists(st.fixed_dictionaries({"choices": st.lists(PIECES, max_size=2)}), max_size=8))
def test_the_short_way_of_a_text_ends_where_the_long_one_does(chunks: list[Any]) -> None:
    short, long = Assembly(), Assembly()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "_add_text", lambda self, piece: False)
        for chunk in chunks:
            long.add(chunk)
    for chunk in chunks:
        short.add(chunk)
    assert short.completion() == long.completion()
    assert short.finished == long.finished
