"""A small validator of JSON Schema, written from its specification, and schemas for hypothesis."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

_DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?")


def _is_time(text: str) -> bool:
    return dt.time.fromisoformat(text).tzinfo is not None


FORMATS: dict[str, Callable[[str], object]] = {
    "date": dt.date.fromisoformat,
    "date-time": lambda text: dt.datetime.fromisoformat(text).tzinfo,
    "time": _is_time,
    "duration": _DURATION.fullmatch,
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+").fullmatch,
    "hostname": re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+").fullmatch,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "uuid": uuid.UUID,
    "uri": re.compile(r"https://\S+").fullmatch,
}


def fits(value: Any, schema: Any, root: Any = None) -> bool:
    """Whether the value is valid for the schema."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema

    def below(value: Any, schema: Any) -> bool:
        return fits(value, schema, root)

    checks = (
        "const" not in schema or _same(value, schema["const"]),
        "enum" not in schema or any(_same(value, member) for member in schema["enum"]),
        "$ref" not in schema or below(value, _resolved(schema["$ref"], root)),
        all(below(value, part) for part in schema.get("allOf", ())),
        "anyOf" not in schema or any(below(value, part) for part in schema["anyOf"]),
        "oneOf" not in schema or sum(below(value, part) for part in schema["oneOf"]) == 1,
        "type" not in schema or _has_type(value, schema["type"]),
    )
    if not all(checks):
        return False
    match value:
        case dict():
            return _object_fits(value, schema, below)
        case list():
            return _array_fits(value, schema, below)
        case str():
            return _string_fits(value, schema)
        case int() | float() if not isinstance(value, bool):
            return _number_fits(value, schema)
    return True


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _has_type(value: Any, kinds: Any) -> bool:
    types: dict[str, Any] = {"object": dict, "array": list, "string": str, "null": type(None)}
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == "boolean" or isinstance(value, bool):
            if kind == "boolean" and isinstance(value, bool):
                return True
        elif kind in ("integer", "number"):
            if isinstance(value, int) or (kind == "number" and isinstance(value, float)):
                return True
        elif isinstance(value, types[kind]):
            return True
    return False


def _object_fits(value: dict[str, Any], schema: Any, below: Any) -> bool:
    properties = schema.get("properties", {})
    others = [name for name in value if name not in properties]
    return (
        all(name in value for name in schema.get("required", ()))
        and all(below(value[name], properties[name]) for name in value if name in properties)
        and all(below(value[name], schema.get("additionalProperties", True)) for name in others)
        and all(below(name, schema.get("propertyNames", True)) for name in value)
        and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**9)
    )


def _array_fits(value: list[Any], schema: Any, below: Any) -> bool:
    first = schema.get("prefixItems", [])
    distinct = [one for place, one in enumerate(value) if one not in value[:place]]
    return (
        all(below(one, part) for one, part in zip(value, first, strict=False))
        and all(below(one, schema.get("items", True)) for one in value[len(first) :])
        and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
        and (not schema.get("uniqueItems") or distinct == value)
    )


def _string_fits(value: str, schema: Any) -> bool:
    if "format" in schema:
        try:
            if not FORMATS[schema["format"]](value):
                return False
        except ValueError:
            return False
    return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9) and bool(
        re.search(schema.get("pattern", ""), value)
    )


def _number_fits(value: float, schema: Any) -> bool:
    exact = {
        name: Fraction(str(schema[name]))
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
        if name in schema
    }
    number = Fraction(str(value))
    return (
        exact.get("minimum", number) <= number <= exact.get("maximum", number)
        and ("exclusiveMinimum" not in exact or number > exact["exclusiveMinimum"])
        and ("exclusiveMaximum" not in exact or number < exact["exclusiveMaximum"])
        and ("multipleOf" not in exact or (number / exact["multipleOf"]).denominator == 1)
    )


def _resolved(reference: str, root: Any) -> Any:
    found = root
    for name in reference.removeprefix("#").split("/")[1:]:
        found = found[name.replace("~1", "/").replace("~0", "~")]
    return found


