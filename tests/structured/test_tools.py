"""Functions as tools: what the model is told of them, and their arguments."""

from __future__ import annotations

import functools
import gc
import pickle
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import attrs
import pydantic
import pytest

from openai_async import InvalidArgumentError, Tool, tool
from openai_async.structured import make_converter
from openai_async.structured.decoding import MisfitError
from openai_async.structured.tools import as_tool, as_tools

if TYPE_CHECKING:
    from nowhere import Elsewhere  # type: ignore[import-not-found]


@attrs.frozen
class Place:
    city: str
    country: str = "CH"


def parameters(made: Tool[..., Any]) -> dict[str, Any]:
    schema: dict[str, Any] = made.param["function"]["parameters"]
    return schema


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = parameters(tool(function))["properties"]
    return found


# --- what the model is told -----------------------------------------------------------------------


async def weather(
    city: str, unit: Literal["C", "F"] = "C", days: Annotated[int, "How many days."] = 1
) -> str:
    """The weather in a city.

    Only for Europe.

    Args:
        city: its name, without the country.

    Returns:
        A sentence.
    """
    return f"{city} {unit} {days}"


def test_a_function_is_described_by_signature_annotations_and_docstring() -> None:
    made = tool(weather)
    assert (made.name, made.is_async) == ("weather", True)
    assert made.param == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.\n\nOnly for Europe.",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "its name, without the country."},
                    "unit": {"type": "string", "enum": ["C", "F"]},
                    "days": {"type": "integer", "description": "How many days."},
                },
                "required": ["city", "unit", "days"],
                "additionalProperties": False,
            },
        },
    }


def google(city: str) -> None:
    """The weather.

    Args:
        city (str): its name,
            in English.
    """


def numpy(city: str) -> None:
    """The weather.

    Parameters
    ----------
    city : str
        its name,
        in English.
    """


def sphinx(city: str) -> None:
    """The weather.

    :param city: its name,
        in English.
    :type city: str
    """


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_docstrings_of_all_styles_are_read(function: Callable[..., Any]) -> None:
    assert tool(function).description == "The weather."
    described = properties(function)["city"]["description"]
    assert " ".join(described.split()) == "its name, in English."


def test_a_function_without_a_docstring_has_no_description() -> None:
    def bare() -> None: ...

    assert "description" not in tool(bare).param["function"]


def test_name_description_and_strictness_may_be_given() -> None:
    def lookup(filters: dict[str, str], limit: int = 5) -> None: ...

    made = tool(lookup, name="search", description="Finds.", strict=False)
    assert made.name == made.__name__ == "search"
    assert made.param["function"]["description"] == "Finds."
    assert made.param["function"]["strict"] is False
    assert parameters(made)["required"] == ["filters"]


def test_a_schema_of_its_own_replaces_the_signature() -> None:
    def call(**arguments: Any) -> Any:
        return arguments

    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    made = tool(call, name="search", description="Finds.", parameters=schema, strict=False)
    assert parameters(made) == schema
    assert made.arguments('{"q": [1, {"a": null}]}') == {"q": [1, {"a": None}]}
    for wrong in ("[]", '"q"', "5", "{"):
        with pytest.raises(MisfitError):
            made.arguments(wrong)


def test_a_tool_is_called_as_its_function() -> None:
    def double(number: int) -> int:
        return 2 * number

    assert tool(double)(4) == 8


# --- what may be a tool ---------------------------------------------------------------------------


class Account:
    def __init__(self, owner: str = "Ada") -> None:
        self.owner = owner

    def transfer(self, to: str, amount: Decimal) -> str:
        """Send money.

        Args:
            to: who gets it.
        """
        return f"{self.owner} to {to}: {amount}"

    @classmethod
    def opened(cls, owner: str) -> str:
        return cls(owner).owner

    @staticmethod
    async def rate(currency: str) -> float:
        return len(currency)


class Finder:
    """Finds things."""

    async def __call__(self, query: str) -> str:
        return query


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def listed(function: Callable[..., Iterator[Any]]) -> Callable[..., list[Any]]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return list(function(*args, **kwargs))

    return wrapper


@listed
def numbers(below: int) -> Iterator[int]:
    yield from range(below)


@dataclass
class Note:
    """A note."""

    text: str
    """What it says."""


class Ticket(pydantic.BaseModel):
    title: str


def with_unknown_result(number: int) -> Elsewhere:
    return number


