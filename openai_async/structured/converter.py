"""The cattrs converter that reads answers: strict, and by the fields that the schema names."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from itertools import repeat
from typing import Annotated, Any, Literal, get_args, get_origin

import cattrs
import msgspec

from ..jsontext import dumps
from .fields import class_of, fields_of, tag_of
from .kinds import LISTS, MAPPINGS, UNIONS, aliased, is_alias, name_of, unlike, unwrapped
from .models import is_model
from .numbers import WrittenFloat, read_text_type, with_floats
from .unions import Trials, union_hook

SCALARS = (str, int, float, bool, type(None))
FROM_TEXT = (
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(uuid.UUID, decimal.Decimal),
)
Hook = Callable[[Any, Any], Any]


def make_converter() -> cattrs.Converter:
    """The converter that reads answers, to add hooks to.

    It is strict: a string is not a number. NamedTuples, Structs and pydantic models are read from
    objects; a union is read as the member that fits.

    Example::

        converter = make_converter()
        converter.register_structure_hook(Money, lambda value, _: Money.parse(value))
        await client.chat.completions.parse(..., response_format=Bill, converter=converter)

    If there is a `Decimal` anywhere in the type, the `str` of a float is what the model wrote, with
    all its digits.
    """
    # A type without a hook, whose schema comes from `Annotated`, is called with the JSON value.
    converter = cattrs.Converter(structure_fallback_factory=_made_by_class)
    # cattrs also uses these for subclasses, such as enums of strings.
    for scalar in SCALARS:
        converter.register_structure_hook(scalar, _scalar)
    for kind in FROM_TEXT:
        converter.register_structure_hook(kind, read_text_type)
    # cattrs before 26 looks here for enums first, and not among the predicates below.
    choices: dict[Any, Hook] = {}

    trials = Trials()

    def union(kind: Any, converter: cattrs.Converter) -> Hook:
        return union_hook(kind, [_reader(m, converter) for m in get_args(kind)], trials)

    def choose(value: Any, kind: Any) -> Any:
        hook = choices.get(kind)
        if hook is None:
            hook = choices[kind] = _choice_hook(kind)
        return hook(value, kind)

    converter.register_structure_hook(enum.Enum, choose)
    for applies, make_hook in (
        (lambda kind: kind in (Any, object), lambda *_: lambda value, _: with_floats(value)),
        (is_alias, lambda kind, c: lambda value, _: c.structure(value, aliased(kind))),
        (_is_limited, _limited_hook),
        (_is_choice, lambda kind, _: _choice_hook(kind)),
        (_is_list, _list_hook),
        (lambda kind: class_of(kind) in MAPPINGS, _dict_hook),
        (_is_class, _class_hook),
        (lambda kind: class_of(kind) in UNIONS, union),
        (is_model, lambda kind, _: _read_model),
    ):
        _register(converter, applies, make_hook)
    return converter


def _made_by_class(cls: Any) -> Hook:
    return lambda value, _: cls(with_floats(value))


def _register(
    converter: cattrs.Converter,
    applies: Callable[[Any], bool],
    make_hook: Callable[[Any, cattrs.Converter], Hook],
) -> None:
    converter.register_structure_hook_factory(applies, lambda kind: make_hook(kind, converter))


# --- values without parts -------------------------------------------------------------------------


def _scalar(value: Any, kind: Any) -> Any:
    if type(value) is kind:
        return value
    if kind is float and type(value) in (int, WrittenFloat):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(kind, enum.EnumType):
        return _choice_hook(kind)(value, kind)
    if kind not in SCALARS:  # a subclass, which has its schema from `Annotated`
        return kind(with_floats(value))
    raise unlike(value, kind)


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal or isinstance(kind, enum.EnumType)


def _choice_hook(kind: Any) -> Hook:
    """Reads an enum or a Literal. Python takes `True` for 1, so the types are compared too."""
    members = get_args(kind) or tuple(kind)
    values = [m.value if isinstance(m, enum.Enum) else m for m in members]
    found = {(type(v), v): m for v, m in zip(values, members, strict=True)}

    def structure(value: Any, _: Any) -> Any:
        value = with_floats(value)
        if type(value) not in (list, dict):
            if (type(value), value) in found:
                return found[type(value), value]
            if type(value) is float and (int, value) in found:
                return found[int, value]
            missing = getattr(kind, "_missing_", None)
            if missing is not None and (member := missing(value)) is not None:
                return member
        raise unlike(value, kind)

    return structure


def _is_limited(kind: Any) -> bool:
    meta = getattr(kind, "__metadata__", ())
    return get_origin(kind) is Annotated and any(isinstance(m, msgspec.Meta) for m in meta)


def _limited_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    """Reads a value with limits, `Annotated[int, msgspec.Meta(ge=0)]`, which msgspec checks."""
    limits = tuple(m for m in kind.__metadata__ if isinstance(m, msgspec.Meta))

    def structure(value: Any, _: Any) -> Any:
        made = converter.structure(value, kind.__origin__)
        # The limits of a list or a dict are those of its JSON.
        checked = made if type(made) in (*SCALARS, *FROM_TEXT) else with_floats(value)
        if checked is not None:
            msgspec.convert(checked, Annotated[(type(checked), *limits)])
        return made

    return structure


def _read_model(value: Any, cls: Any) -> Any:
    # From text: a strict model takes a date only from JSON.
    return cls.model_validate_json(dumps(with_floats(value)))


# --- values with parts ----------------------------------------------------------------------------


def _is_list(kind: Any) -> bool:
    return class_of(kind) in LISTS or class_of(kind) is tuple


def _reader(kind: Any, converter: cattrs.Converter) -> Callable[[Any], Any]:
    """Reads the values of a type. Looked up on first use: a recursive type contains itself."""
    hook: Hook | None = None

    def read(value: Any) -> Any:
        nonlocal hook
        if hook is None:
            hook = converter.get_structure_hook(kind)
        return hook(value, kind)

    return read


def _list_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    """Reads an array. cattrs would also accept a string, as a list of its characters."""
    cls, arguments = class_of(kind), get_args(kind)
    fixed = get_origin(kind) is tuple and arguments[-1:] != (...,)
    make = cls if cls in (tuple, set, frozenset) else list
    readers = [_reader(a, converter) for a in (arguments if fixed else arguments[:1] or (object,))]

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise unlike(value, kind)
        if fixed and len(value) != len(readers):
            msg = f"expected {len(readers)} items, got {len(value)}"
            raise ValueError(msg)
        made, errors = [], []
        for index, (item, read) in enumerate(
            zip(value, readers if fixed else repeat(readers[0]), strict=False)
        ):
            try:
                made.append(read(item))
            except Exception as error:
                errors.append(_noted(error, cattrs.IterableValidationNote("", index, kind)))
        if errors:
            raise cattrs.IterableValidationError(f"While structuring {name_of(kind)}", errors, kind)  # pyright: ignore[reportCallIssue]
        return make(made)

    return structure


def _dict_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    """Reads a dict with arbitrary keys. In JSON they are text, whatever their type is here."""
    key_kind, value_kind = get_args(kind) or (str, object)
    read_key, read_value = _reader(key_kind, converter), _reader(value_kind, converter)
    numbers = unwrapped(key_kind) in (int, float)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise unlike(value, kind)
        made, errors = {}, []
        for key, item in value.items():
            try:
                name = msgspec.convert(key, unwrapped(key_kind), strict=False) if numbers else key
                made[read_key(name)] = read_value(item)
            except Exception as error:
                note = cattrs.IterableValidationNote("", key, kind)
                errors.append(_noted(error, note))
        if errors:
            what = f"While structuring {name_of(kind)}"
            raise cattrs.IterableValidationError(what, errors, kind)  # pyright: ignore[reportCallIssue]
        return made

    return structure


def _is_class(kind: Any) -> bool:
    return not is_model(kind) and fields_of(kind) is not None


def _class_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    """Reads an object as any kind of class, by the fields of its schema."""
    cls, tag = class_of(kind), tag_of(kind)
    fields = [(field, _reader(field.type, converter)) for field in fields_of(kind) or ()]

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise unlike(value, kind)
        if tag is not None and value.get(tag[0], tag[1]) != tag[1]:
            raise unlike(value[tag[0]], Literal[tag[1]])
        found, errors = {}, []
        for field, read in fields:
            try:
                if field.key in value:
                    found[field.name] = read(value[field.key])
                elif field.required:
                    raise KeyError(field.key)
            except Exception as error:
                note = cattrs.AttributeValidationNote("", field.key, field.type)
                errors.append(_noted(error, note))
        if errors:
            raise cattrs.ClassValidationError(f"While structuring {cls.__name__}", errors, cls)  # pyright: ignore[reportCallIssue]
        return cls(**found)

    return structure


def _noted(error: Exception, note: str) -> Exception:
    # The error may have been raised before: see `Trials`.
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error
