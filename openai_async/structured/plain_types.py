"""Which types msgspec reads as our converter does."""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin

import attrs
import msgspec
from typing_extensions import is_typeddict

from .converter import FROM_TEXT, SCALARS
from .fields import fields_of, tag_of
from .kinds import UNIONS
from .models import is_model


def is_plain(kind: Any) -> bool:
    """Whether msgspec reads a type, and everything in it, as the converter would.

    It does not for NamedTuples (it reads arrays), attrs classes with converters (it does not run
    them), unions (it knows only some), and subclasses of plain types.
    """
    return _is_plain(kind, set())


def _is_plain(kind: Any, seen: set[Any]) -> bool:
    if get_origin(kind) is typing.Annotated:
        plain = all(isinstance(m, str | msgspec.Meta) for m in kind.__metadata__)
        return plain and _is_plain(kind.__origin__, seen)
    if kind is None or kind in SCALARS or kind in FROM_TEXT:
        return True
    cls, arguments = get_origin(kind), get_args(kind)
    if cls is Literal:
        return all(type(a) in (str, int, types.NoneType) for a in arguments)
    if cls in UNIONS:
        others = [a for a in arguments if a is not types.NoneType]
        return len(others) == 1 and _is_plain(others[0], seen)
    if cls is list:
        return bool(arguments) and _is_plain(arguments[0], seen)
    if isinstance(kind, enum.EnumType):
        members: Any = kind
        return all(type(member.value) in (str, int) for member in members)
    return _is_plain_class(kind, seen)


def _is_plain_class(kind: Any, seen: set[Any]) -> bool:
    if not isinstance(kind, type) or is_model(kind) or issubclass(kind, tuple):
        return False
    if kind in seen:
        return True
    seen.add(kind)
    fields = fields_of(kind)
    if fields is None or not _is_made_plainly(kind):
        return False
    is_struct = issubclass(kind, msgspec.Struct)
    if any(field.key != field.name and not is_struct for field in fields):
        return False
    required = {field.key for field in fields if field.required}
    # They differ where `NotRequired` is in annotations that have not been evaluated.
    if required != getattr(kind, "__required_keys__", required):
        return False
    return all(_is_plain(field.type, seen) for field in fields)


def _is_made_plainly(kind: Any) -> bool:
    """Whether an object is made of its fields alone: msgspec does not call `__init__`."""
    if is_typeddict(kind):
        return True
    made_by = kind.__init__
    if issubclass(kind, msgspec.Struct):
        is_array = kind.__struct_config__.array_like
        return made_by is msgspec.Struct.__init__ and tag_of(kind) is None and not is_array
    if kind.__new__ is not object.__new__:
        return False
    code = getattr(made_by, "__code__", None)
    if code is None:
        return False
    if attrs.has(kind):
        is_usual = all(a.init and not a.converter for a in attrs.fields(kind))
        return is_usual and code.co_filename.startswith("<attrs generated")
    assert is_dataclass(kind)
    return code.co_filename == "<string>" and all(
        f.init for f in kind.__dataclass_fields__.values()
    )
