"""Any value of any type, written as JSON by the type's schema, comes back equal."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import re
import typing
import uuid
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openai_async.structured import schema_of
from openai_async.structured.decoding import Decoder

# --- random types, with strategies for their values -----------------------------------------------


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):  # noqa: UP042 - as many still write it
    YES = "yes"


@attrs.frozen
class Made:
    """A type and its values."""

    kind: Any
    values: st.SearchStrategy[Any]
    json_type: str
    """Values of types with different ones are told apart in a union."""


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = [
    Made(str, TEXT, "string"),
    Made(int, st.integers(), "number"),
    Made(float, st.floats(allow_nan=False, allow_infinity=False), "number"),
    Made(bool, st.booleans(), "boolean"),
    Made(
        datetime.datetime,
        st.datetimes(timezones=st.just(datetime.UTC)).map(lambda t: t.replace(fold=0)),
        "string",
    ),
    Made(datetime.date, st.dates(), "string"),
    Made(datetime.time, st.times().map(lambda t: t.replace(fold=0)), "string"),
    Made(
        datetime.timedelta,
        st.timedeltas(datetime.timedelta(-(10**6)), datetime.timedelta(10**6)),
        "string",
    ),
    Made(uuid.UUID, st.uuids(), "string"),
    Made(decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3), "string"),
    Made(Color, st.sampled_from(Color), "string"),
    Made(Level, st.sampled_from(Level), "number"),
    Made(Word, st.sampled_from(Word), "string"),
    Made(Literal["a", "b"], st.sampled_from(["a", "b"]), "string"),
    Made(Literal["a", 1, None, True], st.sampled_from(["a", 1, None, True]), "mixed"),
]
NAMES = st.lists(
    st.sampled_from(["name", "x", "value", "items", "title", "type_", "two_words"]),
    unique=True,
    min_size=1,
    max_size=4,
)


def of_attrs(name: str, fields: dict[str, Any]) -> Any:
    return attrs.make_class(name, {n: attrs.field(type=k) for n, k in fields.items()})


def of_dataclass(name: str, fields: dict[str, Any]) -> Any:
    return dataclasses.make_dataclass(name, [*fields.items()], kw_only=True, slots=True)


def of_typed_dict(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields)  # type: ignore[operator]


def of_named_tuple(name: str, fields: dict[str, Any]) -> Any:
    return NamedTuple(name, [*fields.items()])


def of_struct(name: str, fields: dict[str, Any]) -> Any:
    return msgspec.defstruct(name, [*fields.items()], rename="camel", kw_only=True)


CLASSES: list[Callable[[str, dict[str, Any]], Any]] = [
    *(of_attrs, of_dataclass, of_typed_dict, of_named_tuple, of_struct)
]


@st.composite
def classes(draw: st.DrawFn, parts: st.SearchStrategy[Made]) -> Made:
    fields = {name: draw(parts) for name in draw(NAMES)}
    make = draw(st.sampled_from(CLASSES))
    kind = make(f"Made{draw(st.integers(0, 10**9))}", {n: part.kind for n, part in fields.items()})
    values = st.fixed_dictionaries({n: part.values for n, part in fields.items()})
    made = values.map(lambda found: kind(**{name: found[name] for name in fields}))
    return Made(kind, made, "object")


def union(one: Any, other: Any) -> Any:
    return typing.Union[one, other]  # noqa: UP007 - of any two


@st.composite
def unions(draw: st.DrawFn, parts: st.SearchStrategy[Made]) -> Made:
    """Of two types whose values are told apart by their JSON."""
    one = draw(parts.filter(lambda part: part.json_type not in ("mixed", "null")))
    other = draw(parts.filter(lambda part: part.json_type not in ("mixed", one.json_type)))
    return Made(union(one.kind, other.kind), one.values | other.values, "mixed")


def lists(part: Made) -> Made:
    return Made(list[part.kind], st.lists(part.values, max_size=3), "array")  # type: ignore[name-defined]


def tuples(part: Made) -> Made:
    values = st.lists(part.values, max_size=3).map(tuple)
    return Made(tuple[part.kind, ...], values, "array")  # type: ignore[name-defined]


def optionals(part: Made) -> Made:
    return Made(union(part.kind, None), st.none() | part.values, "mixed")


TYPES: st.SearchStrategy[Made] = st.recursive(
    st.sampled_from(SCALARS),
    lambda parts: st.one_of(
        classes(parts), parts.map(lists), parts.map(tuples), parts.map(optionals), unions(parts)
    ),
    max_leaves=6,
)


# --- values as JSON, and a validator --------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as the API's answer would have it."""
    if isinstance(value, enum.Enum):
        return value.value
    if attrs.has(type(value)):
        return {a.name: plain(getattr(value, a.name)) for a in attrs.fields(type(value))}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return {f.encode_name: plain(getattr(value, f.name)) for f in fields}
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, decimal.Decimal):
        return str(value)
    if type(value) in (str, int, float, bool, type(None)):
        return value
    return msgspec.to_builtins(value)


