"""Parsed JSON to objects: a cattrs converter that writes out one function for each class.

Lenient about values, and about the shape of side fields. A field that is missing, `null` or of
the wrong shape keeps its default, so every attribute has its declared type whatever the server
sent; a value that can be converted to the right type is. Only what the reader came for (the fields
marked `essential`) raises an `APIResponseValidationError` when it has the wrong shape.
"""

from __future__ import annotations

import json
import linecache
import types
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs

from .errors import APIResponseValidationError, redacted, shown
from .normalize import as_call
from .types.base import APIObject, without_hooks
from .types.chat import (
    ChatCompletionMessageCustomToolCall,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageToolCall,
)

T = TypeVar("T", bound=APIObject)
Convert = Callable[[Any], Any]

_MAX_QUOTE = 80


def structurer(cls: type[T]) -> Callable[[object], T]:
    """The function that makes a `cls` of a parsed JSON object; it is written at the first call.

    It raises `APIResponseValidationError` where the JSON has the wrong shape.
    """
    function: Any = _written.get(cls)
    if function is None:
        function = _written[cls] = _converter().get_structure_hook(cls)
    return function  # type: ignore[no-any-return]


def misread(cls: type[T], value: object, secret: str | None) -> APIResponseValidationError:
    """The error of a value that `structurer(cls)` has refused, without the API key in it."""
    try:
        structurer(cls)(redacted(value, secret))
    except APIResponseValidationError as error:
        return error
    # The key is a word of the JSON too, and taking it out has made another shape of it.
    return APIResponseValidationError(f"The answer is no {cls.__name__}.")


