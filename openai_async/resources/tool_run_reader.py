"""How a run of tools is read: the iterator of one `async for` over its steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from ..errors import OpenAIError
from ..streaming.answer import Received
from ..streaming.chat import ChatCompletionStream
from ..streaming.chat_readers import text_of
from ..streaming.reader import Reader
from ..types.tool_steps import ContentDeltaStep, ToolStep

T = TypeVar("T")
P = TypeVar("P")
Read: TypeAlias = Callable[[ChatCompletionStream], AsyncIterator[P]]
"""Reads the pieces of one answer."""


class Run(Protocol[T]):
    """What a reader needs from a run."""

    def _begin(self, read: Read[P]) -> AsyncGenerator[P | ToolStep[T], None]:
        """The steps of the run; raises an error if it has begun before."""
        ...

    def _check_open(self) -> None:
        """Raise an error if the run was left."""

    def _leave(self) -> None:
        """Hang up and cancel the calls, without waiting."""


def texts(stream: ChatCompletionStream) -> AsyncIterator[ContentDeltaStep]:
    return Reader(stream, _text_step)


def _text_step(chunk: Received) -> ContentDeltaStep | None:
    text = text_of(chunk)
    return None if text is None else ContentDeltaStep(delta=text)


class Steps(Generic[T]):
    """The iterator of one `async for`; see `streaming.reader.Reader`."""

    def __init__(self, run: Run[T]) -> None:
        self._run = run
        self._steps: AsyncGenerator[ToolStep[T], None] | None = None
        self._waiting = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ToolStep[T]:
        if self._steps is None:
            self._steps = self._run._begin(texts)
        else:
            self._run._check_open()
        if self._waiting:
            msg = "Another task is waiting for the next step of this run: iterate in one task."
            raise OpenAIError(msg)
        self._waiting = True
        try:
            return await anext(self._steps)
        finally:
            self._waiting = False

    def __del__(self) -> None:
        if self._steps is not None:  # if not, another `async for` may be reading the run
            self._run._leave()
