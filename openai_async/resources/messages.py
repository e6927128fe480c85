"""The messages of a chat request: checked and prepared for sending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidArgumentError
from ..jsontext import dumps
from ..types.base import APIObject

# The fields of a tool call that hold what the model wrote for the tool: text, according to the API.
_TEXTS = {"function": "arguments", "custom": "input"}


def sendable(messages: Any) -> Any:
    """The messages, checked; response objects as their JSON, as it was received, with all that a
    vendor needs to get back: reasoning, signatures.

    There are two exceptions. Some servers send arguments of tool calls as an object, but accept
    only text, as in the API, when the message is sent back in the next request. And a spoken answer
    is referred to by its `id` alone, as the API says, not sent back as a whole.

    Raises:
        InvalidArgumentError: it is not a list, it is empty, or an item is not a message.
    """
    if type(messages) is not list and not isinstance(messages, list | tuple):
        msg = f"messages has type {type(messages).__name__}: pass a list of messages."
        raise InvalidArgumentError(msg)
    if not messages:
        msg = 'messages is empty: pass at least one, like {"role": "user", "content": "Hi"}.'
        raise InvalidArgumentError(msg)
    changed: dict[int, Mapping[str, Any]] = {}
    for index, message in enumerate(messages):
        if type(message) is dict:  # as nearly all are
            fields: Mapping[str, Any] = message
        elif isinstance(message, APIObject):
            fields = changed[index] = message._json()
        elif isinstance(message, Mapping):
            fields = message
        elif hasattr(type(message), "model_dump"):  # a pydantic model
            fields = changed[index] = message.model_dump(mode="json", exclude_unset=True)
        else:
            msg = (
                f"messages[{index}] has type {type(message).__name__}: "
                'pass {"role": "user", "content": ...}.'
            )
            raise InvalidArgumentError(msg)
        if "tool_calls" in fields or "function_call" in fields or "audio" in fields:
            ready = _with_text(fields)
            if ready is not fields:
                changed[index] = ready
    return [changed.get(n, message) for n, message in enumerate(messages)] if changed else messages


def _with_text(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with its calls' arguments as text, and its audio as an id; the same object if
    nothing changes.
    """
    changes: dict[str, Any] = {}
    calls = message.get("tool_calls")
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        ready = [_call_with_text(call) for call in calls]
        if any(new is not old for new, old in zip(ready, calls, strict=True)):
            changes["tool_calls"] = ready
    call = message.get("function_call")
    if (function := _text_in(call, "arguments")) is not call:
        changes["function_call"] = function
    audio = _fields(message.get("audio"))
    if audio.get("id") and len(audio) > 1:
        changes["audio"] = {"id": audio["id"]}
    return {**message, **changes} if changes else message


def _call_with_text(call: Any) -> Any:
    for kind, name in _TEXTS.items():
        fields = _fields(call)
        tool = fields.get(kind)
        if (ready := _text_in(tool, name)) is not tool:
            call = {**fields, kind: ready}
    return call


def _text_in(tool: Any, name: str) -> Any:
    """A function with its arguments as text; the same object if they are, or if it is not one."""
    fields = _fields(tool)
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return tool
    return {**fields, name: dumps(value).decode()}


def _fields(value: Any) -> Mapping[str, Any]:
    if type(value) is dict:
        return value
    if isinstance(value, APIObject):
        return value._json()
    return value if isinstance(value, Mapping) else {}
