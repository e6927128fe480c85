"""The forms in which an answer can be relayed: which events a browser gets for each chunk.

A form is given the chunks one by one, and returns bytes. It does no I/O. The format is that of
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

from ..errors import InvalidArgumentError, OpenAIError
from ..jsontext import dumps
from ..types.base import APIObject
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_common import CompletionUsage
from .failures import error_object

E = TypeVar("E", bound=APIObject)

SSEForm = Literal["chunks", "text", "ui"]

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # Neither store it nor compress it, which would collect events until a block is full.
    "Cache-Control": "no-cache, no-transform",
    # nginx, and what is built on it, would collect events too.
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
        """The event that says that the answer has failed. No other follows."""


class Chunks(Form[APIObject]):
    """The chunks as the API sends them."""

    def chunk(self, chunk: APIObject) -> bytes:
        # Nobody has changed it: comparing and copying it, as `to_dict` does, would take twice as
        # long as all the rest.
        value = chunk._raw or {}
        kind = value.get("type")  # the events of images have one, and are named after it
        name = f"event: {kind}\n" if isinstance(kind, str) and kind.isprintable() else ""
        return b"%bdata: %b\n\n" % (name.encode(), dumps(value))

    def end(self, usage: CompletionUsage | None) -> bytes:
        return DONE

    def error(self, error: OpenAIError) -> bytes:
        return event({"error": error_object(error)}, b"error")


class Text(Form[ChatCompletionChunk]):
    """Only what a page shows, each as a small object with a `type`."""

    def __init__(self) -> None:
        self._finish_reason: str | None = None

    def chunk(self, chunk: ChatCompletionChunk) -> bytes:
        events = b""
        if chunk.reasoning:
            events += event({"type": "reasoning", "text": chunk.reasoning})
        if chunk.text:
            events += event({"type": "text", "text": chunk.text})
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            for call in choice.delta.tool_calls or ():
                events += event(_call(call))
            self._finish_reason = choice.finish_reason or self._finish_reason
        return events

    def end(self, usage: CompletionUsage | None) -> bytes:
        last = event({"type": "done", "finish_reason": self._finish_reason})
        return last if usage is None else event({"type": "usage", **_counts(usage)}) + last

    def error(self, error: OpenAIError) -> bytes:
        return event({"type": "error", "message": error.safe_message}, b"error")


def event(value: object, name: bytes | None = None) -> bytes:
    """One event. JSON has no line breaks, so its data is one line."""
    data = b"data: %b\n\n" % dumps(value)
    return data if name is None else b"event: %b\n%b" % (name, data)


def _call(call: Any) -> dict[str, Any]:
    """A piece of a tool call; the first one has its id and name."""
    function = call.function or call.custom
    piece = {
        "id": call.id,
        "name": getattr(function, "name", None),
        "arguments": getattr(function, "arguments", None) or getattr(function, "input", None),
    }
    known = {key: value for key, value in piece.items() if value}
    return {"type": "tool_call", "index": call.index, **known}


def _counts(usage: CompletionUsage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


_FORMS: dict[str, type[Form[Any]]] = {"chunks": Chunks, "text": Text}


def form_of(name: object, *, chat: bool) -> Form[Any]:
    """A new form, by its name; `chat` if it is for a chat completion."""
    kind = _FORMS.get(name) if isinstance(name, str) else None
    if kind is None:
        msg = f'form is {name!r}: pass "chunks", "text", "ui" or "raw".'
        raise InvalidArgumentError(msg)
    if not chat and kind is not Chunks:
        msg = f'form={name!r} is for chat completions: pass "chunks" or "raw" for this stream.'
        raise InvalidArgumentError(msg)
    return kind()
