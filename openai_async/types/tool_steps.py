"""The steps that `async for` over `chat.completions.run_tools` yields.

async for step in client.chat.completions.run_tools(...):
    if step.type == "content.delta":
        print(step.delta, end="")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from .parsed_chats import ParsedChatCompletion, ParsedFunctionToolCall

T = TypeVar("T")


@frozen(kw_only=True)
class ContentDeltaStep:
    """A piece of the model's text."""

    type: Literal["content.delta"] = "content.delta"
    delta: str


@frozen(kw_only=True)
class ToolCallStep:
    """The model calls a function. The function starts when the loop asks for the next step."""

    type: Literal["tool_call"] = "tool_call"
    call: ParsedFunctionToolCall
    """`.parsed_arguments` are its arguments; `None` if they do not fit, or the tool is unknown."""
    index: int
    """The position of the call among all calls of its answer, from 0."""


@frozen(kw_only=True)
class ToolResultStep:
    """A function has ended."""

    type: Literal["tool_result"] = "tool_result"
    call: ParsedFunctionToolCall
    content: str
    """The text that is sent to the model."""
    value: object = None
    """What the function returned."""
    error: Exception | None = field(default=None)
    """Why the call failed, if it did."""


@frozen(kw_only=True)
class CompletionStep(Generic[T]):
    """The last step: the answer in which the model calls no more functions."""

    type: Literal["completion"] = "completion"
    completion: ParsedChatCompletion[T]


ToolStep: TypeAlias = ContentDeltaStep | ToolCallStep | ToolResultStep | CompletionStep[T]
"""A step; type checkers narrow it by `step.type`."""

OnToolError: TypeAlias = Callable[
    [ParsedFunctionToolCall, Exception], str | Awaitable[str | None] | None
]
"""Gets a call and its exception; returns the text for the model, or `None` for the default.
Anything else is written as the result of a tool would be."""
