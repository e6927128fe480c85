"""What is sent and read is exactly what was meant: numbers of every kind, NaN, keys, surrogates."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.jsontext import dumps, loads, strict_loads
from openai_async.types.chat import ChatCompletionMessage

from .raw_server import DONE, Exchange, RawServer, chunk

pytestmark = pytest.mark.virtual_time

MESSAGES: Any = [{"role": "user", "content": "hi"}]
NAN, INFINITY = math.nan, math.inf
BIG = 2**70 + 1


class Scalar:
    """A number like numpy's: not one of Python's `numbers`, but with an `item()`."""

    shape = ()

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        return self._value


class FloatScalar(Scalar, float):
    """numpy's float64 is a float as well."""

    def __new__(cls, value: float) -> FloatScalar:
        return float.__new__(cls, value)


class Array:
    """One number in an array is an array."""

    shape = (1,)

    def __float__(self) -> float:
        return 1.0

    def tolist(self) -> list[float]:
        return [1.0]


class Index:
    def __index__(self) -> int:
        return 7


class WholeNumber(int):
    pass


class Word(str):
    __slots__ = ()


class Level(Enum):
    LOW = 0.5


@dataclass
class Point:
    x: object
    _hidden: int = 0


async def ok(exchange: Exchange) -> None:
    await exchange.whole(b'{"choices": []}')


