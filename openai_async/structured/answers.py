"""A completion that was asked for as a type: its texts and tool arguments read as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
)
from ..jsontext import loads
from ..types.chat import ChatCompletion, ChatCompletionMessage
from ..types.chat_tool_calls import ChatCompletionMessageFunctionToolCall
from ..types.parsed_chats import (
    ParsedChatCompletion,
    ParsedChatCompletionMessage,
    ParsedChoice,
    ParsedFunctionToolCall,
    as_parsed,
)
from .decoding import MisfitError
from .response_formats import ResponseFormat
from .tools import Tool

T = TypeVar("T")
Tools = Mapping[str, Tool[..., Any] | Mapping[str, Any]]
"""The tools of a request by name: ours, and those given as dicts."""


_STOPPED: dict[str, tuple[type[LengthFinishReasonError | ContentFilterFinishReasonError], str]] = {
    "length": (
        LengthFinishReasonError,
        "The answer was cut off at the limit of tokens, so it cannot be parsed: raise "
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
    for choice in completion.choices:
        if (stopped := _STOPPED.get(choice.finish_reason or "")) is not None:
            error = stopped[0](stopped[1])
            error.completion = completion
            raise error
    result: ParsedChatCompletion[T] = as_parsed(ParsedChatCompletion, completion)
    choices = []
    for index, choice in enumerate(completion.choices):
        made: ParsedChoice[T] = as_parsed(ParsedChoice, choice)
        place = f"choices[{index}]." if len(completion.choices) > 1 else ""
        message = _parsed_message(choice.message, expected, tools, completion, place)
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
) -> ParsedChatCompletionMessage[T]:
    made: ParsedChatCompletionMessage[T] = as_parsed(ParsedChatCompletionMessage, message)
    if message.tool_calls:
        calls = [
            _parsed_call(call, tools, completion, f"{place}tool_calls[{index}]")
            for index, call in enumerate(message.tool_calls)
        ]
        object.__setattr__(made, "tool_calls", calls)
    elif expected is not None and not message.refusal:
        try:
            made.parsed = expected.decoder.decode(message.content or "")
        except MisfitError as misfit:
            what = f"The answer does not fit {expected.name}: {misfit}."
            if not message.content:
                what = f"The answer has no text, so there is no {expected.name} in it."
            raise misfit_error(what, f"{place}{misfit.path}", completion) from misfit
    return made


def _parsed_call(call: Any, tools: Tools, completion: ChatCompletion, place: str) -> Any:
    if not isinstance(call, ChatCompletionMessageFunctionToolCall):
        return call
    made = as_parsed(ParsedFunctionToolCall, call)
    tool = tools.get(call.function.name)
    try:
        if isinstance(tool, Tool):
            made.parsed_arguments = tool.arguments(call.function.arguments)
        elif tool is not None and tool["function"].get("strict"):
            made.parsed_arguments = loads(call.function.arguments.encode())
    except ValueError as misfit:
        what = f"The arguments for the tool {call.function.name} do not fit: {misfit}."
        path = f"{place}.function.arguments"
        if isinstance(misfit, MisfitError) and misfit.path:
            path = f"{path}.{misfit.path}"
        raise misfit_error(what, path, completion) from misfit
    return made


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
