"""Which JSON Schemas OpenAI refuses with `strict: true`, and in what words. No I/O.

The rules are those of OpenAI's guide (Structured model outputs, Supported schemas). Where it says
nothing, they follow what the API does: in 2026 it accepts `default` (which Azure refuses),
`minLength` and `maxLength`. What is not known to be refused is accepted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]

_MAX_NESTING = 10
_MAX_PROPERTIES = 5000
_MAX_ENUM_VALUES = 1000
_MAX_TEXT = 120_000
# The total length of an enum's values is limited if it has more than this many.
_LONG_ENUM, _MAX_LONG_ENUM_TEXT = 250, 15_000

# Tuples, not sets: the JSON that is looked up in them may not be hashable.
_FORMATS = (
    *("date-time", "time", "date", "duration"),
    *("email", "hostname", "ipv4", "ipv6", "uuid"),
)
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_NOT_PERMITTED = (
    *("allOf", "oneOf", "not", "if", "then", "else"),
    *("dependentRequired", "dependentSchemas", "dependencies"),
    *("patternProperties", "propertyNames", "unevaluatedProperties"),
    *("minProperties", "maxProperties"),
    *("prefixItems", "additionalItems", "unevaluatedItems", "uniqueItems"),
    *("contains", "minContains", "maxContains"),
)
_DEFINITIONS = ("$defs", "definitions")


def response_format_problem(schema: object) -> str | None:
    """Why `schema` is refused as a `response_format`; None if it is not."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    return _problem(schema)


def parameters_problem(schema: object) -> str | None:
    """Why `schema` is refused as the parameters of a function; None if it is not."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if isinstance(schema, Mapping) and {"oneOf", "anyOf", "allOf", "enum", "not"} & schema.keys():
        wrong = "'oneOf'/'anyOf'/'allOf'/'enum'/'not'"
        return f"schema must have type 'object' and not have {wrong} at the top level."
    return _problem(schema)


def _problem(root: Any) -> str | None:
    if "anyOf" in root:
        return "In context=(), 'anyOf' is not permitted at the top level."
    nodes: list[Mapping[str, Any]] = []
    # A list and not recursion: the schema may be nested as deeply as JSON can be.
    waiting: list[tuple[Path, object, int]] = [((), root, 0)]
    while waiting:
        path, node, nesting = waiting.pop()
        found = _node_problem(node, root)
        if found is not None:
            return f"In context={path}, {found}"
        assert isinstance(node, Mapping)
        nodes.append(node)
        nesting += _is_object(node)
        if nesting > _MAX_NESTING:
            return f"{nesting} levels of nesting exceeds limit of {_MAX_NESTING}."
        below = [
            # The limit of a definition is counted from where it stands, as it may be recursive.
            (path + step, child, 0 if step[0] in _DEFINITIONS else nesting)
            for step, child in _children(node)
        ]
        waiting += reversed(below)
    return _size_problem(nodes)


def _node_problem(node: object, root: Mapping[str, Any]) -> str | None:
    if not isinstance(node, Mapping):
        return f"{node!r} is not of type 'object', 'boolean'."
    for keyword in _DEFINITIONS:
        if not isinstance(node.get(keyword, {}), Mapping):
            return f"{node[keyword]!r} is not of type 'object'."
    if "$ref" in node:
        return _reference_problem(node, root)
    for keyword in _NOT_PERMITTED:
        if keyword in node:
            return f"'{keyword}' is not permitted."
    kinds = node.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind is not None and kind not in _TYPES:
            return f"{kind!r} is not valid under any of the given schemas."
    if not {"type", "anyOf", "enum", "const", "properties"} & node.keys():
        return "schema must have a 'type' key."
    if "format" in node and node["format"] not in _FORMATS:
        return f"{node['format']!r} is not a valid format."
    if _has_type(node, "array") and "items" not in node:
        return "array schema missing items."
    for keyword, kind in (("anyOf", list), ("enum", list), ("properties", Mapping)):
        if keyword in node and not isinstance(node[keyword], kind):
            return f"{node[keyword]!r} is not a valid '{keyword}'."
    return _object_problem(node) if _is_object(node) else _enum_problem(node)


def _reference_problem(node: Mapping[str, Any], root: Mapping[str, Any]) -> str | None:
    others = sorted(node.keys() - {"$ref", *_DEFINITIONS})
    if others:
        return f"$ref cannot have keywords {{{', '.join(map(repr, others))}}}."
    target = node["$ref"]
    if target == "#":
        return None
    parts = target.split("/") if isinstance(target, str) else []
    if len(parts) != 3 or parts[0] != "#" or parts[1] not in _DEFINITIONS:
        return "reference can only point to definitions defined at the top level of the schema."
    definitions = root.get(parts[1])
    name = parts[2].replace("~1", "/").replace("~0", "~")
    if not isinstance(definitions, Mapping) or name not in definitions:
        return f"reference to component '{target}' which was not found in the schema."
    return None


def _object_problem(node: Mapping[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties, required = node.get("properties", {}), node.get("required", [])
    rule = "'required' is required to be supplied and to be an array including every key in"
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return f"{rule} properties."
    listed = set(required)
    for name in properties:
        if name not in listed:
            return f"{rule} properties. Missing '{name}'."
    for name in required:
        if name not in properties:
            return f"{rule} properties. Extra required key '{name}' supplied."
    return None


def _enum_problem(node: Mapping[str, Any]) -> str | None:
    values = node.get("enum", ())
    size = sum(len(value) for value in values if isinstance(value, str))
    if len(values) > _LONG_ENUM and size > _MAX_LONG_ENUM_TEXT:
        limit = f"exceeds limit of {_MAX_LONG_ENUM_TEXT} for more than {_LONG_ENUM} values."
        return f"total string length {size} of the enum values {limit}"
    return None


def _size_problem(nodes: list[Mapping[str, Any]]) -> str | None:
    """What is too large in the schema as a whole."""
    names = [name for node in nodes for name in node.get("properties", ())]
    values = [value for node in nodes for value in node.get("enum", ())]
    if len(names) > _MAX_PROPERTIES:
        return f"{len(names)} object properties exceeds limit of {_MAX_PROPERTIES}."
    if len(values) > _MAX_ENUM_VALUES:
        return f"{len(values)} enum values exceeds limit of {_MAX_ENUM_VALUES}."
    constants = [node["const"] for node in nodes if "const" in node]
    defined = [name for node in nodes for key in _DEFINITIONS for name in node.get(key, ())]
    texts = [text for text in (*names, *defined, *values, *constants) if isinstance(text, str)]
    total = sum(map(len, texts))
    if total > _MAX_TEXT:
        what = "total string length of property names, definition names, enum and const values"
        return f"{what} is {total}, which exceeds limit of {_MAX_TEXT}."
    return None


def _children(node: Mapping[str, Any]) -> Iterator[tuple[Path, object]]:
    """The schemas directly below, and the path to each as OpenAI writes it."""
    for keyword in ("properties", *_DEFINITIONS):
        for name, child in node.get(keyword, {}).items():
            yield (keyword, name), child
    if "items" in node:
        yield ("items",), node["items"]
    for place, child in enumerate(node.get("anyOf", ())):
        yield ("anyOf", str(place)), child


def _has_type(node: Mapping[str, Any], kind: str) -> bool:
    kinds = node.get("type")
    return kind in kinds if isinstance(kinds, list) else kind == kinds


def _is_object(node: Mapping[str, Any]) -> bool:
    return _has_type(node, "object") or "properties" in node