async def sent(raw: RawServer, client: AsyncClient, **params: Any) -> Any:
    raw.answer = ok
    await client.chat.completions.create(model="m", **{"messages": MESSAGES, **params})
    return json.loads(raw.exchanges[-1].body)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (FloatScalar(0.25), "0.25"),
        (Scalar(0.25), "0.25"),
        (Scalar(7), "7"),
        (Scalar(True), "true"),
        (Index(), "7"),
        (WholeNumber(7), "7"),
        (WholeNumber(BIG), str(BIG)),
        (Decimal("0.7"), "0.7"),
        (Fraction(1, 4), "0.25"),
        (BIG, str(BIG)),
        (-BIG, str(-BIG)),
        (2**64 - 1, str(2**64 - 1)),
        (-(2**63), str(-(2**63))),
        ([Scalar(1), (Scalar(2),)], "[1,[2]]"),
        (Word("w"), '"w"'),
        (Level.LOW, "0.5"),
        (Point(Scalar(1)), '{"x":1}'),
        (Point(BIG), f'{{"x":{BIG}}}'),
        (MappingProxyType({"a": Scalar(1)}), '{"a":1}'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        ({7: 1, Scalar(8): 2, True: 3, None: 4}, '{"7":1,"8":2,"true":3,"null":4}'),
    ],
)
@pytest.mark.parametrize(
    "beside",
    [None, BIG, "half \ud83d", {Scalar(5): 1}],
    ids=["alone", "beside a long integer", "beside a surrogate", "beside a number key"],
)
async def test_a_value_is_encoded_the_same_whatever_is_next_to_it(
    raw: RawServer, raw_client: AsyncClient, value: object, written: str, beside: object
) -> None:
    body = await sent(
        raw, raw_client, extra_body={"value": {"below": value}, "beside": beside, "none": None}
    )
    assert body["value"]["below"] == json.loads(written)
    assert repr(body["value"]["below"]) == repr(json.loads(written))


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"temperature": NAN}, "temperature is NaN"),
        ({"temperature": INFINITY}, "temperature is Infinity"),
        ({"temperature": -INFINITY}, "temperature is -Infinity"),
        ({"temperature": FloatScalar(NAN)}, "temperature is NaN"),
        ({"logit_bias": {"50256": NAN}}, "logit_bias.50256 is NaN"),
        ({"logit_bias": {50256: NAN}}, "logit_bias.50256 is NaN"),
        ({"logit_bias": {NAN: 1}}, "logit_bias.nan is NaN"),
        ({"extra_body": {"a": [{"b": Scalar(NAN)}]}}, "a[0].b is NaN"),
        ({"extra_body": {"a": (1.0, -INFINITY)}}, "a[1] is -Infinity"),
        ({"extra_body": {"a": Decimal("NaN")}}, "a is NaN"),
        ({"extra_body": {"a": Decimal("1e999")}}, "a is Infinity"),
        ({"extra_body": {"a": Point(NAN)}}, "a.x is NaN"),
        ({"extra_body": {"a": NAN, "big": BIG}}, "a is NaN"),
        ({"extra_body": {"a": NAN, "half": "\ud83d"}}, "a is NaN"),
        ({"messages": [{"role": "user", "content": NAN}]}, "messages[0].content is NaN"),
        ({"messages": [ChatCompletionMessage(content=NAN)]}, "messages[0].content is NaN"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_number_that_is_not_finite_is_refused_with_its_location(
    raw: RawServer, raw_client: AsyncClient, params: Any, where: str, stream: bool
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        raw_client.chat.completions.create(
            model="m", **{"messages": MESSAGES, **params}, stream=stream
        )
    assert str(caught.value).startswith(f"{where}, which JSON cannot represent")
    assert not raw.exchanges


@pytest.mark.parametrize(
    ("send", "where"),
    [
        (lambda c: c.request("POST", "/x", json={"a": [NAN]}), "a[0] is NaN"),
        (lambda c: c.request("POST", "/x", json=[NAN]), "[0] is NaN"),
        (lambda c: c.request("POST", "/x", json=NAN), "The request is NaN"),
        (lambda c: c.images.generate(prompt="x", extra_body={"a": {"b": NAN}}), "a.b is NaN"),
        (lambda c: c.models.list(extra_body={"a": {"b": NAN}}), "a.b is NaN"),
    ],
)
async def test_it_is_refused_in_every_request(
    raw: RawServer, raw_client: AsyncClient, send: Callable[[AsyncClient], Any], where: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await send(raw_client)
    assert str(caught.value).startswith(where)
    assert not raw.exchanges


ITSELF: list[object] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Array(), "a.b has type Array, which cannot be written as JSON: pass its .tolist()."),
        ({1, 2}, "a.b has type set, which cannot be written as JSON"),
        (b"x", "a.b has type bytes, which cannot be written as JSON"),
        (1j, "a.b has type complex, which cannot be written as JSON"),
        (Scalar(1j), "a.b has type Scalar, which cannot be written as JSON"),
        (Decimal("sNaN"), "a.b has type Decimal, which cannot be written as JSON"),
        (Fraction(10**400), "a.b has type Fraction, which cannot be written as JSON"),
        ([BIG, object()], "a.b[1] has type object, which cannot be written as JSON"),
        ({(1, 2): 3}, "a.b has a key of type tuple: use text or numbers as keys."),
        (ITSELF, "The request cannot be written as JSON: it is nested too deep"),
    ],
    ids=["array", "set", "bytes", "complex", "scalar", "snan", "fraction", "object", "key", "self"],
)
async def test_values_that_json_cannot_represent_are_refused_with_their_location(
    raw: RawServer, raw_client: AsyncClient, value: object, message: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await raw_client.request("POST", "/x", json={"a": {"b": value}})
    assert str(caught.value).startswith(message)
    assert not raw.exchanges


@pytest.mark.parametrize("swap", [False, True])
async def test_number_keys_and_lone_surrogates_go_together_in_any_order(
    raw: RawServer, raw_client: AsyncClient, swap: bool
) -> None:
    params = {"logit_bias": {50256: -100}, "messages": [{"role": "user", "content": "x \ud83d"}]}
    items = [*params.items()][:: -1 if swap else 1]
    body = await sent(raw, raw_client, **dict(items))
    assert body["logit_bias"] == {"50256": -100}
    assert body["messages"][0]["content"] == "x \ud83d"


JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates too.
    | st.text(st.characters(codec=None, categories=["L", "Cc", "Cs", "So"]), max_size=9),
    lambda inside: st.lists(inside, max_size=12) | st.dictionaries(st.text(max_size=9), inside),
    max_leaves=40,
)


@given(JSON)
def test_all_json_is_written_and_read_unchanged(value: Any) -> None:
    written = dumps(value)
    assert repr(json.loads(written)) == repr(value)
    assert repr(loads(written)) == repr(value)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_read_is_what_the_standard_library_reads(data: bytes) -> None:
    try:
        expected = json.loads(data)
    except ValueError:
        with pytest.raises(ValueError):
            loads(data)
    else:
        assert repr(loads(data)) == repr(expected)


@pytest.mark.parametrize("data", [b"NaN", b"[1e400]", b'"\\ud83d"', b"\xff", b"{", b"[" * 5000])
def test_strict_json_is_that_of_rfc_8259(data: bytes) -> None:
    with pytest.raises(ValueError):
        strict_loads(data)


