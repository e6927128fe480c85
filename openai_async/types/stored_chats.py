"""Chat completions that were created with `store=True`, and their messages.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from attrs import define, field
from typing_extensions import TypedDict

from ..options import BaseRequestOptions
from .base import APIResponse, note_change
from .chat_completion import ChatCompletion, ChatCompletionMessage
from .pages import Page


class _ListParams(BaseRequestOptions, total=False):
    after: str | None
    """Begin after the item with this id."""
    limit: int | None
    """Items per page: 1 to 100; the server's default is 20."""
    order: Literal["asc", "desc"] | None
    """By time; the server's default is "asc", the oldest first."""


class MessageListParams(_ListParams, total=False, closed=True):
    """The parameters of `chat.completions.messages.list`. `None` is not sent."""


class ChatCompletionListParams(_ListParams, total=False, closed=True):
    """The parameters of `chat.completions.list`. `None` is not sent."""

    model: str | None
    metadata: Mapping[str, str] | None
    """Only completions that have all of these keys and values."""


class _Metadata(TypedDict):
    # A separate class, so that `__required_keys__` lists it: see `chat_params`.
    metadata: Mapping[str, str] | None
    """Replaces the old metadata. Up to 16 keys of up to 64 characters, with values of up to 512."""


class ChatCompletionUpdateParams(_Metadata, BaseRequestOptions, closed=True):
    """The parameters of `chat.completions.update`."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionPage(Page[ChatCompletion]):
    """A page of stored chat completions."""

    data: list[ChatCompletion] = field(factory=list, metadata={"essential": True})


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionStoreMessage(ChatCompletionMessage):
    """A message of the request that led to a stored chat completion."""

    id: str = ""
    content_parts: list[dict[str, Any]] | None = None
    """The text and pictures of a message whose content was a list of parts."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionStoreMessagePage(Page[ChatCompletionStoreMessage]):
    """A page of messages."""

    data: list[ChatCompletionStoreMessage] = field(factory=list, metadata={"essential": True})


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionDeleted(APIResponse):
    """The response of `chat.completions.delete()`."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "chat.completion.deleted"
    deleted: bool = False
