"""Compares our declarations with the table of OpenAI's API: operations, parameters, answers.

Both sides become the same: a `Kind` for each type, and the fields of each object. What differs is
a line that names the place in the table, like `CreateImageRequest.quality: "max"`.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import (
    IO,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_overloads,
    get_type_hints,
)

import attrs
from attrs import field, frozen
from typing_extensions import is_typeddict

from openai_async import resources
from openai_async.images.pil import PILImage
from openai_async.images.reading import Readable, ReadableAtOnce
from openai_async.options import REQUEST_OPTIONS
from openai_async.resources.base_client import Resource
from openai_async.resources.endpoint import Endpoint
from openai_async.streaming.binary import BinaryContent
from openai_async.types.base import APIObject
from openai_async.types.chat_option_params import ToolFunction

TABLE: dict[str, Any] = json.loads(
    Path(__file__).with_name("openai.json").read_text(encoding="utf-8")
)

# What the table calls our types; those that take arguments, by their origin.
NAMES: dict[Any, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    types.NoneType: "None",
    Any: "object",
    object: "object",
    # Files; a tuple is one with its name and media type, since JSON has no tuples.
    bytes: "bytes",
    bytearray: "bytes",
    memoryview: "bytes",
    IO: "bytes",
    Readable: "bytes",
    ReadableAtOnce: "bytes",
    PILImage: "bytes",
    BinaryContent: "bytes",
    os.PathLike: "bytes",
    tuple: "bytes",
}


@frozen
class Declared:
    """An operation of ours.

    Attributes:
        events: their type, if the method can be called with `stream=True`.
    """

    endpoint: Endpoint[Any]
    events: Any = None


def declared() -> dict[str, Declared]:
    """Every `Endpoint` in `openai_async.resources`, by method and path."""
    found: dict[str, Declared] = {}
    for module in pkgutil.iter_modules(resources.__path__, resources.__name__ + "."):
        names = vars(importlib.import_module(module.name))
        classes = [cls for cls in names.values() if isinstance(cls, type)]
        methods = [vars(cls) for cls in classes if issubclass(cls, Resource)]
        for endpoint in names.values():
            if isinstance(endpoint, Endpoint):
                named = [known[endpoint.name] for known in methods if endpoint.name in known]
                events = [_events_of(method, names) for method in named]
                found[f"{endpoint.method} {endpoint.path}"] = Declared(
                    endpoint, next(filter(None, events), None)
                )
    return found


def _events_of(method: Any, names: dict[str, Any]) -> Any:
    """The type of the events: of the overload with `stream: Literal[True]`, if there is one."""
    for overload in get_overloads(method):
        hints = get_type_hints(overload, names)
        if hints.get("stream") == Literal[True]:
            stream = hints["return"]
            bases = getattr(stream, "__orig_bases__", ())
            return next(args[0] for base in (stream, *bases) if (args := get_args(base)))
    return None


# --- types --------------------------------------------------------------------------------------


@frozen
class Kind:
    """What a value may be.

    Attributes:
        plain: scalars, the literals as JSON, and "list" and "dict" for what follows.
        items: of a list.
        values: of a dict whose keys are not known.
        objects: a class of ours, or the name of an object in the table.
    """

    plain: frozenset[str] = frozenset()
    items: Kind | None = None
    values: Kind | None = None
    objects: tuple[Any, ...] = ()

    def __or__(self, other: Kind | None) -> Kind:
        if other is None:
            return self
        return Kind(
            self.plain | other.plain,
            self.items | other.items if self.items else other.items,
            self.values | other.values if self.values else other.values,
            tuple(dict.fromkeys((*self.objects, *other.objects))),
        )


@frozen
class Field:
    required: bool
    kind: Kind

    def __or__(self, other: Field) -> Field:
        return Field(self.required and other.required, self.kind | other.kind)


def plain(*names: str) -> Kind:
    return Kind(frozenset(names))


def list_of(items: Kind) -> Kind:
    return Kind(frozenset({"list"}), items=items)


def dict_of(values: Kind) -> Kind:
    return Kind(frozenset({"dict"}), values=values)


def united(kinds: Iterable[Kind]) -> Kind:
    whole = Kind()
    for kind in kinds:
        whole |= kind
    return whole


def without_values(kind: Kind) -> Kind:
    """The kind of a field of an answer, where known values do not count: any text is allowed."""
    names = {"str" if name.startswith('"') else name for name in kind.plain}
    return attrs.evolve(kind, plain=frozenset(names))


def ours(kind: Any, variables: Mapping[Any, Any], *, sent: bool) -> Kind:
    """The `Kind` of an annotation. Answers that may be passed as parameters do not count."""
    kind = variables.get(kind, kind) if isinstance(kind, TypeVar) else kind
    origin, arguments = get_origin(kind), get_args(kind)
    if (origin or kind) in NAMES:
        return plain(NAMES[origin or kind])
    if kind is ToolFunction:  # sent as the dict that is made from it
        return Kind()
    if origin in (Required, NotRequired):
        return ours(arguments[0], variables, sent=sent)
    if origin in (Union, types.UnionType):
        return united(ours(member, variables, sent=sent) for member in arguments)
    if origin is Literal:
        return plain(*map(json.dumps, arguments))
    cls = origin or kind
    if is_typeddict(cls) or attrs.has(cls):
        if sent and issubclass(cls, APIObject):
            return Kind()
        bound = tuple(variables.get(argument, argument) for argument in arguments)
        return Kind(frozenset({"dict"}), objects=(cls[bound] if bound else cls,))
    is_map = isinstance(cls, type) and issubclass(cls, Mapping)
    if is_map or (isinstance(cls, type) and issubclass(cls, Iterable)):
        inner = ours(arguments[-1] if arguments else object, variables, sent=sent)
        return dict_of(inner) if is_map else list_of(inner)
    msg = f"{kind!r} is a new type: add it to NAMES in tests/spec/walk.py."
    raise TypeError(msg)


def fields_of_ours(cls: Any, *, sent: bool) -> dict[str, Field]:
    """The fields of a TypedDict, or of the class of an answer, by their names in JSON."""
    base = get_origin(cls) or cls
    variables = dict(zip(getattr(base, "__parameters__", ()), get_args(cls), strict=False))
    hints = get_type_hints(base, include_extras=True)
    if is_typeddict(base):
        names = {name: name for name in hints if name not in REQUEST_OPTIONS}
    else:
        keys = getattr(base, "_keys", {})  # for JSON keys that are not valid in Python
        names = {keys.get(a.name, a.name): a.name for a in attrs.fields(base) if a.init}
    return {
        key: Field(
            get_origin(hints[name]) is Required
            or (
                (name in getattr(base, "__required_keys__", ()))
                and get_origin(hints[name]) is not NotRequired
            ),
            ours(hints[name], variables, sent=sent),
        )
        for key, name in names.items()
    }


def theirs(kind: ast.expr) -> Kind:
    match kind:
        case ast.BinOp():
            return theirs(kind.left) | theirs(kind.right)
        case ast.Subscript(value=ast.Name(id="Required")):
            return theirs(kind.slice)
        case ast.Subscript(value=ast.Name(id="list")):
            return list_of(theirs(kind.slice))
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, values])):
            return dict_of(theirs(values))
        case ast.Subscript(value=ast.Name(id="Literal")):
            literals = ast.literal_eval(kind.slice)
            literals = literals if isinstance(literals, tuple) else (literals,)
            return plain(*map(json.dumps, literals))
    name = ast.unparse(kind)
    return plain(name) if name in NAMES.values() else Kind(frozenset({"dict"}), objects=(name,))


def kind_in_table(text: str) -> Kind:
    return theirs(ast.parse(text, mode="eval").body)


# --- the comparison -----------------------------------------------------------------------------


@frozen
class Walk:
    """One walk over all operations.

    Attributes:
        left_out: what the table has and we do not.
        newer: what we have and the table does not.
    """

    table: dict[str, Any] = TABLE
    left_out: set[str] = field(factory=set)
    newer: set[str] = field(factory=set)
    _seen: set[tuple[Any, Any, bool]] = field(factory=set)

    def operations(self, mine: Mapping[str, Declared]) -> None:
        known = self.table["operations"]
        self.left_out.update(known.keys() - mine.keys())
        self.newer.update(mine.keys() - known.keys())
        for name in known.keys() & mine.keys():
            self._operation(name, known[name], mine[name].endpoint, mine[name].events)

    def _operation(
        self, name: str, known: dict[str, Any], endpoint: Endpoint[Any], events: Any
    ) -> None:
        taken = fields_of_ours(endpoint.params, sent=True)
        if events is not None:  # `stream` is declared by the overloads of the method
            taken["stream"] = Field(False, plain("bool", "None"))
        body = kind_in_table(known.get("body", "None")).objects
        query = {key: self._field(text) for key, text in known.get("query", {}).items()}
        where = f"{name}?" if "query" in known or not body else f"{body[0]}."
        expected = query | (self._merged(body, sent=True) if body else {})
        self._fields(where, taken, expected, sent=True)
        answer = ours(endpoint.result, {}, sent=False) if endpoint.result else plain("None")
        self._compare(f"{name} answer", answer, kind_in_table(known["answer"]), sent=False)
        if events is None and "events" in known:
            self.left_out.add(f"{name} events")
        elif events is not None:
            kind = ours(events, {}, sent=False)
            self._compare(f"{name} events", kind, kind_in_table(known["events"]), sent=False)

    def _field(self, text: str) -> Field:
        return Field(text.startswith("Required["), kind_in_table(text))

    def _fields(
        self, where: str, mine: dict[str, Field], known: dict[str, Field], *, sent: bool
    ) -> None:
        self.left_out.update(f"{where}{name}" for name in known.keys() - mine.keys())
        self.newer.update(f"{where}{name}" for name in mine.keys() - known.keys())
        for name in known.keys() & mine.keys():
            here, there = mine[name], known[name]
            if sent and here.required != there.required:
                (self.newer if here.required else self.left_out).add(f"{where}{name}: Required")
            if not sent:
                there = Field(True, there.kind | (Kind() if there.required else plain("None")))
            self._compare(f"{where}{name}", here.kind, there.kind, sent=sent)

    def _compare(self, where: str, mine: Kind, known: Kind, *, sent: bool) -> None:
        if not sent:
            mine, known = without_values(mine), without_values(known)
        if "object" in mine.plain | known.plain:  # anything
            return
        for name in known.plain - mine.plain:
            # Answers are lenient: a missing list is empty.
            if not _covers(mine, name) and (sent or name != "None" or "list" not in mine.plain):
                self.left_out.add(f"{where}: {name}")
        for name in mine.plain - known.plain:
            if not _covers(known, name) and (sent or name != "None"):
                self.newer.add(f"{where}: {name}")
        if mine.items and known.items:
            self._compare(f"{where}[]", mine.items, known.items, sent=sent)
        if mine.values and known.values:
            self._compare(f"{where}{{}}", mine.values, known.values, sent=sent)
        if mine.objects and known.objects:
            self._objects(where, mine.objects, known.objects, sent=sent)

    def _objects(
        self, where: str, mine: tuple[Any, ...], known: tuple[str, ...], *, sent: bool
    ) -> None:
        """Compares objects with the same tag; without tags, the fields of all of them together."""
        here = {self._tag(cls, sent=sent): cls for cls in mine}
        there = {self._tag(name, sent=sent): name for name in known}
        if None in here or None in there or len(here) < len(mine) or len(there) < len(known):
            self._pair(mine, known, sent=sent)
            return
        if len(here) == len(there) == 1:
            self._pair(mine, known, sent=sent)
            return
        self.left_out.update(f"{where}: {there[tag]}" for tag in there.keys() - here.keys())
        self.newer.update(f"{where}: {here[tag].__name__}" for tag in here.keys() - there.keys())
        for tag in here.keys() & there.keys():
            self._pair((here[tag],), (there[tag],), sent=sent)

    def _pair(self, mine: tuple[Any, ...], known: tuple[str, ...], *, sent: bool) -> None:
        if (mine, known, sent) not in self._seen:
            self._seen.add((mine, known, sent))
            names = "|".join(known)
            there = self._merged(known, sent=sent)
            self._fields(f"{names}.", self._merged(mine, sent=sent), there, sent=sent)

    def _tag(self, one: Any, *, sent: bool) -> str | None:
        """The value of its `type` or `role`, which tells an object from others."""
        fields = self._of(one, sent=sent)
        for name in ("type", "role"):
            values = fields[name].kind.plain if name in fields else frozenset()
            if len(values) == 1 and (value := min(values)).startswith('"'):
                return value
        return None

    def _merged(self, objects: tuple[Any, ...], *, sent: bool) -> dict[str, Field]:
        each = [self._of(one, sent=sent) for one in objects]
        whole: dict[str, Field] = {}
        for fields in each:
            for name, this in fields.items():
                whole[name] = whole[name] | this if name in whole else this
        return {
            name: this if all(name in fields for fields in each) else Field(False, this.kind)
            for name, this in whole.items()
        }

    def _of(self, one: Any, *, sent: bool) -> dict[str, Field]:
        if isinstance(one, str):
            return {key: self._field(text) for key, text in self.table["objects"][one].items()}
        return fields_of_ours(one, sent=sent)


def _covers(kind: Kind, name: str) -> bool:
    """Whether a value of the type `name` may be passed where `kind` is accepted."""
    return (name.startswith('"') and "str" in kind.plain) or (
        name == "int" and "float" in kind.plain
    )
