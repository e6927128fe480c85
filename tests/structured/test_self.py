"""`Self` in the type of a field is the class that the field is read for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    NotRequired,
    Optional,
    Self,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pytest

from openai_async.structured import schema_of
from openai_async.structured.decoding import Decoder

from .schemas import INT, NULL, arr, obj, ref

T = TypeVar("T")
ROOT = {"$ref": "#"}


@attrs.define
class Comment:
    number: int
    replies: list[Self]


@attrs.define
class Signed(Comment):
    before: Self | None = None


@dataclasses.dataclass
class Page(Generic[T]):
    item: T
    next: Optional[Self]  # noqa: UP045 - as many write it
    others: Annotated[Sequence[Self], "the rest"]


class Link(msgspec.Struct):
    to: Self | None


class Leaf(NamedTuple):
    below: tuple[Self, ...]  # type: ignore[misc]


class Menu(TypedDict):
    items: NotRequired[list[Self]]  # type: ignore[misc]


@attrs.define
class Thread:
    pages: list[Page[Self]]


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Comment, obj({"number": INT, "replies": arr(ROOT)})),
        (
            list[Comment],
            obj(
                {"value": arr(ref("Comment"))},
                defs={"Comment": obj({"number": INT, "replies": arr(ref("Comment"))})},
            ),
        ),
        (
            Signed,
            obj({"number": INT, "replies": arr(ROOT), "before": {"anyOf": [ROOT, NULL]}}),
        ),
        (
            Page[int],
            obj(
                {
                    "item": INT,
                    "next": {"anyOf": [ROOT, NULL]},
                    "others": {**arr(ROOT), "description": "the rest"},
                }
            ),
        ),
        (Link, obj({"to": {"anyOf": [ROOT, NULL]}})),
        (Leaf, obj({"below": arr(ROOT)})),
        (Menu, obj({"items": arr(ROOT)})),
    ],
)
def test_the_schema_refers_to_the_class(kind: Any, schema: Any) -> None:
    assert schema_of(kind) == schema


# mypy takes `Self` in the `__init__` of an attrs class for a type of its own.
comment: Any = Comment
signed: Any = Signed
thread: Any = Thread


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (
            Comment,
            '{"number": 1, "replies": [{"number": 2, "replies": []}]}',
            comment(1, [comment(2, [])]),
        ),
        (
            Signed,
            '{"number": 1, "replies": [{"number": 2, "replies": []}]}',
            signed(1, [signed(2, [])]),  # of the subclass, though the field is inherited
        ),
        (
            Page[int],
            '{"item": 1, "next": {"item": 2, "next": null, "others": []}, "others": []}',
            Page(1, Page(2, None, []), []),
        ),
        (Link, '{"to": {"to": null}}', Link(Link(None))),
        (Leaf, '{"below": [{"below": []}]}', Leaf((Leaf(()),))),
        (Menu, '{"items": [{"items": []}, {}]}', {"items": [{"items": []}, {}]}),
        (
            Thread,
            '{"pages": [{"item": {"pages": []}, "next": null, "others": []}]}',
            thread([Page(thread([]), None, [])]),
        ),
    ],
)
def test_an_answer_is_made_of_objects_of_the_class(kind: Any, text: str, value: Any) -> None:

    assert Decoder[Any](kind).decode(text) == value
