"""The tool calls in the message of a chat completion."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from attrs import Factory, define

from .base import APIObject, note_change
from .normalize import as_call


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Function(APIObject):
    """The function that the model calls."""

    name: str = ""
    arguments: str = ""
    """JSON text as the model wrote it; it may be invalid."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Custom(APIObject):
    """The custom tool that the model calls."""

    name: str = ""
    input: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessageFunctionToolCall(APIObject):
    """A call to a function tool."""

    id: str = ""
    type: Literal["function"] = "function"
    function: Function = Factory(Function)

    _prepared_unless: ClassVar[str] = "function"

    @classmethod
    def _prepared(cls, value: dict[str, Any]) -> dict[str, Any]:
        return as_call(value)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionMessageCustomToolCall(APIObject):
    """A call to a custom tool."""

    id: str = ""
    type: Literal["custom"] = "custom"
    custom: Custom = Factory(Custom)


ChatCompletionMessageToolCall: TypeAlias = (
    ChatCompletionMessageFunctionToolCall | ChatCompletionMessageCustomToolCall
)
