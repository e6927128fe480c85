"""Parsed JSON to objects: a cattrs converter that generates one function for each class.

It is lenient. A field that is missing, `null` or of the wrong shape gets its default, so every
attribute has its declared type whatever the server sent; a value that can be converted to the right
type is converted. Only essential fields (those marked `essential`) raise a `MalformedError` when
they have the wrong shape.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from functools import cache
from inspect import get_annotations
from typing import Any, TypeVar, get_args

import attrs
import cattrs

from .values import (
    PLAIN,
    Convert,
    MalformedError,
    convert_to,
    is_list_of_objects,
    is_object,
    key_of,
    malformed,
)

T = TypeVar("T")


def structurer(kind: type[T]) -> Callable[[object], T]:
    """The function that makes an object of a class from parsed JSON, or a list of them if `kind` is
    `list[Choice]`, say; generated on the first call.

    It raises `MalformedError` if the JSON has the wrong shape.
    """
    function: Any = _generated.get(kind)
    if function is None:
        function = _generated[kind] = _converter().get_structure_hook(kind)
    return function  # type: ignore[no-any-return]


@cache
def strict_converters(cls: type[Any]) -> dict[str, Convert]:
    """For each JSON key of a class, a function that converts its value or raises an error."""
    return {
        key_of(cls, a.name): convert
        for a in attrs.fields(cls)
        if a.init and (convert := _strict(cls, a)) is not None
    }


def without_hooks(cls: type) -> type:
    """A class whose instances can be turned into a `cls`: same base, same slots, but without set
    hooks, and made without arguments.

    For code that makes many objects: it fills in an instance of this class and sets its
    `__class__`. Python allows that if the layouts are the same, and raises a TypeError ("object
    layout differs") otherwise: the class may inherit a slot for weak references, but not define
    its own.
    """
    space = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__slots__": cls.__dict__["__slots__"],
        "__init__": object.__init__,
        "__setattr__": object.__setattr__,
    }
    return type(cls.__name__, cls.__bases__, space)


# --- one function for each class, and one for lists of it --------------------------------------


def _hook_for(cls: Any) -> Callable[..., Any]:
    """Generate and compile a function; for `ChunkChoice`, say::

        def structure(value, _=None):
            if type(value) is not dict:
                raise malformed(value, "a ChunkChoice")
            self = twin()
            self._raw = value
            item = value.get("index")
            self.index = item if type(item) is int else 0 if item is None else convert_index(item)
            item = value.get("delta")
            self.delta = (
                structure_delta(item) if type(item) is dict
                else default_delta() if item is None
                else convert_delta(item)
            )
            ...
            self.__class__ = cls
            return self

    A loop over the fields that ends in `cls(**known)` takes four times as long. The `twin` has no
    hook to run for each field. `structure.strict` says whether it may raise an error for an object
    too, not only for a value of another type.
    """
    names, body = _body(cls)
    lines = [
        "def structure(value, _=None):",
        "    if type(value) is not dict:",
        f"        raise malformed(value, 'a {cls.__name__}')",
        *(f"    {line}" for line in body),
        "    return self",
        f"structure.strict = {any('essential' in a.metadata for a in attrs.fields(cls))}",
    ]
    return _compiled(cls.__name__, lines, names)


def _hook_for_list(kind: Any) -> Callable[..., Any]:
    """The same for a list, with the loop inside: a sixth faster than a call for each item."""
    (cls,) = get_args(kind)
    names, body = _body(cls)
    lines = [
        "def structure(values, _=None):",
        "    made = []",
        "    for value in values:",
        # Items that are not objects stay in to_dict(), but are left out of the typed list.
        "        if type(value) is not dict: continue",
        *(f"        {line}" for line in body),
        "        made.append(self)",
        "    if not made and any(values):",
        f"        raise malformed(values, 'a list of {cls.__name__}')",
        "    return made",
    ]
    return _compiled(f"list of {cls.__name__}", lines, names)


def _compiled(what: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    source, file = "\n".join(lines), f"<structure {what}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # for tracebacks
    exec(compile(source, file, "exec"), names)
    return names["structure"]  # type: ignore[no-any-return]


def _body(cls: Any) -> tuple[dict[str, Any], list[str]]:
    """The source code that makes `self` from the object `value`, and the names that it uses."""
    names: dict[str, Any] = {"cls": cls, "twin": without_hooks(cls), "malformed": malformed}
    body = ["self = twin()", "self._raw = value"]
    if (prepared := getattr(cls, "_prepared", None)) is not None:
        names["prepared"] = prepared
        body += [
            f"item = value.get({cls._prepared_unless!r})",
            "if not item or type(item) is not dict: value = prepared(value)",
        ]
    for a in attrs.fields(cls):
        default = _default(a, names)
        if a.init:
            body += [
                f"item = value.get({key_of(cls, a.name)!r})",
                f"self.{a.name} = {_converted(cls, a, default, names)}",
            ]
        elif a.name != "_raw":
            body.append(f"self.{a.name} = {default}")
    body.append("self.__class__ = cls")
    return names, body


def _default(a: attrs.Attribute[Any], names: dict[str, Any]) -> str:
    """The source code of a field's default."""
    name = f"default_{a.name}"
    factory = getattr(a.default, "factory", None)
    if a.default is None or type(a.default) in (str, int, float, bool):
        return repr(a.default)
    names[name] = a.default if factory is None else factory
    return name if factory is None else "[]" if factory is list else f"{name}()"


def _converted(cls: Any, a: attrs.Attribute[Any], default: str, names: dict[str, Any]) -> str:
    """The source code that converts `item`."""
    if (read := a.metadata.get("read")) is not None:
        names[f"convert_{a.name}"] = read
        fits = "item is None"
        if (as_is := a.metadata.get("as_is")) is str:
            fits += " or type(item) is str"
        elif as_is is not None:
            names[f"as_is_{a.name}"] = as_is
            fits += f" or (type(item) is str and item in as_is_{a.name})"
        read_it = f"item if {fits} else convert_{a.name}(item)"
        return read_it if default == "None" else f"{default} if item is None else {read_it}"
    converted, word = f"convert_{a.name}(item)", _annotation(a)
    if (plain := PLAIN.get(word)) is not None:
        names[f"convert_{a.name}"] = _lenient(plain, a)
        # The likelier case is checked first: null for a field that may be null, else the type.
        if default == "None":
            return f"None if item is None else item if type(item) is {word} else {converted}"
        return f"item if type(item) is {word} else {default} if item is None else {converted}"
    _generate_later(cls, a, names)
    if word.startswith("list[") and "essential" not in a.metadata:
        empty = "" if word[5:-1] in PLAIN else "[] if item == [] else "
        return f"{default} if item is None else {empty}{converted}"
    shape = "list" if word.startswith("list[") else "dict"
    structured = f"structure_{a.name}(item) if type(item) is {shape}"
    return f"{structured} else {default} if item is None else {converted}"


def _annotation(a: attrs.Attribute[Any]) -> str:
    """The type of a field as it is written, without `| None`."""
    written = a.type.__name__ if type(a.type) is type else str(a.type)
    return written.removesuffix(" | None")


def _generate_later(cls: Any, a: attrs.Attribute[Any], names: dict[str, Any]) -> None:
    """Generate the functions of a field with the first value that needs them.

    Most answers have no audio, logprobs or tool calls. Not generating functions for these, and not
    importing those of their classes that have modules of their own, halves the time that the first
    answer of a process takes.
    """
    convert, structure = f"convert_{a.name}", f"structure_{a.name}"

    def generate() -> None:
        strict = convert_to(_type_of(cls, a), structurer) or _unchanged
        names[convert] = names[structure] = _lenient(strict, a)
        # The likely shape skips error handling where no error can occur, or errors are raised.
        if (of_list := getattr(strict, "of_list", None)) is not None:
            names[structure] = of_list
        elif "essential" in a.metadata or not getattr(strict, "strict", True):
            names[structure] = strict

    def first(name: str) -> Convert:
        def convert_first(value: Any) -> Any:
            generate()
            return names[name](value)

        return convert_first

    names[convert], names[structure] = first(convert), first(structure)
    if " | " in _annotation(a):
        generate()  # reports at once any members that cannot be told apart


def _type_of(cls: type[Any], a: attrs.Attribute[Any]) -> Any:
    """The type of a field, evaluated on its own: `attrs.resolve_types` evaluates those of all
    fields, and so imports all of their modules.
    """
    if not isinstance(a.type, str):
        return a.type
    home = next((c for c in cls.__mro__ if a.name in get_annotations(c)), cls)
    module = sys.modules.get(home.__module__)
    if module is None:  # defined by `exec`, or in a module that has been removed
        return getattr(attrs.fields(attrs.resolve_types(cls)), a.name).type
    return eval(a.type, vars(module))


def _unchanged(value: Any) -> Any:
    return value


def _lenient(convert: Convert, a: attrs.Attribute[Any]) -> Convert:
    """`convert`, but a value of the wrong shape becomes the field's default.

    An answer that was paid for is not rejected because of its log probabilities, say: they are in
    `.to_dict()` and `.extra` as received. In an essential field, only an empty value becomes the
    default.
    """
    factory = getattr(a.default, "factory", None)
    essential = a.metadata.get("essential")

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except (MalformedError, RecursionError):
            if essential and value:
                raise
            return a.default if factory is None else factory()

    return read


def _strict(cls: type[Any], a: attrs.Attribute[Any]) -> Convert | None:
    """How a field is converted, raising an error for a value that does not fit."""
    read = a.metadata.get("read")
    if read is None:
        return convert_to(_type_of(cls, a), structurer)

    def convert(value: Any) -> Any:
        if value and read(value) is None and not (isinstance(value, str)):
            raise malformed(value, "text")

    return convert


# cattrs' own lookup takes four times as long as the function does for a small object.
_generated: dict[Any, Any] = {}


@cache
def _converter() -> cattrs.Converter:
    # Created with the first response, not on import: it takes 1.3 ms.
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_factory(is_object, _hook_for)
    converter.register_structure_hook_factory(is_list_of_objects, _hook_for_list)
    return converter
