"""`schema_of`: each Python type, and exactly the JSON Schema that the API gets for it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import sys
import types
import typing
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
    Union,
)

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from typing_extensions import TypeAliasType

from openai_async import InvalidArgumentError
from openai_async.structured import Schema, schema_of

from .schemas import BOOLEAN, INT, NULL, NUMBER, STR, arr, obj, ref

T = TypeVar("T")
U = TypeVar("U")

# --- types that are not objects: in a property "value", since the API wants an object -------------


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Size(enum.StrEnum):
    """How big."""

    S = "s"


class Mixed(enum.Enum):
    NAME = "a"
    NUMBER = 1


Name = NewType("Name", str)
Described = NewType("Described", Annotated[str, "a name"])
Names = TypeAliasType("Names", list[str])
Text = TypeAliasType("Text", Annotated[str, "some text"])
Pair = TypeAliasType("Pair", list[tuple[T, T]], type_params=(T,))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (str, STR),
        (int, INT),
        (float, NUMBER),
        (bool, BOOLEAN),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.time, {"type": "string", "format": "time"}),
        (datetime.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (decimal.Decimal, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}),
        (Color, {"type": "string", "enum": ["red", "blue"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Size, {"type": "string", "const": "s", "description": "How big."}),
        (
            Mixed,
            {"anyOf": [{"type": "string", "const": "a"}, {"type": "integer", "const": 1}]},
        ),
        (Literal["C", "F"], {"type": "string", "enum": ["C", "F"]}),
        (Literal["x"], {"type": "string", "const": "x"}),
        (Literal[True], {"type": "boolean", "const": True}),
        (Literal[Color.RED, "green"], {"type": "string", "enum": ["red", "green"]}),
        (
            Literal["a", 1, True, None],
            {
                "anyOf": [
                    {"type": "string", "const": "a"},
                    {"type": "integer", "const": 1},
                    {"type": "boolean", "const": True},
                    NULL,
                ]
            },
        ),
        (int | None, {"anyOf": [INT, NULL]}),
        (Optional[int], {"anyOf": [INT, NULL]}),  # noqa: UP045
        (Union[int, str], {"anyOf": [INT, STR]}),  # noqa: UP007
        (int | Literal["a", None], {"anyOf": [INT, {"type": "string", "const": "a"}, NULL]}),
        (list[int], arr(INT)),
        (typing.List[int], arr(INT)),  # noqa: UP006
        (set[str], arr(STR)),
        (frozenset[str], arr(STR)),
        (Sequence[int], arr(INT)),
        (Iterable[int], arr(INT)),
        (tuple[int, ...], arr(INT)),
        (tuple[float, float], arr(NUMBER, minItems=2, maxItems=2)),
        (list[list[int | None]], arr(arr({"anyOf": [INT, NULL]}))),
        (Annotated[int, "years"], {"type": "integer", "description": "years"}),
        (
            Annotated[int, typing_extensions.Doc("years")],
            {"type": "integer", "description": "years"},
        ),
        (Annotated[int, pydantic.Field(description="y")], {"type": "integer", "description": "y"}),
        (Annotated[int, Ellipsis], INT),
        (Annotated[Annotated[int, "inner"], "outer"], {"type": "integer", "description": "inner"}),
        (
            Annotated[int, msgspec.Meta(ge=0, lt=10, description="n")],
            {"type": "integer", "minimum": 0, "exclusiveMaximum": 10, "description": "n"},
        ),
        (
            Annotated[int | None, msgspec.Meta(gt=0)],
            {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, NULL]},
        ),
        (Annotated[str, msgspec.Meta(pattern="^a")], {"type": "string", "pattern": "^a"}),
        # Strict mode knows no minLength for text, but minItems.
        (Annotated[str, msgspec.Meta(min_length=1)], STR),
        (Annotated[list[int], msgspec.Meta(min_length=1)], arr(INT, minItems=1)),
        (Annotated[bytes, Schema({"type": "string"})], STR),
        (
            Annotated[bytes, Schema({"type": "string"}), "in base64"],
            {"type": "string", "description": "in base64"},
        ),
        (Name, STR),
        (Described, {"type": "string", "description": "a name"}),
        (Names, arr(STR)),
        (Text, {"type": "string", "description": "some text"}),
        (Pair[int], arr(arr(INT, minItems=2, maxItems=2))),
    ],
    ids=str,
)
def test_a_type_that_is_not_an_object_is_wrapped_in_one(kind: Any, expected: Any) -> None:
    assert schema_of(kind) == obj({"value": expected})


# --- classes --------------------------------------------------------------------------------------


@attrs.define
class OfAttrs:
    name: str
    age: int = 3
    _private: bool = False
    made: int = attrs.field(init=False, default=0)


@dataclasses.dataclass
class OfDataclass:
    name: str
    age: int = 3
    tags: list[str] = dataclasses.field(default_factory=list)
    made: int = dataclasses.field(init=False, default=0)
    at_class: typing.ClassVar[int] = 1
    given: dataclasses.InitVar[int] = 0
    fixed: Final[bool] = True


class OfTypedDict(TypedDict):
    name: str
    age: NotRequired[int]


class Base(TypedDict, total=False):
    id: Required[Annotated[int, "the id"]]
    note: str


class Extended(Base):
    name: typing_extensions.ReadOnly[str]


class Closed(typing_extensions.TypedDict, closed=True):
    name: str


class OfNamedTuple(NamedTuple):
    name: str
    age: int = 3


class OfStruct(msgspec.Struct, rename="camel"):
    first_name: str
    age: int = 3


class Tagged(msgspec.Struct, tag=True):
    x: int


class TaggedOtherwise(msgspec.Struct, tag_field="kind", tag=7):
    x: int


@attrs.define
class Child(OfAttrs):
    more: str = attrs.field(kw_only=True)


class Odd(TypedDict("Odd", {"my-key": int, "class": str})):
    pass


AGE = {"name": STR, "age": INT}


@pytest.mark.parametrize(
    ("kind", "properties", "required_otherwise"),
    [
        (OfAttrs, {**AGE, "_private": BOOLEAN}, ["name"]),
        (Child, {**AGE, "_private": BOOLEAN, "more": STR}, ["name", "more"]),
        (
            OfDataclass,
            {**AGE, "tags": arr(STR), "given": INT, "fixed": BOOLEAN},
            ["name"],
        ),
        (OfTypedDict, AGE, ["name"]),
        (
            Extended,
            {"id": {"type": "integer", "description": "the id"}, "note": STR, "name": STR},
            ["id", "name"],
        ),
        (Closed, {"name": STR}, ["name"]),
        (Odd, {"my-key": INT, "class": STR}, ["my-key", "class"]),
        (OfNamedTuple, AGE, ["name"]),
        (OfStruct, {"firstName": STR, "age": INT}, ["firstName"]),
        (Tagged, {"type": {"type": "string", "const": "Tagged"}, "x": INT}, ["type", "x"]),
        (TaggedOtherwise, {"kind": {"type": "integer", "const": 7}, "x": INT}, ["kind", "x"]),
        (attrs.make_class("Made", {"x": attrs.field(type=int)}), {"x": INT}, ["x"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_class_is_an_object_with_its_fields(
    kind: Any, properties: Any, required_otherwise: list[str]
) -> None:
    assert schema_of(kind) == obj(properties)
    assert schema_of(kind, strict=False) == obj(properties, required_otherwise)


@attrs.define
class Point:
    x: float
    y: float


@attrs.define
class Line:
    start: Point
    end: Annotated[Point, "where it ends"]
    via: list[Point] | None


POINT = obj({"x": NUMBER, "y": NUMBER})


def test_a_class_in_another_is_defined_once() -> None:
    assert schema_of(Line) == obj(
        {
            "start": ref("Point"),
            # Strict mode allows nothing beside a $ref.
            "end": {"anyOf": [ref("Point")], "description": "where it ends"},
            "via": {"anyOf": [arr(ref("Point")), NULL]},
        },
        defs={"Point": POINT},
    )


def test_a_union_of_classes_is_any_of_them() -> None:
    expected = obj(
        {"value": {"anyOf": [ref("Point"), ref("OfNamedTuple")]}},
        defs={"Point": POINT, "OfNamedTuple": obj(AGE)},
    )
    assert schema_of(Point | OfNamedTuple) == expected


def test_two_classes_of_the_same_name_have_two_definitions() -> None:
    def made(kind: Any) -> Any:
        return attrs.make_class("Same", {"x": attrs.field(type=kind)})

    schema = schema_of(made(int) | made(str))
    assert schema["$defs"] == {"Same": obj({"x": INT}), "Same_2": obj({"x": STR})}


@attrs.define
class Node:
    value: int
    children: list[Node]


class Employee(TypedDict):
    boss: Employee | None


@attrs.define
class Tree:
    root: Node


def test_a_recursive_class_refers_to_itself() -> None:
    assert schema_of(Node) == obj({"value": INT, "children": arr({"$ref": "#"})})
    assert schema_of(Employee) == obj({"boss": {"anyOf": [{"$ref": "#"}, NULL]}})
    node = obj({"value": INT, "children": arr(ref("Node"))})
    assert schema_of(Tree) == obj({"root": ref("Node")}, defs={"Node": node})


@attrs.define
class Page(Generic[T]):
    items: list[T]
    next: T | None
    about: Annotated[T, "one"]


@attrs.define
class Named(Page[U]):
    name: U


class Numbers(Page[int]):
    pass


class Box(TypedDict, Generic[T]):
    inside: T


class Both(NamedTuple, Generic[T]):
    one: T
    other: list[T]


def test_a_generic_class_has_its_arguments_filled_in() -> None:
    def page(kind: Any) -> Any:
        described = {**kind, "description": "one"}
        return {"items": arr(kind), "next": {"anyOf": [kind, NULL]}, "about": described}

    assert schema_of(Page[int]) == obj(page(INT))
    assert schema_of(Named[str]) == obj({**page(STR), "name": STR})
    assert schema_of(Numbers) == obj(page(INT))
    assert schema_of(Box[bool]) == obj({"inside": BOOLEAN})
    assert schema_of(Both[bool]) == obj({"one": BOOLEAN, "other": arr(BOOLEAN)})
    nested = schema_of(Box[Box[int]])
    assert nested["properties"] == {"inside": ref("Box_int")}


# --- descriptions ---------------------------------------------------------------------------------


@attrs.define
class Google:
    """A bill.

    With more about it.

    Attributes:
        total: what is due,
            in euros.
        paid: when. Loses to the annotation.
    """

    total: float
    paid: Annotated[bool, "whether it is paid"]


@dataclasses.dataclass
class NumPy:
    """A bill.

    With more about it.

    Attributes
    ----------
    total : float
        what is due,
        in euros.
    """

    total: float
    paid: Annotated[bool, "whether it is paid"]


class Sphinx(msgspec.Struct):
    """A bill.

    With more about it.

    :param total: what is due,
        in euros.
    """

    total: float
    paid: Annotated[bool, "whether it is paid"]


class BelowAttributes(TypedDict):
    """A bill.

    With more about it.
    """

    total: float
    """what is due,
    in euros."""
    paid: Annotated[bool, "whether it is paid"]


@pytest.mark.parametrize("kind", [Google, NumPy, Sphinx, BelowAttributes])
def test_descriptions_come_from_docstrings_and_annotations(kind: Any) -> None:
    assert schema_of(kind) == obj(
        {
            "total": {"type": "number", "description": "what is due,\nin euros."},
            "paid": {"type": "boolean", "description": "whether it is paid"},
        },
        description="A bill.\n\nWith more about it.",
    )


@attrs.define
class Derived(Google):
    """Another bill."""

    _secret: int
    """the secret"""
    total: float
    """what is left"""


def test_fields_keep_the_descriptions_of_the_class_they_are_inherited_from() -> None:
    properties = schema_of(Derived)["properties"]
    assert properties["paid"]["description"] == "whether it is paid"
    assert properties["total"]["description"] == "what is left"
    assert properties["_secret"]["description"] == "the secret"


def test_the_signature_of_a_class_is_no_description() -> None:
    assert "description" not in schema_of(OfDataclass)
    assert "description" not in schema_of(OfNamedTuple)
    assert "description" not in schema_of(Color)["properties"]["value"]


def test_a_text_beside_the_type_at_the_top_describes_it() -> None:
    assert schema_of(Annotated[Point, "a place"]) == {**POINT, "description": "a place"}


# --- what has no schema, or none in strict mode ---------------------------------------------------

Dict = {"type": "object", "additionalProperties": INT}


@attrs.define
class Holder:
    scores: dict[str, int]


@attrs.define
class Outer:
    holders: list[Holder]
    pair: tuple[int, str] = (1, "")


@pytest.mark.parametrize(
    ("kind", "message", "otherwise"),
    [
        (dict[str, int], "dict[str, int] is a dict with arbitrary keys", Dict),
        (Mapping[str, int], "Mapping[str, int] is a dict with arbitrary keys", Dict),
        (
            dict,
            "dict is a dict with arbitrary keys",
            {"type": "object", "additionalProperties": {}},
        ),
        (Any, "Any may be anything", {}),
        (object, "object may be anything", {}),
        (list, "list[] may be anything", arr({})),
        (tuple, "tuple[] may be anything", arr({})),
        (
            tuple[int, str],
            "tuple[int, str] is a tuple of items of different types",
            {"type": "array", "prefixItems": [INT, STR], "minItems": 2, "maxItems": 2},
        ),
    ],
    ids=str,
)
def test_strict_mode_refuses_what_it_cannot_say(kind: Any, message: str, otherwise: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        schema_of(kind)
    assert str(caught.value).startswith(message)
    assert "strict=False" in str(caught.value)
    assert schema_of(kind, strict=False) == obj({"value": otherwise})


def test_a_refusal_has_the_path_of_the_field() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^Holder\.scores is a dict with arbitrary keys"
    ):
        schema_of(Outer)
    scores = schema_of(Outer, strict=False)["$defs"]["Holder"]["properties"]["scores"]
    assert scores == Dict


class Unevaluated(TypedDict):
    x: Missing  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (list[bytes], r"^list\[bytes\]\[\] has type bytes, which has no JSON schema: .*Schema"),
        (complex, "^complex has type complex, which has no JSON schema"),
        (
            list[T],  # type: ignore[valid-type]
            r"^list\[T\]\[\] has the type variable ~T: give it a type",
        ),
        (Page, r"^Page\.items\[\] has the type variable ~T"),
        (Literal[b"x"], r"^Literal\[b'x'\] has the value b'x': use text, numbers"),
        (enum.Enum("Days", {"FIRST": datetime.date(2020, 1, 1)}), "^Days has the value datetime"),
        (enum.Enum("Empty", {}), "^Empty is an enum without members"),
        (
            collections.namedtuple("Bare", "x y"),
            r"^Bare\.x has no annotation: add one, as in x: str",
        ),
        (attrs.make_class("Bare", ["x"]), r"^Bare\.x has no annotation"),
        (Unevaluated, "^An annotation of Unevaluated cannot be evaluated: name 'Missing'"),
        (
            list[Annotated[int, []]],
            r"^list\[int\]\[\] has \[\] in Annotated, which is not hashable",
        ),
        (set[Point], r"^set\[Point\] is a set of Point, which is not hashable: use a list"),
        (frozenset[tuple[int, list[str]]], r"is a set of list\[str\], which is not hashable"),
        (set[int | OfTypedDict], "is a set of OfTypedDict, which is not hashable"),
        (set[OfStruct], "is a set of OfStruct, which is not hashable"),
        ("Point", "^Point is 'Point', which is not a type: pass the class itself"),
        (Point(1, 2), r"which is not a type: pass the class itself"),
    ],
    ids=str,
)
def test_a_type_without_a_schema_is_refused_by_any_mode(kind: Any, message: str) -> None:
    for strict in (True, False):
        with pytest.raises(InvalidArgumentError, match=message):
            schema_of(kind, strict=strict)


@attrs.frozen
class Frozen:
    x: int


class FrozenStruct(msgspec.Struct, frozen=True):
    x: int


class Same(msgspec.Struct, eq=False):
    x: int


@pytest.mark.parametrize("kind", [Frozen, FrozenStruct, Same, str | Frozen])
def test_a_set_may_have_what_is_hashable(kind: Any) -> None:
    assert schema_of(set[kind])["properties"]["value"]["items"] != {}


def test_the_schema_is_a_new_one_each_time() -> None:
    given = {"type": "string"}
    schema_of(Annotated[bytes, Schema(given), "text"])["properties"]["value"]["x"] = 1
    assert given == {"type": "string"}
    schema_of(int)["properties"]["value"]["x"] = 1
    assert schema_of(int) == obj({"value": INT})


# --- newer Pythons --------------------------------------------------------------------------------

NEW_SYNTAX = """
import attrs
type Names = list[str]
type Pair[T] = tuple[T, T]
type Json = str | list[Json]
type Tree = int | tuple[Tree, ...]

@attrs.define
class Page[T]:
    items: list[T]
    pair: Pair[T]
    names: Names | None
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
def test_the_type_statement_and_classes_with_type_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("made")
    monkeypatch.setitem(sys.modules, "made", module)
    made = vars(module)
    exec(NEW_SYNTAX, made)
    pair = arr(INT, minItems=2, maxItems=2)
    names = {"anyOf": [arr(STR), NULL]}
    assert schema_of(made["Page"][int]) == obj({"items": arr(INT), "pair": pair, "names": names})
    assert schema_of(made["Json"])["$defs"] == {"Json": {"anyOf": [STR, arr(ref("Json"))]}}
    tree = {"anyOf": [INT, arr(ref("Tree"))]}
    set_of: Any = set
    assert schema_of(set_of[made["Tree"]])["$defs"] == {"Tree": tree}
