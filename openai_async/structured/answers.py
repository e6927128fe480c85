"""A completion that was asked for as a type: its texts and tool arguments read as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

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
    completion: ChatCompletion, expected: ResponseFormat[T] | None, tools: Tools
) -> ParsedChatCompletion[T]:
    """The completion with its values.

    Raises:
        LengthFinishReasonError, ContentFilterFinishReasonError: it is incomplete.
        APIResponseValidationError: a text or the arguments of a call do not fit.
    """
    if expected is not None or tools:
        check_complete(completion)
    return with_values(completion, expected, tools)


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
    misfits: Misfits | None = None,
) -> ParsedChatCompletion[T]:
    """`parsed`, without checking that the answer is complete.

    Args:
        misfits: collects the calls of choice 0 whose arguments do not fit. Without it, such a call
            raises the error.
    """
    if not completion.choices and expected is not None:
        raise misfit_error(f"There are no choices, so there is no {expected.name}.", "", completion)
    result: ParsedChatCompletion[T] = as_parsed(ParsedChatCompletion, completion)
    choices = []
    for index, choice in enumerate(completion.choices):
        made: ParsedChoice[T] = as_parsed(ParsedChoice, choice)
        place = f"choices[{index}]" if len(completion.choices) > 1 else ""
        message = _parsed_message(choice.message, expected, tools, completion, place, misfits)
        object.__setattr__(made, "message", message)  # not a change of the JSON
        choices.append(made)
    object.__setattr__(result, "choices", choices)
    return result


def _parsed_message(
    message: ChatCompletionMessage,
    expected: ResponseFormat[T] | None,
    tools: Tools,
    completion: ChatCompletion,
    place: str,
    misfits: Misfits | None,
) -> ParsedChatCompletionMessage[T]:
    made: ParsedChatCompletionMessage[T] = as_parsed(ParsedChatCompletionMessage, message)
    if message.tool_calls:
        calls = []
        for index, call in enumerate(message.tool_calls):
            try:
                where = joined(place, f"tool_calls[{index}]")
                calls.append(_parsed_call(call, tools, completion, where))
            except APIResponseValidationError as misfit:
                if misfits is None:
                    raise
                misfits[index] = misfit
                calls.append(as_parsed(ParsedFunctionToolCall, call))
        object.__setattr__(made, "tool_calls", calls)
    elif expected is not None and not message.refusal:
        with _completed(completion, place):
            made.parsed = decoded(expected, message.content or "")
    return made


def _parsed_call(call: Any, tools: Tools, completion: ChatCompletion, place: str) -> Any:
    if not isinstance(call, ChatCompletionMessageFunctionToolCall):
        return call
    made = as_parsed(ParsedFunctionToolCall, call)
    tool = tools.get(call.function.name)
    if isinstance(tool, Tool) or (tool is not None and tool["function"].get("strict")):
        with _completed(completion, f"{place}.function.arguments"):
            arguments = decoded_arguments(tools, call.function.name, call.function.arguments)
            made.parsed_arguments = arguments
    return made


def decoded(expected: ResponseFormat[T], text: str) -> T:
    """The text of an answer as a value.

    Raises:
        APIResponseValidationError: it does not fit.
    """
    try:
        return expected.decoder.decode(text)
    except MisfitError as misfit:
        msg = f"The answer does not match {expected.name}: {misfit}."
        if not text.strip():
            msg = f"The answer has no text, so there is no {expected.name} in it."
        raise _error(msg, misfit.path, text) from misfit


def value_so_far(expected: ResponseFormat[Any], text: str) -> Any:
    """The value of the text of an answer that is still being written, as dicts and lists."""
    return expected.decoder.so_far(text)


def decoded_arguments(tools: Tools, name: str, text: str) -> Any:
    """The arguments of a call as the tool's types, or as they are in JSON for a tool without types.

    Raises:
        APIResponseValidationError: they do not fit.
    """
    tool = tools.get(name)
    try:
        if isinstance(tool, Tool):
            return tool.arguments(text)
        return loads(utf8(text)) if text.strip() else {}
    except ValueError as misfit:
        path, why = "", f"they are not JSON: {quoted(text)}"
        if isinstance(misfit, MisfitError):
            path, why = misfit.path, str(misfit)
        msg = f"The arguments for the tool {name} do not match its parameters: {why}."
        raise _error(msg, path, text) from misfit


def _error(message: str, path: str, text: str) -> APIResponseValidationError:
    error = APIResponseValidationError(message, body=text)
    error.path = path
    return error


@contextmanager
def _completed(completion: ChatCompletion, place: str) -> Iterator[None]:
    """Add the completion to an error, and put the place in the completion before its path."""
    try:
        yield
    except APIResponseValidationError as error:
        path = joined(place, error.path or "")
        raise misfit_error(error.message, path, completion) from error.__cause__


def misfit_error(message: str, path: str, completion: ChatCompletion) -> APIResponseValidationError:
    """The error for an answer that does not fit."""
    meta = completion.meta
    error = APIResponseValidationError(
        message,
        status_code=meta.status,
        request_id=meta.request_id,
        headers=meta.headers,
        body=completion.to_dict(),
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
