"""Time that only passes when nothing else can happen: for tests of timeouts, waits and pacing.

The loop's clock stands still while a callback is ready or a socket has something to say. When all
that is left is to wait for a timer, the clock jumps to it. So a test of a limit of 600 seconds
takes none, and the load of the machine does not matter: a call that ends after 0.3 s does so
exactly. A test that hangs fails at once, as long as it has some timeout.

It is for tests whose servers run in the same loop. What comes from outside (another process, a
thread not started with `run_in_executor`) would be overtaken by the clock.

    pytestmark = pytest.mark.virtual_time
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

# Bytes written to a loopback socket can be read at its other end at once; this many seconds are for
# a kernel that is busy. Each jump of the clock costs as much real time.
GRACE = 0.002


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Selector(selectors.DefaultSelector):
    """Asks the loop what to do where it would wait for a timer."""

    patient: Callable[[], bool]
    """Whether something is under way that no socket tells of yet."""
    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(GRACE)
        if not ready and not self.patient():
            self.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual; sockets, tasks and threads are as ever."""

    def __init__(self) -> None:
        self._now = 0.0
        self._in_threads = 0
        selector = _Selector()
        selector.patient = lambda: self._in_threads > 0
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As ever; and the clock stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As ever; and the clock stands still: Python 3.12 and newer give up after 300 seconds."""
        self._in_threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._in_threads -= 1

    def _thread_is_done(self, _: object) -> None:
        self._in_threads -= 1


def virtual_monotonic() -> float:
    """`time.monotonic` for code that reads it within a virtual loop, and anywhere else."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.monotonic()
    return loop.time() if isinstance(loop, VirtualTimeLoop) else time.monotonic()
