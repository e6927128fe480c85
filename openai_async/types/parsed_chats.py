"""Chat completions whose text has been read as a value of a Python type, `.parsed`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import attrs
from attrs import define, field, setters

from .base import APIObject, note_change
from .chat_completion import ChatCompletion, ChatCompletionMessage, Choice
from .chat_tool_calls import (
    ChatCompletionMessageCustomToolCall,
    ChatCompletionMessageFunctionToolCall,
)

T = TypeVar("T")
Parsed = TypeVar("Parsed", bound=APIObject)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ParsedFunctionToolCall(ChatCompletionMessageFunctionToolCall):
    """A call of a function tool whose arguments have been read by its signature."""

    parsed_arguments: Any = field(default=None, init=False, on_setattr=setters.NO_OP)
    """A dict of arguments, each of its annotated type; `None` for a tool given as a dict."""


ParsedToolCall: TypeAlias = ParsedFunctionToolCall | ChatCompletionMessageCustomToolCall
"""Its `type` says which: a custom tool has an `input` in place of arguments."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ParsedChatCompletionMessage(ChatCompletionMessage, Generic[T]):
    """The model's message, and its content as a value."""

    parsed: T | None = field(default=None, init=False, on_setattr=setters.NO_OP)
    """`None` if the model refused (see `.refusal`) or called tools instead."""

    if TYPE_CHECKING:
        tool_calls: list[ParsedToolCall] | None = None  # type: ignore[assignment]


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ParsedChoice(Choice, Generic[T]):
    """One answer out of `n`, with a parsed message."""

    if TYPE_CHECKING:
        message: ParsedChatCompletionMessage[T] = field()  # pyright: ignore[reportIncompatibleVariableOverride]


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ParsedChatCompletion(ChatCompletion, Generic[T]):
    """A complete answer, parsed."""

    if TYPE_CHECKING:
        choices: list[ParsedChoice[T]] = field()  # type: ignore[assignment]

        @property
        def tool_calls(self) -> list[ParsedToolCall]: ...  # type: ignore[override]

    @property
    def message(self) -> ParsedChatCompletionMessage[T]:
        """The message of choice 0; an empty one if there is no choice."""
        return self.choices[0].message if self.choices else ParsedChatCompletionMessage()

    @property
    def parsed(self) -> T | None:
        """The value of choice 0; `None` if the model refused or called tools instead."""
        return self.choices[0].message.parsed if self.choices else None


def as_parsed(kind: type[Parsed], value: APIObject) -> Parsed:
    """A response object as an object of its parsed subclass, which shares its JSON."""
    made = object.__new__(kind)
    # Its objects are not hashable, and mypy thinks the same of the classes.
    values_of, copied, new = _copying(kind, type(value))  # type: ignore[arg-type]
    for set_slot, held in zip(copied, values_of(value), strict=True):
        set_slot(made, held)
    for set_slot in new:
        set_slot(made, None)
    return made


_SetSlot = Callable[[object, object], None]


@cache
def _copying(
    kind: type[APIObject], source: type[APIObject]
) -> tuple[Callable[[object], tuple[Any, ...]], list[_SetSlot], list[_SetSlot]]:
    """How to copy an object: each attribute has a slot, and `setattr` takes twice as long."""
    names = [attribute.name for attribute in attrs.fields(source)]
    setters = {a.name: getattr(kind, a.name).__set__ for a in attrs.fields(kind)}
    new = [set_slot for name, set_slot in setters.items() if name not in names]
    return attrgetter(*names), [setters[name] for name in names], new
