"""What tools return, as text."""

from __future__ import annotations

import enum
from collections import namedtuple
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import numpy as np
import pydantic
import pytest

from openai_async.structured.results import result_text


class Point(NamedTuple):
    x: int
    y: object = None


@attrs.define
class Item:
    name: str
    price: Decimal


class Row(msgspec.Struct):
    id: UUID


class Model(pydantic.BaseModel):
    when: date


@attrs.define
class Loss:
    value: float


class ModelLoss(pydantic.BaseModel):
    value: float


class Text(str):
    __slots__ = ()


class Colour(enum.StrEnum):
    RED = "red"


class Old(str, enum.Enum):  # noqa: UP042
    RED = "red"


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", "é"),
        (None, ""),
        (0, "0"),
        (False, "false"),
        (1.5, "1.5"),
        ([], "[]"),
        (Text("x"), "x"),
        ([Text("x")], '["x"]'),
        (Colour.RED, "red"),
        (Old.RED, "red"),
        ({"a": Colour.RED}, '{"a":"red"}'),
        (Item("é", Decimal("1.50")), '{"name":"é","price":"1.50"}'),
        (Row(UUID(int=1)), '{"id":"00000000-0000-0000-0000-000000000001"}'),
        (Model(when=date(2026, 1, 2)), '{"when":"2026-01-02"}'),
        ([Model(when=date(2026, 1, 2))], '[{"when":"2026-01-02"}]'),
        (Point(1, [Point(2)]), '{"x":1,"y":[{"x":2,"y":null}]}'),
        (Pair(1, 2), '{"a":1,"b":2}'),
        ((1, 2), "[1,2]"),
        ({1: date(2026, 1, 2)}, '{"1":"2026-01-02"}'),
        (np.int64(5), "5"),
        ({"a": np.float32(0.5)}, '{"a":0.5}'),
        ("\ud800", "?"),
        (float("nan"), "NaN"),
        ([float("-inf"), None, Decimal("NaN")], '[-Infinity,null,"NaN"]'),
        (
            {1: np.float64("nan"), "é": Point(1, np.float32("inf"))},
            '{"1":NaN,"é":{"x":1,"y":Infinity}}',
        ),
        (Loss(float("nan")), '{"value":NaN}'),
        (ModelLoss(value=float("nan")), '{"value":NaN}'),
    ],
    ids=repr,
)
def test_what_a_tool_returns_as_text(value: object, text: str) -> None:
    assert result_text(value) == text


def test_what_is_not_json_says_so() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match=r"A tool returned object, which cannot be written as JSON"):
        result_text({"a": object()})
    with pytest.raises(RecursionError):
        result_text(loop)
