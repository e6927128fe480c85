"""Numbers: those of a `Decimal` keep all their digits, and a whole number may be written 3.0."""

from __future__ import annotations

import decimal
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import attrs
import msgspec
import pydantic
import pytest

from openai_async import tool
from openai_async.structured import Schema, make_converter
from openai_async.structured.decoding import Decoder, MisfitError

DIGITS = "1.2345678901234567890123456789"


class Price(NamedTuple):  # which msgspec cannot read
    amount: Decimal


class Model(pydantic.BaseModel):
    number: float


class Half(enum.Enum):
    HALF = 0.5


class Money:
    def __init__(self, value: object) -> None:
        self.value = value


PRICE = f'{{"amount": {DIGITS}}}'


@attrs.define
class Bill:
    total: Decimal | str
    rate: float
    count: int
    half: Half
    anything: Any
    money: Annotated[Money, Schema({"type": "number"})]
    limited: Annotated[float, msgspec.Meta(ge=0.5)]
    model: Model


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Decimal, DIGITS, Decimal(DIGITS)),
        (Price, PRICE, Price(Decimal(DIGITS))),
        (list[Price | None], f"[{PRICE}, null]", [Price(Decimal(DIGITS)), None]),
        (dict[str, Decimal], PRICE, {"amount": Decimal(DIGITS)}),
        (Decimal | bool, DIGITS, Decimal(DIGITS)),
        (Annotated[Decimal, "the amount"], DIGITS, Decimal(DIGITS)),
        (Decimal, f"```json\n{DIGITS}\n```", Decimal(DIGITS)),
        (Decimal, "1e400", Decimal("1e400")),
        (Decimal, "123456789012345678901234567890", Decimal("123456789012345678901234567890")),
        (tuple[Decimal, float], f"[{DIGITS}, NaN]", None),
    ],
)
def test_a_decimal_has_all_digits_of_a_number(kind: Any, text: str, value: Any, own: bool) -> None:
    made = Decoder[Any](kind, make_converter() if own else None, wrapped=False).decode(text)
    if value is not None:
        assert made == value
    else:
        assert DIGITS[:17] in repr(made)


def test_the_arguments_of_a_tool_do_too() -> None:
    def pay(amount: Decimal) -> str:
        return str(amount)

    assert tool(pay).arguments(f'{{"amount": {DIGITS}}}') == {"amount": Decimal(DIGITS)}


def test_all_other_numbers_are_plain_ones() -> None:
    bill: Bill = Decoder(Bill).decode(
        f'{{"total": {DIGITS}, "rate": 1.5, "count": 3.0, "half": 0.5, "limited": 0.5, '
        '"model": {"number": 1.5}, '
        f'"anything": [{{"x": 1.5}}, 2], "money": 2.5}}'
    )
    assert bill.total == Decimal(DIGITS)
    assert (bill.rate, bill.count, bill.half, bill.limited) == (1.5, 3, Half.HALF, 0.5)
    assert bill.anything == [{"x": 1.5}, 2]
    numbers = bill.rate, bill.limited, bill.anything[0]["x"], bill.money.value, bill.model.number
    assert {type(number) for number in numbers} == {float}
    assert type(bill.count) is int


def test_a_hook_sees_what_was_written() -> None:
    converter = make_converter()
    converter.register_structure_hook(complex, lambda value, _: Decimal(str(value)))
    kind = tuple[complex, Decimal]
    assert Decoder[Any](kind, converter).decode(f'{{"value": [{DIGITS}, 1]}}') == (
        Decimal(DIGITS),
        Decimal(1),
    )


@pytest.mark.parametrize("text", ["0.5", "-1.50"])
def test_a_misfit_shows_what_was_written(text: str) -> None:
    with pytest.raises(MisfitError, match=f"expected str, got {text}"):
        Decoder[Any](tuple[str, Decimal], wrapped=False).decode(f"[{text}, 1]")


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Annotated[int, msgspec.Meta(ge=0)], "3.0", 3),
        (list[Annotated[int, msgspec.Meta(ge=0)]], "[3.0, 4]", [3, 4]),
        (Annotated[int | None, msgspec.Meta(ge=0)], "null", None),
        (Annotated[int, msgspec.Meta(ge=0)], "-3.0", "Expected `int` >= 0"),
        (Annotated[int, msgspec.Meta(ge=0)], "3.5", "expected int, got 3.5"),
        (Annotated[int | None, msgspec.Meta(ge=0)], "-1", "Expected `int` >= 0"),
        (Literal[3], "3.0", 3),
    ],
)
def test_a_limited_number_is_read_like_any_other(
    kind: Any, text: str, value: Any, own: bool
) -> None:
    decoder = Decoder[Any](kind, make_converter() if own else None)
    if isinstance(value, str):
        with pytest.raises(MisfitError, match=value):
            decoder.decode(f'{{"value": {text}}}')
    else:
        assert repr(decoder.decode(f'{{"value": {text}}}')) == repr(value)


def test_the_precision_of_the_context_does_not_matter() -> None:
    with decimal.localcontext(prec=3):
        assert Decoder(Price).decode(PRICE).amount == Decimal(DIGITS)
