"""What deltas add up to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async.wire.assembly import Assembly
from openai_async.wire.call_assembly import Calls

from ..raw_server import chunk


def message(*chunks: dict[str, Any]) -> dict[str, Any]:
    return assembled(*chunks)["choices"][0]["message"]  # type: ignore[no-any-return]


def assembled(*chunks: dict[str, Any], single: bool = True) -> dict[str, Any]:
    assembly = Assembly(single=single)
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


def test_a_text_beside_log_probabilities_is_not_all_that_a_chunk_adds() -> None:
    assembly, plain, logged = Assembly(), chunk("Hi"), chunk("Hi")
    logged["choices"][0]["logprobs"] = {"content": [{"token": "Hi"}]}  # type: ignore[index]
    assembly.add(logged)
    assert assembly.growing(logged) is None
    assembly.add(plain)
    assert assembly.growing(plain) == ("content", ["Hi", "Hi"])


@pytest.mark.parametrize("first", ["", "Oh! "])
def test_a_whole_message_after_deltas_adds_no_text(first: str) -> None:
    whole = {"index": 0, "message": {"content": "Hello, world!"}, "finish_reason": "stop"}
    deltas = [chunk(first, role="assistant"), chunk("Hello "), chunk("world!")]
    assert message(*deltas, {"choices": [whole]})["content"] == f"{first}Hello world!"


@pytest.mark.parametrize("held", [["assistant"], {"a": 1}, 7])
def test_a_message_may_have_a_text_where_a_delta_had_another_type(held: Any) -> None:
    whole = {"choices": [{"index": 0, "message": {"note": "text"}, "finish_reason": None}]}
    assert message(chunk("Hi", note=held), whole)["note"] == held


def test_what_a_vendor_adds_beside_a_text_is_kept() -> None:
    second = chunk("lo")
    second["choices"][0]["token_ids"] = [7]  # type: ignore[index]
    [choice] = assembled(chunk("Hel"), second)["choices"]
    assert (choice["message"]["content"], choice["token_ids"]) == ("Hello", [7])


def test_an_empty_name_does_not_take_the_place_of_one() -> None:
    [made] = message(
        call(0, id="a", type="function", function={"name": "add", "arguments": "{"}),
        call(0, id="", type="", function={"name": "", "arguments": "}"}),
    )["tool_calls"]
    assert made == {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def test_choices_are_in_order_of_their_index() -> None:
    chunks = [chunk("b", index=1), chunk("a"), chunk("B", index=1, finish="length")]
    result = assembled(*chunks, single=False)
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


def test_tool_calls_without_an_index_are_distinguished_by_id() -> None:
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


def test_logprobs_are_concatenated() -> None:
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


def test_unknown_nested_values_are_kept_as_they_are() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    result = message(chunk(odd=deep))
    assert result["odd"]["x"]["x"]["x"]


def test_finished_means_every_choice_that_has_begun() -> None:
    assembly = Assembly(single=False)
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


CHUNKS = st.lists(st.fixed_dictionaries({"choices": st.lists(PIECES, max_size=2)}), max_size=8)


@given(CHUNKS, st.booleans())
def test_the_fast_path_for_text_gives_the_same_result_as_the_slow_one(
    chunks: list[Any], single: bool
) -> None:
    short, long = Assembly(single=single), Assembly(single=single)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "_add_text", lambda self, piece: False)
        for chunk in chunks:
            long.add(chunk)
    for chunk in chunks:
        short.add(chunk)
    assert short.completion() == long.completion()
    assert short.finished == long.finished


ARGUMENTS = st.sampled_from(["", "{", "}", "{}", "1", None, {}, {"a": 1}])
CALLS = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 1, "0", None])},
    optional={
        "function": st.fixed_dictionaries(
            {}, optional={"arguments": ARGUMENTS, "name": st.sampled_from(["f", "g", ""])}
        ),
        "id": st.sampled_from(["a", "b", ""]),
    },
)
CALL_PIECES = st.fixed_dictionaries(
    {"delta": st.fixed_dictionaries({"tool_calls": st.lists(CALLS, max_size=2) | CALLS})},
    optional={"index": st.just(0), "finish_reason": st.sampled_from([None, "stop"])},
)


@given(st.lists(CALL_PIECES, max_size=8))
def test_the_fast_path_for_arguments_gives_the_same_result_as_the_slow_one(
    pieces: list[Any],
) -> None:
    short, long = Assembly(), Assembly()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "_add_text", lambda self, piece: False)
        for piece in pieces:
            long.add({"choices": [piece]})
    for piece in pieces:
        short.add({"choices": [piece]})
    assert short.completion() == long.completion()
    assert (short.finished, short.trusted) == (long.finished, long.trusted)


def test_a_piece_of_the_arguments_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = Assembly()
    first = {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}
    assembly.add({"choices": [{"index": 0, "delta": {"tool_calls": [first]}}]})
    monkeypatch.setattr(Calls, "_add_piece", lambda *_: pytest.fail("took the slow path"))
    rest = {"index": 0, "function": {"arguments": "{}"}}
    assembly.add({"choices": [{"index": 0, "delta": {"tool_calls": [rest]}}]})
    (call,) = assembly.completion()["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": "{}"}


# --- tool calls, however servers distinguish them ---

OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'


def piece(
    name: str | None = None, arguments: Any = None, *, id: str | None = None, index: Any = None
) -> dict[str, Any]:
    """A fragment of a call with these fields."""
    function = {"name": name, "arguments": arguments}
    fields = {
        "index": index,
        "id": id,
        "function": {k: v for k, v in function.items() if v is not None},
    }
    return {k: v for k, v in fields.items() if v is not None and v != {}}


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [
                piece("weather", OSLO, id="a", index=0),
                piece("weather", ROME, id="b", index=0),
                piece("time", "{}", id="c", index=0),
            ],
            [("a", "weather", OSLO), ("b", "weather", ROME), ("c", "time", "{}")],
            id="the index always 0",
        ),
        pytest.param(
            [piece("weather", OSLO, index=0), piece("weather", ROME, index=0)],
            [(None, "weather", OSLO), (None, "weather", ROME)],
            id="the index always 0, and no id",
        ),
        pytest.param(
            [piece("weather", OSLO), piece("weather", ROME), piece("time", "{}")],
            [(None, "weather", OSLO), (None, "weather", ROME), (None, "time", "{}")],
            id="neither index nor id",
        ),
        pytest.param(
            [
                piece("weather", "", id="a", index=0),
                piece("time", "", id="b", index=0),
                piece(None, OSLO, id="a", index=0),
                piece(None, "{}", id="b", index=0),
            ],
            [("a", "weather", OSLO), ("b", "time", "{}")],
            id="the index always 0, interleaved",
        ),
        pytest.param(
            [
                piece("edit_ex", id="a", index=0),
                piece("isting_file", index=0),
                piece(None, "{}", index=0),
            ],
            [("a", "edit_existing_file", "{}")],
            id="a name in pieces",
        ),
        pytest.param(
            [
                piece("edit", id="a", index=0),
                piece("edit_file", index=0),
                piece(None, "{}", index=0),
            ],
            [("a", "edit_file", "{}")],
            id="a name that grows",
        ),
        pytest.param(
            [piece("weather", part, id="a", index=0) for part in ('{"city":', '"Oslo"', "}")],
            [("a", "weather", OSLO)],
            id="id and name in each piece",
        ),
        pytest.param(
            [piece("weather", part, index=0) for part in ('{"city":', '"Oslo"', "}")],
            [(None, "weather", OSLO)],
            id="the name in each piece, and no id",
        ),
        pytest.param(
            [piece("", id="a", index=0), piece("weather", "", index=0), piece("", OSLO, index=0)],
            [("a", "weather", OSLO)],
            id="empty names around the real one",
        ),
        pytest.param(
            [piece("weather", "", id="a", index=0), piece(None, OSLO, id="", index=0)],
            [("a", "weather", OSLO)],
            id="empty ids behind the real one",
        ),
        pytest.param(
            [
                piece("weather", '{"city":', id="a", index=0),
                piece(None, '"Oslo"}', id="b", index=0),
            ],
            [("a", "weather", OSLO)],
            id="another id with each piece",
        ),
        pytest.param(
            [
                piece("weather", "", id="a", index=0),
                piece(None, '{"city":', index=1),
                piece(None, '"Oslo"}', index=2),
            ],
            [("a", "weather", OSLO)],
            id="an index for each piece",
        ),
        pytest.param(
            [
                piece("weather", "", id="a", index=0),
                piece(None, OSLO, index=0),
                piece("time", "", id="b", index=0),
                piece(None, '{"zone":', index=1),
                piece(None, '"UTC"}', index=1),
            ],
            [("a", "weather", OSLO), ("b", "time", '{"zone":"UTC"}')],
            id="the index always 0, but for the rest of the second",
        ),
        pytest.param(
            [
                piece(None, '{"city":', id="a"),
                piece("weather", '"Oslo"}', id="a"),
                piece(None, "{}", id="b"),
                piece("time", id="b"),
            ],
            [("a", "weather", OSLO), ("b", "time", "{}")],
            id="arguments before the name",
        ),
        pytest.param(
            [piece("weather", {"city": "Oslo"}, id="a", index=0)],
            [("a", "weather", '{"city": "Oslo"}')],
            id="arguments as an object",
        ),
        pytest.param(
            [piece("weather", {}, id="a", index=0), piece(None, OSLO, index=0)],
            [("a", "weather", OSLO)],
            id="an empty object, then the text",
        ),
        pytest.param([piece("now", {}, id="a", index=0)], [("a", "now", "{}")], id="no arguments"),
        pytest.param(
            [piece("weather", OSLO, id="a", index=0), piece("weather", "", id="a", index=0)],
            [("a", "weather", OSLO)],
            id="the whole call, and its name again",
        ),
        pytest.param(
            [piece("now", {}, id="a", index=0), piece(None, "", index=0)],
            [("a", "now", "{}")],
            id="an empty object, then nothing",
        ),
        pytest.param(
            [piece("weather", OSLO), piece("now", "")],
            [(None, "weather", OSLO), (None, "now", "")],
            id="another name, no id and no arguments",
        ),
        pytest.param(
            [piece("b", "{}", id="2", index=1), piece("a", "{}", id="1", index=0)],
            [("1", "a", "{}"), ("2", "b", "{}")],
            id="out of order",
        ),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_tool_calls_are_those_that_the_server_meant(
    pieces: list[Any], calls: list[Any], together: bool
) -> None:
    groups = [pieces] if together else [[one] for one in pieces]
    result = message(*(chunk(tool_calls=group) for group in groups))["tool_calls"]
    assert calls == [
        (call.get("id"), call["function"]["name"], call["function"]["arguments"]) for call in result
    ]
    assert all("index" not in call for call in result)


@pytest.mark.parametrize(
    ("pieces", "made"),
    [
        (
            [
                {"index": 0, "id": "a", "name": "f", "arguments": ""},
                {"index": 0, "arguments": '{"a":'},
                {"index": 0, "arguments": "1}"},
            ],
            {"id": "a", "function": {"name": "f", "arguments": '{"a":1}'}},
        ),
        (
            [{"index": 0, "id": "a", "type": "custom", "name": "c", "input": "x"}],
            {"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}},
        ),
        (
            [
                {"index": 0, "id": "a", "function": None},
                {"index": 0, "function": {"name": "f", "arguments": "{}"}},
            ],
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        ),
        (
            [{"id": "a", "function": "f"}, {"id": "a", "function": {"arguments": "{}"}}],
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        ),
    ],
    ids=["flat, in pieces", "flat and custom", "null at first", "a name at first"],
)
def test_a_call_is_put_together_from_flat_pieces(pieces: list[Any], made: object) -> None:
    assert message(*(chunk(tool_calls=[one]) for one in pieces))["tool_calls"] == [made]


def test_an_empty_list_does_not_replace_what_a_vendor_has_sent() -> None:
    first, last = chunk("a"), chunk("b")
    first["choices"][0]["content_filter_results"] = {"hate": 1}  # type: ignore[index]
    last["choices"][0]["content_filter_results"] = []  # type: ignore[index]
    assert assembled(first, last)["choices"][0]["content_filter_results"] == {"hate": 1}


def test_custom_tools_with_ids_of_their_own_are_two_calls() -> None:
    calls = message(
        *(call(0, id=id, type="custom", custom={"name": "c", "input": "x"}) for id in "ab")
    )["tool_calls"]
    assert [(one["id"], one["custom"]["input"]) for one in calls] == [("a", "x"), ("b", "x")]


def test_a_single_call_instead_of_a_list() -> None:
    result = message(chunk(tool_calls=piece("weather", OSLO, id="a")))["tool_calls"]
    assert result == [{"id": "a", "function": {"name": "weather", "arguments": OSLO}}]


@pytest.mark.parametrize("value", [{}, [], "", [None], [{}], 0])
def test_an_empty_value_makes_no_call(value: Any) -> None:
    assert not message(chunk("text", tool_calls=value))["tool_calls"]


@pytest.mark.parametrize("value", ["none", [5], 7])
def test_a_tool_call_that_cannot_be_parsed_is_kept(value: Any) -> None:
    held = value if type(value) is list else [value]
    assert message(chunk("text", tool_calls=value))["tool_calls"] == held


def test_a_single_choice_stays_one_whatever_index_its_pieces_have() -> None:
    (choice,) = assembled(chunk("a"), chunk("b", index=1), chunk("c", finish="stop", index=2))[
        "choices"
    ]
    assert (choice["index"], choice["message"]["content"]) == (0, "abc")
    assert choice["finish_reason"] == "stop"


def test_the_deprecated_function_call_adds_up_as_calls_do() -> None:
    pieces = [
        {"name": "wea"},
        {"name": "ther"},
        {"arguments": '{"city":'},
        {"arguments": '"Oslo"}'},
    ]
    result = message(*(chunk(function_call=one) for one in pieces))["function_call"]
    assert result == {"name": "weather", "arguments": OSLO}


def test_a_signature_beside_a_call_is_kept() -> None:
    signature = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    result = message(chunk(tool_calls=[piece("a", "{}", id="1")]), chunk(tool_calls=[signature]))
    assert result["tool_calls"][0]["extra_content"] == signature["extra_content"]


# --- lists whose items come in pieces ---


def reasoning(index: int = 0, **fields: Any) -> dict[str, Any]:
    kind = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": index}
    return chunk(reasoning_details=[kind | fields])


def test_items_of_one_index_are_pieces_of_one() -> None:
    (block,) = message(
        reasoning(text="Let me"), reasoning(text=" compute."), reasoning(signature="Et8BCm")
    )["reasoning_details"]
    assert block == {
        "type": "reasoning.text",
        "format": "anthropic-claude-v1",
        "index": 0,
        "text": "Let me compute.",
        "signature": "Et8BCm",
    }


def test_items_of_another_index_or_type_are_others() -> None:
    blocks = message(
        reasoning(text="a"),
        reasoning(1, text="b"),
        reasoning(1, type="reasoning.encrypted", data="x"),
    )["reasoning_details"]
    assert [(block["index"], block["type"]) for block in blocks] == [
        (0, "reasoning.text"),
        (1, "reasoning.text"),
        (1, "reasoning.encrypted"),
    ]


def test_items_without_an_index_are_strung_together() -> None:
    notes = [{"type": "url_citation", "url": url} for url in ("a", "b")]
    assert message(*(chunk(annotations=[note]) for note in notes))["annotations"] == notes


@pytest.mark.parametrize("empty", ["", {}, [], 0, None, False])
def test_an_empty_value_replaces_nothing(empty: Any) -> None:
    first = chunk("a", name="n") | {"service_tier": "flex"}
    last = chunk(name=empty) | {"service_tier": empty, "id": empty, "model": empty}
    result = assembled(first, last)
    assert (result["service_tier"], result["id"]) == ("flex", "chatcmpl-1")
    assert result["choices"][0]["message"]["name"] == "n"


def test_a_field_may_change_from_a_list_to_text() -> None:
    """Found by comparing streams with and without templates."""
    as_list = {"choices": [{"index": 0, "delta": {"role": ["assistant"], "content": "Hi"}}]}
    as_text = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
    assert assembled(as_list, as_text)["choices"][0]["message"]["content"] == "Hi"
