"""`client.chat.completions.parse`: answers as values of a Python type."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import APIResponseValidationError, InvalidArgumentError
from ..options import check_retries
from ..streaming.parsed import ParsedChatCompletionStream
from ..structured.answers import Tools, parsed, tools_by_name
from ..structured.response_formats import ResponseFormat, response_format
from ..structured.tools import Tool, as_tools
from ..types.chat_params import ChatCompletionParseParams
from ..types.parsed_chats import ParsedChatCompletion
from .endpoint import Endpoint, check_known
from .messages import sendable
from .params import json_body, sent_number, sent_value

if TYPE_CHECKING:
    from cattrs import BaseConverter

    from .base_client import BaseClient

_KNOWN = frozenset(ChatCompletionParseParams.__annotations__)
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
    check_known("parse", params, _KNOWN, _REQUIRED)
    tools = as_tools(params["tools"]) if params.get("tools") else []
    sent: dict[str, Any] = {**params, "messages": sendable(params["messages"])}
    if tools:
        sent["tools"] = [item.param if isinstance(item, Tool) else item for item in tools]
    expected = None
    if kind is not None:
        if isinstance(kind, Mapping):
            msg = "response_format is a dict: pass a type, such as a class, or use create()."
            raise InvalidArgumentError(msg)
        expected = response_format(kind, strict=strict, converter=converter)
        sent["response_format"] = expected.param
    parsing = Parsing(client, endpoint, sent, expected, tools_by_name(tools))
    check_retries(reask)
    if not stream:
        call: Any = parsing.run(reask)
        call.__name__ = call.__qualname__ = "parse"
        return call  # type: ignore[no-any-return]
    if reask:
        msg = "reask needs the whole answer: leave out stream, or reask."
        raise InvalidArgumentError(msg)
    return parsing.stream()


def _body(params: Mapping[str, Any], *, stream: bool | None = None) -> bytes:
    return json_body(params, params.get("extra_body"), stream)


def _complaint(error: APIResponseValidationError) -> list[Any]:
    """The answer that does not fit, and what is wrong with it."""
    assert error.completion is not None
    messages = [choice.message for choice in error.completion.choices]
    text = f"{error.message} Answer again, with JSON that fits the schema."
    return [*sendable(messages[:1]), {"role": "user", "content": text}]
