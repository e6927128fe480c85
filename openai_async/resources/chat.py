"""`client.chat.completions`: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Literal, Unpack, overload

from ..chat_stream import ChatCompletionStream
from ..errors import InvalidArgumentError
from ..options import REQUEST_OPTIONS
from ..types.base import APIObject
from ..types.chat import ChatCompletion
from ..types.chat_params import ChatCompletionParams
from .base import Resource, check_known, json_body

_PATH = "/chat/completions"
_KNOWN = frozenset(ChatCompletionParams.__annotations__) | REQUEST_OPTIONS
_REQUIRED = frozenset({"messages", "model"})


class Completions(Resource):
    """Answers to conversations."""

    @overload
    def create(
        self, *, stream: Literal[True], **params: Unpack[ChatCompletionParams]
    ) -> ChatCompletionStream: ...

    @overload
    def create(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion]: ...

    @overload
    def create(
        self, *, stream: bool | None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | ChatCompletionStream: ...

    def create(
        self, *, stream: bool | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | ChatCompletionStream:
        """Ask a model. Await the result, or with `stream=True` iterate over it.

        The parameters are those of `ChatCompletionParams`, which has a word on each; a server's
        own go into `extra_body`. All but `extra_body` is checked when this is called, before
        anything is awaited or sent.

        Raises:
            InvalidArgumentError: `messages` is empty or no list; something is no JSON value.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            result = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
            )
            print(result.text)
        """
        check_known("create", params, _KNOWN, _REQUIRED)
        _check_messages(params["messages"])
        data = json_body(params, params.get("extra_body"), stream)
        if not stream:
            return self._client._call(ChatCompletion, "POST", _PATH, data, params)
        n, stream_options = params.get("n"), params.get("stream_options")
        return ChatCompletionStream(
            self._client._connector("POST", _PATH, data, params),
            n=n if isinstance(n, int) else 1,
            include_usage=isinstance(stream_options, Mapping)
            and bool(stream_options.get("include_usage")),
        )


class Chat(Resource):
    """`client.chat`"""

    __slots__ = ()

    @property
    def completions(self) -> Completions:
        """`client.chat.completions.create(...)`"""
        return Completions(self._client)


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list | tuple):
        msg = f"messages has type {type(messages).__name__}: pass a list of messages."
        raise InvalidArgumentError(msg)
    if not messages:
        msg = 'messages is empty: pass at least one, like {"role": "user", "content": "Hi"}.'
        raise InvalidArgumentError(msg)
    for index, message in enumerate(messages):
        # Nearly all are dicts; the other two take ten times as long to ask about.
        if type(message) is not dict and not isinstance(message, Mapping | APIObject):
            msg = (
                f"messages[{index}] has type {type(message).__name__}: "
                'pass {"role": "user", "content": ...}.'
            )
            raise InvalidArgumentError(msg)
