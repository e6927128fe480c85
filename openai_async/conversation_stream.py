"""The text of a turn of a conversation, read while it is written.

However the reading ends, the turn is over: kept in the history at its end, left before that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .errors import OpenAIError
from .images.reading import ImageSource
from .resources.relayed_run import RelayedRun
from .resources.tool_run_reader import Read
from .resources.tool_runs import ToolRun
from .streaming.chat import ChatCompletionStream
from .turns import Turn
from .types.chat_completion import ChatCompletion

if TYPE_CHECKING:
    from .types.chat_chunk import ChatCompletionChunk
    from .types.chat_common import CompletionUsage
    from .types.tool_steps import ToolStep

P = TypeVar("P")

__all__ = ("ConversationStream",)


def _texts(stream: ChatCompletionStream) -> AsyncIterator[str]:
    return stream.text()


class Talk(Protocol):
    """What the stream needs from its conversation."""

    def _begin(self) -> Turn: ...

    async def _open(
        self,
        turn: Turn,
        read: Read[P],
        text: str,
        images: Iterable[ImageSource],
        params: Mapping[str, Any],
    ) -> AsyncIterator[P | ToolStep[None]]: ...

    def _check(self, turn: Turn) -> None: ...

    def _keep(self, turn: Turn, completion: ChatCompletion) -> None: ...

    def _end(self, turn: Turn) -> None: ...


class ConversationStream(RelayedRun):
    """The text of a turn, as it is written; see `Conversation.stream`.

    It is read once, by a loop or by `await anext(...)`. Leaving the loop, `async with` or
    `aclose()` hangs up; leaving the loop does not wait until tools that are running have ended.
    """

    _what = "turn"

    def __init__(
        self,
        conversation: Talk,
        text: str,
        images: Iterable[ImageSource],
        params: Mapping[str, Any],
    ) -> None:
        self._conversation = conversation
        self._asked = (text, images, params)
        self._turn: Turn | None = None
        self._steps: AsyncIterator[Any] | None = None
        self._reading = False

    def __aiter__(self) -> AsyncIterator[str]:
        return _Loop(self)

    async def __anext__(self) -> str:
        if self._reading:
            msg = "Another task is reading this turn: give each turn one reader."
            raise OpenAIError(msg)
        if self._turn is not None and self._turn.kept:
            raise StopAsyncIteration
        self._reading = True
        try:
            while (step := await self._next(_texts)) is not None:
                if isinstance(step, str):
                    return step
        except BaseException:
            self._leave()
            raise
        finally:
            self._reading = False
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the turn, and wait until the tools that are running have ended."""
        self._leave()
        if self._turn is not None and isinstance(self._turn.answer, ToolRun):
            await self._turn.answer.aclose()

    def __del__(self) -> None:
        self._leave()

    def _has_begun(self) -> bool:
        return self._turn is not None

    def _all_steps(self) -> AsyncGenerator[ChatCompletionChunk | ToolStep[None], None]:
        self._check_relayable()
        self._turn = self._conversation._begin()
        self._reading = True  # also between two pieces, of which nobody else may take one
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[ChatCompletionChunk | ToolStep[None], None]:
        try:
            while (piece := await self._next(aiter)) is not None:
                yield piece
        finally:
            self._reading = False

    def _usage(self) -> CompletionUsage | None:
        answer = None if self._turn is None else self._turn.answer
        if isinstance(answer, ToolRun):
            return answer._usage()
        return None if answer is None else answer.usage

    async def _next(self, read: Read[P]) -> P | ToolStep[None] | None:
        """The next step; `None` at the end, when the turn has become history."""
        conversation = self._conversation
        if self._turn is None:
            self._turn = conversation._begin()
        turn = self._turn
        conversation._check(turn)
        if self._steps is None:
            self._steps = await conversation._open(turn, read, *self._asked)
        async for step in self._steps:
            conversation._check(turn)
            return step  # type: ignore[no-any-return]
        if isinstance(turn.answer, ChatCompletionStream):
            completion = await turn.answer.completion()
        else:
            assert turn.answer is not None
            completion = turn.answer.completions[-1]
        conversation._keep(turn, completion)
        conversation._end(turn)
        return None

    def _leave(self) -> None:
        if self._turn is not None:
            self._conversation._end(self._turn)


class _Loop:
    """The iterator of one `async for`: it leaves the turn when the loop drops it."""

    def __init__(self, stream: ConversationStream) -> None:
        self._stream = stream
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        text = await anext(self._stream)
        self._begun = True
        return text

    def __del__(self) -> None:
        if self._begun:  # if not, another loop may be running
            self._stream._leave()
