"""Classes that make their own JSON Schema and read their own JSON, as pydantic's models do.

They are recognized by their methods: nothing is imported. Their schemas are changed to follow the
same rules as all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from ..errors import InvalidArgumentError
from .pieces import described, free_keys

# What strict mode knows. A model checks everything else itself when it reads the answer.
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
_KNOWN = frozenset(
    {
        *("$ref", "type", "anyOf", "enum", "const", "description", "properties", "required"),
        *("additionalProperties", "items", "minItems", "maxItems", "pattern", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
# These change which values are valid, so they cannot be left out.
_REFUSED = {
    "prefixItems": "is a tuple of items of different types",
    "patternProperties": "is a dict with arbitrary keys",
    "allOf": "has to match several schemas at once",
    "not": "has a schema that it must not match",
}


def is_model(kind: Any) -> bool:
    """Whether a class makes its own schema and reads its own JSON."""
    return hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate_json")


def schema_made_by(cls: Any) -> dict[str, Any]:
    """The schema that a model makes.

    Raises:
        InvalidArgumentError: it cannot.
    """
    try:
        return cls.model_json_schema()  # type: ignore[no-any-return]
    except Exception as error:  # its own, of a package that we do not import
        msg = f"{cls.__name__} has no JSON schema: {str(error).partition(chr(10))[0]}"
        raise InvalidArgumentError(msg) from error


def properties_of(cls: Any) -> Mapping[str, Any] | None:
    """The properties of a model; `None` if its JSON is not an object."""
    schema = schema_made_by(cls)
    if "$ref" in schema:  # a recursive class refers to itself
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema.get("properties", {}) if schema.get("type") == "object" else None


@frozen
class ModelSchema:
    """The schema of a model, by our rules.

    Attributes:
        strict: whether it must be one that strict mode allows.
        places: where its definitions are, by their places in the model's own schema.
    """

    strict: bool
    places: Mapping[str, str]

    def of(self, schema: Any, path: str) -> Any:
        """A schema inside the model's own.

        Raises:
            InvalidArgumentError: strict mode does not allow it.
        """
        if not isinstance(schema, dict):
            return schema
        if len(schema.get("allOf", ())) == 1:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = {**schema["allOf"][0], **rest}
        if "$ref" in schema:
            ref = {"$ref": self.places.get(schema["$ref"], schema["$ref"])}
            return described(ref, schema.get("description", ""))
        if self.strict:
            _check(schema, path)
        held = {
            key: value
            for key, value in schema.items()
            if (key in _KNOWN if self.strict else key not in ("title", "default"))
        }
        for key in ("anyOf", "oneOf"):
            if key in schema:
                held["anyOf"] = [self.of(option, path) for option in schema[key]]
        if isinstance(schema.get("items"), dict):
            held["items"] = self.of(schema["items"], f"{path}[]")
        if schema.get("type") == "object":
            self._object(schema, held, path)
        return held

    def _object(self, schema: dict[str, Any], held: dict[str, Any], path: str) -> None:
        free = schema.get("additionalProperties")
        if self.strict or ("properties" in schema and not free):
            properties = schema.get("properties", {})
            held["properties"] = {
                name: self.of(value, f"{path}.{name}") for name, value in properties.items()
            }
            held["required"] = [*properties] if self.strict else schema.get("required", [])
            held["additionalProperties"] = False
        elif isinstance(free, dict):
            held["additionalProperties"] = self.of(free, f"{path}[...]")


def _check(schema: Mapping[str, Any], path: str) -> None:
    if schema.get("type") == "object" and schema.get("additionalProperties"):
        raise free_keys(path)
    for key, what in _REFUSED.items():
        if key in schema:
            msg = f"{path} {what}, which strict mode cannot describe: pass strict=False."
            raise InvalidArgumentError(msg)
    if {"type", "anyOf", "oneOf", "enum", "const"}.isdisjoint(schema):
        msg = f"{path} may be anything, which strict mode cannot describe: pass strict=False."
        raise InvalidArgumentError(msg)


def place_definitions(
    own: Mapping[str, Any], taken: dict[str, Any], name_of: Callable[[str], str]
) -> dict[str, str]:
    """A name for each of a model's definitions.

    Args:
        own: the definitions, by the model's names for them.
        taken: those placed before, by name, to which these are added. Equal ones share a name.
        name_of: a free name, given the model's own.
    """
    places = {}
    for name, definition in own.items():
        same = [place for place, other in taken.items() if other == definition]
        place = same[0] if same else name_of(name)
        taken[place] = definition
        places[name] = place
    return places
