"""What the readers of a streamed chat completion take from a chunk: its text, its reasoning.

They read the JSON, without making objects.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

from ..types.normalize import content_text
from ..types.reasoning import ThinkTags, reasoning_text
from ..wire.merging import index_of
from .answer import Received
from .reader import Reader, Source


class ChunkWithTexts(dict[str, Any]):
    """A chunk whose text and reasoning cannot be read from its delta alone."""

    __slots__ = ("texts",)

    def __init__(self, chunk: dict[str, Any], texts: tuple[str, str]) -> None:
        super().__init__(chunk)
        self.texts = texts


def text_of(chunk: Received) -> str | None:
    """The text a chunk adds to choice 0; `None` if none."""
    if type(chunk) is tuple:
        return (chunk[1] or None) if chunk[0].field == "content" else None
    if type(chunk) is ChunkWithTexts:
        return chunk.texts[0] or None
    return _joined(chunk, _content)


def reasoning_of(chunk: Received) -> str | None:
    """The reasoning a chunk adds to choice 0; `None` if none."""
    if type(chunk) is tuple:
        return (chunk[1] or None) if chunk[0].field != "content" else None
    if type(chunk) is ChunkWithTexts:
        return chunk.texts[1] or None
    return _joined(chunk, reasoning_text)


def _content(delta: dict[str, Any]) -> str | None:
    content = delta.get("content")
    return content if type(content) is str else content_text(content) if content else None


def _joined(chunk: dict[str, Any], read: Callable[[dict[str, Any]], str | None]) -> str | None:
    choices = chunk.get("choices")
    if not choices or not isinstance(choices, list):
        return None
    text = None
    for choice in choices:
        if isinstance(choice, dict) and (choice.get("index") == 0 or not index_of(choice)):
            delta = choice.get("delta")
            if isinstance(delta, dict) and (part := read(delta)):
                text = part if text is None else text + part
    return text


class ChatSource(Source, Protocol):
    """What the readers of text and reasoning need from a stream."""

    _passed: list[Received]
    """The chunks with text that a reader of reasoning has skipped."""

    def _put_back(self) -> None:
        """Return them to the next reader."""


def _answer(tags: ThinkTags, chunk: Received) -> str | None:
    return tags.split(text_of(chunk) or "")[1] or None


def _reasoning(tags: ThinkTags | None, passed: list[Received], chunk: Received) -> str | None:
    """The reasoning of a chunk; its text is kept for the next reader."""
    reasoning = reasoning_of(chunk)
    text = whole = text_of(chunk)
    if tags is not None:
        thought, text = tags.split(whole or "")
        reasoning = (reasoning or "") + thought or None
    if text:
        passed.append(chunk if text == whole and not reasoning else _with_text(chunk, text))
    return reasoning


def _with_text(chunk: Received, text: str) -> Received:
    """A chunk with this text and without reasoning."""
    if type(chunk) is tuple:
        return (chunk[0], text, *chunk[2:])
    return ChunkWithTexts(chunk, (text, ""))


class AnswerReader(Reader[str]):
    """Reads the text without the `<think>` block that a server has left in it."""

    __slots__ = ("_tags",)

    def __init__(self, stream: Source, tags: ThinkTags) -> None:
        self._tags = tags
        # Not a method: with a reference to itself, the reader would outlive its loop.
        super().__init__(stream, partial(_answer, tags))

    def _rest(self) -> str | None:
        return self._tags.split("", last=True)[1] or None  # was held back


class ReasoningReader(Reader[str]):
    """Reads the reasoning, with that in a `<think>` block if `tags` splits it off."""

    __slots__ = ("_chat", "_tags")

    def __init__(self, stream: ChatSource, tags: ThinkTags | None) -> None:
        self._chat = stream
        self._tags = tags
        super().__init__(stream, partial(_reasoning, tags, stream._passed))

    def _rest(self) -> str | None:
        self._chat._put_back()
        # If what is held back turns out to be text, it is for the next reader.
        if self._tags is None or deepcopy(self._tags).split("", last=True)[1]:
            return None
        return self._tags.split("", last=True)[0] or None
