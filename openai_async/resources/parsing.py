"""`client.chat.completions.parse`: answers as values of a Python type."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import APIResponseValidationError, InvalidArgumentError
from ..options import is_whole
from ..sentinels import is_left_out
from ..streaming.events import ChatCompletionEventStream
from ..streaming.parsed import ParsedChatCompletionStream
from ..structured.answers import Tools, parsed, tools_by_name
from ..structured.response_formats import ResponseFormat, response_format
from ..structured.tools import Tool, as_tools
from ..types.chat_completion import ChatCompletion
from ..types.chat_params import ChatCompletionParams, ChatCompletionParseParams
from ..types.parsed_chats import ParsedChatCompletion
from .endpoint import Endpoint, check_known
from .messages import sendable
from .params import json_body, sent_number
from .stream_usage import stream_arguments

if TYPE_CHECKING:
    from cattrs import BaseConverter

    from .base_client import BaseClient

# `stream` also passes a response_format that is a dict.
_KNOWN = frozenset(ChatCompletionParams.__annotations__)
_REQUIRED = frozenset(ChatCompletionParseParams.__required_keys__)


@frozen
class Parsing:
    """A call of `parse`, or `run_tools`, that has been checked."""

    client: BaseClient
    endpoint: Endpoint[Any]
    params: dict[str, Any]
    expected: ResponseFormat[Any] | None
    tools: Tools

    async def run(self, reask: int) -> ParsedChatCompletion[Any]:
        """Ask, and ask again, with the error, while the answer does not fit."""
        params = self.params
        while True:
            asked = self.client._answer_with_secret(self.endpoint, params, _body(params))
            completion, secret = await asked
            try:
                return parsed(completion, self.expected, self.tools, secret)
            except APIResponseValidationError as error:
                if not reask or not error.completion:
                    raise
                reask -= 1
                messages = [*params["messages"], *complaint(error, error.completion)]
                params = {**params, "messages": messages}

    def stream(self) -> ParsedChatCompletionStream[Any]:
        body = _body(self.params, stream=True)
        arguments = stream_arguments(self.client, self.endpoint, self.params, body)
        return ParsedChatCompletionStream(expected=self.expected, tools=self.tools, **arguments)

    def events(self) -> ChatCompletionEventStream[Any]:
        """The answer as events."""
        return ChatCompletionEventStream(self.stream())


def checked(
    method: str,
    client: BaseClient,
    endpoint: Endpoint[Any],
    params: Mapping[str, Any],
    kind: Any = None,
    *,
    strict: bool = True,
    converter: BaseConverter | None = None,
) -> Parsing:
    """The call of a method of `Completions`, checked; `kind` is its type for the answer."""
    check_known(method, params, _KNOWN, _REQUIRED)
    tools = as_tools(params["tools"]) if params.get("tools") else []
    sent: dict[str, Any] = {**params, "messages": sendable(params["messages"])}
    if tools:
        sent["tools"] = [item.param if isinstance(item, Tool) else item for item in tools]
    expected = None
    if isinstance(kind, Mapping):
        msg = "response_format is a dict: pass a type, such as a class, or use create()."
        raise InvalidArgumentError(msg)
    if kind is not None and not is_left_out(kind):
        expected = response_format(kind, strict=strict, converter=converter)
        sent["response_format"] = expected.param
    return Parsing(client, endpoint, sent, expected, tools_by_name(tools))


def parse(
    client: BaseClient,
    endpoint: Endpoint[Any],
    params: Mapping[str, Any],
    kind: Any,
    *,
    stream: bool | None,
    strict: bool,
    converter: BaseConverter | None,
    reask: int,
) -> Coroutine[Any, Any, ParsedChatCompletion[Any]] | ParsedChatCompletionStream[Any]:
    """See `Completions.parse`."""
    check_reask(reask)
    if reask and (stream or sent_number(params, "n", 1) > 1):
        msg = "reask needs a single answer that is not streamed: leave out stream and n, or reask."
        raise InvalidArgumentError(msg)
    call = checked("parse", client, endpoint, params, kind, strict=strict, converter=converter)
    if stream:
        return call.stream()
    answer: Any = call.run(reask)
    answer.__name__ = answer.__qualname__ = "parse"
    return answer  # type: ignore[no-any-return]


def check_reask(reask: object) -> None:
    """Raise InvalidArgumentError unless it is a whole number, 0 or greater."""
    if not is_whole(reask, 0):
        msg = f"reask is {reask!r}: pass how many times to ask again, or 0."
        raise InvalidArgumentError(msg)


def _body(params: Mapping[str, Any], *, stream: bool | None = None) -> bytes:
    return json_body(params, params.get("extra_body"), stream)


def complaint(error: APIResponseValidationError, completion: ChatCompletion) -> list[Any]:
    """The messages that ask again: the answer that does not fit, and what is wrong with it."""
    text = f"{error.message} Answer again, with JSON that matches the schema."
    complaint = {"role": "user", "content": text}
    message = completion.choices[0].message if completion.choices else None
    if message is not None and message.tool_calls:  # the API wants a reply to each of them
        replies = [
            {"role": "tool", "tool_call_id": call.id, "content": text}
            for call in message.tool_calls
        ]
        return [*sendable([message]), *replies]
    # A message without content is not a valid one.
    return [*sendable([message]), complaint] if message and message.content else [complaint]
