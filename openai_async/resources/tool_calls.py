"""Calling the functions that a model asks for: each in a task, none outliving the run.

What goes wrong with a call becomes a text for the model. It has the exception's type, but neither
its message nor its traceback, which may quote a path, a query or a key.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, TypeGuard, TypeVar

from attrs import frozen

from ..errors import APIResponseValidationError, InvalidArgumentError, OpenAIError
from ..structured.answers import Tools
from ..structured.results import result_text
from ..structured.tools import Tool
from ..types.chat_tool_calls import ChatCompletionMessageToolCall
from ..types.parsed_chats import ParsedFunctionToolCall, ParsedToolCall
from ..types.tool_steps import OnToolError, ToolResultStep
from ..wire.redaction import redacted
from .tool_threads import in_own_thread

R = TypeVar("R")

log = logging.getLogger("openai_async")


@frozen
class Caller:
    """How the calls of a run are answered."""

    tools: Tools
    timeout: float | None
    on_error: OnToolError | None

    def is_ours(self, call: ParsedToolCall) -> TypeGuard[ParsedFunctionToolCall]:
        """Whether we answer a call: not if it is of a custom tool, or one given as a dict."""
        if not isinstance(call, ParsedFunctionToolCall):
            return False
        name = call.function.name
        return name not in self.tools or isinstance(self.tools[name], Tool)

    async def answer(
        self,
        call: ParsedFunctionToolCall,
        misfit: APIResponseValidationError | None,
        secret: str | None,
    ) -> ToolResultStep:
        """Call the function. Only what `on_error` raises is raised, and cancellation.

        Args:
            misfit: what is wrong with the arguments.
            secret: the keys that were sent, which the model may repeat as the name of a tool.
        """
        name = call.function.name
        tool = self.tools.get(name)
        if not isinstance(tool, Tool):
            unknown = redacted(name, secret)
            text = f"There is no tool {unknown!r}. Available tools: {', '.join(self.tools)}."
            return await self._failed(call, LookupError(text), text, raised=False)
        if misfit is not None:
            return await self._failed(call, misfit, misfit.message, raised=False)
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                value = await _called(tool, call.parsed_arguments)
            content = result_text(value)
        except (Exception, BaseExceptionGroup) as error:
            _check_group(error)
            text = f"The tool {name} failed: {type(error).__name__}."
            if isinstance(error, TimeoutError | BaseExceptionGroup) and limit.expired():
                text = f"The tool {name} did not finish within {self.timeout:g} s."
            return await self._failed(call, error, text)
        return ToolResultStep(call=call, content=content, value=value)

    async def cancelled(
        self, call: ParsedFunctionToolCall, error: asyncio.CancelledError
    ) -> ToolResultStep:
        """The result of a call that was cancelled, but not by the run."""
        text = f"The tool {call.function.name} failed: {type(error).__name__}."
        return await self._failed(call, error, text)

    async def _failed(
        self,
        call: ParsedFunctionToolCall,
        error: BaseException,
        text: str,
        *,
        raised: bool = True,
    ) -> ToolResultStep:
        """The result of a failed call. `raised` says whether the error has a traceback worth
        logging: a mistake of the model leads only through our own code.
        """
        if not isinstance(error, Exception):  # hooks expect one
            cause, error = error, OpenAIError(f"The tool ended with {type(error).__name__}.")
            error.__cause__ = cause
        if self.on_error is None:
            log.warning("A tool call failed. %s", text, exc_info=error if raised else None)
        else:
            told = self.on_error(call, error)
            if inspect.isawaitable(told):
                told = await told
            if told is not None:
                text = _as_text(told)
        return ToolResultStep(call=call, content=text, error=error)


def _as_text(told: object) -> str:
    """What `on_error` returned, as the result of a tool is sent."""
    try:
        return result_text(told)
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(told).__name__
        msg = (
            f"on_tool_error returned {kind}, which cannot be written as JSON: return text or None."
        )
        raise InvalidArgumentError(msg) from error


async def _called(tool: Tool[..., Any], arguments: dict[str, Any]) -> Any:
    if tool.is_async:
        value = tool(**arguments)
    else:
        value = await in_own_thread(partial(tool, **arguments))
    return await value if inspect.isawaitable(value) else value


def _check_group(error: BaseException) -> None:
    """Raise what ends more than the call, out of a group of exceptions."""
    if isinstance(error, Exception) or not isinstance(error, BaseExceptionGroup):
        return
    ends: BaseException | None = error.subgroup((KeyboardInterrupt, SystemExit))
    while isinstance(ends, BaseExceptionGroup):
        ends = ends.exceptions[0]
    if ends is not None:
        raise ends
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def tell_apart(calls: Sequence[ChatCompletionMessageToolCall], prefix: str) -> None:
    """Give calls an id of their own, which some servers leave out, or repeat."""
    sent, seen = {call.id for call in calls}, set[str]()
    free = (made for n in count() if (made := f"{prefix}_{n}") not in sent)
    for call in calls:
        if not call.id or call.id in seen:
            call.id = next(free)
        seen.add(call.id)


class Running:
    """What a run is waiting for: the calls, or a request that is not streamed."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    def start(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended.put_nowait)
        return task

    def __len__(self) -> int:
        return len(self._running)

    async def ended(self) -> asyncio.Task[Any]:
        """The next task that has ended."""
        task = await self._ended.get()
        self._running.discard(task)
        return task

    def cancel(self) -> None:
        """Cancel what is running, without waiting. May be called from any thread.

        Each task is cancelled once: a second time would interrupt its cleanup.
        """
        for task in self._running - self._cancelled:
            self._cancelled.add(task)
            loop = task.get_loop()
            if asyncio._get_running_loop() is loop:
                task.cancel()
            else:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(task.cancel)

    async def stop(self) -> None:
        """Cancel what is running and wait until it has ended, even if cancelled meanwhile.

        A thread cannot be cancelled: its function goes on, but nothing waits for it.
        """
        self.cancel()
        cancelled: asyncio.CancelledError | None = None
        while running := [task for task in self._running if not task.done()]:
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError as error:
                cancelled = error
        self._running.clear()
        self._cancelled.clear()
        if cancelled is not None:
            raise cancelled
