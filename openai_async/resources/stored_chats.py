"""What `client.chat.completions` can do with completions that were created with `store=True`.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from typing import Unpack

from ..options import RequestOptions
from ..types.chat_completion import ChatCompletion
from ..types.stored_chats import (
    ChatCompletionDeleted,
    ChatCompletionListParams,
    ChatCompletionPage,
    ChatCompletionStoreMessage,
    ChatCompletionStoreMessagePage,
    ChatCompletionUpdateParams,
    MessageListParams,
)
from .base_client import Resource
from .endpoint import Endpoint
from .paging import Paginator, paginated
from .response_methods import Kind, Raw, Responses, Streaming, method

LIST = Endpoint("list", "GET", "/chat/completions", ChatCompletionListParams, ChatCompletionPage)
_PATH = "/chat/completions/{completion_id}"
RETRIEVE = Endpoint("retrieve", "GET", _PATH, RequestOptions, ChatCompletion)
UPDATE = Endpoint("update", "POST", _PATH, ChatCompletionUpdateParams, ChatCompletion)
DELETE = Endpoint("delete", "DELETE", _PATH, RequestOptions, ChatCompletionDeleted)
LIST_MESSAGES = Endpoint(
    "list", "GET", f"{_PATH}/messages", MessageListParams, ChatCompletionStoreMessagePage
)


class Messages(Resource):
    """The messages of stored completions."""

    __slots__ = ()

    def list(
        self, completion_id: str, **params: Unpack[MessageListParams]
    ) -> Paginator[ChatCompletionStoreMessagePage, ChatCompletionStoreMessage]:
        """The messages that were sent to the model. Await a page, or iterate with `async for`.

        Raises:
            NotFoundError: there is no such completion.
        """
        return paginated(self._client, LIST_MESSAGES, params, completion_id=completion_id)

    @property
    def with_raw_response(self) -> MessageResponses[Raw]:
        """The same methods, which return a `RawResponse`."""
        return MessageResponses(self, Raw)

    @property
    def with_streaming_response(self) -> MessageResponses[Streaming]:
        """The same methods, for `async with`, which gives a `StreamingResponse`."""
        return MessageResponses(self, Streaming)


class MessageResponses(Responses[Kind]):
    list = method(Messages.list)
