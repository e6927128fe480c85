"""Parsed JSON to objects: a cattrs converter that writes out one function for each class.

Lenient about values, and about the shape of side fields. A field that is missing, `null` or of
the wrong shape keeps its default, so every attribute has its declared type whatever the server
sent; a value that can be converted to the right type is. Only what the reader came for (the fields
marked `essential`) raises a `MalformedError` when it has the wrong shape.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import attrs
import cattrs

from .values import PLAIN, Convert, MalformedError, convert_to, is_object, misplaced

T = TypeVar("T")


def structurer(cls: type[T]) -> Callable[[object], T]:
    """The function that makes a `cls` of a parsed JSON object; it is written at the first call.

    It raises `MalformedError` where the JSON has the wrong shape.
    """
    function: Any = _written.get(cls)
    if function is None:
        function = _written[cls] = _converter().get_structure_hook(cls)
    return function  # type: ignore[no-any-return]


def without_hooks(cls: type) -> type:
    """A class whose instances may become a `cls`: the same base, the same slots, plain setting.

    For code that makes many objects: it fills one of these in and sets its `__class__`. Python
    allows that where the layouts are the same ("object layout differs" is a TypeError at once), for
    which a class may inherit a slot for weak references, but not have one of its own.
    """
    space = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__slots__": cls.__dict__["__slots__"],
        "__setattr__": object.__setattr__,
    }
    return type(cls.__name__, cls.__bases__, space)


# --- one function for each class ---------------------------------------------------------------


def _hook_for(cls: Any) -> Callable[..., Any]:
    """Write, for `ChunkChoice` say, and compile::

        def structure(value, _=None):
            if type(value) is not dict:
                raise misplaced(value, "a ChunkChoice")
            self = new(twin)
            raw = value
            self._raw = raw
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
    body = ["self = new(twin)", "raw = value"]
    if (prepared := getattr(cls, "_prepared", None)) is not None:
        names["prepared"] = prepared
        body.append("value = prepared(value)")
    for a in attrs.fields(cls):
        default = _default(a, names)
        if a.init:
            body += [
                f"item = value.get({a.name!r})",
                f"self.{a.name} = {_converted(a, default, names)}",
            ]
        else:
            body.append(f"self.{a.name} = {'raw' if a.name == '_raw' else default}")
    body.append("self.__class__ = cls")
    lines = [
        "def structure(value, _=None):",
        "    if type(value) is not dict:",
        f"        raise misplaced(value, 'a {cls.__name__}')",
        *(f"    {line}" for line in body),
        "    return self",
        "def structure_all(values):",
        "    made = []",
        "    for value in values:",
        # What is not an object stays in to_dict(), but is left out of the typed list.
        "        if type(value) is not dict: continue",
        *(f"        {line}" for line in body),
        "        made.append(self)",
        "    if not made and any(values):",
        f"        raise misplaced(values, 'a list of {cls.__name__}')",
        "    return made",
        "structure.all = structure_all",
    ]
    source, file = "\n".join(lines), f"<structure {cls.__name__}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # for tracebacks
    exec(compile(source, file, "exec"), names)
    return names["structure"]  # type: ignore[no-any-return]


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
    convert = convert_to(a.type, structurer)
    if convert is None:
        return f"{default} if item is None else item"
    names[f"convert_{a.name}"] = _lenient(convert, a)
    converted = f"convert_{a.name}(item)"
    plain = PLAIN.get(convert)
    if plain is None:
        return f"{default} if item is None else {converted}"
    # What is nearly always there is looked at first as that, what is often null first as null.
    if default == "None":
        return f"None if item is None else item if type(item) is {plain} else {converted}"
    return f"item if type(item) is {plain} else {default} if item is None else {converted}"


def _lenient(convert: Convert, a: attrs.Attribute[Any]) -> Convert:
    """`convert`, but a value of the wrong shape becomes the field's default.

    An answer that was paid for is not rejected because of its log probabilities: `.to_dict()` and
    `.extra` have them as they came. In an essential field, only an empty value does.
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
    """How a field is read, raising an error for a value that it cannot show."""
    read = a.metadata.get("read")
    if read is None:
        return convert_to(a.type, structurer)

    def convert(value: Any) -> Any:
        if value and read(value) is None and not (isinstance(value, str)):
            raise misplaced(value, "text")

    return convert


# cattrs' own look-up takes four times as long as the function for a small object.
_written: dict[type, Any] = {}


@cache
def _converter() -> cattrs.Converter:
    # Made with the first answer, not with the package: it takes 1.3 ms.
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_factory(is_object, _hook_for)
    return converter