FOREIGN: Any = {
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "a set": {1},
    "a complex number": 1j,
    "NaN": NAN,
    "a class": int,
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("neighbours", [0, 3, 7, 8, 9, 1000])
@pytest.mark.parametrize(
    "around",
    [lambda x: x, lambda x: {"k": x}, lambda x: {"k": [x, 0.5]}, lambda x: [{}, (x,)]],
    ids=["alone", "in a dict", "in a list in a dict", "in a tuple in a list"],
)
def test_what_is_not_json_is_found_among_any_number_of_neighbours(
    foreign: object, neighbours: int, around: Callable[[object], object]
) -> None:
    for value in (
        [around(0)] * neighbours + [around(foreign)],
        {**{f"{n}": around(0) for n in range(neighbours)}, "x": around(foreign)},
        [[around(0)] * neighbours, (around(foreign),)],
    ):
        with pytest.raises(InvalidArgumentError, match=r"which|cannot"):
            dumps(value)


@pytest.mark.parametrize("neighbours", [0, 9, 1000])
def test_response_objects_are_written_as_they_came_among_any_number_of_neighbours(
    neighbours: int,
) -> None:
    came = {"content": "Hi", "refusal": None, "vendor": [1, {"a": None}]}
    message = ChatCompletionMessage.from_dict(came)
    plain = [{"role": "user", "content": "Hi"}] * neighbours
    built = ChatCompletionMessage(content="Ho")
    body = json.loads(dumps({"messages": [*plain, message, (built,)]}))
    assert body["messages"] == [*plain, came, [{"role": "assistant", "content": "Ho"}]]


def test_keys_that_are_not_text_are_found_among_many_neighbours() -> None:
    plain = [{"role": "user", "content": "Hi"}] * 20
    for key in (b"x", (1,), NAN, Scalar(NAN)):
        with pytest.raises(InvalidArgumentError):
            dumps([*plain, {key: 1}])
    written = json.loads(dumps([*plain, {2: 1, 0.25: 2, None: 3, True: 4, Level.LOW: 5}]))
    assert written[-1] == {"2": 1, "0.25": 2, "null": 3, "true": 4, "0.5": 5}


# --- answers ---


@pytest.mark.parametrize(
    "number",
    [
        str(BIG),
        str(-BIG),
        str(2**63),
        str(-(2**63) - 1),
        str(2**64 - 1),
        str(2**64),
        "1" * 640,
        "0.12345678901234567890123",
        "12345678901234567890.5",
        "1234567890123456789012e3",
        "1e5",
    ],
)
@pytest.mark.parametrize("shape", ['{"choices":[],"seed":%s}', '{"choices":[],"a":[1, %s ]}'])
async def test_numbers_of_answers_are_read_exactly(
    raw: RawServer, raw_client: AsyncClient, number: str, shape: str
) -> None:
    text = shape % number
    raw.answer = lambda exchange: exchange.whole(text.encode())
    result = await raw_client.chat.completions.create(model="m", messages=MESSAGES)
    response = await raw_client.request("GET", "/x")
    assert repr(result.to_dict()) == repr(json.loads(text)) == repr(response.json())
    assert json.loads(result.to_json()) == json.loads(text)


@pytest.mark.parametrize("at", range(12))
async def test_they_are_wherever_in_the_answer_they_begin(
    raw: RawServer, raw_client: AsyncClient, at: int
) -> None:
    raw.answer = lambda exchange: exchange.whole(
        b'{"x":"' + b"-" * at + b'","n":' + b"9" * 20 + b"}"
    )
    assert (await raw_client.request("GET", "/x")).json()["n"] == 10**20 - 1


async def test_they_are_in_a_stream_too(raw: RawServer, raw_client: AsyncClient) -> None:
    raw.answer = lambda exchange: exchange.stream({**chunk("a", finish="stop"), "n": 7}, DONE)
    event = f'data: {{"choices":[{{"delta":{{"content":"a"}}}}],"n":{BIG}}}\n\n'.encode()
    raw.answer = lambda exchange: exchange.stream(event, DONE)
    stream = raw_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert [chunk.to_dict()["n"] async for chunk in stream] == [BIG]


async def test_a_number_that_python_would_not_read_is_not_an_error(
    raw: RawServer, raw_client: AsyncClient
) -> None:
    raw.answer = lambda exchange: exchange.whole(b'{"n":1' + b"0" * 5000 + b"}")
    assert (await raw_client.request("GET", "/x")).json()["n"] == INFINITY


async def test_digits_in_a_text_are_not_a_number(raw: RawServer, raw_client: AsyncClient) -> None:
    digits = "1234567890" * 10
    raw.answer = lambda exchange: exchange.whole(json.dumps({"id": digits}).encode())
    assert (await raw_client.request("GET", "/x")).json() == {"id": digits}


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_around_64_bits_are_read_exactly(sign: int) -> None:
    """An earlier msgspec lost the leading bits of some (its issue 701)."""
    edges = [19933688932870350000, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 10**19, 10**20 - 1]
    assert [loads(str(sign * number).encode()) for number in edges] == [sign * n for n in edges]
