"""A Python type as the `response_format` of a request, and the answer as a value of that type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from attrs import field, frozen
from typing_extensions import TypeForm

from ..options import check_bool
from .decoding import Decoder
from .kinds import identifier, item_of, name_of
from .schema import schema_of

if TYPE_CHECKING:
    from cattrs import BaseConverter

T = TypeVar("T")


@frozen(eq=False)
class ResponseFormat(Generic[T]):
    """A type, its schema and its decoder.

    Attributes:
        name: the type's name as people write it.
        param: the `response_format` of the request.
        items: reads the elements, if the type is a list.
    """

    _made_from: tuple[Any, bool, BaseConverter | None] = field(repr=False)
    name: str
    param: Mapping[str, Any] = field(repr=False)
    decoder: Decoder[T] = field(repr=False)
    items: Decoder[Any] | None = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # A decoder of msgspec cannot be pickled; the type can, if it has a name in a module.
        return _made_again, self._made_from


@overload
def response_format(
    kind: ResponseFormat[T], *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[T]: ...


@overload
def response_format(
    kind: type[T], *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[T]: ...


@overload
def response_format(
    kind: TypeForm[T], *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[T]: ...


@overload  # for types that are only known at run time
def response_format(
    kind: object, *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[Any]: ...


def response_format(
    kind: Any, *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[Any]:
    """The response format of a type; made once for each type in use.

    Args:
        kind: the type; a response format stays as it is.
        strict, converter: as for `chat.completions.parse`.

    Raises:
        InvalidArgumentError: the type has no schema, or strict mode cannot describe it.
    """
    check_bool("strict", strict)
    if isinstance(kind, ResponseFormat):
        return kind
    try:
        # `int | str` equals `str | int`, but is read in another order: their texts differ.
        return _cached(kind, "" if isinstance(kind, type) else repr(kind), strict, converter)
    except TypeError:  # an unhashable annotation
        return _made(kind, "", strict, converter)


def _made(
    kind: Any, text: str, strict: bool, converter: BaseConverter | None
) -> ResponseFormat[Any]:
    schema = {"name": identifier(kind), "schema": schema_of(kind, strict=strict), "strict": strict}
    param = {"type": "json_schema", "json_schema": schema}
    item = item_of(kind)
    items: Decoder[Any] | None = None if item is None else Decoder(item, converter, wrapped=False)
    made_from = (kind, strict, converter)
    return ResponseFormat(made_from, name_of(kind), param, Decoder(kind, converter), items)


def _made_again(kind: Any, strict: bool, converter: BaseConverter | None) -> ResponseFormat[Any]:
    return response_format(kind, strict=strict, converter=converter)


# Bounded, since types that a program makes at run time would otherwise never be freed.
_cached = lru_cache(maxsize=256)(_made)
