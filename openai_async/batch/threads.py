"""Blocking work in a thread, which has ended before anything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


async def run_in_thread_uncancelled(work: Callable[[], object]) -> None:
    """Run blocking work in a thread; a cancellation is only raised once the work is done.

    Otherwise the thread would go on using files that the cancelled run is closing.
    """
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    finally:
        while not task.done():
            with suppress(asyncio.CancelledError):  # the first one is raised when the work is done
                await asyncio.wait([task])
        task.exception()  # retrieved, in case a cancellation is raised instead
