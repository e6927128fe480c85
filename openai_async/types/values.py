"""Converts the value of a field to the type of the field.

A value of the wrong shape raises a `MalformedError`; `structuring` then uses the field's default,
unless the field is essential.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import attrs

Convert: TypeAlias = Callable[[Any], Any]
# Takes the class of an object, or `list[...]` of that class.
Structurer: TypeAlias = Callable[[Any], Convert]

_MAX_QUOTE = 80
TOO_DEEP = "(nested too deep to show)"


class MalformedError(ValueError):
    """A JSON value does not have the expected shape.

    Attributes:
        value: the value itself.
    """

    def __init__(self, message: str, value: object = None) -> None:
        super().__init__(message)
        self.value = value


def is_object(cls: object) -> bool:
    """Whether `cls` is a class that JSON objects are converted to."""
    return isinstance(cls, type) and attrs.has(cls)


def key_of(cls: Any, name: str) -> str:
    """The JSON key of a field: its own name, unless the class's `_keys` has another."""
    keys: Mapping[str, str] = getattr(cls, "_keys", {})
    return keys.get(name, name)


def is_list_of_objects(kind: object) -> bool:
    return get_origin(kind) is list and all(map(is_object, get_args(kind)))


def quoted(text: str) -> str:
    """The start of a text for a message, on one line and in quotes."""
    line = " ".join(text[: 4 * _MAX_QUOTE].split())
    return repr(line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…")


def shown(value: object) -> str:
    """The `repr` of a parsed value, for a message."""
    try:
        return repr(value)
    except RecursionError:
        return TOO_DEEP


def malformed(value: Any, expected: str) -> MalformedError:
    """The error for a value of the wrong shape."""
    message = f"The answer has {quoted(shown(value))} where {expected} was expected."
    return MalformedError(message, value)


def convert_to(kind: Any, structurer: Structurer) -> Convert | None:
    """The function that converts a value to a field's type; `None` if no conversion is needed."""
    if is_object(kind):
        return structurer(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        members = [arg for arg in get_args(kind) if arg is not types.NoneType]
        return _union_of(members, structurer)
    if origin is Literal:
        return _text
    if origin is list:
        return _list_of(kind, structurer)
    return _mapping if origin is dict else None


def _text(value: Any) -> str:
    """Text unchanged. Ids that are numbers, arguments that are already an object, and content in
    parts (Mistral's reasoning models) are converted to text.
    """
    if type(value) is str:
        return value
    if type(value) is list:
        parts = [part if isinstance(part, str) else _text_part(part) for part in value]
        if any(part is not None for part in parts):
            return "".join(part or "" for part in parts)
    return json.dumps(value)


def _text_part(part: Any) -> str | None:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else None


def _whole(value: Any) -> int:
    """`12` for `12.0` and "12": llama.cpp and some gateways send counts as floats."""
    if type(value) is int:
        return value
    with suppress(ValueError, OverflowError):  # not a number; NaN or Infinity as a count
        if isinstance(value, int):
            return int(value)
        if isinstance(value, str | float):
            return int(float(value))
    raise malformed(value, "a number")


def _real(value: Any) -> float:
    with suppress(ValueError, OverflowError):
        if isinstance(value, str | int | float):
            return float(value)
    raise malformed(value, "a number")


def _truth(value: Any) -> bool:
    if type(value) is bool or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise malformed(value, "true or false")


def _mapping(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    raise malformed(value, "an object")


def _list_of(kind: Any, structurer: Structurer) -> Convert:
    (item,) = get_args(kind)
    convert = None if is_object(item) else convert_to(item, structurer)
    structure_all: Callable[[list[Any]], list[Any]] | None = (
        structurer(kind) if is_object(item) else getattr(convert, "all", None)
    )
    matches: Callable[[dict[str, Any]], bool] | None = getattr(convert, "matches", None)

    def convert_list(value: Any) -> list[Any]:
        if type(value) is dict and matches is not None and matches(value):
            value = [value]  # a single object, not in a list
        if type(value) is not list:
            raise malformed(value, f"a list of {getattr(item, '__name__', 'objects')}")
        if structure_all is not None:
            return structure_all(value)
        if convert is _real and _are_numbers(value):
            return value
        return value if convert is None else [convert(x) for x in value if x is not None]

    function: Any = convert_list
    function.of_list = structure_all
    return convert_list


def _are_numbers(values: list[Any]) -> bool:
    """Checked in C: 0.03 ms for a vector of 3,072 numbers, where a loop takes 0.2 ms."""
    try:
        sum(values)
    except (TypeError, OverflowError):
        return False
    return True


# --- unions --------------------------------------------------------------------------------------


def _union_of(members: list[Any], structurer: Structurer) -> Convert | None:
    """Converts to one of several types; `TypeError` if values cannot show which one is meant."""
    if len(members) == 1 or not all(map(is_object, members)):
        converts = {convert_to(member, structurer) for member in members}
        if len(converts) == 1:
            return converts.pop()
    tag = next((name for name in _literals(members[0]) if _is_tag(name, members)), None)
    if tag is None:
        msg = (
            f"Values of {members} cannot be told apart: give each a field of the same name with "
            "a Literal type of its own."
        )
        raise TypeError(msg)
    return _tagged(tag, members, structurer)


def _literals(cls: Any) -> dict[str, tuple[Any, ...]]:
    """The fields of a class that have a `Literal` type, by key, with the values they allow."""
    if not is_object(cls):
        return {}
    attrs.resolve_types(cls)
    return {
        key_of(cls, a.name): get_args(a.type)
        for a in attrs.fields(cls)
        if a.init and get_origin(a.type) is Literal
    }


def _is_tag(name: str, members: list[Any]) -> bool:
    """Whether the members of a union can be told apart by the value of a field."""
    values = [value for member in members for value in _literals(member).get(name, (None, None))]
    return len(values) == len(set(values))


def _tagged(tag: str, members: list[type[Any]], structurer: Structurer) -> Convert:
    """A union of objects: the member whose own field is present, else the one with the `tag`,
    else the first. Gateways leave the tag out, or send the right field with the wrong tag.
    """
    tags = {value: member for member in members for value in _literals(member)[tag]}
    fields = {m: {key_of(m, a.name) for a in attrs.fields(m) if a.init} for m in members}
    own = {
        name: member
        for member in members
        for name in fields[member].difference(*(fields[m] for m in members if m is not member))
    }

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise malformed(value, f"a {members[0].__name__}")
        found = next((own[name] for name in own if value.get(name)), None)
        if found is None:
            named = value.get(tag)
            found = tags.get(named) if isinstance(named, str) else None
        return structurer(found or members[0])(value)

    def convert_all(values: list[Any]) -> list[Any]:
        made = [convert(value) for value in values if type(value) is dict]
        if not made and any(values):
            raise malformed(values, f"a list of {members[0].__name__}")
        return made

    union: Any = convert
    union.all = convert_all
    union.matches = lambda value: any(value.get(name) for name in own)
    return convert


_SCALARS: dict[Any, Convert] = {str: _text, int: _whole, float: _real, bool: _truth}
# Converters, by the name of the type that they return unchanged.
PLAIN: dict[str, Convert] = {kind.__name__: convert for kind, convert in _SCALARS.items()}
