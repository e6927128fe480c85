"""The cattrs converter that reads answers: strict, and by the fields that the schema names."""

from __future__ import annotations

import datetime
import decimal
import types
import uuid
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, Literal, get_args, get_origin

import cattrs
import msgspec

from .fields import class_of, fields_of, tag_of
from .schema import LISTS, UNIONS, is_model, name_of, unwrapped

SCALARS = (str, int, float, bool, type(None))
FROM_TEXT = (
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(uuid.UUID, decimal.Decimal),
)


def make_converter() -> cattrs.Converter:
    """The converter that reads answers, to add hooks to.

    It is strict: a string is no number. NamedTuples, Structs and pydantic models are read from
    objects, and unions by which member fits.

    Example::

        converter = make_converter()
        converter.register_structure_hook(Money, lambda value, _: Money.parse(value))
        await client.chat.completions.parse(..., response_format=Bill, converter=converter)
    """
    # A type without a hook, which has its schema from `Annotated`, is called with the JSON value.
    converter = cattrs.Converter(structure_fallback_factory=lambda cls: lambda value, _: cls(value))
    for scalar in SCALARS:
        converter.register_structure_hook(scalar, _scalar)
    for kind in FROM_TEXT:
        converter.register_structure_hook(kind, msgspec.convert)
    converter.register_structure_hook_func(
        _is_alias, lambda v, a: converter.structure(v, unwrapped(a))
    )
    converter.register_structure_hook_factory(_is_list, lambda kind: _list_hook(kind, converter))
    converter.register_structure_hook_factory(_is_class, lambda kind: _class_hook(kind, converter))
    converter.register_structure_hook_factory(_is_union, lambda kind: _union_hook(kind, converter))
    converter.register_structure_hook_func(is_model, lambda value, cls: cls.model_validate(value))
    return converter


# --- the hooks ------------------------------------------------------------------------------------


def _scalar(value: Any, kind: Any) -> Any:
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    raise _unlike(value, kind)


def _unlike(value: object, kind: Any) -> ValueError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ValueError(f"expected {name_of(kind)}, got {shown}")


def _is_alias(kind: Any) -> bool:
    return type(kind).__name__ == "TypeAliasType"


def _is_list(kind: Any) -> bool:
    cls = class_of(kind)
    return cls in LISTS or (cls is tuple and not hasattr(kind, "_fields"))


def _list_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Reads an array. cattrs would also take a string apart, and count a set's items as one."""
    cls, arguments = class_of(kind), get_args(kind) or (Any,)
    make = cls if cls in (tuple, set, frozenset) else list
    fixed = cls is tuple and arguments[-1] is not ...

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise _unlike(value, kind)
        if fixed and len(value) != len(arguments):
            msg = f"expected {len(arguments)} items, got {len(value)}"
            raise ValueError(msg)
        kinds: Iterable[Any] = arguments if fixed else repeat(arguments[0])
        made, errors = [], []
        for index, (item, item_kind) in enumerate(zip(value, kinds, strict=False)):
            try:
                made.append(converter.structure(item, item_kind))
            except Exception as error:
                note = cattrs.IterableValidationNote(f"At index {index}", index, item_kind)
                error.add_note(note)
                errors.append(error)
        if errors:
            raise cattrs.IterableValidationError(f"While structuring {name_of(kind)}", errors, kind)  # pyright: ignore[reportCallIssue]
        return make(made)

    return structure


def _is_class(kind: Any) -> bool:
    return not is_model(kind) and fields_of(kind) is not None


def _class_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Reads an object of a class, whoever made the class, by the fields of its schema."""
    fields = fields_of(kind) or []
    cls, tag = class_of(kind), tag_of(kind)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _unlike(value, kind)
        if tag is not None and value.get(tag[0], tag[1]) != tag[1]:
            raise _unlike(value[tag[0]], Literal[tag[1]])
        found, errors = {}, []
        for field in fields:
            if field.key not in value:
                if field.required:
                    errors.append(_noted(KeyError(field.key), field.key, field.type))
                continue
            try:
                found[field.name] = converter.structure(value[field.key], field.type)
            except Exception as error:
                errors.append(_noted(error, field.key, field.type))
        if errors:
            raise cattrs.ClassValidationError(f"While structuring {cls.__name__}", errors, cls)  # pyright: ignore[reportCallIssue]
        return cls(**found)

    return structure


def _noted(error: Exception, key: str, kind: Any) -> Exception:
    note = cattrs.AttributeValidationNote(f"In attribute {key}", key, kind)
    error.add_note(note)
    return error


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in UNIONS


def _union_hook(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Reads a value as the member of a union that it fits best.

    In strict mode an object has exactly the keys of one member; several may have the same keys, and
    then differ in a constant, say, so that only one of them fits.
    """
    members = get_args(kind)
    keys = {member: _keys(member) for member in members}

    def structure(value: Any, _: Any) -> Any:
        given = frozenset(value) if type(value) is dict else None
        # The members whose keys are those of the object come first; sorting keeps the order.
        tried = sorted(members, key=lambda member: keys[member] != given)
        errors = []
        for member in tried:
            try:
                return converter.structure(value, member)
            except Exception as error:
                errors.append((member, error))
        same = [error for member, error in errors if given is not None and keys[member] == given]
        if len(same) == 1:
            raise same[0]
        if len(others := [error for member, error in errors if member is not types.NoneType]) == 1:
            raise others[0]
        raise _unlike(value, kind)

    return structure


def _keys(kind: Any) -> frozenset[str] | None:
    fields = None if is_model(unwrapped(kind)) else fields_of(unwrapped(kind))
    if fields is None:
        return None
    tag = tag_of(unwrapped(kind))
    return frozenset(field.key for field in fields) | ({tag[0]} if tag else set())
