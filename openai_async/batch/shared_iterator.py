"""An async iterable whose values several tasks take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")

END = object()
"""In place of a value, once the source is exhausted."""
NOT_YET = object()
"""In place of a value that has to be waited for."""


class SharedAsyncIterator(Generic[T]):
    """Gives each value of an async iterable to one of the tasks that wait for one.

    A separate task iterates the source, and only while another task waits for a value. It hands out
    all values that are ready in one iteration of the event loop. With a lock instead, there would
    be one value per iteration, at twice the CPU time.

    Args:
        source: values, or lists of them if `in_blocks`.
    """

    def __init__(
        self, source: AsyncIterable[T] | AsyncIterable[Sequence[T]], *, in_blocks: bool = False
    ) -> None:
        self._source: Any = aiter(source)
        self._in_blocks = in_blocks
        self._ready: deque[T] = deque()  # the rest of the last block
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._feeder: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._ended = False

    def next_nowait(self) -> T | object:
        """The next value, `END`, or `NOT_YET`."""
        if self._ended:
            return END
        return self._ready.popleft() if self._ready else NOT_YET

    async def next(self) -> T | object:
        """The next value, or `END`. An exception of the source is raised in one of the tasks."""
        value = self.next_nowait()
        if value is not NOT_YET:
            return value
        if self._feeder is None:
            self._feeder = self._loop.create_task(self._feed())
        turn: asyncio.Future[T | object] = self._loop.create_future()
        self._waiting.append(turn)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return await turn

    def end(self) -> None:
        """Take no more values, beyond the one that may be on its way."""
        self._ended = True

    def cancel(self) -> None:
        """Take no more values, and do not wait for one that is on its way."""
        self._ended = True
        for task in self.tasks:
            task.cancel()

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """The task that iterates the source, if there is one."""
        return () if self._feeder is None else (self._feeder,)

    async def close(self) -> None:
        """Close the source, once the task has ended."""
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()

    async def _feed(self) -> None:
        try:
            while not self._ended:
                while not self._waiting:
                    self._wake = self._loop.create_future()
                    await self._wake
                value: Any = await anext(self._source, END)
                if value is END:
                    break
                self._ready.extend(value if self._in_blocks else (value,))
                while self._ready and self._waiting:
                    turn = self._waiting.popleft()
                    if not turn.done():  # if done, its task has been cancelled
                        turn.set_result(self._ready.popleft())
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and self._ended:
                raise  # by `cancel`, not by the source itself
            takers = [taker for taker in self._waiting if not taker.done()]
            if not takers:
                raise
            takers[0].set_exception(error)
        finally:
            self._ended = True
            for taker in self._waiting:
                if not taker.done():
                    taker.set_result(END)