def quoted(text: str) -> str:
    """The start of a text, on one line and in quotes, for a message."""
    line = " ".join(text[: 4 * _MAX_QUOTE].split())
    return repr(line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…")


# --- one function for each class ---------------------------------------------------------------


def _is_object(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, APIObject)


def _hook_for(cls: type[APIObject]) -> Callable[..., APIObject]:
    """Write, for `ChunkChoice` say, and compile::

        def structure(value, _=None):
            if type(value) is not dict:
                raise misplaced(value, "a ChunkChoice")
            self = new(twin)
            self._raw = value
            item = value.get("index")
            self.index = item if type(item) is int else 0 if item is None else convert_index(item)
            ...
            self.__class__ = cls
            return self

    A loop over the fields that ends in `cls(**known)` does the same in 6.5 us for a chunk (three
    objects), and this in 1.6 us. A third of the gain is the `twin`, which has no hook that would be
    asked about each of 22 fields. `structure.all` does it for a list, a sixth cheaper again.
    """
    attrs.resolve_types(cls)
    names: dict[str, Any] = {
        "cls": cls,
        "twin": without_hooks(cls),
        "new": object.__new__,
        "misplaced": misplaced,
    }
    # For `.extra`: whether a value did not have the shape of its attribute.
    cls._converters = {
        a.name: convert for a in attrs.fields(cls) if a.init and (convert := _strict(a))
    }
    misplaced_line = f"raise misplaced(value, 'a {cls.__name__}')"
    body = ["self = new(twin)"]
    for a in attrs.fields(cls):
        default = _default(a, names)
        if a.init:
            body += [
                f"item = value.get({a.name!r})",
                f"self.{a.name} = {_converted(a, default, names)}",
            ]
        else:
            body.append(f"self.{a.name} = {'value' if a.name == '_raw' else default}")
    body.append("self.__class__ = cls")
    lines = [
        "def structure(value, _=None):",
        "    if type(value) is not dict:",
        f"        {misplaced_line}",
        *(f"    {line}" for line in body),
        "    return self",
        "def structure_all(values):",
        "    made = []",
        "    for value in values:",
        "        if type(value) is not dict:",
        # What is empty says nothing: it stays in to_dict(), and out of the typed list.
        "            if not value: continue",
        f"            {misplaced_line}",
        *(f"        {line}" for line in body),
        "        made.append(self)",
        "    return made",
        "structure.all = structure_all",
    ]
    source, file = "\n".join(lines), f"<structure {cls.__name__}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # for tracebacks
    exec(compile(source, file, "exec"), names)
    return cast(Callable[..., APIObject], names["structure"])


def _default(a: attrs.Attribute[Any], names: dict[str, Any]) -> str:
    """Source of a field's default."""
    name = f"default_{a.name}"
    factory = getattr(a.default, "factory", None)
    if a.default is None or type(a.default) in (str, int, float, bool):
        return repr(a.default)
    names[name] = a.default if factory is None else factory
    return name if factory is None else "[]" if factory is list else f"{name}()"


def _converted(a: attrs.Attribute[Any], default: str, names: dict[str, Any]) -> str:
    """Source of what `item` becomes."""
    if (read := a.metadata.get("read")) is not None:
        names[f"convert_{a.name}"] = read
        as_is = a.metadata.get("as_is")
        fits = "item is None" + (f" or type(item) is {as_is.__name__}" if as_is else "")
        return f"item if {fits} else convert_{a.name}(item)"
    convert = _convert_to(a.type)
    if convert is None:
        return f"{default} if item is None else item"
    names[f"convert_{a.name}"] = _lenient(convert, a)
    converted = f"convert_{a.name}(item)"
    plain = _PLAIN.get(convert)
    if plain is None:
        return f"{default} if item is None else {converted}"
    # What is nearly always there is looked at first as that, what is often null first as null.
    if default == "None":
        return f"None if item is None else item if type(item) is {plain} else {converted}"
    return f"item if type(item) is {plain} else {default} if item is None else {converted}"


def _lenient(convert: Convert, a: attrs.Attribute[Any]) -> Convert:
    """`convert`, but a value of the wrong shape becomes the field's default.

    An answer that was paid for is not rejected because of its log probabilities: `.to_dict()` and
    `.extra` have them as they came. Of an essential field only what is empty becomes the default.
    """
    factory = getattr(a.default, "factory", None)
    essential = a.metadata.get("essential")

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except (APIResponseValidationError, RecursionError):
            if essential and value:
                raise
            return a.default if factory is None else factory()

    return read


def _strict(a: attrs.Attribute[Any]) -> Convert | None:
    """How a field is read, with an error for what it cannot show."""
    read = a.metadata.get("read")
    if read is None:
        return _convert_to(a.type)

    def convert(value: Any) -> Any:
        if value and read(value) is None and not (isinstance(value, str)):
            raise misplaced(value, "text")

    return convert


# --- what the value of a field becomes ----------------------------------------------------------


def _convert_to(kind: Any) -> Convert | None:
    """How a field's value becomes what its type says; `None` when there is nothing to do."""
    if _is_object(kind):
        return structurer(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == ChatCompletionMessageToolCall:
        return _tool_call
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_to(next(arg for arg in get_args(kind) if arg is not types.NoneType))
    if origin is Literal:
        return _text
    if origin is list:
        (item,) = get_args(kind)
        return _list_of(item, _convert_to(item))
    return _mapping if origin is dict else None


def _text(value: Any) -> str:
    """Text as it is. Ids that are numbers, arguments that are an object already, and content in
    parts (Mistral's reasoning models) become the text they stand for.
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
    with suppress(ValueError, OverflowError):  # a word; NaN or Infinity for a count
        if isinstance(value, int):
            return int(value)
        if isinstance(value, str | float):
            return int(float(value))
    raise misplaced(value, "a number")


def _real(value: Any) -> float:
    with suppress(ValueError, OverflowError):
        if isinstance(value, str | int | float):
            return float(value)
    raise misplaced(value, "a number")


def _truth(value: Any) -> bool:
    if type(value) is bool or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise misplaced(value, "true or false")


def _mapping(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    raise misplaced(value, "an object")


def misplaced(value: Any, wanted: str) -> APIResponseValidationError:
    """The error for a value of the wrong shape."""
    msg = f"The answer has {quoted(shown(value))} where {wanted} belongs."
    return APIResponseValidationError(msg, body=value)


def _function_of(value: dict[str, Any]) -> Any:
    return value.get("function") or value.get("custom")


def _tool_call(value: Any) -> APIObject:
    if type(value) is not dict:
        raise misplaced(value, "a tool call")
    if value.get("type") == "custom" or "custom" in value:
        return structurer(ChatCompletionMessageCustomToolCall)(value)
    return structurer(ChatCompletionMessageFunctionToolCall)(as_call(value))


def _tool_calls(values: list[Any]) -> list[APIObject]:
    """The calls among them. What is none stays in `to_dict()`, and is an error where there is
    nothing else (`ChatCompletion._unreadable`)."""
    calls = [_tool_call(value) for value in values if type(value) is dict]
    if not calls and any(values):
        raise misplaced(values, "a list of tool calls")
    return calls


def _list_of(item: Any, convert: Convert | None) -> Convert:
    structure_all: Callable[[list[Any]], list[Any]] | None = getattr(convert, "all", None)

    def convert_list(value: Any) -> list[Any]:
        if type(value) is dict and item == ChatCompletionMessageToolCall and _function_of(value):
            value = [value]  # one call, not in a list
        if type(value) is not list:
            raise misplaced(value, f"a list of {getattr(item, '__name__', 'objects')}")
        if structure_all is not None:
            return structure_all(value)
        if item == ChatCompletionMessageToolCall:
            return _tool_calls(value)
        return value if convert is None else [convert(x) for x in value if x is not None]

    return convert_list


_SCALARS: dict[Any, Convert] = {str: _text, int: _whole, float: _real, bool: _truth}
# The name of the type that needs no converting.
_PLAIN: dict[Convert, str] = {convert: kind.__name__ for kind, convert in _SCALARS.items()}

# cattrs' own look-up takes four times as long as the function for a small object.
_written: dict[type[APIObject], Any] = {}


@cache
def _converter() -> cattrs.Converter:
    # Made with the first answer, not with the package: it takes 1.3 ms.
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_factory(_is_object, _hook_for)
    return converter
