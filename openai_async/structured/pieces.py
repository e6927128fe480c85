"""The pieces that schemas are made of, as plain dicts."""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import InvalidArgumentError

PLAIN: dict[Any, dict[str, Any]] = {
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
# The limits of a `msgspec.Meta` as JSON Schema keywords; only those that strict mode knows.
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
_ITEM_LIMITS = {"min_length": "minItems", "max_length": "maxItems"}


def free_keys(path: str) -> InvalidArgumentError:
    """The error for a dict with keys that are not known beforehand."""
    return InvalidArgumentError(
        f"{path} is a dict with arbitrary keys, which strict mode cannot describe: use a list of "
        "objects with a key and a value, or pass strict=False."
    )


def described(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """The schema with a description. Strict mode allows nothing beside a `$ref`."""
    if not text:
        return schema
    if "$ref" in schema:
        return {"anyOf": [schema], "description": text}
    return {**schema, "description": text}


def object_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """The schema of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def limited_schema(schema: dict[str, Any], meta: msgspec.Meta) -> dict[str, Any]:
    """The schema with the limits of a `msgspec.Meta`."""
    if "anyOf" in schema:  # `None` has no limits
        options = [limited_schema(option, meta) for option in schema["anyOf"]]
        return {**schema, "anyOf": options}
    if schema.get("type") == "null":
        return schema
    names = _LIMITS | (_ITEM_LIMITS if schema.get("type") == "array" else {})
    found = {key: getattr(meta, name) for name, key in names.items()}
    return schema | {key: value for key, value in found.items() if value is not None}


def values_schema(values: Iterable[Any], path: str) -> dict[str, Any]:
    """The schema of a choice between plain values."""
    kinds: dict[str, list[Any]] = {}
    for value in values:
        plain = value.value if isinstance(value, enum.Enum) else value
        if type(plain) not in (str, int, float, bool, types.NoneType):
            msg = f"{path} has the value {plain!r}: use text, numbers, booleans or None."
            raise InvalidArgumentError(msg)
        kinds.setdefault(PLAIN[type(plain)]["type"], []).append(plain)
    if not kinds:
        msg = f"{path} is an enum without members."
        raise InvalidArgumentError(msg)
    options = [
        {"type": kind}
        if kind == "null"
        else {"type": kind, "const": found[0]}
        if len(found) == 1
        else {"type": kind, "enum": found}
        for kind, found in kinds.items()
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}
