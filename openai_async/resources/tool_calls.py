"""Calling the functions that a model asks for: each in a task, none outliving the run.

What goes wrong with a call becomes a text for the model. It has the exception's type, but neither
its message nor its traceback, which may quote a path, a query or a key.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from attrs import frozen

from ..errors import APIResponseValidationError
from ..structured.answers import Tools
from ..structured.results import result_text
from ..structured.tools import Tool
from ..types.parsed_chats import ParsedFunctionToolCall
from ..types.tool_steps import OnToolError, ToolResultStep

log = logging.getLogger("openai_async")


@frozen
class Caller:
    """How the calls of a run are answered."""

    tools: Tools
    timeout: float | None
    on_error: OnToolError | None

    def is_ours(self, call: object) -> bool:
        """Whether we answer a call: not if it is of a custom tool, or one given as a dict."""
        if not isinstance(call, ParsedFunctionToolCall):
            return False
        name = call.function.name
        return name not in self.tools or isinstance(self.tools[name], Tool)

    async def answer(
        self, call: ParsedFunctionToolCall, misfit: APIResponseValidationError | None
    ) -> ToolResultStep:
        """Call the function. Only what `on_error` raises is raised, and cancellation.

        Args:
            misfit: what is wrong with the arguments.
        """
        name = call.function.name
        tool = self.tools.get(name)
        if not isinstance(tool, Tool):
            text = f"There is no tool {name!r}. Available tools: {', '.join(self.tools)}."
            return await self._failed(call, LookupError(text), text)
        if misfit is not None:
            return await self._failed(call, misfit, misfit.message)
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                value = await _called(tool, call.parsed_arguments)
            content = result_text(value)
        except Exception as error:
            text = f"The tool {name} failed: {type(error).__name__}."
            if isinstance(error, TimeoutError) and limit.expired():
                text = f"The tool {name} did not finish within {self.timeout:g} s."
            return await self._failed(call, error, text)
        return ToolResultStep(call=call, content=content, value=value)

    async def _failed(
        self, call: ParsedFunctionToolCall, error: Exception, text: str
    ) -> ToolResultStep:
        if self.on_error is None:
            log.warning("A tool call failed. %s", text, exc_info=error)
        else:
            told = self.on_error(call, error)
            if inspect.isawaitable(told):
                told = await told
            if told is not None:
                text = told
        return ToolResultStep(call=call, content=text, error=error)


async def _called(tool: Tool[..., Any], arguments: dict[str, Any]) -> Any:
    if tool.is_async:
        value = tool(**arguments)
    else:
        value = await asyncio.to_thread(_called_in_thread, tool, arguments)
    return await value if inspect.isawaitable(value) else value


def _called_in_thread(tool: Tool[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return tool(**arguments)
    except StopIteration as error:  # which a future cannot hold: it would never be done
        msg = "the tool raised StopIteration"
        raise RuntimeError(msg) from error


class Running:
    """What a run is waiting for: the calls, or a request that is not streamed."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended.put_nowait)

    def __len__(self) -> int:
        return len(self._running)

    async def ended(self) -> asyncio.Task[Any]:
        """The next task that has ended."""
        task = await self._ended.get()
        self._running.discard(task)
        return task

    def cancel(self) -> None:
        """Cancel what is running, without waiting. May be called from any thread."""
        for task in self._running:
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
        if cancelled is not None:
            raise cancelled
