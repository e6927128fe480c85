"""Running in a task: what asyncio's timeouts, ours and aiohttp's, need to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..errors import OpenAIError

T = TypeVar("T")


def running() -> tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]:
    """The running loop and task; raises an error if no event loop is running."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        msg = (
            "No asyncio event loop is running here: openai_async works with asyncio only, "
            "not with trio. Call it from asyncio.run(...)."
        )
        raise OpenAIError(msg) from error
    return loop, asyncio.current_task(loop)


async def in_its_own_task(work: Coroutine[Any, Any, T]) -> T:
    """Await in a new task, for callers outside of any, as in some patched event loops."""
    task = asyncio.create_task(work)
    try:
        return await task
    except BaseException:  # also GeneratorExit: the caller's coroutine was closed
        task.cancel()
        raise
