"""A Python type as the `response_format` of a request, and the answer as its value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import field, frozen

from .decoding import Decoder
from .schema import identifier, item_of, name_of, schema_of

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

    name: str
    param: Mapping[str, Any] = field(repr=False)
    decoder: Decoder[T] = field(repr=False)
    items: Decoder[Any] | None = field(repr=False)


def response_format(
    kind: Any, *, strict: bool = True, converter: BaseConverter | None = None
) -> ResponseFormat[Any]:
    """The response format of a type; made once for each type in use.

    Raises:
        InvalidArgumentError: the type has no schema, or strict mode cannot describe it.
    """
    try:
        return _cached(kind, strict, converter)
    except TypeError:  # an unhashable annotation
        return _made(kind, strict, converter)


def _made(kind: Any, strict: bool, converter: BaseConverter | None) -> ResponseFormat[Any]:
    schema = {"name": identifier(kind), "schema": schema_of(kind, strict=strict), "strict": strict}
    param = {"type": "json_schema", "json_schema": schema}
    item = item_of(kind)
    items: Decoder[Any] | None = None if item is None else Decoder(item, converter, wrapped=False)
    return ResponseFormat(name_of(kind), param, Decoder(kind, converter), items)


# Bounded, since programs also make types at run time, which would never be freed.
_cached = lru_cache(maxsize=256)(_made)
