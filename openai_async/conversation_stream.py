"""The text of a turn of a conversation, read while it is written.

However the reading ends, the turn is over: kept in the history at its end, left before that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from .errors import OpenAIError
from .images.reading import ImageSource
from .resources.tool_runs import ToolRun
from .streaming.chat import ChatCompletionStream
from .turns import Turn
from .types.chat_completion import ChatCompletion

if TYPE_CHECKING:
    from .types.tool_steps import ToolStep

__all__ = ("ConversationStream",)


class Talk(Protocol):
    """What the stream needs from its conversation."""

    def _begin(self) -> Turn: ...

    async def _open(
        self, turn: Turn, text: str, images: Iterable[ImageSource], params: Mapping[str, Any]
    ) -> AsyncIterator[str | ToolStep[None]]: ...

    def _check(self, turn: Turn) -> None: ...

    def _keep(self, turn: Turn, completion: ChatCompletion) -> None: ...

    def _end(self, turn: Turn) -> None: ...


class ConversationStream:
    """The text of a turn, as it is written; see `Conversation.stream`.

    It is read once, by a loop or by `await anext(...)`. Leaving the loop, `async with` or
    `aclose()` hangs up; leaving the loop does not wait until tools that are running have ended.
    """

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
        self._steps: AsyncIterator[str | ToolStep[None]] | None = None
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
            if (text := await self._next()) is not None:
                return text
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

    async def _next(self) -> str | None:
        """The next piece of text; `None` at the end, when the turn has become history."""
        conversation = self._conversation
        if self._turn is None:
            self._turn = conversation._begin()
        turn = self._turn
        conversation._check(turn)
        if self._steps is None:
            self._steps = await conversation._open(turn, *self._asked)
        async for step in self._steps:
            conversation._check(turn)
            if isinstance(step, str):
                return step
            if step.type == "content.delta":
                return step.delta
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