@pytest.mark.parametrize(
    ("function", "name", "arguments", "is_async"),
    [
        (Account().transfer, "transfer", {"to": "string", "amount": "string"}, False),
        (Account.opened, "opened", {"owner": "string"}, False),
        (Account.rate, "rate", {"currency": "string"}, True),
        (
            functools.partial(weather, unit="F"),
            "weather",
            {"city": "string", "days": "integer"},
            True,
        ),
        (
            functools.partial(weather, "Bern"),
            "weather",
            {"unit": "string", "days": "integer"},
            True,
        ),
        (functools.partial(Account().transfer, "Bo"), "transfer", {"amount": "string"}, False),
        (
            traced(weather),
            "weather",
            {"city": "string", "unit": "string", "days": "integer"},
            False,
        ),
        (traced(Account().transfer), "transfer", {"to": "string", "amount": "string"}, False),
        (numbers, "numbers", {"below": "integer"}, False),
        (lambda: 5, "now", {}, False),
        (Finder(), "find", {"query": "string"}, True),
        (Place, "Place", {"city": "string", "country": "string"}, False),
        (Note, "Note", {"text": "string"}, False),
        (Ticket, "Ticket", {"title": "string"}, False),
        (Account, "Account", {"owner": "string"}, False),
        (with_unknown_result, "with_unknown_result", {"number": "integer"}, False),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_what_can_be_called_can_be_a_tool(
    function: Any, name: str, arguments: dict[str, str], is_async: bool
) -> None:
    made = tool(function, name=name if name in ("now", "find") else None)
    assert (made.name, made.is_async) == (name, is_async)
    found = parameters(made)["properties"]
    assert {key: schema["type"] for key, schema in found.items()} == arguments


def test_an_object_is_described_by_its_class() -> None:
    assert tool(Finder(), name="find").description == "Finds things."
    assert tool(Account().transfer).description == "Send money."
    assert properties(Account().transfer)["to"]["description"] == "who gets it."
    assert properties(Note)["text"]["description"] == "What it says."


def test_the_fixed_values_of_a_partial_are_not_the_models_to_choose() -> None:
    class Database: ...

    async def query(sql: str, database: Any) -> Any:
        return sql, database

    database = Database()
    made = tool(functools.partial(query, database=database))
    assert [*parameters(made)["properties"]] == ["sql"]
    assert made.arguments('{"sql": "SELECT 1"}') == {"sql": "SELECT 1"}


def positional(number: int, /) -> None: ...
def variable(*numbers: int) -> None: ...
def keywords(**numbers: int) -> None: ...
def without(number) -> None: ...  # type: ignore[no-untyped-def]
def unknown(number: Elsewhere) -> None: ...
def free(values: dict[str, int]) -> None: ...
def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class Shelf:
    def beside(self, other: list[Self]) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (positional, "positional has the parameter number: 'int', which cannot be passed"),
        (variable, r"variable has the parameter \*numbers: 'int', which cannot be passed"),
        (keywords, r"keywords has the parameter \*\*numbers: 'int', which cannot be passed"),
        (Shelf().beside, "The parameter other of the tool beside has the type Self: write out the"),
        (without, "The parameter number of the tool without has no annotation: add one, as in"),
        (unknown, "An annotation of the tool unknown cannot be evaluated: name 'Elsewhere'"),
        (free, "free.values is a dict with arbitrary keys"),
        (generator, "The tool generator is a generator: pass a function that returns its result"),
        (async_generator, "The tool async_generator is a generator"),
        (Account.transfer, "is a method without its object: pass object.transfer"),
        (lambda: 5, "A tool cannot be called '<lambda>'"),
        (Finder(), "A tool cannot be called ''"),
        ("weather", "tools has 'weather': pass functions"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "value"),
)
def test_what_cannot_be_a_tool_says_why(function: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        tool(function)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strict": "no"}, "strict is 'no': pass True or False"),
        ({"strict": None, "parameters": {"type": "object"}}, "strict is None: pass True or False"),
        ({"converter": "x"}, "converter is 'x': pass a cattrs converter"),
    ],
)
def test_wrong_options_are_refused(options: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        tool(weather, **options)


@pytest.mark.parametrize("name", ["a.b", "ä", "a b", "x" * 65])
def test_a_name_has_the_characters_that_the_api_allows(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="letters, digits, underscores and hyphens"):
        tool(weather, name=name)


# --- arguments ------------------------------------------------------------------------------------


def test_arguments_have_their_annotated_types() -> None:
    def book(place: Place, price: Decimal, nights: int = 1) -> None: ...

    read = tool(book).arguments('{"place": {"city": "Bern"}, "price": "9.50"}')
    assert read == {"place": Place("Bern"), "price": Decimal("9.50")}


@pytest.mark.parametrize("text", ["", " \n", "null", "{}", "```json\n{}\n```"])
def test_models_have_many_ways_to_pass_nothing(text: str) -> None:
    def now() -> None: ...

    assert tool(now).arguments(text) == {}


@pytest.mark.parametrize(
    ("text", "path"),
    [("[1]", ""), ("", "city"), ("null", "city"), ('{"city": 5}', "city"), ('{"city": "B', "")],
)
def test_arguments_that_do_not_fit_say_where(text: str, path: str) -> None:
    with pytest.raises(MisfitError) as caught:
        tool(weather).arguments(text)
    assert caught.value.path == path


def test_a_converter_of_ones_own_reads_the_arguments() -> None:
    converter = make_converter()
    converter.register_structure_hook(Place, lambda value, _: Place(value["city"].upper()))

    def show(place: Place) -> None: ...

    read = tool(show, converter=converter).arguments('{"place": {"city": "Bern"}}')
    assert read == {"place": Place("BERN")}


# --- the tools of a request -----------------------------------------------------------------------


def named(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


@pytest.mark.parametrize(
    "other",
    [tool(google, name="weather"), named("function", "weather"), named("custom", "weather")],
)
def test_two_tools_of_one_name_are_refused(other: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Two tools are called 'weather'"):
        as_tools([weather, other])


def test_tools_that_only_a_server_knows_may_stand_beside_functions() -> None:
    search = {"type": "web_search"}
    assert as_tools([search, {"type": "code"}, weather])[:2] == [search, {"type": "code"}]


@pytest.mark.parametrize("wrong", [weather, "weather", named("function", "f"), {1}])
def test_tools_are_a_list(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pass a list of functions"):
        as_tools(wrong)


def test_a_function_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(number: int) -> None: ...

    first, second = as_tool(counted), as_tool(counted)
    assert isinstance(first, Tool)
    assert isinstance(second, Tool)
    assert first.param is second.param
    ada, bo = Account("Ada"), Account("Bo")
    tools = [as_tool(ada.transfer), as_tool(bo.transfer)]
    assert [one("x", 1) for one in tools if isinstance(one, Tool)] == ["Ada to x: 1", "Bo to x: 1"]


def test_functions_and_objects_are_not_kept_alive() -> None:
    """A server may make its tools anew for each of its users."""
    kept: list[weakref.ref[Any]] = []

    def make() -> None:
        account = Account()

        async def balance(currency: str) -> str:
            return account.owner + currency

        for each in (balance, account.transfer):
            as_tool(each)
        kept.extend((weakref.ref(account), weakref.ref(balance)))

    for _ in range(300):
        make()
    gc.collect()
    assert [ref() for ref in kept] == [None] * 600


def test_functions_whose_types_hold_them_are_not_kept_alive() -> None:
    kept: list[weakref.ref[Any]] = []

    def make() -> None:
        @attrs.define
        class Order:
            number: int

        def cancel(order: Order) -> str:
            return str(order.number)

        cancel.__annotations__["order"] = Order
        Order.cancel = cancel  # type: ignore[attr-defined]
        as_tool(cancel)
        as_tool(Order(1).cancel)  # type: ignore[attr-defined]
        kept.extend((weakref.ref(Order), weakref.ref(cancel)))

    for _ in range(10):
        make()
    gc.collect()
    assert [ref() for ref in kept] == [None] * 20


def test_what_is_kept_of_a_function_is_not_that_of_its_copies() -> None:
    async def rain(city: str) -> str:
        return city

    as_tool(rain)

    @functools.wraps(rain)
    def logged(city: str) -> str:
        return f"Asked for {city}."

    made = as_tool(logged)
    assert isinstance(made, Tool)
    assert not made.is_async
    pickle.dumps(vars(rain))  # as cloudpickle does


async def test_an_awaitable_result_is_not_lost_by_a_tool() -> None:
    made: Tool[..., Awaitable[str]] = tool(weather)
    assert await made("Bern") == "Bern C 1"


def test_a_schema_may_stand_in_for_the_signature() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    made = tool(lambda **arguments: str(arguments), name="rain", parameters=schema, strict=False)
    assert made.param["function"] == {"name": "rain", "parameters": schema, "strict": False}
    assert made.arguments('{"city": "Oslo", "days": [1]}') == {"city": "Oslo", "days": [1]}
    with pytest.raises(ValueError, match="expected dict"):
        made.arguments("[1]")
