"""Reads JSON Schemas, malformed ones too: types, bounds, references, schemas merged into one."""

from collections.abc import Mapping
from typing import Any

# Which keywords tell the type where `type` is missing, as in OpenAI's own examples.
_TELLING = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "propertyNames"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def type_of(schema: Mapping[str, Any]) -> object:
    """The one type of the schema, which may not name it; None if it says nothing about it."""
    if "type" in schema:
        return schema["type"]
    telling = (kind for kind, words in _TELLING.items() if any(word in schema for word in words))
    return next(telling, None)


def as_list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def as_mapping(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, Mapping) else {}


def required(schema: Mapping[str, Any]) -> list[str]:
    return [name for name in as_list(schema, "required") if isinstance(name, str)]


def bound(schema: Mapping[str, Any], keyword: str, by_default: int, largest: int) -> int:
    """A length, capped: a request must not make the server build a gigantic value."""
    value = schema.get(keyword)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return min(value, largest) if isinstance(value, int) and value >= 0 else by_default


def resolve(reference: object, root: object) -> object:
    """The schema that a local reference (`#/$defs/x`) points to; True for any other."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    found = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name:
            found = found.get(name, True)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
    return found


def merge(parts: list[object]) -> object:
    """A schema whose values fit all the parts."""
    merged: dict[str, Any] = {}
    for part in parts:
        if part is False:
            return False
        if isinstance(part, Mapping):
            for keyword, value in part.items():
                both = _both(keyword, merged[keyword], value) if keyword in merged else value
                if both == [] and keyword in ("type", "enum"):
                    return False
                merged[keyword] = both
    return merged


def _both(keyword: str, one: Any, other: Any) -> Any:
    """The value of a keyword that two schemas have."""
    match one, other:
        case list(), list() if keyword in ("required", "allOf"):
            return [*one, *other]
        case list(), list() if keyword == "enum":
            return [value for value in one if value in other]
        case Mapping(), Mapping() if keyword == "properties":
            shared = {name: {"allOf": [one[name], other[name]]} for name in one if name in other}
            return {**one, **other, **shared}
        case int() | float(), int() | float() if keyword in _LOWER_BOUNDS:
            return max(one, other)
        case int() | float(), int() | float() if keyword in _UPPER_BOUNDS:
            return min(one, other)
    if keyword == "type":
        return _common_type(one, other)
    return one


def _common_type(one: object, other: object) -> object:
    ones = one if isinstance(one, list) else [one]
    others = other if isinstance(other, list) else [other]
    common = [kind for kind in ones if kind in others]
    if not common and "integer" in [*ones, *others] and "number" in [*ones, *others]:
        return "integer"
    return common[0] if len(common) == 1 else common
