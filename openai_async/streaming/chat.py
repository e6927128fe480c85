"""A streamed chat completion: its chunks, only its text, or the whole completion at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from ..jsontext import loads
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_common import CompletionUsage
from ..types.chat_completion import ChatCompletion
from ..types.normalize import is_usage
from ..types.reasoning import ThinkTags
from ..types.repeating import chunk_maker, is_flat
from ..types.structuring import structurer
from ..types.think_tags import ThinkTagsOption, tags_for
from ..wire.assembly import Assembly, only_opens
from ..wire.codec import unreadable
from .answer import Answer, Received
from .base import AsyncStream
from .chat_readers import (
    AnswerReader,
    ChunkWithTexts,
    ReasoningReader,
    text_of,
)
from .raw import Connect
from .reader import Reader


class ChatAnswer(Answer):
    """A chat completion that is being received.

    It is complete at `[DONE]` or, since some servers do not send that, at the end of the body if
    every choice that has begun has its `finish_reason`. If a choice goes on after its
    finish_reason, the finish_reasons of that stream cannot be trusted, and only `[DONE]` counts. If
    the usage was requested, losing the connection before it arrives is still an interruption. If
    only we asked for it, it is not, and an event with nothing but that usage is not passed on.
    """

    __slots__ = ("_begun", "_hide_usage", "_include_usage", "_n", "_opening", "_prompt_size")

    def __init__(
        self, n: int, include_usage: bool, hide_usage: bool = False, prompt_size: int = 0
    ) -> None:
        self._n = n
        self._prompt_size = prompt_size
        self._include_usage = include_usage
        self._hide_usage = hide_usage
        self._begun: Assembly | None = None
        # The text of the first chunk, if it only opens the answer. It is assembled when the next
        # chunk arrives, so that the user gets the first one without waiting for its assembly.
        self._opening = b""

    @property
    def _assembly(self) -> Assembly:
        """What has been assembled, including the first chunk."""
        if self._begun is None:
            self._begun = Assembly(single=self._n == 1)
            if self._opening:
                self._begun.add(loads(self._opening))
                self._opening = b""
        return self._begun

    def take(self, value: dict[str, Any], data: bytes = b"") -> dict[str, Any] | None:
        if self._begun is None and not self._opening and data and only_opens(value):
            self._opening = data
            return value
        texts = self._assembly.add(value)
        if self._hide_usage and not value.get("choices") and value.get("usage"):
            return None
        return value if texts is None else ChunkWithTexts(value, texts)

    def growing(self, value: dict[str, Any]) -> tuple[str, list[Any]] | None:
        if type(value) is ChunkWithTexts or self._begun is None:
            return None
        found = self._assembly.growing(value)
        return found if found is not None and is_flat(value) else None

    def has_part(self, value: dict[str, Any]) -> bool:
        return bool(value.get("choices"))

    @property
    def empty(self) -> bool:
        return self._assembly.empty

    @property
    def finished(self) -> bool:
        return self._assembly.finished

    @property
    def complete(self) -> bool:
        if self._begun is None:
            return False
        return self._begun.finished and self._begun.begun >= self._n

    @property
    def expects_more(self) -> bool:
        return self._include_usage and not self._assembly.has_usage

    @property
    def failed(self) -> bool:
        return self._begun is not None and self._begun.failed

    @property
    def progress(self) -> str:
        begun = f": {self._assembly.begun} of {self._n} choices have begun"
        return begun if self._n > 1 else ""

    @property
    def total_tokens(self) -> int | None:
        return self._assembly.total_tokens

    @property
    def usage(self) -> CompletionUsage:
        so_far = self.partial()
        if so_far.usage is not None and is_usage(so_far.usage._raw):
            return so_far.usage
        from .usage_estimate import estimated_usage  # few programs need it

        return estimated_usage(self._prompt_size, so_far)

    def partial(self) -> ChatCompletion:
        return structurer(ChatCompletion)(self._assembly.completion())


class ChatCompletionStream(AsyncStream[ChatCompletionChunk]):
    """A streamed chat completion: an async iterator over its chunks.

    Args:
        prompt_size: the bytes of text in the request, for an estimate of its tokens.
        n: how many choices were requested.
        include_usage: the caller asked for the usage.
        hide_usage: only we did, so an event with nothing else is not delivered.
    """

    _path = "/chat/completions"

    def __init__(
        self,
        connect: Connect,
        *,
        prompt_size: int = 0,
        n: int = 1,
        include_usage: bool = False,
        hide_usage: bool = False,
    ) -> None:
        super().__init__(connect)
        self._prompt_size = prompt_size
        self._n = n
        self._include_usage = include_usage
        self._hide_usage = hide_usage
        self._structurer = structurer(ChatCompletionChunk)
        self._passed: list[Received] = []
        self._tags: dict[ThinkTagsOption, ThinkTags] = {}

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return Reader(self, self._structure)

    def text(self, *, think_tags: ThinkTagsOption = False) -> AsyncIterator[str]:
        """Only the text of choice 0, piece by piece: `async for text in stream.text()`.

        Args:
            think_tags: leave out a block `<think>...</think>` at the beginning. `"opened"` if the
                prompt ends with `<think>`, so that the text begins inside the block; then a text
                without `</think>` is nothing but reasoning.
        """
        if think_tags:
            return AnswerReader(self, self._tags_for(think_tags))
        return Reader(self, text_of)

    def reasoning(self, *, think_tags: ThinkTagsOption = False) -> AsyncIterator[str]:
        """Only the reasoning of choice 0, piece by piece, whatever the vendor calls it.

        It reads the whole stream, and keeps the chunks with text for the next loop, such as one
        over `text()`. To show both as they arrive, read `chunk.reasoning` and `chunk.text` of each
        chunk.

        Args:
            think_tags: what `text(think_tags=...)` leaves out counts as reasoning too.
        """
        return ReasoningReader(self, self._tags_for(think_tags) if think_tags else None)

    async def completion(self) -> ChatCompletion:
        """The whole answer, assembled from all chunks; reads the rest of the stream.

        It has content, refusal, tool calls, logprobs, audio, all `n` choices, usage (if the server
        reports it), and the fields that vendors add.
        """
        with suppress(StopAsyncIteration):
            while True:
                self._ready.clear()
                await self._more()
        completion = self.partial
        if (lost := completion._unreadable()) is not None:
            raise self._fail(unreadable(lost, self._secret))
        return completion

    @property
    def partial(self) -> ChatCompletion:
        """The answer so far, at any time; reads nothing."""
        self._take_pending()
        answer = self._new_answer() if self._answer is None else self._answer
        completion = answer.partial()
        assert completion is not None
        if self._meta is not None:
            completion.meta = self._meta
        return completion

    @property
    def usage(self) -> CompletionUsage | None:
        """The tokens used so far, at any time; `None` before the stream is open.

        These are the server's numbers if it has reported them, as nearly all do at the end.
        Otherwise, as in a stream that is left early, they are an estimate: `usage.estimated`.
        """
        self._take_pending()
        return None if self._answer is None else self._answer.usage

    def _tags_for(self, option: ThinkTagsOption) -> ThinkTags:
        """The same for all readers, so that the next one continues where the last one stopped."""
        return self._tags.setdefault(option, tags_for(option))

    def _put_back(self) -> None:
        self._ready += reversed(self._passed)
        self._passed.clear()

    def _pause(self) -> None:
        self._put_back()
        super()._pause()

    def _new_answer(self) -> Answer:
        return ChatAnswer(self._n, self._include_usage, self._hide_usage, self._prompt_size)

    def _kind(self, value: Received) -> type[ChatCompletionChunk]:
        return ChatCompletionChunk

    def _structure(self, value: Received) -> ChatCompletionChunk:
        if type(value) is tuple:
            template = value[0]
            make = template.made
            if make is None:
                make = template.made = chunk_maker(template.event(), template.field, len(value) > 2)
            return make(value)  # type: ignore[no-any-return]
        if type(value) is not ChunkWithTexts:
            return self._structurer(value)
        chunk = self._structurer(dict(value))
        chunk._added = value.texts
        return chunk
