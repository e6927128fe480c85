"""The JSON Schema of a Python type, as the API's structured outputs want it.

    schema = schema_of(list[Item])

A walk over the type, without the type's own schema generators, so that attrs classes, dataclasses,
TypedDicts, NamedTuples and Structs come out alike, nested in each other. A class with a
`model_json_schema` (pydantic's) makes its own, which is then held to the same rules.

The rules of strict mode: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import re
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import msgspec
from attrs import frozen

from ..errors import InvalidArgumentError
from .docstrings import described
from .fields import class_of, fields_of, tag_of

WRAPPED = "value"
"""The property of the object around a type that is not an object itself."""

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    types.NoneType: {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
}
LISTS = (
    *(list, set, frozenset, collections.abc.Sequence, collections.abc.MutableSequence),
    *(collections.abc.Set, collections.abc.Collection, collections.abc.Iterable),
)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
UNIONS = (Union, types.UnionType)
# What a `msgspec.Meta` says, in the words of JSON Schema; only what strict mode knows.
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
_ITEM_LIMITS = {"min_length": "minItems", "max_length": "maxItems"}


@frozen(eq=False)
class Schema:
    """The JSON Schema of a type that has none of its own, for its annotation.

    Example::

        @attrs.define
        class Bill:
            total: Annotated[Money, Schema({"type": "string", "description": "as in 12.50 EUR"})]
    """

    json: Mapping[str, object]


def schema_of(kind: Any, *, strict: bool = True) -> dict[str, Any]:
    """The schema of a type; its top is always an object, so other types are wrapped in one.

    Args:
        strict: refuse what the API's strict mode cannot say.

    Raises:
        InvalidArgumentError: the type has no schema. The message has the path of the field.
    """
    walk = _Walk(strict)
    if is_object(kind):
        walk.refs[unwrapped(kind)] = "#"
        root = walk.object(kind, name_of(kind))
    else:
        root = _object({WRAPPED: walk.schema(kind, name_of(kind))}, [WRAPPED])
    return {**root, "$defs": walk.definitions} if walk.definitions else root


def is_object(kind: Any) -> bool:
    """Whether the JSON of a type is an object with known keys."""
    kind = unwrapped(kind)
    return is_model(kind) or fields_of(kind) is not None


def item_of(kind: Any) -> Any:
    """The type of a list's elements; `None` if it is not a list."""
    kind = unwrapped(kind)
    arguments = get_args(kind)
    if class_of(kind) is tuple:
        return arguments[0] if len(arguments) == 2 and arguments[1] is ... else None
    return arguments[0] if class_of(kind) in LISTS and arguments else None


def name_of(kind: Any) -> str:
    """A type's name as people write it: `Item`, `list[Item]`."""
    if get_origin(kind) is typing.Annotated:
        return name_of(kind.__origin__)
    if get_origin(kind) in UNIONS:
        return " | ".join(map(name_of, get_args(kind)))
    if kind in (None, types.NoneType):
        return "None"
    name = getattr(class_of(kind), "__name__", None) or str(kind).removeprefix("typing.")
    arguments = get_args(kind)
    if not arguments:
        return str(name)
    inner = (name_of(a) if get_origin(kind) is not Literal else repr(a) for a in arguments)
    return f"{name}[{', '.join(inner)}]"


def identifier(kind: Any) -> str:
    """A type's name in the characters that the API allows for names, at most 64."""
    return re.sub(r"[^a-zA-Z0-9]+", "_", name_of(kind)).strip("_")[:64] or "value"


