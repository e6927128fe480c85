"""Parsed JSON to objects: a cattrs converter that generates one function for each class.

It is lenient. A field that is missing, `null` or of the wrong shape gets its default, so every
attribute has its declared type whatever the server sent; a value that can be converted to the right
type is converted. Only essential fields (those marked `essential`) raise a `MalformedError` when
they have the wrong shape.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import attrs
import cattrs

from .values import PLAIN, Convert, MalformedError, convert_to, is_object, malformed

T = TypeVar("T")


def structurer(cls: type[T]) -> Callable[[object], T]:
    """The function that makes a `cls` from a parsed JSON object; generated on the first call.

    It raises `MalformedError` if the JSON has the wrong shape.
    """
    function: Any = _generated.get(cls)
    if function is None:
        function = _generated[cls] = _converter().get_structure_hook(cls)
    return function  # type: ignore[no-any-return]


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


# --- one function for each class ---------------------------------------------------------------


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
    hook to run for each field. `structure.all` does the same for a list, and is a sixth faster
    still. `structure.strict` says whether it may raise an error for an object too, not only for a
    value of another type.
    """
    attrs.resolve_types(cls)
    names: dict[str, Any] = {
        "cls": cls,
        "twin": without_hooks(cls),
        "malformed": malformed,
    }
    # For `.extra`: to find the values that do not fit their attributes.
    cls._converters = {
        a.name: convert for a in attrs.fields(cls) if a.init and (convert := _strict(a))
    }
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
                f"item = value.get({a.name!r})",
                f"self.{a.name} = {_converted(a, default, names)}",
            ]
        elif a.name != "_raw":
            body.append(f"self.{a.name} = {default}")
    body.append("self.__class__ = cls")
    lines = [
        "def structure(value, _=None):",
        "    if type(value) is not dict:",
        f"        raise malformed(value, 'a {cls.__name__}')",
        *(f"    {line}" for line in body),
        "    return self",
        "def structure_all(values):",
        "    made = []",
        "    for value in values:",
        # Items that are not objects stay in to_dict(), but are left out of the typed list.
        "        if type(value) is not dict: continue",
        *(f"        {line}" for line in body),
        "        made.append(self)",
        "    if not made and any(values):",
        f"        raise malformed(values, 'a list of {cls.__name__}')",
        "    return made",
        "structure.all = structure_all",
        f"structure.strict = {any('essential' in a.metadata for a in attrs.fields(cls))}",
    ]
    source, file = "\n".join(lines), f"<structure {cls.__name__}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # for tracebacks
    exec(compile(source, file, "exec"), names)
    return names["structure"]  # type: ignore[no-any-return]


def _default(a: attrs.Attribute[Any], names: dict[str, Any]) -> str:
    """The source code of a field's default."""
    name = f"default_{a.name}"
    factory = getattr(a.default, "factory", None)
    if a.default is None or type(a.default) in (str, int, float, bool):
        return repr(a.default)
    names[name] = a.default if factory is None else factory
    return name if factory is None else "[]" if factory is list else f"{name}()"


def _converted(a: attrs.Attribute[Any], default: str, names: dict[str, Any]) -> str:
    """The source code that converts `item`."""
    if (read := a.metadata.get("read")) is not None:
        names[f"convert_{a.name}"] = read
        fits = "item is None"
        if (as_is := a.metadata.get("as_is")) is str:
            fits += " or type(item) is str"
        elif as_is is not None:
            names[f"as_is_{a.name}"] = as_is
            fits += f" or (type(item) is str and item in as_is_{a.name})"
        return f"item if {fits} else convert_{a.name}(item)"
    convert = convert_to(a.type, structurer)
    if convert is None:
        return f"{default} if item is None else item"
    names[f"convert_{a.name}"] = _lenient(convert, a)
    converted = f"convert_{a.name}(item)"
    plain = PLAIN.get(convert)
    if plain is None:
        otherwise = f"{default} if item is None else {converted}"
        # The likely shape skips the error handling where no error can occur, or it is to be raised.
        if (of_list := getattr(convert, "of_list", None)) is not None:
            kind, function = "list", of_list if "essential" in a.metadata else None
        else:
            strict = getattr(convert, "strict", True) and "essential" not in a.metadata
            kind, function = "dict", None if strict else convert
        if function is None:
            empty = "[] if item == [] else " if kind == "list" and of_list is not None else ""
            return f"{default} if item is None else {empty}{converted}"
        names[f"structure_{a.name}"] = function
        return f"structure_{a.name}(item) if type(item) is {kind} else {otherwise}"
    # The likelier case is checked first: null for a field that may be null, else the right type.
    if default == "None":
        return f"None if item is None else item if type(item) is {plain} else {converted}"
    return f"item if type(item) is {plain} else {default} if item is None else {converted}"


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


def _strict(a: attrs.Attribute[Any]) -> Convert | None:
    """How a field is converted, raising an error for a value that does not fit."""
    read = a.metadata.get("read")
    if read is None:
        return convert_to(a.type, structurer)

    def convert(value: Any) -> Any:
        if value and read(value) is None and not (isinstance(value, str)):
            raise malformed(value, "text")

    return convert


# cattrs' own lookup takes four times as long as the function does for a small object.
_generated: dict[type, Any] = {}


@cache
def _converter() -> cattrs.Converter:
    # Created with the first response, not on import: it takes 1.3 ms.
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_factory(is_object, _hook_for)
    return converter
