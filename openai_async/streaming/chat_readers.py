"""What the readers of a streamed chat completion take from a chunk: its text, its reasoning.

They read the JSON, without making objects.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

from ..errors import InvalidArgumentError
from ..types.normalize import content_text
from ..types.reasoning import ThinkTags, reasoning_text
from ..wire.merging import index_of
from .answer import Received
from .reader import Reader, Source

ThinkTagsOption: TypeAlias = bool | Literal["opened"]
"""How `<think>...</think>` is split off: `"opened"` if the prompt has the `<think>`."""


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


def tags_for(option: ThinkTagsOption) -> ThinkTags:
    """What splits the text of a stream.

    Raises:
        InvalidArgumentError: there is no such option.
    """
    if option not in (True, "opened"):
        msg = f'think_tags is {option!r}: pass True, "opened" or False.'
        raise InvalidArgumentError(msg)
    return ThinkTags(opened=option == "opened")


def _split(tags: ThinkTags, part: int, chunk: Received) -> str | None:
    split = tags.split(text_of(chunk) or "")[part]
    return ((reasoning_of(chunk) or "") + split if part == 0 else split) or None


class ThinkTagReader(Reader[str]):
    """Reads a part of the text of a model whose server leaves `<think>` in it.

    Args:
        part: 0 for the reasoning, 1 for the rest.
    """

    __slots__ = ("_part", "_tags")

    def __init__(self, stream: Source, tags: ThinkTags, part: int) -> None:
        self._part = part
        self._tags = tags
        # Not a method: with a reference to itself, the reader would outlive its loop.
        super().__init__(stream, partial(_split, self._tags, self._part))

    async def __anext__(self) -> str:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if rest := self._tags.split("", last=True)[self._part]:  # was held back
                return rest
            raise
