"""The fields of a class of any kind: attrs, dataclass, TypedDict, NamedTuple or Struct.

The schema and the decoder both read a class through `fields_of`, so that they agree on its JSON.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, NotRequired, Required, Self, TypeVar, get_args, get_origin

import attrs
import msgspec
from typing_extensions import ReadOnly, is_typeddict

from ..errors import InvalidArgumentError


@attrs.frozen
class Field:
    """A field of a class.

    Attributes:
        key: its name in JSON.
        name: its name as an argument of the class.
        type: its annotation, with the type arguments of a generic class and `Self` filled in.
        required: whether the class cannot be made without it.
    """

    key: str
    name: str
    type: Any
    required: bool


def class_of(kind: Any) -> Any:
    """The class behind `kind`, which may be a generic class with arguments, like `Page[int]`."""
    return get_origin(kind) or kind


def fields_of(kind: Any) -> list[Field] | None:
    """The fields of a class, in their order; `None` if it is not a class with fields.

    Raises:
        InvalidArgumentError: an annotation is missing, or cannot be evaluated.
    """
    cls = class_of(kind)
    if not isinstance(cls, type):
        return None
    read = _reader(cls)
    if read is None:
        return None
    hints = _hints(cls)
    arguments = _arguments(kind)
    found = []
    for key, name, attribute, required in read(cls, hints):
        if attribute not in hints:
            msg = f"{cls.__name__}.{attribute} has no annotation: add one, as in {attribute}: str."
            raise InvalidArgumentError(msg)
        hint = with_self(substituted(_bare(hints[attribute]), arguments), kind)
        found.append(Field(key, name, hint, required))
    return found


def tag_of(kind: Any) -> tuple[str, str | int] | None:
    """The key and the value of a Struct's tag."""
    cls = class_of(kind)
    if not (isinstance(cls, type) and issubclass(cls, msgspec.Struct)):
        return None
    config = cls.__struct_config__
    return None if config.tag is None else (str(config.tag_field), config.tag)


# --- each kind of class: key, argument, annotated name, required ----------------------------------

_Rows = list[tuple[str, str, str, bool]]


def _reader(cls: type) -> Callable[[Any, Mapping[str, Any]], _Rows] | None:
    if attrs.has(cls):
        return _of_attrs
    if dataclasses.is_dataclass(cls):
        return _of_dataclass
    if is_typeddict(cls):
        return _of_typed_dict
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _of_named_tuple
    return _of_struct if issubclass(cls, msgspec.Struct) else None


def _of_attrs(cls: Any, hints: Mapping[str, Any]) -> _Rows:
    return [
        (a.name, a.alias or a.name, a.name, a.default is attrs.NOTHING)
        for a in attrs.fields(cls)
        if a.init
    ]


def _of_dataclass(cls: Any, hints: Mapping[str, Any]) -> _Rows:
    missing = dataclasses.MISSING
    stored = dataclasses.fields(cls)
    return [
        (f.name, f.name, f.name, f.default is missing and f.default_factory is missing)
        for f in cls.__dataclass_fields__.values()
        if f.init and (f in stored or isinstance(hints[f.name], dataclasses.InitVar))
    ]


def _of_typed_dict(cls: Any, hints: Mapping[str, Any]) -> _Rows:
    # `__required_keys__` does not know of `NotRequired` in annotations that are not evaluated.
    required = cls.__required_keys__
    return [
        (key, key, key, _says(kind, Required) or (key in required and not _says(kind, NotRequired)))
        for key, kind in hints.items()
    ]


def _of_named_tuple(cls: Any, hints: Mapping[str, Any]) -> _Rows:
    return [(name, name, name, name not in cls._field_defaults) for name in cls._fields]


def _of_struct(cls: Any, hints: Mapping[str, Any]) -> _Rows:
    return [(f.encode_name, f.name, f.name, f.required) for f in msgspec.structs.fields(cls)]


# --- annotations ----------------------------------------------------------------------------------

_QUALIFIERS = (Required, NotRequired, ReadOnly, Final)


def _hints(cls: type) -> dict[str, Any]:
    try:
        # A class made in a function may refer to itself; and before Python 3.13, `typing` does not
        # know the `T` of `class Page[T]` in an annotation that is text.
        names = {p.__name__: p for p in getattr(cls, "__type_params__", ())}
        hints = typing.get_type_hints(
            cls, localns={**names, cls.__name__: cls}, include_extras=True
        )
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        msg = (
            f"An annotation of {cls.__name__} cannot be evaluated: {error}. Import the name at run "
            "time, and define classes that refer to each other at module level."
        )
        raise InvalidArgumentError(msg) from error
    # attrs also has fields with `field(type=...)` in place of an annotation.
    given = {a.name: a.type for a in getattr(cls, "__attrs_attrs__", ()) if a.type is not None}
    return given | hints


def _says(kind: Any, qualifier: Any) -> bool:
    """Whether a TypedDict's annotation has a qualifier, perhaps inside another one."""
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return _says(kind.__origin__, qualifier)
    return origin in _QUALIFIERS and (origin is qualifier or _says(get_args(kind)[0], qualifier))


def _bare(kind: Any) -> Any:
    """An annotation without the qualifiers that describe the field, not its type."""
    if isinstance(kind, dataclasses.InitVar):
        return _bare(kind.type)
    while get_origin(kind) in _QUALIFIERS:
        (kind,) = get_args(kind)
    if get_origin(kind) is typing.Annotated and get_origin(kind.__origin__) in _QUALIFIERS:
        return typing.Annotated[(_bare(kind.__origin__), *kind.__metadata__)]
    return kind


def _arguments(kind: Any) -> dict[Any, Any]:
    """The type arguments of a generic class and of the generic classes it inherits from."""
    cls = class_of(kind)
    found = dict(zip(getattr(cls, "__parameters__", ()), get_args(kind), strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        if class_of(base) in (typing.Generic, typing.Protocol):
            continue
        for parameter, argument in _arguments(base).items():
            found.setdefault(parameter, substituted(argument, found))
    return found


def substituted(kind: Any, arguments: Mapping[Any, Any]) -> Any:
    """An annotation with type variables replaced by their arguments."""
    if isinstance(kind, TypeVar):
        return arguments.get(kind, kind)
    parameters = getattr(kind, "__parameters__", ())
    if not parameters or isinstance(kind, type):
        return kind
    return kind[tuple(arguments.get(parameter, parameter) for parameter in parameters)]


def with_self(kind: Any, owner: Any) -> Any:
    """An annotation with `Self` replaced by the class that it stands in."""
    if kind is Self:
        return owner
    if get_origin(kind) is typing.Annotated:
        inner = with_self(kind.__origin__, owner)
        return kind if inner is kind.__origin__ else typing.Annotated[(inner, *kind.__metadata__)]
    arguments = get_args(kind)
    filled = tuple(with_self(argument, owner) for argument in arguments)
    if all(new is old for new, old in zip(filled, arguments, strict=True)):
        return kind
    if isinstance(kind, types.UnionType):
        return typing.Union[filled]  # noqa: UP007 - `X | Y` takes no tuple
    return get_origin(kind)[filled]
