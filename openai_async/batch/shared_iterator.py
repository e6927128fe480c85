"""An async iterable whose values several tasks take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")

END = object()
"""In place of a value, once the source is exhausted."""


class SharedAsyncIterator(Generic[T]):
    """Gives each value of an async iterable to one of the tasks that wait for one.

    A task of its own iterates it, and only while another waits. It gives out all values that are
    ready in one iteration of the loop; with a lock in its place it would be one per iteration, for
    twice the CPU time.
    """

    def __init__(self, source: AsyncIterable[T]) -> None:
        self._source = aiter(source)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._feeder: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._ended = False

    async def next(self) -> T | object:
        """The next value, or `END`. An exception of the source is raised in one of the tasks."""
        if self._ended:
            return END
        if self._feeder is None:
            self._feeder = self._loop.create_task(self._feed())
        value: asyncio.Future[T | object] = self._loop.create_future()
        self._waiting.append(value)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return await value

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
                value = await anext(self._source, END)
                if value is END:
                    break
                while self._waiting and (taker := self._waiting.popleft()).done():
                    pass  # its task was cancelled
                if not taker.done():
                    taker.set_result(value)
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
