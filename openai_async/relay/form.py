"""A form turns the chunks of one answer into the events that a browser gets.

It takes the chunks one by one, and returns bytes. It does no I/O. The format is that of
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from ..errors import OpenAIError
from ..http.headers import check_present
from ..jsontext import dumps
from ..types.base import APIObject
from ..types.chat_common import CompletionUsage
from ..types.model_methods import json_text
from .failures import error_object

E = TypeVar("E", bound=APIObject)

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # No reuse by caches, and no compression, which would hold events back until a block is full.
    "Cache-Control": "no-cache, no-transform",
    # nginx, and proxies built on it, would buffer events too.
    "X-Accel-Buffering": "no",
}
DONE = b"data: [DONE]\n\n"
COMMENT = b":\n\n"


class Form(ABC, Generic[E]):
    """Turns the chunks of one answer into events."""

    headers: ClassVar[Mapping[str, str]] = HEADERS

    @abstractmethod
    def chunk(self, chunk: E) -> bytes:
        """The events of a chunk; b"" if there are none."""

    @abstractmethod
    def end(self, usage: CompletionUsage | None) -> bytes:
        """The events at the end of a complete answer."""

    @abstractmethod
    def error(self, error: OpenAIError) -> bytes:
        """The events for an answer that has failed. No others follow."""


class Chunks(Form[APIObject]):
    """The chunks as the API sends them."""

    def chunk(self, chunk: APIObject) -> bytes:
        value = json_of(chunk)
        kind = value.get("type")  # image events have one, which is also their name
        name = f"event: {kind}\n" if isinstance(kind, str) and kind.isprintable() else ""
        # Not `dumps`, which refuses NaN: some servers send it in logprobs.
        return f"{name}data: {json_text(value)}\n\n".encode()

    def end(self, usage: CompletionUsage | None) -> bytes:
        return DONE

    def error(self, error: OpenAIError) -> bytes:
        return event({"error": error_object(error)}, b"error")


def json_of(chunk: APIObject) -> dict[str, Any]:
    """The JSON of a chunk as it came. No user code has seen the chunk, so nothing has changed it,
    and looking for changes would take as long as everything else.
    """
    return chunk.to_dict() if chunk._raw is None else chunk._raw


def event(value: object, name: bytes | None = None) -> bytes:
    """One event. JSON has no line breaks, so its data is one line."""
    data = b"data: %b\n\n" % dumps(value)
    return data if name is None else b"event: %b\n%b" % (name, data)


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that an app adds to its response.

    Raises:
        InvalidArgumentError: they are not strings, or would break out of their lines.
    """
    return check_present(headers)
