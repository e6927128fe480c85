"""A completion that was asked for as a type: its texts and tool arguments read as values.

`secret` is the API keys that were sent with the request, one per line: a model may repeat them, but
no error shows them, except in the `completion` that it keeps as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from attrs import define

from ..errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
)
from ..jsontext import loads
from ..types.chat_completion import ChatCompletion, ChatCompletionMessage
from ..types.chat_tool_calls import ChatCompletionMessageFunctionToolCall
from ..types.growing_text import utf8
from ..types.parsed_chats import (
    ParsedChatCompletion,
    ParsedChatCompletionMessage,
    ParsedChoice,
    ParsedFunctionToolCall,
    as_parsed,
)
from ..types.values import quoted
from ..wire.redaction import redacted
from .decoding import MisfitError, joined
from .response_formats import ResponseFormat
from .tools import Tool

T = TypeVar("T")
Tools = Mapping[str, Tool[..., Any] | Mapping[str, Any]]
"""The tools of a request by name: ours, and those given as dicts."""
Misfits = dict[int, APIResponseValidationError]
"""What is wrong with the arguments of a call, by its index."""


_STOPPED: dict[str, tuple[type[LengthFinishReasonError | ContentFilterFinishReasonError], str]] = {
    "length": (
        LengthFinishReasonError,
        "The answer was cut off at the token limit, so it cannot be parsed: raise "
        "max_completion_tokens (or max_tokens), or ask for less.",
    ),
    "content_filter": (
        ContentFilterFinishReasonError,
        "A content filter stopped the answer, so it cannot be parsed.",
    ),
}


def parsed(
    completion: ChatCompletion,
    expected: ResponseFormat[T] | None,
    tools: Tools,
    secret: str | None = None,
) -> ParsedChatCompletion[T]:
    """The completion with its values.

    Raises:
        LengthFinishReasonError, ContentFilterFinishReasonError: it is incomplete.
        APIResponseValidationError: a text or the arguments of a call do not fit.
    """
    if expected is not None or tools:
        check_complete(completion)
    return with_values(completion, expected, tools, secret)


def check_complete(completion: ChatCompletion) -> None:
    """Raise the error for an answer that was cut off, if it was."""
    for choice in completion.choices:
        if (stopped := _STOPPED.get(choice.finish_reason or "")) is not None:
            error = stopped[0](stopped[1])
            error.completion = completion
            raise error


def with_values(
    completion: ChatCompletion,
    expected: ResponseFormat[T] | None,
    tools: Tools,
    secret: str | None,
    misfits: Misfits | None = None,
) -> ParsedChatCompletion[T]:
    """`parsed`, without checking that the answer is complete.

    Args:
        misfits: collects the calls of choice 0 whose arguments do not fit. Without it, such a call
            raises the error.
    """
    if not completion.choices and expected is not None:
        msg = f"There are no choices, so there is no {expected.name}."
        raise misfit_error(msg, "", completion, secret)
    result: ParsedChatCompletion[T] = as_parsed(ParsedChatCompletion, completion)
    choices = []
    reading = _Reading(completion, expected, tools, secret)
    for index, choice in enumerate(completion.choices):
        made: ParsedChoice[T] = as_parsed(ParsedChoice, choice)
        place = f"choices[{index}]" if len(completion.choices) > 1 else ""
        message = reading.message(choice.message, place, misfits)
        object.__setattr__(made, "message", message)  # not a change of the JSON
        choices.append(made)
    object.__setattr__(result, "choices", choices)
    return result


@define
class _Reading:
    """Reads the messages of a completion."""

    completion: ChatCompletion
    expected: ResponseFormat[Any] | None
    tools: Tools
    secret: str | None

    def message(
        self, message: ChatCompletionMessage, place: str, misfits: Misfits | None
    ) -> ParsedChatCompletionMessage[Any]:
        made: ParsedChatCompletionMessage[Any] = as_parsed(ParsedChatCompletionMessage, message)
        if message.tool_calls:
            calls = []
            for index, call in enumerate(message.tool_calls):
                try:
                    calls.append(self.call(call, joined(place, f"tool_calls[{index}]")))
                except APIResponseValidationError as misfit:
                    if misfits is None:
                        raise
                    misfits[index] = misfit
                    calls.append(as_parsed(ParsedFunctionToolCall, call))
            object.__setattr__(made, "tool_calls", calls)
        elif self.expected is not None and not message.refusal:
            with self.placed(place):
                made.parsed = decoded(self.expected, message.content or "", self.secret)
        return made

    def call(self, call: Any, place: str) -> Any:
        if not isinstance(call, ChatCompletionMessageFunctionToolCall):
            return call
        made = as_parsed(ParsedFunctionToolCall, call)
        name, text = call.function.name, call.function.arguments
        tool = self.tools.get(name)
        if isinstance(tool, Tool) or (tool is not None and tool["function"].get("strict")):
            with self.placed(f"{place}.function.arguments"):
                made.parsed_arguments = decoded_arguments(self.tools, name, text, self.secret)
        return made

    @contextmanager
    def placed(self, place: str) -> Iterator[None]:
        """Add the completion to an error, and put the place in the completion before its path."""
        try:
            yield
        except APIResponseValidationError as error:
            path = joined(place, error.path or "")
            cause = error.__cause__
            raise misfit_error(error.message, path, self.completion, self.secret) from cause


def decoded(expected: ResponseFormat[T], text: str, secret: str | None = None) -> T:
    """The text of an answer as a value.

    Raises:
        APIResponseValidationError: it does not fit.
    """
    try:
        return expected.decoder.decode(text, secret)
    except MisfitError as misfit:
        msg = f"The answer does not match {expected.name}: {misfit}."
        if not text.strip():
            msg = f"The answer has no text, so there is no {expected.name} in it."
        raise _error(msg, misfit.path, text, secret) from misfit


def value_so_far(expected: ResponseFormat[Any], text: str) -> Any:
    """The value of the text of an answer that is still being written, as dicts and lists."""
    return expected.decoder.so_far(text)


def decoded_arguments(tools: Tools, name: str, text: str, secret: str | None = None) -> Any:
    """The arguments of a call as the tool's types, or as they are in JSON for a tool without types.

    Raises:
        APIResponseValidationError: they do not fit.
    """
    tool = tools.get(name)
    try:
        if isinstance(tool, Tool):
            return tool.arguments(text, secret)
        return loads(utf8(text)) if text.strip() else {}
    except ValueError as misfit:
        path, why = "", f"they are not JSON: {quoted(redacted(text, secret))}"
        if isinstance(misfit, MisfitError):
            path, why = misfit.path, str(misfit)
        name = redacted(name, secret)  # of an unknown tool: the model may write anything
        msg = f"The arguments for the tool {name} do not match its parameters: {why}."
        raise _error(msg, path, text, secret) from misfit


def _error(message: str, path: str, text: str, secret: str | None) -> APIResponseValidationError:
    error = APIResponseValidationError(message, body=redacted(text, secret))
    error.path = path
    return error


def misfit_error(
    message: str, path: str, completion: ChatCompletion, secret: str | None
) -> APIResponseValidationError:
    """The error for an answer that does not fit."""
    meta = completion.meta
    error = APIResponseValidationError(
        message,
        status_code=meta.status,
        request_id=meta.request_id,
        headers=meta.headers,
        body=redacted(completion.to_dict(), secret),
        attempts=meta.attempts,
    )
    error.path, error.completion = path, completion
    return error


def tools_by_name(tools: list[Tool[..., Any] | Mapping[str, Any]]) -> Tools:
    """The tools of a request by name."""
    found: dict[str, Tool[..., Any] | Mapping[str, Any]] = {}
    for tool in tools:
        if isinstance(tool, Tool):
            found[tool.name] = tool
        elif isinstance(function := tool.get("function"), Mapping):
            found[str(function.get("name"))] = tool
    return found
