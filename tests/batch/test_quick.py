"""The quick way from a line to its request gives the same as the thorough way, or nothing."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import InvalidArgumentError
from openai_async.batch.input.lines import Line, parse_json
from openai_async.batch.input.quick import quick_id, quick_request
from openai_async.batch.input.repeated_ids import RepeatedIds
from openai_async.batch.json_text import JSONText
from openai_async.batch.requests import BatchRequest

LINE: dict[str, Any] = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Grüße\n\u2028😀"}]},
}


def written(**changes: Any) -> bytes:
    return json.dumps({**LINE, **changes}).encode()


def thorough(data: bytes) -> BatchRequest | None:
    try:
        return BatchRequest.of(parse_json(Line(number=1, data=data)))
    except InvalidArgumentError:
        return None


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_request_without_mistakes_is_the_same_either_way(ascii: bool, indent: int | None) -> None:
    data = json.dumps(LINE, ensure_ascii=ascii, indent=indent).encode()
    request = quick_request(data)
    assert request is not None
    assert request == thorough(data)
    assert request.to_dict() == LINE
    assert quick_id(data) == "a"


def test_the_body_is_exactly_the_text_in_the_line() -> None:
    body = b'{"model" : "m", "seed":1.50, "n":123456789012345678901234567890,"n":2}'
    request = quick_request(b'{"custom_id":"a","url":"/v1/completions","body": ' + body + b" }")
    assert request is not None
    assert isinstance(request.body, JSONText)
    assert request.body.data == body


@pytest.mark.parametrize("url", ["/chat/completions", "/v1/embeddings", "/v1/rerank"])
def test_all_endpoints_take_the_quick_way(url: str) -> None:
    assert quick_request(written(url=url)) == thorough(written(url=url)) is not None


WRONG = [
    b"",
    b"[]",
    b"{",
    written() + b" {}",
    written(custom_id=7),
    written(custom_id=""),
    written(custom_id="x" * 513),
    written(url="/v1/files"),
    written(url=None),
    written(method="PUT"),
    written(method="GET"),
    written(body=[]),
    written(body=None),
    written(body={"stream": True}),
    written(body={"model": "m", "x": float("nan")}),
    written(body={"model": "\ud83d"}),
    written().replace(b"gpt-4o", b"gpt-\xe9"),
    written(body={"x": "here"}).replace(b"here", b"\xed\xa0\xbd"),
    written().replace(b"gpt-4o", b"gpt-\x01"),
    written(body={"x": 1}).replace(b"1", b"01"),
    written(body={"x": [7]}).replace(b"7", b"1e400"),
    written(body={"x": [7]}).replace(b"7", b"-1e400"),
    written(body={"x": {"y": 7}}).replace(b"7", b"7" * 5000),
    written(body={"x": "\ud83d"}),
    written(body={"x": "\udc00 \ud83d"}),
]


@pytest.mark.parametrize("data", WRONG)
def test_invalid_lines_are_left_to_the_thorough_way(data: bytes) -> None:
    assert thorough(data) is None
    assert quick_request(data) is None
    assert quick_id(data) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET", "url": "/v1/models", "body": {}},
        {"body": {"model": 5}},
        {"body": {"stream": 0}},
        {"body": {"input": [[1]] * 250}},
    ],
    ids=["GET", "a model that is not a string", "a stream that is not a boolean", "many brackets"],
)
def test_unusual_lines_are_left_to_the_thorough_way(changes: dict[str, Any]) -> None:
    assert quick_request(written(**changes)) is None
    assert thorough(written(**changes)) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["custom_id", "method", "url", "body", "x"]), JSON),
    st.dictionaries(st.sampled_from(["model", "stream", "messages", "\ud800"]), JSON),
    st.integers(0, 300),
    st.binary(max_size=2),
)
def test_the_two_ways_agree(
    changes: dict[str, Any], body: dict[str, Any], at: int, noise: bytes
) -> None:
    data = written(**{"body": body, **changes})
    data = data[:at] + noise + data[at + len(noise) :]
    request = quick_request(data)
    assert quick_id(data) == (None if request is None else request.custom_id)
    if request is not None:
        assert request == thorough(data)


# --- the body ---


def text(value: Any, model: str | None = None) -> JSONText:
    return JSONText(json.dumps(value).encode(), model)


def test_a_body_reads_like_the_dict_that_it_holds() -> None:
    value = {"model": "m", "n": None}
    body = text(value, "m")
    assert body == value
    assert (dict(body), len(body), [*body]) == (value, 2, ["model", "n"])
    assert (body["model"], body.get("n", 1), body.get("x", 1), "x" in body) == ("m", None, 1, False)
    assert repr(body) == repr(value)


def test_the_model_is_known_without_parsing() -> None:
    assert JSONText(b"not looked at", "m").get("model") == "m"
    assert text({"model": None}).get("model", 1) is None
    assert text({}).get("model", 1) == 1


def test_a_body_survives_pickling() -> None:
    body = text({"model": "m"}, "m")
    assert body["model"] == "m"  # parsed by now
    copied = pickle.loads(pickle.dumps(body))
    assert (type(copied), copied, copied.data) == (JSONText, body, body.data)


# --- repeated ids ---


@given(st.lists(st.text(max_size=2)))
def test_no_repetition_is_overlooked(ids: list[str]) -> None:
    repeated = RepeatedIds()
    assert all(map(repeated.add, ids))
    assert repeated.any_likely() == (len(set(ids)) < len(ids))