def unwrapped(kind: Any) -> Any:
    """A type without what has no influence on its JSON: an alias, a NewType, `Annotated`."""
    while True:
        if isinstance(kind, NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":  # Python 3.12's, or typing_extensions'
            kind = kind.__value__
        elif get_origin(kind) is typing.Annotated:
            kind = kind.__origin__
        else:
            return kind


class _Walk:
    """One walk over a type.

    Attributes:
        definitions: the schemas of the classes that were met, for `$defs`.
        refs: where the schema of each class is.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.definitions: dict[str, Any] = {}
        self.refs: dict[Any, str] = {}

    def schema(self, kind: Any, path: str) -> dict[str, Any]:
        if get_origin(kind) is typing.Annotated:
            return self._annotated(kind, path)
        kind = unwrapped(kind)
        if isinstance(kind, TypeVar):
            msg = f"{path} has the type variable {kind}: fill it in, as in Page[Item]."
            raise InvalidArgumentError(msg)
        if get_origin(kind) is typing.Annotated:
            return self._annotated(kind, path)
        if isinstance(kind, collections.abc.Hashable) and kind in _PLAIN:
            return dict(_PLAIN[kind])
        cls = class_of(kind)
        if cls is Literal:
            return _values(get_args(kind))
        if cls in UNIONS:
            return self._union(get_args(kind), path)
        if is_object(kind):
            return self._reference(kind)
        if isinstance(cls, type) and issubclass(cls, enum.Enum):
            return _described(_values([member.value for member in cls]), described(cls).text)
        return self._collection(kind, cls, path)

    def _annotated(self, kind: Any, path: str) -> dict[str, Any]:
        """The schema of `Annotated[...]`: its texts, its limits, or the schema that it gives."""
        given = next((m for m in kind.__metadata__ if isinstance(m, Schema)), None)
        schema = self.schema(kind.__origin__, path) if given is None else dict(given.json)
        for meta in reversed(kind.__metadata__):  # the innermost text is the last word
            if isinstance(meta, str):
                schema = _described(schema, meta)
            elif isinstance(meta, msgspec.Meta):
                schema = _limited(schema, meta)
            elif isinstance(text := getattr(meta, "documentation", None), str):  # PEP 727's Doc
                schema = _described(schema, text)
        return schema

    def _union(self, members: Iterable[Any], path: str) -> dict[str, Any]:
        options: list[dict[str, Any]] = []
        for member in members:
            option = self.schema(member, path)
            for part in option["anyOf"] if set(option) == {"anyOf"} else [option]:
                if part not in options:
                    options.append(part)
        return {"anyOf": options} if len(options) > 1 else options[0]

    def _reference(self, kind: Any) -> dict[str, Any]:
        if kind not in self.refs:
            name, number = identifier(kind), 1
            while name in self.definitions:
                number += 1
                name = f"{identifier(kind)}_{number}"
            self.refs[kind] = f"#/$defs/{name}"
            self.definitions[name] = {}  # keeps the name, while its fields are walked
            self.definitions[name] = self.object(kind, name)
        return {"$ref": self.refs[kind]}

    def object(self, kind: Any, path: str) -> dict[str, Any]:
        """The schema of a class."""
        kind = unwrapped(kind)
        if is_model(kind):
            return self._model(kind, path)
        says = described(class_of(kind))
        properties: dict[str, Any] = {}
        required = []
        if (tag := tag_of(kind)) is not None:
            properties[tag[0]] = _values([tag[1]])
            required.append(tag[0])
        for field in fields_of(kind) or ():
            schema = self.schema(field.type, f"{path}.{field.key}")
            if "description" not in schema:
                schema = _described(schema, says.parts.get(field.name, ""))
            properties[field.key] = schema
            if self.strict or field.required:
                required.append(field.key)
        return _described(_object(properties, required), says.text)

    def _model(self, cls: Any, path: str) -> dict[str, Any]:
        """The schema that a class makes itself."""
        schema = cls.model_json_schema()
        prefix = self.refs[cls]
        definitions = schema.pop("$defs", {})
        places = {f"#/$defs/{name}": f"#/$defs/{name}" for name in definitions}
        if len(schema) == 1 and "$ref" in schema:  # a recursive class refers to itself
            own = schema["$ref"]
            schema = definitions.pop(own.rpartition("/")[2])
            places[own] = prefix
        for name, definition in definitions.items():
            self.definitions.setdefault(name, self._held(definition, places, f"{path}.{name}"))
        held: dict[str, Any] = self._held(schema, places, path)
        return held

    def _held(self, schema: Any, places: Mapping[str, str], path: str) -> Any:
        """A model's own schema, by the rules that hold for all others."""
        if isinstance(schema, list):
            return [self._held(item, places, path) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            ref = {"$ref": places.get(schema["$ref"], schema["$ref"])}
            return _described(ref, schema.get("description", ""))
        held = {
            "anyOf" if key == "oneOf" else key: self._held(value, places, path)
            for key, value in schema.items()
            if key not in ("title", "default", "properties", "discriminator")
        }
        if "properties" in schema:
            held["properties"] = {
                name: self._held(value, places, f"{path}.{name}")
                for name, value in schema["properties"].items()
            }
            if self.strict:
                held["required"] = list(schema["properties"])
        if schema.get("type") == "object":
            if schema.get("additionalProperties") and self.strict:
                raise _free_keys(path)
            if "properties" in schema or self.strict:
                held.setdefault("properties", {})
                held["additionalProperties"] = False
        return held

    def _collection(self, kind: Any, cls: Any, path: str) -> dict[str, Any]:
        arguments = get_args(kind)
        if cls is tuple and not (len(arguments) == 2 and arguments[1] is ...):
            return self._tuple(arguments, path)
        if cls in LISTS or cls is tuple:
            item = arguments[0] if arguments else Any
            return {"type": "array", "items": self.schema(item, f"{path}[]")}
        if cls in MAPPINGS:
            if self.strict:
                raise _free_keys(path)
            value = self.schema(arguments[1], f"{path}[...]") if arguments else {}
            return {"type": "object", "additionalProperties": value}
        if kind in (Any, object) and not self.strict:
            return {}
        advice = "pass strict=False" if kind in (Any, object) else "give it one in Annotated"
        msg = f"{path} has type {name_of(kind)}, which has no JSON schema: {advice}."
        if kind not in (Any, object):
            msg = f'{msg[:-1]}, as in Annotated[{name_of(kind)}, Schema({{"type": "string"}})].'
        raise InvalidArgumentError(msg)

    def _tuple(self, items: tuple[Any, ...], path: str) -> dict[str, Any]:
        schemas = [self.schema(item, f"{path}[{n}]") for n, item in enumerate(items)]
        size = {"minItems": len(items), "maxItems": len(items)}
        if schemas and all(schema == schemas[0] for schema in schemas):
            return {"type": "array", "items": schemas[0], **size}
        if not self.strict:
            return {"type": "array", "prefixItems": schemas, **size}
        msg = (
            f"{path} is a tuple of different items, which strict mode cannot describe: use a "
            "NamedTuple or another class, or pass strict=False."
        )
        raise InvalidArgumentError(msg)


def is_model(kind: Any) -> bool:
    """Whether a class makes its own schema and reads its own JSON, as pydantic's do."""
    return hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _described(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """The schema with a description. Strict mode allows nothing beside a `$ref`."""
    if not text:
        return schema
    if "$ref" in schema:
        return {"anyOf": [schema], "description": text}
    return {**schema, "description": text}


def _limited(schema: dict[str, Any], meta: msgspec.Meta) -> dict[str, Any]:
    names = _LIMITS | (_ITEM_LIMITS if schema.get("type") == "array" else {})
    found = {key: getattr(meta, name) for name, key in names.items()}
    limited = schema | {key: value for key, value in found.items() if value is not None}
    return _described(limited, meta.description or "")


def _values(values: Iterable[Any]) -> dict[str, Any]:
    """The schema of a choice between plain values."""
    kinds: dict[str, list[Any]] = {}
    for value in values:
        plain = value.value if isinstance(value, enum.Enum) else value
        kinds.setdefault(_PLAIN[type(plain)]["type"], []).append(plain)
    options = [
        {"type": kind}
        if kind == "null"
        else {"type": kind, "const": found[0]}
        if len(found) == 1
        else {"type": kind, "enum": found}
        for kind, found in kinds.items()
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _free_keys(path: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{path} is a dict with free keys, which strict mode cannot describe: use a list of "
        "objects with a key and a value, or pass strict=False."
    )
