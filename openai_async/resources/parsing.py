"""`client.chat.completions.parse`: answers as values of a Python type."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import APIResponseValidationError, InvalidArgumentError
from ..options import check_retries
from ..streaming.events import ChatCompletionEventStream
from ..streaming.parsed import ParsedChatCompletionStream
from ..structured.answers import Tools, decoded, decoded_arguments, parsed, tools_by_name
from ..structured.response_formats import ResponseFormat, response_format
from ..structured.tools import Tool, as_tools
from ..types.chat_params import ChatCompletionParams, ChatCompletionParseParams
from ..types.parsed_chats import ParsedChatCompletion
from .endpoint import Endpoint, check_known
from .messages import sendable
from .params import json_body, sent_number, sent_value

if TYPE_CHECKING:
    from cattrs import BaseConverter

    from .base_client import BaseClient

# `stream` also passes a response_format that is a dict.
_KNOWN = frozenset(ChatCompletionParams.__annotations__)
_REQUIRED = frozenset(ChatCompletionParseParams.__required_keys__)


@frozen
class Parsing:
    """A call of `parse` that has been checked."""

    client: BaseClient
    endpoint: Endpoint[Any]
    params: dict[str, Any]
    expected: ResponseFormat[Any] | None
    tools: Tools

    async def run(self, reask: int) -> ParsedChatCompletion[Any]:
        """Ask, and ask again with the complaint while the answer does not fit."""
        params = self.params
        while True:
            completion = await self.client._call(self.endpoint, params, _body(params))
            try:
                return parsed(completion, self.expected, self.tools)
            except APIResponseValidationError as error:
                if not reask or not error.completion:
                    raise
                reask -= 1
                params = {**params, "messages": [*params["messages"], *_complaint(error)]}

    def stream(self) -> ParsedChatCompletionStream[Any]:
        params = self.params
        options = sent_value(params, "stream_options")
        return ParsedChatCompletionStream(
            self.client._connector(self.endpoint, params, _body(params, stream=True)),
            self.expected,
            self.tools,
            n=sent_number(params, "n", 1),
            include_usage=isinstance(options, Mapping) and bool(options.get("include_usage")),
        )

    def events(self) -> ChatCompletionEventStream[Any]:
        """The answer as events."""
        return ChatCompletionEventStream(
            self.stream(),
            decode=None if self.expected is None else partial(decoded, self.expected),
            decode_arguments=partial(decoded_arguments, self.tools),
        )


def parsing(
    function: str,
    client: BaseClient,
    endpoint: Endpoint[Any],
    params: Mapping[str, Any],
    kind: Any = None,
    *,
    strict: bool = True,
    converter: BaseConverter | None = None,
) -> Parsing:
    """The call of a method of `Completions`, checked; `kind` is its type for the answer."""
    check_known(function, params, _KNOWN, _REQUIRED)
    tools = as_tools(params["tools"]) if params.get("tools") else []
    sent: dict[str, Any] = {**params, "messages": sendable(params["messages"])}
    if tools:
        sent["tools"] = [item.param if isinstance(item, Tool) else item for item in tools]
    expected = None
    if kind is not None:
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
    if isinstance(kind, Mapping):
        msg = "response_format is a dict: pass a type, such as a class, or use create()."
        raise InvalidArgumentError(msg)
    check_retries(reask)
    call = parsing("parse", client, endpoint, params, kind, strict=strict, converter=converter)
    if stream:
        if reask:
            msg = "reask needs the whole answer: leave out stream, or reask."
            raise InvalidArgumentError(msg)
        return call.stream()
    answer: Any = call.run(reask)
    answer.__name__ = answer.__qualname__ = "parse"
    return answer  # type: ignore[no-any-return]


def _body(params: Mapping[str, Any], *, stream: bool | None = None) -> bytes:
    return json_body(params, params.get("extra_body"), stream)


def _complaint(error: APIResponseValidationError) -> list[Any]:
    """The answer that does not fit, and what is wrong with it."""
    assert error.completion is not None
    messages = [choice.message for choice in error.completion.choices]
    text = f"{error.message} Answer again, with JSON that fits the schema."
    return [*sendable(messages[:1]), {"role": "user", "content": text}]
