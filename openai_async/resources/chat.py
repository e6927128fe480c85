"""`client.chat.completions`: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from .._submodules import LazyModule
from ..options import RequestOptions
from ..types.chat_completion import ChatCompletion
from ..types.chat_params import ChatCompletionParams
from .base_client import Resource
from .endpoint import Endpoint
from .messages import sendable
from .params import json_body, sent_number, sent_value

if TYPE_CHECKING:
    from ..streaming import chat as streams
    from ..types import stored_chats as types
    from . import paging
    from . import stored_chats as stored
else:  # not every program streams, or uses stored completions
    streams = LazyModule("openai_async.streaming.chat")
    types = LazyModule("openai_async.types.stored_chats")
    paging = LazyModule("openai_async.resources.paging")
    stored = LazyModule("openai_async.resources.stored_chats")

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

    # --- completions that were created with store=True ---

    def list(
        self, **params: Unpack[types.ChatCompletionListParams]
    ) -> paging.Paginator[types.ChatCompletionPage, ChatCompletion]:
        """The stored completions. Await the first page, or iterate over all with `async for`.

        Raises:
            APIError: see `openai_async.errors`.

        Example::

            async for completion in client.chat.completions.list(metadata={"user": "7"}):
                print(completion.text)
        """
        return paging.paginated(self._client, stored.LIST, params)

    async def retrieve(
        self, completion_id: str, **options: Unpack[RequestOptions]
    ) -> ChatCompletion:
        """A stored completion; `NotFoundError` if it was not stored, or has been deleted."""
        call = self._client._call
        return await call(stored.RETRIEVE, options, completion_id=completion_id)

    async def update(
        self, completion_id: str, **params: Unpack[types.ChatCompletionUpdateParams]
    ) -> ChatCompletion:
        """Replace the `metadata` of a stored completion, the only part that can be changed."""
        return await self._client._call(stored.UPDATE, params, completion_id=completion_id)

    async def delete(
        self, completion_id: str, **options: Unpack[RequestOptions]
    ) -> types.ChatCompletionDeleted:
        """Delete a stored completion."""
        return await self._client._call(stored.DELETE, options, completion_id=completion_id)

    @property
    def messages(self) -> stored.Messages:
        """`client.chat.completions.messages.list(completion_id)`"""
        return stored.Messages(self._client)


class Chat(Resource):
    """`client.chat`"""

    __slots__ = ()

    @property
    def completions(self) -> Completions:
        """`client.chat.completions.create(...)`"""
        return Completions(self._client)
