"""What a `Broadcast` takes: one answer, or a run of tools with several; read piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeAlias

from .. import ChatCompletionStream, ConversationStream, ToolRun
from ..errors import InvalidArgumentError
from ..relay.page_form import Piece
from ..relay.steps import pieces_of
from ..types.chat import CompletionUsage

Answers: TypeAlias = ChatCompletionStream | ToolRun[Any] | ConversationStream


def check_answers(stream: object) -> None:
    """
    Raises:
        InvalidArgumentError: it is something else, or has been read.
        OpenAIError: it was closed.
    """
    if not isinstance(stream, ChatCompletionStream | ToolRun | ConversationStream):
        msg = (
            f"stream has type {type(stream).__name__}: pass what chat.completions.create(..., "
            "stream=True), run_tools or Conversation.stream returns."
        )
        raise InvalidArgumentError(msg)
    stream._check_relayable()


def pieces(stream: Answers) -> AsyncGenerator[Piece, None]:
    """Reads it; closing the generator hangs up."""
    return _chunks(stream) if isinstance(stream, ChatCompletionStream) else pieces_of(stream)


def usage_of(stream: Answers) -> CompletionUsage | None:
    """The tokens used for it."""
    return stream.usage if isinstance(stream, ChatCompletionStream) else stream._usage()


def has_tools(stream: Answers) -> bool:
    """Whether there may be several answers, with the results of tools between them."""
    return not isinstance(stream, ChatCompletionStream)


def choices(stream: Answers) -> int:
    """How many choices were requested."""
    return stream._n if isinstance(stream, ChatCompletionStream) else 1


async def _chunks(stream: ChatCompletionStream) -> AsyncGenerator[Piece, None]:
    async with stream:
        async for chunk in stream:
            yield chunk
