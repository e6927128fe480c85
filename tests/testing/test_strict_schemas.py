"""The schemas that LocalServer refuses with `strict: true`, as OpenAI does, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_async.structured.strict_schemas import parameters_problem, response_format_problem

from .json_schemas import SCHEMAS

TEXT = {"type": "string"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def nested(levels: int) -> dict[str, Any]:
    schema = an_object(leaf=TEXT)
    for _ in range(levels - 1):
        schema = an_object(below={"type": "array", "items": schema})
    return schema


NODE = {
    **an_object(value=TEXT, next={"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
    "description": "A linked list.",
}


@pytest.mark.parametrize(
    "schema",
    [
        an_object(),
        an_object(a=TEXT, b={"type": ["integer", "null"], "minimum": 0, "multipleOf": 2}),
        an_object(a={"type": "array", "items": an_object(b=TEXT), "minItems": 1, "maxItems": 9}),
        an_object(a={"anyOf": [an_object(b={"const": "x"}), an_object(c=TEXT)]}),
        an_object(a={"enum": ["x", None, 3]}, b={"type": "string", "enum": ["y"]}),
        an_object(a={"type": "string", "pattern": "^a", "minLength": 1, "default": "a"}),
        an_object(a={"type": "string", "format": "date-time", "title": "When"}),
        {**an_object(a={"$ref": "#/$defs/b"}), "$defs": {"b": an_object(c=TEXT)}},
        {**an_object(a={"$ref": "#/definitions/a~1b"}), "definitions": {"a/b": TEXT}},
        NODE,
        nested(10),
        an_object(**{f"p{place}": TEXT for place in range(5000)}),
        an_object(a={"enum": [*range(1000)]}),
        an_object(a={"type": "string", "enum": ["x" * 100 + str(place) for place in range(250)]}),
    ],
)
def test_a_schema_within_the_rules_is_accepted(schema: dict[str, Any]) -> None:
    assert response_format_problem(schema) is None
    assert parameters_problem(schema) is None


A = "In context=('properties', 'a')"
CLOSED = "'additionalProperties' is required to be supplied and to be false."
REQUIRED = "'required' is required to be supplied and to be an array including every key in"
TOP_LEVEL = "reference can only point to definitions defined at the top level of the schema."


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({**an_object(), "additionalProperties": True}, f"In context=(), {CLOSED}"),
        (an_object(a={"type": "object"}), f"{A}, {CLOSED}"),
        (an_object(a={"type": ["object", "null"]}), f"{A}, {CLOSED}"),
        (
            an_object(a={"type": "array", "items": {"type": "object", "properties": {}}}),
            f"In context=('properties', 'a', 'items'), {CLOSED}",
        ),
        (
            an_object(a={"anyOf": [TEXT, {"type": "object"}]}),
            f"In context=('properties', 'a', 'anyOf', '1'), {CLOSED}",
        ),
        (
            {**an_object(), "$defs": {"b": {"type": "object"}}},
            f"In context=('$defs', 'b'), {CLOSED}",
        ),
        (
            {**an_object(a=TEXT), "required": []},
            f"In context=(), {REQUIRED} properties. Missing 'a'.",
        ),
        (
            {**an_object(), "required": ["b"]},
            f"In context=(), {REQUIRED} properties. Extra required key 'b' supplied.",
        ),
        ({**an_object(), "required": "a"}, f"In context=(), {REQUIRED} properties."),
        (an_object(a={"oneOf": [TEXT]}), f"{A}, 'oneOf' is not permitted."),
        (an_object(a={"allOf": [TEXT]}), f"{A}, 'allOf' is not permitted."),
        (an_object(a={**TEXT, "not": {}}), f"{A}, 'not' is not permitted."),
        (an_object(a={**TEXT, "if": {}}), f"{A}, 'if' is not permitted."),
        (
            an_object(a={"type": "array", "uniqueItems": True}),
            f"{A}, 'uniqueItems' is not permitted.",
        ),
        (
            an_object(a={"type": "array", "prefixItems": []}),
            f"{A}, 'prefixItems' is not permitted.",
        ),
        (
            an_object(a={**an_object(), "patternProperties": {}}),
            f"{A}, 'patternProperties' is not permitted.",
        ),
        (an_object(a={"type": "array"}), f"{A}, array schema missing items."),
        (an_object(a={**TEXT, "format": "uri"}), f"{A}, 'uri' is not a valid format."),
        (an_object(a={"description": "Any."}), f"{A}, schema must have a 'type' key."),
        (an_object(a=True), f"{A}, True is not of type 'object', 'boolean'."),
        (
            an_object(a={"type": "text"}),
            f"{A}, 'text' is not valid under any of the given schemas.",
        ),
        (
            {**an_object(a={"$ref": "#/$defs/b", "description": "B."}), "$defs": {"b": TEXT}},
            f"{A}, $ref cannot have keywords {{'description'}}.",
        ),
        (
            an_object(a=TEXT, b={"$ref": "#/properties/a"}),
            f"In context=('properties', 'b'), {TOP_LEVEL}",
        ),
        (
            an_object(a={"$ref": "#/$defs/b"}),
            f"{A}, reference to component '#/$defs/b' which was not found in the schema.",
        ),
        (nested(11), "11 levels of nesting exceeds limit of 10."),
        (
            an_object(**{f"p{place}": TEXT for place in range(5001)}),
            "5001 object properties exceeds limit of 5000.",
        ),
        (
            an_object(a={"enum": [*range(600)]}, b={"enum": [*range(401)]}),
            "1001 enum values exceeds limit of 1000.",
        ),
        (
            an_object(a={"enum": ["x" * 60 + str(place) for place in range(251)]}),
            f"{A}, total string length 15703 of the enum values exceeds limit of 15000 for more "
            "than 250 values.",
        ),
        (
            an_object(**{"x" * 120_001: TEXT}),
            "total string length of property names, definition names, enum and const values is "
            "120001, which exceeds limit of 120000.",
        ),
    ],
)
def test_a_schema_against_the_rules_is_refused_in_openais_words(
    schema: dict[str, Any], problem: str
) -> None:
    assert response_format_problem(schema) == problem
    assert parameters_problem(schema) == problem


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "array", "items": TEXT}, "array"),
        ({"anyOf": [an_object(), an_object(a=TEXT)]}, "None"),
        ({"$ref": "#/$defs/a", "$defs": {"a": an_object()}}, "None"),
        (None, "None"),
        ("x", "None"),
    ],
)
def test_the_root_must_be_an_object(schema: Any, kind: str) -> None:
    problem = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    assert response_format_problem(schema) == problem
    assert parameters_problem(schema) == problem


def test_the_root_must_not_be_a_union_as_well() -> None:
    schema = {**an_object(), "anyOf": [an_object()]}
    assert "'anyOf' is not permitted" in str(response_format_problem(schema))
    assert "must have type 'object' and not have 'oneOf'/'anyOf'" in str(parameters_problem(schema))


def test_a_very_deep_schema_is_refused_without_a_recursion_error() -> None:
    assert "levels of nesting" in str(response_format_problem(nested(400)))
    schema: dict[str, Any] = TEXT
    for _ in range(2000):
        schema = {"type": "array", "items": schema}
    assert response_format_problem(an_object(a=schema)) is None


KEYWORDS = (
    *("type", "properties", "required", "items", "anyOf", "enum", "const", "format", "$ref"),
    *("$defs", "definitions", "additionalProperties"),
)
NAMES = st.sampled_from(["object", "array", "#", "#/$defs/a", "uuid"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), below, max_size=5)
    ),
    max_leaves=15,
)


@given(JSON | SCHEMAS)
def test_any_json_is_accepted_or_refused_in_one_sentence(schema: Any) -> None:
    root = {"type": "object", "additionalProperties": False, **an_object(a=schema)}
    for candidate in (schema, root):
        problem = response_format_problem(candidate)
        assert problem is None or problem.endswith(".")


def test_the_schema_is_not_changed() -> None:
    schema = {**an_object(a={"$ref": "#/$defs/b"}), "$defs": {"b": an_object(c=TEXT)}}
    before = json.dumps(schema)
    response_format_problem(schema)
    assert json.dumps(schema) == before
