"""pydantic's models: the schemas they make, by our rules."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import attrs
import pydantic
import pytest

from openai_async import InvalidArgumentError
from openai_async.structured import schema_of

from .schemas import INT, NUMBER, STR, arr, obj, ref


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Point:
    x: float


@attrs.define
class Line:
    start: Point


class PydanticStep(pydantic.BaseModel):
    """A step of the solution."""

    explanation: str = pydantic.Field(description="why", min_length=1)
    title: str = "t"
    default: Color = Color.RED


class PydanticNode(pydantic.BaseModel):
    value: int
    children: list[PydanticNode]


class PydanticCat(pydantic.BaseModel):
    kind: Literal["cat"]


class PydanticDog(pydantic.BaseModel):
    kind: Literal["dog"]


class PydanticPets(pydantic.BaseModel):
    pets: list[Annotated[PydanticCat | PydanticDog, pydantic.Field(discriminator="kind")]]
    first: PydanticCat = pydantic.Field(description="the first one")


class Numbered(pydantic.RootModel[list[int]]):
    pass


STEP = obj(
    {
        "explanation": {"type": "string", "description": "why"},
        "title": STR,
        "default": ref("Color"),
    },
    description="A step of the solution.",
)
COLOR = {"type": "string", "enum": ["red", "blue"]}


def test_a_model_makes_its_own_schema_which_follows_the_same_rules() -> None:
    assert schema_of(PydanticStep) == {**STEP, "$defs": {"Color": COLOR}}
    assert schema_of(PydanticNode) == obj({"value": INT, "children": arr({"$ref": "#"})})


def test_a_model_in_another_class() -> None:
    @attrs.define
    class Solution:
        steps: list[PydanticStep]
        root: PydanticNode
        numbers: Numbered

    node = obj({"value": INT, "children": arr(ref("PydanticNode"))})
    assert schema_of(Solution) == obj(
        {
            "steps": arr(ref("PydanticStep")),
            "root": ref("PydanticNode"),
            "numbers": ref("Numbered"),
        },
        defs={
            "PydanticStep": STEP,
            "Color": COLOR,
            "PydanticNode": node,
            "Numbered": arr(INT),
        },
    )


def test_a_model_that_is_not_an_object_is_wrapped_in_one() -> None:
    assert schema_of(Numbered) == obj({"value": ref("Numbered")}, defs={"Numbered": arr(INT)})


def test_a_union_with_a_discriminator_is_any_of_its_members() -> None:
    def pet(kind: str) -> Any:
        return obj({"kind": {"type": "string", "const": kind}})

    assert schema_of(PydanticPets) == obj(
        {
            "pets": arr({"anyOf": [ref("PydanticCat"), ref("PydanticDog")]}),
            "first": {"anyOf": [ref("PydanticCat")], "description": "the first one"},
        },
        defs={"PydanticCat": pet("cat"), "PydanticDog": pet("dog")},
    )


def test_definitions_of_a_model_do_not_replace_others_of_the_same_name() -> None:
    class Point(pydantic.BaseModel):
        z: int

    class Holding(pydantic.BaseModel):
        points: list[Point]

    @attrs.define
    class Mixture:
        line: Line
        holding: Holding

    Mixture.__annotations__ = {"line": Line, "holding": Holding}
    definitions = schema_of(Mixture)["$defs"]
    assert definitions["Point"] == obj({"x": NUMBER})
    assert definitions["Point_2"] == obj({"z": INT})
    assert definitions["Holding"] == obj({"points": arr(ref("Point_2"))})


def test_what_strict_mode_cannot_say_is_refused_in_a_model_too() -> None:
    class Free(pydantic.BaseModel):
        scores: dict[str, int]
        anything: Any = None

    class Loose(pydantic.BaseModel):
        pair: tuple[int, str]
        anything: Any = None

    class Anything(pydantic.BaseModel):
        anything: list[Any]

    for model, message in (
        (Free, r"^Free\.scores is a dict with arbitrary keys"),
        (Loose, r"^Loose\.pair is a tuple of items of different types"),
        (Anything, r"^Anything\.anything\[\] may be anything"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            schema_of(model)
    free = schema_of(Free, strict=False)
    assert free["properties"] == {
        "scores": {"type": "object", "additionalProperties": INT},
        "anything": {},
    }
    assert free["properties"] == {
        "scores": {"type": "object", "additionalProperties": INT},
        "anything": {},
    }
