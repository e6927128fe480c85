"""The JSON Schema of a Python type, as the API's structured outputs want it.

    schema = schema_of(list[Item])

It walks over the type itself, so that attrs classes, dataclasses, TypedDicts, NamedTuples and
Structs get the same schemas and can be nested in each other. A class with a `model_json_schema`
(pydantic's) makes its own: see `models.py`.

The rules of strict mode: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

import collections.abc
import enum
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NewType, TypeVar, get_args, get_origin

import msgspec
from attrs import frozen

from ..errors import InvalidArgumentError
from ..options import check_bool
from .docstrings import described as documented
from .fields import class_of, fields_of, tag_of
from .kinds import (
    LISTS,
    MAPPINGS,
    UNIONS,
    aliased,
    identifier,
    is_alias,
    is_object,
    name_of,
    unhashable_in,
    unwrapped,
)
from .models import ModelSchema, is_model, place_definitions, schema_made_by
from .pieces import PLAIN, described, free_keys, limited_schema, object_schema, values_schema

WRAPPED = "value"
"""The property of the object around a type that is not an object itself."""


@frozen(eq=False)
class Schema:
    """The JSON Schema of a type that has none of its own, for its annotation.

    Example::

        @attrs.define
        class Bill:
            total: Annotated[Money, Schema({"type": "string", "description": "as in 12.50 EUR"})]
    """

    json: Mapping[str, object]


def schema_of(kind: Any, *, strict: bool = True) -> dict[str, Any]:
    """The schema of a type; its top is always an object, so other types are wrapped in one.

    Args:
        strict: refuse what the API's strict mode cannot describe.

    Raises:
        InvalidArgumentError: the type has no schema. The message has the path of the field.
    """
    check_bool("strict", strict)
    walk = _Walk(strict)
    if is_object(kind):
        walk.refs[unwrapped(kind)] = "#"
        root = walk.root(kind)
    else:
        root = object_schema({WRAPPED: walk.schema(kind, name_of(kind))}, [WRAPPED])
    return {**root, "$defs": walk.definitions} if walk.definitions else root


class _Walk:
    """One walk over a type.

    Attributes:
        definitions: the schemas of the classes that were met, for `$defs`.
        refs: where the schema of each class is.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.definitions: dict[str, Any] = {}
        self.refs: dict[Any, str] = {}
        self._referred: set[Any] = set()
        self._of_models: dict[str, Any] = {}

    def root(self, kind: Any) -> dict[str, Any]:
        """The schema of a class at the top."""
        schema = self.object(unwrapped(kind), name_of(kind))
        texts = self.schema(kind, name_of(kind)) if kind is not unwrapped(kind) else {}
        return described(schema, texts.get("description", ""))

    def schema(self, kind: Any, path: str) -> dict[str, Any]:
        if get_origin(kind) is typing.Annotated:
            return self._annotated(kind, path)
        if isinstance(kind, NewType):
            return self.schema(kind.__supertype__, path)
        if is_alias(kind):
            return self._alias(kind, path)
        if isinstance(kind, TypeVar):
            msg = f"{path} has the type variable {kind}: give it a type, as in Page[Item]."
            raise InvalidArgumentError(msg)
        if (kind is None or isinstance(kind, type)) and kind in PLAIN:
            return dict(PLAIN[kind])
        cls = class_of(kind)
        if cls is Literal:
            return values_schema(get_args(kind), path)
        if cls in UNIONS:
            return self._union(get_args(kind), path)
        if is_model(kind) or is_object(kind):
            return self._reference(kind)
        if isinstance(cls, type) and issubclass(cls, enum.Enum):
            values = values_schema([member.value for member in cls], path)
            return described(values, documented(cls).text)
        return self._collection(kind, cls, path)

    def _annotated(self, kind: Any, path: str) -> dict[str, Any]:
        """The schema of `Annotated[...]`: its texts, its limits, or the schema that it gives."""
        for meta in kind.__metadata__:
            if not isinstance(meta, collections.abc.Hashable):
                msg = f"{path} has {meta!r} in Annotated, which is not hashable: leave it out."
                raise InvalidArgumentError(msg)
        given = next((m for m in kind.__metadata__ if isinstance(m, Schema)), None)
        schema = self.schema(kind.__origin__, path) if given is None else dict(given.json)
        for meta in reversed(kind.__metadata__):  # so that the innermost text wins
            if isinstance(meta, msgspec.Meta):
                schema = limited_schema(schema, meta)
            # Plain text, PEP 727's `Doc`, and what `Meta` and pydantic's `Field` say.
            texts = (meta, getattr(meta, "documentation", ""), getattr(meta, "description", ""))
            schema = described(schema, next((t for t in texts if t and isinstance(t, str)), ""))
        return schema

    def _union(self, members: Iterable[Any], path: str) -> dict[str, Any]:
        options: list[dict[str, Any]] = []
        for member in members:
            option = self.schema(member, path)
            for part in option["anyOf"] if set(option) == {"anyOf"} else [option]:
                if part not in options:
                    options.append(part)
        return {"anyOf": options} if len(options) > 1 else options[0]

    def _reference(self, kind: Any) -> dict[str, Any]:
        if kind not in self.refs:
            name = self._free(identifier(kind))
            self.refs[kind] = f"#/$defs/{name}"
            self.definitions[name] = self.object(kind, name)
        return {"$ref": self.refs[kind]}

    def _alias(self, kind: Any, path: str) -> dict[str, Any]:
        """What an alias stands for; a definition of its own if it refers to itself."""
        if kind in self.refs:
            self._referred.add(kind)
            return {"$ref": self.refs[kind]}
        name = self._free(identifier(kind))
        self.refs[kind] = f"#/$defs/{name}"
        schema = self.schema(aliased(kind), path)
        if kind in self._referred:
            self.definitions[name] = schema
            return {"$ref": self.refs[kind]}
        del self.refs[kind], self.definitions[name]
        return schema

    def _free(self, wanted: str) -> str:
        """A name for a definition, which keeps it while the definition is made."""
        name, number = wanted, 1
        while name in self.definitions:
            number += 1
            name = f"{wanted}_{number}"
        self.definitions[name] = {}
        return name

    def object(self, kind: Any, path: str) -> dict[str, Any]:
        """The schema of a class."""
        if is_model(kind):
            return self._model(kind, path)
        says = documented(class_of(kind))
        properties: dict[str, Any] = {}
        required = []
        if (tag := tag_of(kind)) is not None:
            properties[tag[0]] = values_schema([tag[1]], path)
            required.append(tag[0])
        for field in fields_of(kind) or ():
            schema = self.schema(field.type, f"{path}.{field.key}")
            if "description" not in schema:
                # A private attribute of attrs has another name as an argument.
                text = says.parts.get(field.name) or says.parts.get(field.key, "")
                schema = described(schema, text)
            properties[field.key] = schema
            if self.strict or field.required:
                required.append(field.key)
        return described(object_schema(properties, required), says.text)

    def _model(self, cls: Any, path: str) -> dict[str, Any]:
        """The schema that a class makes itself, by our rules."""
        schema = schema_made_by(cls)
        own = schema.pop("$defs", {})
        places = {}
        if len(schema) == 1 and "$ref" in schema:  # a recursive class refers to itself
            places[schema["$ref"]] = self.refs[cls]
            schema = own.pop(schema["$ref"].rpartition("/")[2])
        names = place_definitions(own, self._of_models, self._free)
        places |= {f"#/$defs/{name}": f"#/$defs/{place}" for name, place in names.items()}
        rules = ModelSchema(self.strict, places)
        for name, place in names.items():
            if not self.definitions.get(place):
                self.definitions[place] = rules.of(own[name], name)
        return rules.of(schema, path)  # type: ignore[no-any-return]

    def _collection(self, kind: Any, cls: Any, path: str) -> dict[str, Any]:
        arguments = get_args(kind)
        if get_origin(kind) is tuple and not (len(arguments) == 2 and arguments[1] is ...):
            return self._tuple(arguments, path)
        if cls in LISTS or cls is tuple:
            item = arguments[0] if arguments else Any
            if cls in (set, frozenset) and (part := unhashable_in(item)) is not None:
                raise InvalidArgumentError(_without_hash(part, path))
            return {"type": "array", "items": self.schema(item, f"{path}[]")}
        if cls in MAPPINGS:
            if self.strict:
                raise free_keys(path)
            value = self.schema(arguments[1], f"{path}[...]") if arguments else {}
            return {"type": "object", "additionalProperties": value}
        if kind in (Any, object) and not self.strict:
            return {}
        raise InvalidArgumentError(_without_schema(kind, path))

    def _tuple(self, items: tuple[Any, ...], path: str) -> dict[str, Any]:
        schemas = [self.schema(item, f"{path}[{n}]") for n, item in enumerate(items)]
        size = {"minItems": len(items), "maxItems": len(items)}
        if schemas and all(schema == schemas[0] for schema in schemas):
            return {"type": "array", "items": schemas[0], **size}
        if not self.strict:
            return {"type": "array", "prefixItems": schemas, **size}
        msg = (
            f"{path} is a tuple of items of different types, which strict mode cannot describe: "
            "use a NamedTuple or another class, or pass strict=False."
        )
        raise InvalidArgumentError(msg)


def _without_hash(part: Any, path: str) -> str:
    name = name_of(part)
    return f"{path} is a set of {name}, which is not hashable: use a list, or a frozen class."


def _without_schema(kind: Any, path: str) -> str:
    name = name_of(kind)
    if kind in (Any, object):
        return f"{path} may be anything, which strict mode cannot describe: pass strict=False."
    if (
        not isinstance(kind, type)
        and get_origin(kind) is None
        and type(kind).__module__ != "typing"
    ):
        return f"{path} is {kind!r}, which is not a type: pass the class itself."
    return (
        f"{path} has type {name}, which has no JSON schema: give it one in Annotated, "
        f'as in Annotated[{name}, Schema({{"type": "string"}})].'
    )
