"""A chat completion as it is written: its chunks, only its text, or all of it at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from .assembly import Assembly
from .reader import Reader
from .request import Response
from .stream import AsyncStream, Connect
from .structuring import structurer
from .types.chat import ChatCompletion, ChatCompletionChunk


class ChatCompletionStream(AsyncStream[ChatCompletionChunk]):
    """A chat completion as it is written.

    Done is `[DONE]`, or the end of the bytes when every choice has its `finish_reason`, since some
    servers send no `[DONE]`. A connection that breaks before the usage has come, where it was asked
    for, is an interruption all the same.
    """

    def __init__(self, connect: Connect, *, n: int = 1, include_usage: bool = False) -> None:
        super().__init__(connect)
        self._n = n
        self._include_usage = include_usage
        self._assembly = Assembly(n)

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        # All chunks are of one kind: nothing stands between the reader and what makes them.
        return Reader(self, structurer(ChatCompletionChunk))

    def text(self) -> AsyncIterator[str]:
        """Only the text of choice 0, piece by piece: `async for text in stream.text()`."""
        return Reader(self, _text_of)

    async def completion(self) -> ChatCompletion:
        """The whole answer, put together from all chunks; reads what has not been read yet.

        Content, refusal, tool calls, logprobs, all `n` choices, usage (if it was asked for with
        `stream_options={"include_usage": True}`), and the fields of vendors.
        """
        with suppress(StopAsyncIteration):
            while True:
                self._ready.clear()
                await self._more()
        return self._assembled()

    def _kind(self, value: dict[str, Any]) -> type[ChatCompletionChunk]:
        return ChatCompletionChunk

    def _taken(self, value: dict[str, Any]) -> None:
        self._assembly.add(value)

    async def _begin(self, response: Response) -> None:
        self._assembly = Assembly(self._n)
        await super()._begin(response)

    @property
    def _finished(self) -> bool:
        return self._assembly.finished

    @property
    def _expects_more(self) -> bool:
        return self._include_usage and not self._assembly.has_usage

    def _total_tokens(self) -> int | None:
        return self._assembly.total_tokens

    def _assembled(self) -> ChatCompletion:
        completion = structurer(ChatCompletion)(self._assembly.completion())
        completion.meta = self.meta
        return completion

    def _partial(self) -> ChatCompletion | None:
        return self._assembled()


def _text_of(chunk: dict[str, Any]) -> str | None:
    """The text a chunk adds to choice 0; `None` if none. Reads the JSON, makes no objects."""
    choices = chunk.get("choices")
    if not choices or not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            delta = choice.get("delta")
            content = delta.get("content") if isinstance(delta, dict) else None
            if content and isinstance(content, str):
                return content
    return None
