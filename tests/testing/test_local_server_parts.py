"""The parts of LocalServer that need no socket: routes, tokens, minimal values for a schema."""

import pytest

from openai_async.testing.routes import routes
from openai_async.testing.schema import minimal_instance
from openai_async.testing.tokens import image_tokens, tokenize

from ..spec.walk import declared


@pytest.mark.parametrize(
    "text", ["", "Hello  world", "naïve 日本語のとても長い文章です 👩‍👩‍👧", "a\n\n  b" * 9]
)
def test_tokens_put_together_are_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text
    assert all(len(token) <= 8 for token in tokenize(text))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 5}, 5),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["string", "null"], "maxLength": 2}, "wo"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, True),
        ({"allOf": [{"properties": {"a": {"type": "number"}}}, {"required": ["a"]}]}, {"a": 1}),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [1, 1]),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number", "exclusiveMinimum": 4, "multipleOf": 2}, 6),
    ],
)
def test_a_minimal_instance_fits_its_schema(schema: object, value: object) -> None:
    assert minimal_instance(schema, "word") == value


def test_a_schema_that_requires_itself_terminates() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert minimal_instance(schema, "word")["next"]


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [(4096, 8192, "low", 85), (1024, 1024, "high", 765), (2048, 4096, "high", 1105)],
)
def test_pictures_cost_what_openai_documents(
    width: int, height: int, detail: str, tokens: int
) -> None:
    assert image_tokens(width, height, detail) == tokens


def test_the_routes_are_the_endpoints_that_the_client_sends_to() -> None:
    endpoints = [found.endpoint for found in declared().values()]
    sent_to = {(one.method, f"/v1{one.path}".replace("}", ":.+}")) for one in endpoints}
    assert {(method, path) for method, path, _ in routes() if "/pictures/" not in path} == sent_to
