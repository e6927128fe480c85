"""`Decoder`: JSON text as a value of a type, and what is said about text that does not fit."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import gc
import json
import tracemalloc
import uuid
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)

import attrs
import cattrs
import msgspec
import pydantic
import pytest

from openai_async.jsontext import loads
from openai_async.structured import Schema, make_converter
from openai_async.structured.decoding import Decoder, MisfitError
from openai_async.structured.plain_types import is_plain
from openai_async.structured.response_formats import ResponseFormat, response_format

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042 - as many still write it
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1

    @classmethod
    def _missing_(cls, value: object) -> Level | None:
        return cls.LOW if value == 0 else None


class Point(NamedTuple):
    x: float
    y: float = 0.0


@attrs.define
class Item:
    name: str
    price: float = 1.5
    _note: str = "-"


@attrs.define
class PlainItem:
    name: str
    price: float = 1.5


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node]


class Options(TypedDict):
    depth: int
    name: NotRequired[str]


class AllRequired(TypedDict):
    depth: int
    name: str | None


class Shape(msgspec.Struct, tag="shape", rename="camel"):
    side_length: int


@dataclasses.dataclass
class Box(Generic[T]):
    inside: T


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    name: str
    day: datetime.date


class OtherModel(pydantic.BaseModel):
    name: str = "?"
    count: int = 0


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Money:
    def __init__(self, text: str) -> None:
        self.cents = int(float(text) * 100)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:  # the tests' names must not have its address
        return f"Money({self.cents})"


Id = NewType("Id", int)

READ: list[tuple[Any, str, Any]] = [
    (int, '{"value": 3}', 3),
    (int, '{"value": 3.0}', 3),
    (float, '{"value": 3}', 3.0),
    (list[float], '{"value": [1, 2.5]}', [1.0, 2.5]),
    (int | None, '{"value": null}', None),
    (set[int], '{"value": [1, 1]}', {1}),
    (frozenset[int], '{"value": [1]}', frozenset({1})),
    (tuple[int, ...], '{"value": [1, 2]}', (1, 2)),
    (tuple[int, str], '{"value": [1, "a"]}', (1, "a")),
    (Color, '{"value": "red"}', Color.RED),
    (Word, '{"value": "yes"}', Word.YES),
    (list[Word | None], '{"value": ["yes", null]}', [Word.YES, None]),
    (Level, '{"value": 0}', Level.LOW),
    (Literal["a", 1], '{"value": 1}', 1),
    (Literal[Color.RED], '{"value": "red"}', Color.RED),
    (Id, '{"value": 7}', 7),
    (decimal.Decimal, '{"value": "1.10"}', decimal.Decimal("1.10")),
    (decimal.Decimal, '{"value": 1.5}', decimal.Decimal("1.5")),
    (datetime.timedelta, '{"value": "PT90S"}', datetime.timedelta(seconds=90)),
    (datetime.datetime, '{"value": "2026-01-02T03:04:05"}', datetime.datetime(2026, 1, 2, 3, 4, 5)),
    (Point, '{"x": 1}', Point(1.0)),
    (Point, '{"y": 2, "x": 1}', Point(1.0, 2.0)),
    (Item, '{"name": "a", "price": 2, "_note": "n"}', Item("a", 2.0, "n")),
    (Item, '{"name": "a", "unknown": 1}', Item("a")),
    (Item, '{"name": "a", "name": "b"}', Item("b")),
    (Options, '{"depth": 1}', {"depth": 1}),
    (Shape, '{"sideLength": 1, "type": "shape"}', Shape(1)),
    (Shape, '{"sideLength": 1}', Shape(1)),
    (Node, '{"value": 1, "children": [{"value": 2, "children": []}]}', Node(1, [Node(2, [])])),
    (Box[Point], '{"inside": {"x": 1}}', Box(Point(1.0))),
    (dict[int, Color], '{"value": {"1": "red"}}', {1: Color.RED}),
    (dict[Word, Any], '{"value": {"yes": [1]}}', {Word.YES: [1]}),
    (dict, '{"value": {"a": {}}}', {"a": {}}),
    (object, '{"value": {"a": 1}}', {"a": 1}),
    (Model, '{"name": "a", "day": "2026-01-02"}', Model(name="a", day=datetime.date(2026, 1, 2))),
    (
        list[Model],
        '{"value": [{"name": "a", "day": "2026-01-02"}]}',
        [Model(name="a", day=datetime.date(2026, 1, 2))],
    ),
    (Numbers, '{"value": [1]}', Numbers([1])),
    (Annotated[Money, Schema({"type": "string"})], '{"value": "1.50"}', Money("1.50")),
    (Annotated[int, "text"], '{"value": 3}', 3),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ, ids=str)
def test_json_becomes_a_value(kind: Any, text: str, value: Any) -> None:
    found: Any = Decoder(kind).decode(text)
    assert found == value
    assert type(found) is type(value)


# In each, the first member that one would try fits too, or something else about it is odd.
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int | float, "3.5", 3.5),
        (float | int, "3", 3),
        (bool | int, "1", 1),
        (int | bool, "true", True),
        (Color | Literal["blue"], '"blue"', "blue"),
        (datetime.date | str, '"2026-01-02"', datetime.date(2026, 1, 2)),
        (datetime.date | str, '"tomorrow"', "tomorrow"),
        (Item | PlainItem, '{"name": "a", "price": 1}', PlainItem("a", 1.0)),
        (PlainItem | Item, '{"name": "a", "price": 1, "_note": ""}', Item("a", 1.0, "")),
        (OtherModel | PlainItem, '{"name": "a", "price": 1}', PlainItem("a", 1.0)),
        (OtherModel | PlainItem, '{"name": "a", "count": 1}', OtherModel(name="a", count=1)),
        (Shape | PlainItem, '{"type": "shape", "sideLength": 2}', Shape(2)),
        (list[int] | list[str], '["a"]', ["a"]),
        (list[Item] | None, '[{"name": "a"}]', [Item("a")]),
    ],
    ids=str,
)
def test_a_union_is_read_as_the_member_that_fits(kind: Any, text: str, value: Any) -> None:
    found: Any = Decoder(kind).decode(f'{{"value": {text}}}')
    assert found == value
    assert type(found) is type(value)


def test_the_order_of_a_union_counts_even_if_another_order_was_used_before() -> None:
    text = '{"value": "2026-01-02"}'
    assert response_format(str | datetime.date).decoder.decode(text) == "2026-01-02"
    assert response_format(datetime.date | str).decoder.decode(text) == datetime.date(2026, 1, 2)


@pytest.mark.parametrize(
    ("kind", "text", "path", "message"),
    [
        (int, '{"value": "3"}', "", "expected int, got '3'"),
        (int, '{"value": true}', "", "expected int, got True"),
        (int, '{"value": 3.5}', "", "expected int, got 3.5"),
        (float, '{"value": true}', "", "expected float, got True"),
        (float, '{"value": 1' + "0" * 400 + "}", "", "int too large"),
        (str, '{"value": 1}', "", "expected str, got 1"),
        (bool, '{"value": 1}', "", "expected bool, got 1"),
        (int | None, "{}", "", "expected int, got {}"),
        (Literal[1], '{"value": true}', "", "expected Literal[1], got True"),
        (Level, '{"value": true}', "", "expected Level, got True"),
        (Color, '{"value": "blue"}', "", "expected Color, got 'blue'"),
        (Color, '{"value": ["red"]}', "", "expected Color, got ['red']"),
        (list[int], '{"value": "123"}', "", "expected list[int], got '123'"),
        (list[int], '{"value": {"0": 1}}', "", "expected list[int], got {'0': 1}"),
        (list[int], '{"value": [1, "a"]}', "[1]", "[1]: expected int, got 'a'"),
        (tuple[int, str], '{"value": [1]}', "", "expected 2 items, got 1"),
        (dict[int, int], '{"value": {"a": 1}}', "['a']", "Expected `int`"),
        (dict[str, int], '{"value": []}', "", "expected dict[str, int], got []"),
        (decimal.Decimal, '{"value": "a"}', "", "Invalid decimal string"),
        (uuid.UUID, '{"value": "a"}', "", "Invalid UUID"),
        (datetime.date, '{"value": "2026-13-01"}', "", "Invalid RFC3339"),
        (Annotated[int, msgspec.Meta(ge=0)], '{"value": -1}', "", "Expected `int` >= 0"),
        (Annotated[list[Point], msgspec.Meta(min_length=1)], '{"value": []}', "", "length >= 1"),
        (Item, "[]", "", "expected Item, got []"),
        (Item, '{"price": 1}', "name", "name: it is missing"),
        (Node, '{"value": 1, "children": [{"value": "x"}]}', "children[0].value", "got 'x'"),
        (Box[Point], '{"inside": {"x": "1"}}', "inside.x", "expected float, got '1'"),
        (
            Shape,
            '{"sideLength": 1, "type": "circle"}',
            "",
            "expected Literal['shape'], got 'circle'",
        ),
        (Item | Point, '{"value": {"x": 1, "y": "2"}}', "y", "expected float, got '2'"),
        (Item | None, '{"value": {"name": 1}}', "name", "expected str, got 1"),
        (int | Color, '{"value": "blue"}', "", "expected int | Color, got 'blue'"),
        (Model, '{"name": 1, "day": "2026-01-02"}', "name", "name: Input should be a valid string"),
        (list[Model], '{"value": [{"name": "a"}]}', "[0].day", "[0].day: Field required"),
        (Numbers, '{"value": ["a"]}', "[0]", "[0]: Input should be a valid integer"),
        (list[int], "", "", "it is not JSON: ''"),
        (list[int], "[1, 2", "", "it is not JSON: '[1, 2'"),
        (list[int], "[" * 100_000, "", "it is not JSON"),
        (list[int], "```json\nnot JSON\n```", "", "it is not JSON"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else str(value),
)
def test_a_misfit_has_the_path_and_says_what_is_wrong(
    kind: Any, text: str, path: str, message: str
) -> None:
    with pytest.raises(MisfitError) as caught:
        Decoder(kind).decode(text)
    assert message in str(caught.value)
    assert caught.value.path == path


def test_a_long_path_is_shortened_in_the_message_alone() -> None:
    """The message goes back to the model, by `reask`."""
    value: dict[str, Any] = {"value": "no", "children": []}
    for _ in range(200):
        value = {"value": 1, "children": [value]}
    with pytest.raises(MisfitError) as caught:
        Decoder[Node](Node).decode(json.dumps(value))
    assert caught.value.path == "children[0]." * 200 + "value"
    said = str(caught.value)
    assert len(said) < 200
    assert said.startswith("children[0].children[0].")
    assert said.endswith(".children[0].value: expected int, got 'no'")
    assert "..." in said


def test_only_the_first_of_many_problems_are_listed() -> None:
    with pytest.raises(MisfitError) as caught:
        Decoder(list[int]).decode(str(["a"] * 10_000).replace("'", '"'))
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith("; [7]: expected int, got 'a'; and more")


# --- what servers that ignore the schema send -----------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        ' \n {"value": [1, 2]} \n',
        '```json\n{"value": [1, 2]}\n```',
        "```\n[1, 2]\n```\n",
        "Here is the JSON:\n\n```json\n[1,\n2]\n```\nTell me if you need more.",
        '\ufeff{"value": [1, 2]}',
    ],
)
def test_a_list_may_be_bare_or_in_a_code_block(text: str) -> None:
    assert Decoder(list[int]).decode(text) == [1, 2]


@pytest.mark.parametrize("text", ["```json\n[1, 2]", "Sure:\n```\n[1, 2]\n", "```json\n[1, 2]\n``"])
def test_a_code_block_need_not_end_if_the_json_is_complete(text: str) -> None:
    assert Decoder(list[int]).decode(text) == [1, 2]
    with pytest.raises(MisfitError, match="it is not JSON"):
        Decoder(list[int]).decode(text.replace("]", ""))


@pytest.mark.parametrize("answer", ["[1, 2]", '\n\n{"value": [1, 2]}', "```json\n[1, 2]\n```"])
@pytest.mark.parametrize("thought", ["", "\n\n", "[3]?", "\n```json\n[3]\n```\nNo.\n"])
def test_reasoning_may_be_before_it(thought: str, answer: str) -> None:
    assert Decoder(list[int]).decode(f"<think>{thought}</think>{answer}") == [1, 2]


@pytest.mark.parametrize(
    "text",
    ["<think>[1, 2]", "Well. <think>No.</think>[1, 2]", "<think>[1, 2]</think>", "</think>[1]"],
)
def test_only_one_whole_block_of_reasoning_at_the_beginning_is_left_out(text: str) -> None:
    with pytest.raises(MisfitError, match="it is not JSON"):
        Decoder(list[int]).decode(text)


def test_tags_in_the_values_stay() -> None:
    name = "<think>a</think>"
    assert Decoder(PlainItem).decode(f'{{"name": "{name}"}}') == PlainItem(name)
    assert Decoder(PlainItem).decode(f'{name}{{"name": "{name}"}}') == PlainItem(name)


def test_a_code_block_may_have_one_in_its_text() -> None:
    text = '```json\n{"name": "```py\\n1\\n```"}\n```'
    assert Decoder(PlainItem).decode(text) == PlainItem("```py\n1\n```")


def test_looking_for_a_code_block_is_linear() -> None:
    # Models that do not find an end write white space. Squared, this would take hours.
    with pytest.raises(MisfitError):
        Decoder(list[int]).decode("```json\n" + " \n" * 1_000_000 + "```")


def test_halves_of_a_character_are_no_misfit() -> None:
    assert Decoder(list[str]).decode('["\\ud83d"]') == ["\ud83d"]
    assert Decoder(list[str]).decode('["\ud83d\ude00", "\ud83d"]') == ["\U0001f600", "\ufffd"]


# --- classes that do more than hold fields --------------------------------------------------------


@attrs.define
class Converting:
    x: str = attrs.field(converter=lambda text: str(text).upper())  # type: ignore[var-annotated]


@attrs.frozen(kw_only=True)
class Frozen:
    x: int = attrs.field(validator=attrs.validators.ge(0))


@attrs.define
class Raising:
    x: int = attrs.field()

    @x.validator
    def _check(self, attribute: object, value: int) -> None:
        raise LookupError("never right")


@dataclasses.dataclass(slots=True, frozen=True, kw_only=True)
class Slotted:
    x: int

    def __post_init__(self) -> None:
        assert self.x >= 0, "too small"


@dataclasses.dataclass
class OwnInit:
    x: int

    def __init__(self, x: int) -> None:
        self.x = 2 * x


@dataclasses.dataclass
class Unset:
    x: int
    made: int = dataclasses.field(init=False, default=5)


class Undecorated(Unset):
    pass


class StructWithCheck(msgspec.Struct):
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("too small")


class ArrayStruct(msgspec.Struct, array_like=True):
    x: int


@dataclasses.dataclass
class WithNew:
    x: int

    def __new__(cls, x: int) -> WithNew:
        made = object.__new__(cls)
        made.__dict__["seen"] = x
        return made


def test_classes_are_made_as_their_authors_wanted() -> None:
    assert Decoder(Converting).decode('{"x": "a"}') == Converting("a")
    assert Decoder(Frozen).decode('{"x": 1}') == Frozen(x=1)
    assert Decoder(Slotted).decode('{"x": 1}') == Slotted(x=1)
    assert Decoder(OwnInit).decode('{"x": 1}') == OwnInit(1)
    assert Decoder(Unset).decode('{"x": 1, "made": 9}') == Unset(1)
    assert Decoder(Undecorated).decode('{"x": 1}') == Undecorated(1)
    assert type(Decoder(Undecorated).decode('{"x": 1}')) is Undecorated
    assert Decoder(ArrayStruct).decode('{"x": 1}') == ArrayStruct(1)
    assert Decoder[Any](WithNew).decode('{"x": 1}').seen == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Frozen, "'x' must be >= 0: -1"),
        (Raising, "never right"),
        (Slotted, "too small"),
        (StructWithCheck, "too small"),
    ],
)
def test_whatever_a_class_raises_is_a_misfit(kind: Any, message: str) -> None:
    for text in ('{"x": -1}', '{"x": -1, "more": 1}'):
        with pytest.raises(MisfitError, match=message):
            Decoder(kind).decode(text)


# --- a converter of one's own ---------------------------------------------------------------------


def test_hooks_are_added_to_ours() -> None:
    converter = make_converter()
    converter.register_structure_hook(Money, lambda value, _: Money(str(value / 100)))
    bills = Decoder[list[Money]](list[Annotated[Money, Schema({"type": "integer"})]], converter)
    assert bills.decode('{"value": [150]}') == [Money("1.50")]


def test_any_converter_will_do() -> None:
    converter = cattrs.Converter()
    assert Decoder(Item, converter).decode('{"name": "a", "price": "2"}') == Item("a", 2.0)
    with pytest.raises(MisfitError) as caught:
        Decoder(Item, converter).decode('{"price": "x"}')
    assert caught.value.problems == [
        "name: it is missing",
        "price: could not convert string to float: 'x'",
    ]
    assert caught.value.path == "name"


# --- msgspec and the converter --------------------------------------------------------------------

TEXTS = [
    *("1", "1.0", "1.5", "-0.0", "1e3", "true", "null", '"a"', '""', "[]", "{}", "NaN", "Infinity"),
    *('"red"', '"yes"', '"1"', '"2026-01-02"', '"2026-01-02T03:04:05"', '"2026-01-02T03:04:05Z"'),
    *('"03:04:05"', '"PT1S"', '"-P1D"', '"1.10"', '"NaN"', f"1{'0' * 400}"),
    '"00000000-0000-0000-0000-000000000001"',
    '"00000000000000000000000000000001"',
    *("[1]", "[1.0]", '["a"]', '{"x": 1}', '{"x": 1.0}', '{"x": 1, "x": 2}', '{"x": "1"}'),
    *('{"x": -1}', '{"x": true}', '{"x": null}', '{"x": 1, "y": 2}', '{"X": 1}', '{"_x": 1}'),
    *('{"name": "a"}', '{"name": "a", "price": 2}', '{"depth": 1}', '{"depth": 1, "name": null}'),
    '{"value": 1, "children": [{"value": 2, "children": []}]}',
]
KINDS: list[Any] = [
    *(str, int, float, bool, decimal.Decimal, uuid.UUID, datetime.datetime, datetime.date),
    *(datetime.time, datetime.timedelta, Color, Word, Level, Literal[1], Literal["a", 1, None]),
    *(int | None, list[int], list[float] | None, Annotated[int, msgspec.Meta(ge=0)], PlainItem),
    *(Frozen, Raising, Slotted, StructWithCheck, Node, AllRequired, list[PlainItem]),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:50])
def test_what_msgspec_reads_the_converter_reads_alike(kind: Any, text: str) -> None:
    assert is_plain(kind)
    decoder: Decoder[Any] = Decoder(kind, wrapped=False)
    assert decoder._quick is not None
    try:
        quick = decoder._quick(text)
    except Exception:
        return  # then the converter decides
    slow = decoder.structure(loads(text.encode()))
    # As text, since -0.0 == 0.0 and True == 1; but 1E+3 and 1000.0 are the same Decimal.
    assert repr(slow) == repr(quick) or (type(slow) is decimal.Decimal and slow == quick)


@pytest.mark.parametrize(
    "kind",
    [
        *(Point, Item, Converting, OwnInit, Unset, Undecorated, ArrayStruct, WithNew, Shape),
        *(Box[int], Options, Model, int | str, tuple[int, ...], dict[str, int]),
    ],
)
def test_msgspec_does_not_read_what_it_would_read_otherwise(kind: Any) -> None:
    assert not is_plain(kind)


# --- memory ---------------------------------------------------------------------------------------


def test_calls_and_types_made_at_run_time_leave_nothing_behind() -> None:
    def use(number: int) -> None:
        kind: Any = TypedDict(f"Made{number}", {"x": int, "y": list[str]})  # type: ignore[misc]
        expected: ResponseFormat[Any] = response_format(kind)
        assert expected.decoder.decode('{"x": 1, "y": []}') == {"x": 1, "y": []}
        with pytest.raises(MisfitError):
            expected.decoder.decode('{"x": "1"}')

    tracemalloc.start()
    try:
        # The caches have room for 256 types.
        for number in range(270):
            use(number)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(270):
            use(number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # A type takes 25 kB: if they stayed, 270 would take 7 MB.
    assert grown < 300_000, grown


def test_the_same_type_is_made_ready_once() -> None:
    first = response_format(list[Point])
    assert all(response_format(list[Point]) is first for _ in range(10_000))
    assert response_format(list[Point], strict=False) is not first
    assert response_format(list[Point], converter=make_converter()) is not first


# --- what must not take long, or show what it is made of ------------------------------------------


@attrs.define
class Leaf:
    kind: Literal["leaf"]
    nodes: list[Leaf | Branch]


@attrs.define
class Branch:
    kind: Literal["branch"]
    nodes: list[Leaf | Branch]


def test_members_that_differ_in_a_constant_are_each_read_once() -> None:
    value: dict[str, Any] = {"kind": "branch", "nodes": []}
    for _ in range(60):  # 2^60 steps if each level were read as both
        value = {"kind": "branch", "nodes": [value]}
    made = Decoder[Any](Leaf | Branch).decode(json.dumps({"value": value}))
    depth = 0
    while made.nodes:
        made, depth = made.nodes[0], depth + 1
    assert depth == 60
    assert type(made) is Branch


@attrs.define
class One:
    kind: Literal["one"]
    price: Money
    inner: list[One | Two]


@attrs.define
class Two:
    kind: Literal["two"]
    price: Money
    inner: list[One | Two]


def test_members_none_of_which_has_the_constant_are_read_once_too() -> None:
    read = 0

    def count(value: object, _: object) -> Money:
        nonlocal read
        read += 1
        raise ValueError

    value: dict[str, Any] = {"kind": "three", "price": "1.50", "inner": []}
    for _ in range(9):  # 2^10 steps if each level were read as both
        value = {"kind": "three", "price": "1.50", "inner": [value]}
    converter = make_converter()
    converter.register_structure_hook(Money, count)
    with pytest.raises(MisfitError):
        Decoder[Any](One | Two, converter).decode(json.dumps({"value": value}))
    assert read == 10


class Tick:
    """A number that counts how often one is read."""

    read = 0

    def __init__(self, value: object) -> None:
        Tick.read += 1
        if not isinstance(value, int):
            msg = "no number"
            raise TypeError(msg)


Size = Annotated[Tick, Schema({"type": "integer"})]


@attrs.define
class Left:
    size: Size
    below: list[Left | Right]


@attrs.define
class Right:
    below: list[Right | Left]
    size: Size


@pytest.mark.parametrize("wrong_at", [0, 1, 10, 20, None])
def test_members_with_the_same_keys_read_each_part_once(
    monkeypatch: pytest.MonkeyPatch, wrong_at: int | None
) -> None:
    monkeypatch.setattr(Tick, "read", 0)
    value: dict[str, Any] = {"size": 1, "below": []}
    for level in range(20, -1, -1):  # 2^20 steps if each level were read as both
        value = {"size": "?" if level == wrong_at else 1, "below": [value]}
    text = json.dumps({"value": value})
    if wrong_at is None:
        assert type(Decoder[Any](Left | Right).decode(text)) is Left
    else:
        with pytest.raises(MisfitError, match=r"expected Left \| Right, got"):
            Decoder[Any](Left | Right).decode(text)
    # Both classes read each node, perhaps once for each of the two unions.
    assert 22 <= Tick.read <= 4 * 22


def test_a_misfit_that_two_members_have_in_common_is_told_once() -> None:
    value = {"size": 1, "below": [{"size": "?", "below": []}]}
    with pytest.raises(MisfitError) as caught:
        Decoder[Any](Left).decode(json.dumps(value))
    assert str(caught.value).startswith("below[0]: expected Left | Right, got")
    assert caught.value.path == "below[0]"


def test_fences_without_end_are_a_misfit() -> None:
    with pytest.raises(MisfitError, match="it is not JSON"):
        Decoder[Any](list[int]).decode("```json\n" * 3000)


@pytest.mark.parametrize("error", [KeyError(), ValueError(), ExceptionGroup("", [ValueError()])])
def test_any_exception_of_a_hook_is_a_misfit(error: Exception) -> None:
    def fail(value: object, _: object) -> Money:
        raise error

    converter = make_converter()
    converter.register_structure_hook(Money, fail)
    with pytest.raises(MisfitError):
        Decoder[Any](list[Money], converter).decode('{"value": ["1.50"]}')
