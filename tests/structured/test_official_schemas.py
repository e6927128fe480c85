"""The schemas of our classes are those that the official SDK makes of pydantic models like them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from openai_async.structured import schema_of

from .schemas import BOOLEAN, INT, NULL, NUMBER, STR, arr, obj, ref

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Node:
    value: int
    children: list[Node]


@attrs.define
class Tree:
    root: Node


class Box(TypedDict, Generic[T]):
    inside: T


# `openai.lib._pydantic.to_strict_json_schema` of openai 3.57 with pydantic 2.14, for pydantic
# models with the fields of our classes. Titles and defaults, which mean nothing, were left out.


class Scalars(TypedDict):
    a: str
    b: int
    c: float
    d: bool
    e: None


class Texts(NamedTuple):
    at: datetime.datetime
    day: datetime.date
    time: datetime.time
    lasts: datetime.timedelta
    id: uuid.UUID


@attrs.define
class Choices:
    color: Color
    unit: Literal["C", "F"]
    one: Literal["x"]


@dataclasses.dataclass
class Optionals:
    name: str | None
    nick: str | None = None
    age: int = 3


class Step(msgspec.Struct):
    """A step of the solution."""

    explanation: Annotated[str, "why"]
    output: str


@attrs.define
class Steps:
    steps: list[Step]
    first: Step
    last: Step | None


class Cat(msgspec.Struct, tag="cat", tag_field="kind"):
    lives: int


class Dog(TypedDict):
    kind: Literal["dog"]
    tricks: list[str]


@attrs.define
class Pets:
    pets: list[Cat | Dog]


OFFICIAL_STEP = obj(
    {"explanation": {"type": "string", "description": "why"}, "output": STR},
    description="A step of the solution.",
)
OFFICIAL_NODE = {"value": INT, "children": arr(ref("Node"))}
OFFICIAL: list[tuple[Any, Any]] = [
    (Scalars, obj({"a": STR, "b": INT, "c": NUMBER, "d": BOOLEAN, "e": NULL})),
    (
        Texts,
        obj(
            {
                "at": {"format": "date-time", "type": "string"},
                "day": {"format": "date", "type": "string"},
                "time": {"format": "time", "type": "string"},
                "lasts": {"format": "duration", "type": "string"},
                "id": {"format": "uuid", "type": "string"},
            }
        ),
    ),
    (
        Choices,
        obj(
            {
                "color": ref("Color"),
                "unit": {"enum": ["C", "F"], "type": "string"},
                "one": {"const": "x", "type": "string"},
            },
            defs={"Color": {"enum": ["red", "blue"], "type": "string"}},
        ),
    ),
    (
        Optionals,
        obj({"name": {"anyOf": [STR, NULL]}, "nick": {"anyOf": [STR, NULL]}, "age": INT}),
    ),
    (
        Steps,
        obj(
            {
                "steps": arr(ref("Step")),
                "first": ref("Step"),
                "last": {"anyOf": [ref("Step"), NULL]},
            },
            defs={"Step": OFFICIAL_STEP},
        ),
    ),
    (Node, obj(OFFICIAL_NODE, defs={"Node": obj(OFFICIAL_NODE)})),
    (Tree, obj({"root": ref("Node")}, defs={"Node": obj(OFFICIAL_NODE)})),
    (
        Pets,
        obj(
            {"pets": arr({"anyOf": [ref("Cat"), ref("Dog")]})},
            defs={
                "Cat": obj({"kind": {"const": "cat", "type": "string"}, "lives": INT}),
                "Dog": obj({"kind": {"const": "dog", "type": "string"}, "tricks": arr(STR)}),
            },
        ),
    ),
    (Box[Step], obj({"inside": ref("Step")}, defs={"Step": OFFICIAL_STEP})),
]


def unrolled(schema: Any, root: Any, depth: int = 8) -> Any:
    """A schema with its references replaced by what they refer to, down to a depth."""
    if isinstance(schema, list):
        return [unrolled(item, root, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        assert len(schema) == 1
        place = schema["$ref"].rpartition("/")[2]
        target = root if place == "#" else root["$defs"][place]
        return unrolled(target, root, depth - 1) if depth else "..."
    return {key: unrolled(value, root, depth) for key, value in schema.items() if key != "$defs"}


@pytest.mark.parametrize(("kind", "official"), OFFICIAL, ids=lambda value: None)
def test_the_official_sdk_sends_the_same_schema(kind: Any, official: Any) -> None:
    ours = schema_of(kind)
    assert unrolled(ours, ours) == unrolled(official, official)
