"""Tells what a type is (an object, a list, an alias), and what its name is."""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from typing import Any, Literal, NewType, Union, get_args, get_origin

from .fields import class_of, fields_of, substituted
from .models import is_model, properties_of

LISTS = (
    *(list, set, frozenset, collections.abc.Sequence, collections.abc.MutableSequence),
    *(collections.abc.Set, collections.abc.Collection, collections.abc.Iterable),
)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
UNIONS = (Union, types.UnionType)


def is_object(kind: Any) -> bool:
    """Whether the JSON of a type is an object with known keys."""
    kind = unwrapped(kind)
    if is_model(kind):
        return properties_of(kind) is not None
    return fields_of(kind) is not None


def item_of(kind: Any) -> Any:
    """The type of a list's elements; `None` if it is not a list."""
    kind = unwrapped(kind)
    arguments = get_args(kind)
    if class_of(kind) is tuple:
        return arguments[0] if len(arguments) == 2 and arguments[1] is ... else None
    return arguments[0] if class_of(kind) in LISTS and arguments else None


def unhashable_in(kind: Any, above: tuple[Any, ...] = ()) -> Any:
    """The part of a type whose values a set cannot hold; `None` if there is none.

    Args:
        above: what the type is a part of, perhaps of itself.
    """
    kind = unwrapped(kind)
    cls = class_of(kind)
    if cls in UNIONS or cls is tuple:
        parts = get_args(kind) if kind not in above else ()
        found = (unhashable_in(part, (*above, kind)) for part in parts)
        return next(filter(None, found), None)
    config = getattr(cls, "__struct_config__", None)  # of a Struct, whose `__hash__` fails
    is_hashable = config is None or config.frozen or not config.eq
    return None if is_hashable and getattr(cls, "__hash__", None) is not None else kind


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


def unlike(value: object, kind: Any) -> ValueError:
    """The error for a value that is not of this type."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ValueError(f"expected {name_of(kind)}, got {shown}")


def identifier(kind: Any) -> str:
    """A type's name in the characters that the API allows for names, at most 64."""
    return re.sub(r"[^a-zA-Z0-9]+", "_", name_of(kind)).strip("_")[:64] or "value"


def unwrapped(kind: Any) -> Any:
    """A type without what does not affect its JSON: an alias, a NewType, `Annotated`."""
    while True:
        if isinstance(kind, NewType):
            kind = kind.__supertype__
        elif is_alias(kind):
            kind = aliased(kind)
        elif get_origin(kind) is typing.Annotated:
            kind = kind.__origin__
        else:
            return kind


def is_alias(kind: Any) -> bool:
    """Whether it is a `type` alias, Python 3.12's or typing_extensions', perhaps with arguments."""
    return type(class_of(kind)).__name__ == "TypeAliasType"


def aliased(kind: Any) -> Any:
    """What an alias stands for."""
    alias = class_of(kind)
    arguments = dict(zip(alias.__type_params__, get_args(kind), strict=False))
    return substituted(alias.__value__, arguments)
