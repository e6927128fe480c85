"""The relay of a run of tools: several answers, and between them the calls that the app answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

from ..errors import InvalidArgumentError
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_common import CompletionUsage
from ..types.tool_steps import ToolCallStep, ToolResultStep, ToolStep
from .forms import page_form_of
from .page_form import PageForm
from .relay import Copy, Pipe, Relay

Piece: TypeAlias = ChatCompletionChunk | ToolStep[Any]


class Run(Protocol):
    """What a relay needs from a run: entering it does nothing, and leaving it stops it."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(self, *exc: object) -> None: ...

    def _pieces(self) -> AsyncGenerator[Piece, None]:
        """The chunks of each answer, then the steps of its calls."""
        ...

    def _usage(self) -> CompletionUsage | None:
        """The tokens of all answers."""


def relay_run(run: Run, form: str, keep_alive: float | None) -> Relay:
    """The relay of a run, in a form.

    Raises:
        InvalidArgumentError: the form has no events for the results of tools.
    """
    if form not in ("text", "ui"):
        msg = f'form={form!r} has no events for tools: pass form="text" or form="ui".'
        raise InvalidArgumentError(msg)
    made = page_form_of(form)
    return Relay(_copy(run, made), failed=made.error, headers=made.headers, keep_alive=keep_alive)


def _copy(run: Run, form: PageForm) -> Copy:
    async def copy(pipe: Pipe) -> None:
        async with run, aclosing(run._pieces()) as pieces:
            async for piece in pieces:
                pipe.open()
                if data := _events(form, piece):
                    await pipe.put(data)
            await pipe.put(form.end(run._usage()))

    return copy


def _events(form: PageForm, piece: Piece) -> bytes:
    if isinstance(piece, ChatCompletionChunk):
        return form.chunk(piece)
    if isinstance(piece, ToolCallStep):
        return form.called(piece.index, piece.call.id)
    if isinstance(piece, ToolResultStep):
        return form.result(piece)
    return b""
