"""The smallest JSON value that is valid for a JSON Schema: tool arguments, structured outputs."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

# A schema may refer to itself, even several times: a required reference is followed only this far.
# The second bound limits the width, which grows as a power of the depth.
_MAX_DEPTH = 16
_MAX_VALUES = 1000

_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "user@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def minimal_instance(schema: object, word: str) -> Any:
    """A value with only what `schema` requires; its strings are `word`."""
    return _instance(schema, _Context(word, schema), 0)


@attrs.define
class _Context:
    word: str
    root: object
    values_left: int = _MAX_VALUES


def _instance(schema: object, context: _Context, depth: int) -> Any:
    context.values_left -= 1
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or context.values_left < 0:
        return {} if schema is True else None
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if isinstance(schema.get("$ref"), str):
        return _instance(_resolve(schema["$ref"], context.root), context, depth + 1)
    for several in ("anyOf", "oneOf"):
        if isinstance(schema.get(several), list) and schema[several]:
            return _instance(schema[several][0], context, depth + 1)
    if isinstance(schema.get("allOf"), list):
        return _instance(_merged(schema, context.root), context, depth + 1)
    match _type_of(schema):
        case "object":
            return _object(schema, context, depth)
        case "array":
            count = _bound(schema, "minItems", 0)
            return [_instance(schema.get("items"), context, depth + 1) for _ in range(count)]
        case "string":
            return _string(schema, context.word)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case _:
            return None


def _type_of(schema: Mapping[str, Any]) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    # OpenAI's own examples omit the type where there are properties.
    return "object" if kind is None and "properties" in schema else kind


def _object(schema: Mapping[str, Any], context: _Context, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return {}
    return {
        name: _instance(properties.get(name, {}), context, depth + 1)
        for name in required
        if isinstance(name, str)
    }


def _string(schema: Mapping[str, Any], word: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    word = word.ljust(_bound(schema, "minLength", 0), ".")
    return word[: _bound(schema, "maxLength", len(word))]


def _number(schema: Mapping[str, Any]) -> float:
    step = _limit(schema, "multipleOf") or 1
    value = step
    low, above = _limit(schema, "minimum"), _limit(schema, "exclusiveMinimum")
    high, below = _limit(schema, "maximum"), _limit(schema, "exclusiveMaximum")
    if low is not None and value < low:
        value = math.ceil(low / step) * step
    if above is not None and value <= above:
        value = (math.floor(above / step) + 1) * step
    if high is not None and value > high:
        value = math.floor(high / step) * step
    if below is not None and value >= below:
        value = (math.ceil(below / step) - 1) * step
    return int(value) if float(value).is_integer() else value


def _limit(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Beyond these nothing sensible is meant, and the arithmetic above would overflow.
    return value if value == 0 or 1e-9 < abs(value) < 1e15 else None


def _bound(schema: Mapping[str, Any], name: str, by_default: int) -> int:
    value = schema.get(name)
    # A bound from the network must not make the server build a gigantic value.
    return min(value, 100) if isinstance(value, int) and value >= 0 else by_default


def _merged(schema: Mapping[str, Any], root: object) -> dict[str, Any]:
    """The parts of an `allOf`, merged."""
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
            part = _resolve(part["$ref"], root)
        if not isinstance(part, Mapping):
            continue
        for key, value in part.items():
            if key == "required" and isinstance(value, list):
                merged["required"] = [*merged.get("required", []), *value]
            elif key == "properties" and isinstance(value, Mapping):
                merged["properties"] = {**merged.get("properties", {}), **value}
            else:
                merged.setdefault(key, value)
    return merged


def _resolve(reference: str, root: object) -> object:
    """The schema a local reference (`#/$defs/x`) points to; None for any other."""
    found = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        if not name:
            continue
        if not isinstance(found, Mapping):
            return None
        found = found.get(name.replace("~1", "/").replace("~0", "~"))
    return found
