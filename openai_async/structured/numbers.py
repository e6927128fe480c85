"""JSON numbers that keep all their digits, for types in which there is a `Decimal`.

A float has 17 digits, so a `Decimal` must not be made from one.
"""

from __future__ import annotations

import decimal
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from .fields import fields_of
from .kinds import unwrapped
from .schema import Schema


class WrittenFloat(float):
    """A float that knows how it was written; `str` and `repr` say so."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> WrittenFloat:
        made = super().__new__(cls, text)
        made._text = text
        return made

    def __repr__(self) -> str:
        return self._text


def keeps_digits(kind: Any) -> bool:
    """Whether a type has a `Decimal` in it; not in a pydantic model, which itself makes floats."""
    return _keeps_digits(kind, set())


def _keeps_digits(kind: Any, seen: set[Any]) -> bool:
    if get_origin(kind) is Annotated and any(isinstance(m, Schema) for m in kind.__metadata__):
        return False  # the class, or a hook, reads the JSON value itself
    kind = unwrapped(kind)
    if kind is decimal.Decimal:
        return True
    if get_origin(kind) is Literal or kind in seen:
        return False
    seen.add(kind)
    parts = [*get_args(kind), *(field.type for field in fields_of(kind) or ())]
    return any(_keeps_digits(part, seen) for part in parts)


def read_text_type(value: Any, kind: Any) -> Any:
    """The hook that reads dates, UUIDs and Decimals."""
    if type(value) is WrittenFloat:
        value = decimal.Decimal(str(value)) if kind is decimal.Decimal else float(value)
    return msgspec.convert(value, kind)


def with_floats(value: Any) -> Any:
    """A JSON value with plain floats."""
    if type(value) is WrittenFloat:
        return float(value)
    if type(value) is list:
        return [with_floats(item) for item in value]
    if type(value) is dict:
        return {key: with_floats(item) for key, item in value.items()}
    return value