NAMES = st.text("abcxyz_/~é ", min_size=1, max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | NAMES
PATTERNS = st.sampled_from(
    [
        *(r"^[A-Z]{2}\d{4}$", r"^@[a-zA-Z0-9_]+$", r"^\d{3}-\d{4}$", r"^(red|green|blue)$"),
        *(r"^\+?[0-9]+(\.[0-9]{2})?$", r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$", r"\w+ \w+", r"^$"),
        *(r"^#[0-9a-fA-F]{6}$", r"^(?:https?://)[\w.-]+/$", r"^\u00e9\x41\\\.[\]\-]$"),
    ]
)


@st.composite
def _strings(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["plain", "length", "format", "pattern"]))
    if kind == "format":
        return {"type": "string", "format": draw(st.sampled_from(sorted(FORMATS)))}
    if kind == "pattern":
        return {"type": "string", "pattern": draw(PATTERNS)}
    low = draw(st.integers(0, 30))
    lengths = {"minLength": low, "maxLength": low + draw(st.integers(0, 9))}
    return {"type": "string", **(lengths if kind == "length" else {})}


@st.composite
def _numbers(draw: st.DrawFn) -> dict[str, Any]:
    """With bounds between which there is a number."""
    kind = draw(st.sampled_from(["integer", "number"]))
    step = draw(st.sampled_from([None, 1, 2, 7, 0.25, 0.1]))
    low = draw(st.integers(-1000, 1000) | st.sampled_from([-0.5, 0.3, 10**20, -(10**20)]))
    schema: dict[str, Any] = {"type": kind}
    if step is not None:
        schema["multipleOf"] = step
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + 20
    return schema


@st.composite
def _objects(draw: st.DrawFn, children: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(NAMES, children, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    closed = draw(st.sampled_from([{}, {"additionalProperties": False}]))
    return {"type": "object", "properties": properties, "required": required, **closed}


@st.composite
def _arrays(draw: st.DrawFn, children: st.SearchStrategy[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": draw(children)}
    if draw(st.booleans()):
        schema["minItems"] = draw(st.integers(0, 4))
    if draw(st.booleans()):
        schema["maxItems"] = schema.get("minItems", 0) + draw(st.integers(0, 3))
    return schema


def _composed(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    closed = {"type": "object", "additionalProperties": False}
    pairs = st.lists(children, min_size=2, max_size=2)
    return st.one_of(
        _objects(children),
        _arrays(children),
        st.lists(children, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        pairs.map(lambda two: {"type": "array", "prefixItems": two, "items": False, "minItems": 2}),
        children.map(lambda child: {"type": "object", "additionalProperties": child}),
        # Parts that agree: the properties of both.
        pairs.map(
            lambda two: {
                "type": "object",
                "allOf": [
                    {"properties": {"a": two[0]}, "required": ["a"]},
                    {"properties": {"b": two[1]}, "required": ["b"]},
                ],
            }
        ),
        children.map(
            lambda child: {
                **closed,
                "properties": {"kind": {"const": "leaf"}, "child": child},
                "required": ["kind", "child"],
            }
        ),
    )


_LEAVES: st.SearchStrategy[Any] = st.one_of(
    _strings(),
    _numbers(),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True]),
    SCALARS.map(lambda value: {"const": value}),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.just({"type": ["string", "null"]}),
    st.just({"$ref": "#/$defs/tree"}),
    st.just({"$ref": "#/$defs/chain", "description": "A chain."}),
)

# What the references of the generated schemas point to: recursive in two ways.
DEFINITIONS: dict[str, Any] = {
    "tree": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        },
        "required": ["name", "children"],
        "additionalProperties": False,
    },
    "chain": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/chain"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    },
}

SCHEMAS: st.SearchStrategy[Any] = st.recursive(_LEAVES, _composed, max_leaves=12).map(
    lambda schema: {**(schema if isinstance(schema, dict) else {}), "$defs": DEFINITIONS}
)
