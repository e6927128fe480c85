"""For the micro-benchmarks: a loop to run coroutines on.

It lies here and not beside them so that pytest also finds the modules that lie here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

Repeat = Callable[[Callable[[], Awaitable[object]]], Callable[[], None]]
TIMES = 100


@pytest.fixture
def repeat() -> Iterator[Repeat]:
    """Makes of an async function a plain one that awaits it 100 times: one alone would cost less
    than what it takes to enter the loop and to leave it.
    """
    with asyncio.Runner() as runner:

        def plain(call: Callable[[], Awaitable[object]]) -> Callable[[], None]:
            async def many() -> None:
                for _ in range(TIMES):
                    await call()

            return lambda: runner.run(many())

        yield plain
