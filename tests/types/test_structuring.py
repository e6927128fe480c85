"""Which object a value becomes where a field may be one of several, and what lists cost."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from attrs import define

from openai_async.types.base import APIObject
from openai_async.types.structuring import structurer


@define(kw_only=True, eq=False, repr=False)
class Cat(APIObject):
    type: Literal["cat"] = "cat"
    name: str = ""
    lives: int = 9


@define(kw_only=True, eq=False, repr=False)
class Dog(APIObject):
    type: Literal["dog", "hound"] = "dog"
    name: str = ""
    tricks: list[str] | None = None


@define(kw_only=True, eq=False, repr=False)
class Home(APIObject):
    pet: Cat | Dog | None = None
    pets: list[Cat | Dog] | None = None
    kind: Literal["house", "flat"] | str | None = None


@define(kw_only=True, eq=False, repr=False)
class Untold(APIObject):
    pet: Cat | Home | None = None


@define(kw_only=True, eq=False, repr=False)
class Vector(APIObject):
    numbers: list[float] | None = None


def home(**fields: Any) -> Home:
    return structurer(Home)(fields)


@pytest.mark.parametrize(
    ("value", "cls"),
    [
        ({"type": "cat"}, Cat),
        ({"type": "dog"}, Dog),
        ({"type": "hound"}, Dog),
        ({"tricks": ["sit"]}, Dog),
        ({"lives": 7}, Cat),
        ({"type": "cat", "tricks": ["sit"]}, Dog),
        ({"type": "dog", "tricks": []}, Dog),
        ({"type": None, "name": "Tom"}, Cat),
        ({"type": ["dog"]}, Cat),
        ({"type": "parrot"}, Cat),
        ({}, Cat),
    ],
)
def test_a_union_member_is_chosen_by_its_own_fields_then_by_its_type(
    value: dict[str, Any], cls: type[APIObject]
) -> None:
    assert type(home(pet=value).pet) is cls
    assert [type(pet) for pet in home(pets=[value, {"type": "dog"}]).pets or []] == [cls, Dog]


def test_a_union_of_indistinguishable_members_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="give each a field of the same name with a Literal type"):
        structurer(Untold)


def test_a_literal_or_any_text_is_text() -> None:
    assert home(kind="tent").kind == "tent"


@pytest.mark.parametrize("value", [5, "cat", [{"type": "cat"}]])
def test_a_non_object_is_not_a_member_of_a_union(value: object) -> None:
    assert home(pet=value).pet is None


def test_items_that_are_not_objects_are_left_out() -> None:
    result = home(pets=["cat", {"type": "dog"}, None, 5])
    assert [pet.type for pet in result.pets or []] == ["dog"]
    assert result.to_dict() == {"pets": ["cat", {"type": "dog"}, None, 5]}


@pytest.mark.parametrize("numbers", [[0.5, -1.0], [1, 2.5], [], [math.inf, 0.0]])
def test_a_list_of_numbers_is_not_copied(numbers: list[float]) -> None:
    assert structurer(Vector)({"numbers": numbers}).numbers is numbers


@pytest.mark.parametrize(
    ("numbers", "read"),
    [
        (["0.5", "1e3"], [0.5, 1000.0]),
        ([None, 0.5], [0.5]),
        ([10**400, 0.5], None),
        ([0.5, "much"], None),
        ([[0.5]], None),
    ],
)
def test_a_list_of_numbers_in_other_forms_is_read(numbers: list[Any], read: object) -> None:
    assert structurer(Vector)({"numbers": numbers}).numbers == read