JSON_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value fits a schema: as much of JSON Schema as strict mode has."""
    if "$ref" in schema:
        assert len(schema) == 1
        place = schema["$ref"].removeprefix("#/$defs/")
        return fits(value, root if place == "#" else root["$defs"][place], root)
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    if not isinstance(value, JSON_TYPES[schema["type"]]):
        return False
    if isinstance(value, bool) != (schema["type"] == "boolean"):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if schema["type"] == "array":
        return all(fits(item, schema["items"], root) for item in value)
    if schema["type"] == "object":
        properties = schema["properties"]
        assert schema["additionalProperties"] is False
        assert schema["required"] == [*properties]
        return value.keys() == properties.keys() and all(
            fits(value[key], inner, root) for key, inner in properties.items()
        )
    return True


SLOWLY = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same type everywhere: `True == 1`, and `1 == 1.0`."""
    return bool(one == other) and repr(one) == repr(other)


@SLOWLY
@given(st.data(), TYPES)
def test_any_value_of_any_type_comes_back_equal(data: st.DataObject, made: Made) -> None:
    value = data.draw(made.values)
    schema = schema_of(made.kind)
    decoder: Decoder[Any] = Decoder(made.kind)
    wrapped = "value" in schema["properties"] and decoder._wrapped
    sent = {"value": plain(value)} if wrapped else plain(value)
    text = json.dumps(sent)

    assert fits(sent, schema, schema)
    assert same(decoder.decode(text), value)
    # Without msgspec too.
    assert same(decoder.structure(decoder.inside(json.loads(text))), value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["a", "red", "1"]),
    lambda parts: (
        st.lists(parts, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "x", "value", "twoWords"]), parts, max_size=2)
    ),
    max_leaves=5,
)


@SLOWLY
@given(TYPES, JSON)
def test_msgspec_reads_nothing_that_the_converter_would_read_otherwise(
    made: Made, sent: Any
) -> None:
    decoder: Decoder[Any] = Decoder(made.kind, wrapped=False)
    if decoder._quick is None:
        return
    try:
        quick = decoder._quick(json.dumps(sent))
    except Exception:
        return  # then the converter decides
    assert same(decoder.structure(sent), quick)


def test_the_validator_finds_what_does_not_fit() -> None:
    schema = schema_of(list[Color | int])
    assert fits({"value": ["red", 1]}, schema, schema)
    for misfit in (
        {"value": ["green"]},
        {"value": [True]},
        {"value": 1},
        {},
        {"value": [], "x": 1},
    ):
        assert not fits(misfit, schema, schema)


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_each_kind_of_class_may_be_in_each_other(make: Callable[..., Any]) -> None:
    for inner_make in CLASSES:
        inner = inner_make("Inner", {"two_words": int})
        outer = make("Outer", {"inner": inner, "more": list[inner]})  # type: ignore[valid-type]
        value = outer(inner=inner(two_words=1), more=[inner(two_words=2)])
        assert same(Decoder[Any](outer).decode(json.dumps(plain(value))), value)
