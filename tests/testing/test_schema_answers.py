"""The values that LocalServer makes for a JSON Schema, without a socket."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async.testing.pattern_answers import matching_text
from openai_async.testing.schema_answers import schema_answer

from .json_schemas import SCHEMAS, fits

WORDS = ("Paris", "weather", "tomorrow")


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


@given(SCHEMAS, st.integers(-(2**63), 2**63 - 1))
def test_the_value_fits_the_schema(schema: Any, seed: int) -> None:
    value = schema_answer(schema, WORDS, seed)
    assert fits(value, schema)
    assert fits(json.loads(json.dumps(value)), schema)


@given(SCHEMAS, st.integers(0, 50))
def test_the_same_seed_has_the_same_value(schema: Any, seed: int) -> None:
    assert schema_answer(schema, WORDS, seed) == schema_answer(schema, WORDS, seed)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 5}, 5),
        ({"enum": ["C", "F"]}, "C"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["string", "null"], "maxLength": 2}, "Pa"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, True),
        ({"allOf": [{"properties": {"a": {"type": "number"}}}, {"required": ["a"]}]}, {"a": 1.5}),
        ({"type": "array", "minItems": 3, "items": {"type": "integer"}}, [1, 2, 3]),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number", "exclusiveMinimum": 4, "multipleOf": 2}, 6),
        ({"type": "number", "minimum": 0, "maximum": 0.1}, 0.1),
        ({"type": "number", "exclusiveMinimum": 10**20, "multipleOf": 0.1}, 10**20 + 1),
        ({"type": "string", "minLength": 12}, "Paris weather"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "weather"),
        ({"type": "string", "pattern": r"^[A-Z]{2}-\d{3}$"}, "AB-123"),
        ({"type": "string", "format": "email"}, "paris@example.com"),
        ({"properties": {"city": {}}, "required": ["city"]}, {"city": "Paris"}),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"Paris": 1, "weather": 2},
        ),
        (an_object(a={"type": "string"}, b={"type": "string"}), {"a": "Paris", "b": "weather"}),
    ],
)
def test_values_are_readable(schema: Any, value: Any) -> None:
    assert schema_answer(schema, WORDS) == value


def test_the_elements_of_a_list_differ_as_far_as_the_schema_lets_them() -> None:
    unit = {"enum": ["C", "F"]}
    schema = {"type": "array", "items": an_object(city={"type": "string"}, unit=unit)}
    cold, warm = {"city": "Paris", "unit": "C"}, {"city": "weather", "unit": "F"}
    assert schema_answer(schema, WORDS) == [cold, warm]
    unique = {"type": "array", "items": {"type": "string"}, "minItems": 5, "uniqueItems": True}
    assert schema_answer(unique, WORDS) == [*WORDS, "Paris 2", "weather 2"]


def test_an_address_is_that_of_the_name_beside_it() -> None:
    person = an_object(name={"type": "string"}, mail={"type": "string", "format": "email"})
    ada, bob = schema_answer({"type": "array", "items": person}, ("Ada", "Bob"))
    assert ada == {"name": "Ada", "mail": "ada@example.com"}
    assert bob == {"name": "Bob", "mail": "bob@example.com"}


def test_another_seed_has_another_value_and_optional_properties() -> None:
    schema = {**an_object(city={"type": "string"}), "required": []}
    assert schema_answer(schema, WORDS) == {}
    assert schema_answer(schema, WORDS, seed=1) == {"city": "weather"}


def test_a_schema_that_requires_itself_terminates() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert schema_answer(schema, WORDS)["next"]["next"]


def test_a_schema_with_a_gigantic_smallest_value_is_answered_soon() -> None:
    names = [f"d{place}" for place in range(40)]
    definitions: dict[str, Any] = {
        name: an_object(a={"$ref": f"#/$defs/{after}"}, b={"$ref": f"#/$defs/{after}"})
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    }
    definitions["end"] = {"type": "integer"}
    assert schema_answer({"$ref": "#/$defs/d0", "$defs": definitions}, WORDS)["a"]["b"]


def test_a_recursive_value_has_an_end() -> None:
    branches = [{"$ref": "#"}, {"type": "string"}]
    schema = an_object(left={"anyOf": branches}, right={"anyOf": branches})
    value = schema_answer(schema, WORDS)
    assert fits(value, schema)
    assert "left" in value["left"]
    person = an_object(name={"type": "string"}, boss={"anyOf": [{"$ref": "#"}, {"type": "null"}]})
    assert schema_answer(person, WORDS)["boss"]["name"] == "weather"


@pytest.mark.parametrize(
    "schema",
    [
        None,
        5,
        "x",
        [],
        {"type": 5},
        {"type": ["x"]},
        {"$ref": 5},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema"},
        {"anyOf": 5, "type": "string", "minLength": -1, "pattern": "("},
        {"type": "string", "pattern": "(?=x)y", "format": ["x"]},
        {"type": "object", "properties": [], "required": {}},
        {"type": "object", "required": [5, "a"], "minProperties": math.inf},
        {"type": "array", "items": [{"type": "null"}], "minItems": 1e9},
        {"type": "number", "minimum": True, "multipleOf": -1, "maximum": math.nan},
        {"type": "number", "minimum": 1e308, "multipleOf": 5e-324},
        {"enum": []},
        {"allOf": [False]},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    ],
)
def test_a_schema_that_makes_no_sense_has_some_value(schema: Any) -> None:
    json.dumps(schema_answer(schema, []))


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(
    "pattern",
    [
        *(r"a|bc|[de]f", r"^(?P<year>\d{4})-(0[1-9]|1[0-2])$", r"x*y+z?", r"[^a-z]{3,}", r".{5}"),
        *(r"^\w+@\w+\.com$", r"\$\d+\.\d\d", r"[\d\s]{4}", r"a{2,4}?b", r"\bcat\b", r"[]-]+"),
    ],
)
def test_a_text_matches_its_pattern(pattern: str, turn: int) -> None:
    text = matching_text(pattern, turn, shortest=4 if "+" in pattern else 0)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"(?=a)b", r"(a)\1", "(", r"((a{1000}){1000}){1000}", "(" * 5000 + ")" * 5000]
)
def test_a_pattern_that_is_too_much_has_no_text(pattern: str) -> None:
    assert matching_text(pattern, 0) is None
