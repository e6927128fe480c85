"""The workers of one run, and the buffer between them and the consumer.

A worker takes a request from the source, sends it, passes on the result, and takes the next one.
There is backpressure: a request is only taken if there is room for its result, so neither an
endless source nor a slow consumer fills the memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..client import AsyncClient
from ..errors import InvalidArgumentError
from .graceful_stop import NotSentError
from .requests import BatchRequest
from .results import BatchResult
from .sending import send_request
from .shared_iterator import END, NOT_YET, SharedAsyncIterator

# How many results may wait for the consumer, in addition to those in flight, in units of
# `concurrency`. In order, all of them wait for the slowest: with 4, the workers only stop for a
# request that takes more than five times as long as the others.
MAX_AHEAD = 1
MAX_AHEAD_ORDERED = 4

if TYPE_CHECKING:
    from .parsing import Parsing

_Place: TypeAlias = "list[BatchResult | None]"  # empty until the result is there


class Workers:
    """Sends requests, `concurrency` at a time.

    Args:
        client: what to send with.
        requests: an iterable of requests or lines, sync or async.
        concurrency: how many are in flight at once.
        ordered: results are ready in the order of the requests.
        in_blocks: `requests` is an async iterable of lists.
        stopping: called before each request is taken; once it returns true, no more are.
        parsing: how the answers are parsed.
    """

    def __init__(
        self,
        client: AsyncClient,
        requests: Any,
        concurrency: int,
        *,
        ordered: bool = False,
        in_blocks: bool = False,
        stopping: Callable[[], bool] | None = None,
        parsing: Parsing | None = None,
    ) -> None:
        self.ready: deque[BatchResult] = deque()
        self._send = partial(send_request if parsing is None else parsing.send, client)
        self._source: Iterator[Any] | SharedAsyncIterator[Any]
        if isinstance(requests, AsyncIterable):
            self._source = SharedAsyncIterator(requests, in_blocks=in_blocks)
            self._next_value = self._source.next_nowait
        else:
            self._source = iter(requests)
            self._next_value = partial(next, self._source, END)
        self._stopping = stopping
        self._concurrency = concurrency
        # Requests taken whose results the consumer has not taken, and workers that wait for room.
        # (Not a `Semaphore`: its `release` looks at all waiters that were woken but have not run,
        # so that a consumer that takes n results at once would cost n * n steps.)
        self._held = 0
        self._most = concurrency * (1 + (MAX_AHEAD_ORDERED if ordered else MAX_AHEAD))
        self._waiting: deque[asyncio.Future[None]] = deque()
        # With `ordered`: a place for each request taken, in the order of the source.
        self._places: deque[_Place] | None = deque() if ordered else None
        self._loop = asyncio.get_running_loop()
        self._workers: list[asyncio.Task[None]] = []
        self._running = 0  # workers that have not ended, including one that is about to start
        self._taken = 0  # requests, so far
        self._ended = False  # nothing more is taken from the source
        self._failure: BaseException | None = None
        self._wake: asyncio.Future[None] | None = None

    # --- the consumer's side ---

    async def some_ready(self) -> bool:
        """Wait for results. False if there will be no more; raises what ended the run."""
        while not self.ready:
            if not self._running:
                if self._failure is not None:
                    raise self._failure
                return False
            self._wake = self._loop.create_future()
            await self._wake
        return True

    def take(self) -> BatchResult:
        """The next result, which must be ready."""
        self._release()
        return self.ready.popleft()

    async def close(self) -> None:
        """Cancel what is in flight and wait until it has ended; close the source."""
        self._end()
        source = self._source if isinstance(self._source, SharedAsyncIterator) else None
        tasks = [*self._workers, *(source.tasks if source is not None else ())]
        for task in tasks:
            task.cancel()
        try:
            # Waits for all of them, even if it is cancelled itself.
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._failure = None  # its frames refer to this object, as do the workers
            self._workers.clear()
            if source is not None:
                await source.close()

    # --- the workers' side ---

    def start(self) -> None:
        """Start with one worker. Each worker that has found a request starts another."""
        self._running = 1
        self._start_worker()

    def _start_worker(self) -> None:
        if self._ended:
            self._count_down()
            return
        worker = self._loop.create_task(self._work())
        self._workers.append(worker)
        worker.add_done_callback(self._worker_ended)

    async def _work(self) -> None:
        while True:
            if self._held < self._most:
                self._held += 1
            else:
                await self._room()
            request = None
            try:
                value = self._take()
                if value is NOT_YET:
                    value = await self._source.next()  # type: ignore[union-attr] # it is shared
                if value is END:
                    return
                self._taken = number = self._taken + 1
                request = value if type(value) is BatchRequest else _checked(number, value)
            finally:
                if request is None:
                    self._end()
                    self._release()
            place = self._reserve()
            if self._running < self._concurrency:
                self._running += 1
                # Through the loop: with eager tasks, each would start inside the previous one.
                self._loop.call_soon(self._start_worker)
            result = None
            try:
                result = await self._send(request)  # pyright: ignore[reportArgumentType]
            except NotSentError:
                return
            except InvalidArgumentError as error:
                raise _at(number, error) from error
            finally:
                self._pass_on(place, result)

    def _take(self) -> Any:
        """The next value of the source, `END`, or `NOT_YET`."""
        if self._ended or (self._stopping is not None and self._stopping()):
            return END
        return self._next_value()

    async def _room(self) -> None:
        """Wait until the consumer has taken a result, and so there is room for another."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        """Pass the room for a result on to a worker that waits for it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # if done, its worker has been cancelled
                turn.set_result(None)
                return
        self._held -= 1

    def _reserve(self) -> _Place | None:
        """With `ordered`: a place for the request that was taken last."""
        if self._places is None:
            return None
        place: _Place = []
        self._places.append(place)
        return place

    def _pass_on(self, place: _Place | None, result: BatchResult | None) -> None:
        """Store the result of a request; `None` if it has none, which ends the run."""
        if result is None:
            self._end()
        if place is None:
            self._deliver(result)
            return
        place.append(result)
        places = self._places
        while places and places[0]:
            self._deliver(places.popleft()[0])

    def _deliver(self, result: BatchResult | None) -> None:
        if result is None:
            self._release()
            return
        self.ready.append(result)
        self._wake_consumer()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        """A worker ends when there are no more requests, or raises what ends the run."""
        self._end()
        failure = asyncio.CancelledError() if worker.cancelled() else worker.exception()
        if failure is not None and self._failure is None:
            self._failure = failure
            if isinstance(self._source, SharedAsyncIterator):
                self._source.cancel()  # it may wait for its next value for a long time
        self._count_down()

    def _end(self) -> None:
        """Take no more requests from the source."""
        self._ended = True
        if isinstance(self._source, SharedAsyncIterator):
            self._source.end()

    def _count_down(self) -> None:
        self._running -= 1
        if not self._running:
            self._wake_consumer()

    def _wake_consumer(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _checked(number: int, value: object) -> BatchRequest:
    try:
        return BatchRequest.of(value)
    except InvalidArgumentError as error:
        raise _at(number, error) from error


def _at(number: int, error: InvalidArgumentError) -> InvalidArgumentError:
    return InvalidArgumentError(f"request {number}: {error}")
