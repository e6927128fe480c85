"""The relay of a run of tools: several answers, and between them the calls that the app runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from ..errors import InvalidArgumentError
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_common import CompletionUsage
from ..types.think_tags import ThinkTagsOption
from ..types.tool_steps import ToolCallStep, ToolResultStep, ToolStep
from .forms import page_form_of
from .page_form import Called, PageForm, Piece, Result
from .relay import Copy, Pipe, Relay


class Run(Protocol):
    """What a relay needs from a run: entering it does nothing, and leaving it stops it."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(self, *exc: object) -> None: ...

    def _all_steps(self) -> AsyncGenerator[ChatCompletionChunk | ToolStep[Any], None]:
        """The chunks of each answer, then the steps of its calls; raises an error if something else
        reads the run.
        """
        ...

    def _usage(self) -> CompletionUsage | None:
        """The tokens of all answers."""


def relay_run(run: Run, form: str, keep_alive: float | None, think_tags: ThinkTagsOption) -> Relay:
    """The relay of a run, in a form.

    Raises:
        InvalidArgumentError: the form has no events for tools.
    """
    if form not in ("text", "ui"):
        raise no_tools(form)
    made = page_form_of(form, think_tags=think_tags)
    return Relay(_copy(run, made), failed=made.error, headers=made.headers, keep_alive=keep_alive)


def no_tools(form: object) -> InvalidArgumentError:
    """The exception for a form that has no events for tools."""
    msg = f'form={form!r} has no events for tools: pass form="text" or form="ui".'
    return InvalidArgumentError(msg)


async def pieces_of(run: Run) -> AsyncGenerator[Piece, None]:
    """What a browser may see of a run; closing it stops the run."""
    steps = run._all_steps()  # not within `async with`, which would stop the run for its reader
    async with run, aclosing(steps):
        async for step in steps:
            if (piece := _piece_of(step)) is not None:
                yield piece


def _piece_of(step: ChatCompletionChunk | ToolStep[Any]) -> Piece | None:
    if isinstance(step, ChatCompletionChunk):
        return step
    if isinstance(step, ToolCallStep):
        return Called(step.index, step.call.id)
    if isinstance(step, ToolResultStep):
        is_text = isinstance(step.value, str | None)
        return Result(step.call.id, step.content, is_text, step.error is not None)
    return None


def _copy(run: Run, form: PageForm) -> Copy:
    async def copy(pipe: Pipe) -> None:
        async with aclosing(pieces_of(run)) as pieces:
            async for piece in pieces:
                pipe.open()
                if data := form.piece(piece):
                    await pipe.put(data)
            pipe.open()  # an answer may have no chunks
            await pipe.put(form.end(run._usage()))

    return copy
