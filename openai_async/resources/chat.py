"""`client.chat.completions`: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from .._submodules import LazyModule
from ..types.chat import ChatCompletion
from ..types.chat_params import ChatCompletionParams
from .base_client import Resource
from .endpoint import Endpoint
from .messages import sendable
from .params import json_body, sent_number, sent_value

if TYPE_CHECKING:
    from ..streaming import chat as streams
else:  # not every program streams
    streams = LazyModule("openai_async.streaming.chat")

CREATE = Endpoint("create", "POST", "/chat/completions", ChatCompletionParams, ChatCompletion)


class Completions(Resource):
    """Chat completions."""

    @overload
    def create(
        self, *, stream: Literal[True], **params: Unpack[ChatCompletionParams]
    ) -> streams.ChatCompletionStream: ...

    @overload
    def create(
        self, *, stream: Literal[False] | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion]: ...

    @overload
    def create(
        self, *, stream: bool | None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | streams.ChatCompletionStream: ...

    def create(
        self, *, stream: bool | None = None, **params: Unpack[ChatCompletionParams]
    ) -> Coroutine[Any, Any, ChatCompletion] | streams.ChatCompletionStream:
        """Ask a model. Await the result or, with `stream=True`, iterate over it.

        The parameters are those of `ChatCompletionParams`; parameters that only some servers have
        go into `extra_body`. They are checked when this is called; the options of the call
        (`timeout`, `max_retries`, `extra_headers`, `extra_query`) are checked when it is awaited,
        before anything is sent.

        Raises:
            InvalidArgumentError: `messages` is empty or not a list; a value is not JSON.
            TypeError: a parameter is missing or unknown.
            APIError: see `openai_async.errors`.

        Example::

            result = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
            )
            print(result.text)
        """
        CREATE.check(params)
        params["messages"] = sendable(params["messages"])
        body = json_body(params, params.get("extra_body"), stream)
        if not stream:
            return self._client._call(CREATE, params, body)
        connect = self._client._connector(CREATE, params, body)
        if "extra_body" not in params and "n" not in params and "stream_options" not in params:
            return streams.ChatCompletionStream(connect)  # the usual case; the rest takes 2 us
        stream_options = sent_value(params, "stream_options")
        return streams.ChatCompletionStream(
            connect,
            n=sent_number(params, "n", 1),
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
