"""Runs several requests at a time, and raises the first failure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def run_all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them concurrently. The first failure cancels the others, and is raised as it is.

    Not a `TaskGroup`: if it is cancelled in the same iteration of the event loop in which a task
    fails, it raises the failure and swallows the cancellation (Python 3.11).
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
