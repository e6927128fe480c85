"""Which object a value becomes where a field may be one of several, and what lists cost."""

from __future__ import annotations

import importlib
import math
from pkgutil import iter_modules
from typing import Any, Literal, get_type_hints

import attrs
import pytest
from attrs import define, field

from openai_async import types
from openai_async.types.base import APIObject
from openai_async.types.structuring import strict_converters, structurer
from openai_async.types.values import MalformedError


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


# --- what is generated when ----------------------------------------------------------------------


@define(kw_only=True, eq=False, repr=False)
class Owner(APIObject):
    name: str = ""
    home: Home | None = None
    homes: list[Home] = field(factory=list, metadata={"essential": True})


def answers(module: str) -> list[type[APIObject]]:
    names = vars(importlib.import_module(module))
    own = [value for value in names.values() if getattr(value, "__module__", "") == module]
    return [value for value in own if isinstance(value, type) and issubclass(value, APIObject)]


MODULES = [f"openai_async.types.{module.name}" for module in iter_modules(types.__path__)]
ANSWERS = [cls for module in MODULES for cls in answers(module)]


@pytest.mark.parametrize("cls", ANSWERS)
def test_every_field_of_every_answer_has_a_type_that_values_are_converted_to(
    cls: type[APIObject],
) -> None:
    known = [a.name for a in attrs.fields(cls) if a.init]
    assert list(strict_converters(cls)) == known  # type: ignore[arg-type] # no hash


@pytest.mark.parametrize("cls", ANSWERS)
def test_python_and_attrs_can_evaluate_the_types_of_every_answer(cls: type[APIObject]) -> None:
    hints = get_type_hints(cls)
    assert hints.keys() >= {a.name for a in attrs.fields(attrs.resolve_types(cls))}


def test_a_field_is_read_the_same_by_the_first_value_and_by_all_others() -> None:
    structure = structurer(Owner)
    for _ in range(2):
        assert structure({"name": "Eva"}).home is None
        assert structure({"home": {"pet": {"type": "dog"}}}).home == Home(pet=Dog())
        assert structure({"home": "a tent"}).home is None
        assert structure({"homes": [{"kind": "flat"}]}).homes == [Home(kind="flat")]
        with pytest.raises(MalformedError, match="where a list of Home was expected"):
            structure({"homes": "two"})


def test_a_class_whose_module_is_gone_is_read_too() -> None:
    """As in some notebooks and plugins."""
    code = """
from __future__ import annotations
import attrs
from openai_async.types.chat import ChatCompletion

@attrs.define(kw_only=True, eq=False, repr=False)
class Tagged(ChatCompletion):
    tags: list[str] | None = None
"""
    names: dict[str, Any] = {"__name__": "gone"}
    exec(code, names)
    assert names["Tagged"].from_dict({"choices": [], "tags": ["a"]}).tags == ["a"]
