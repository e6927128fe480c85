"""`run_requests`: any number of requests through a few workers, results as they finish.

A worker takes a request from the source, sends it, passes on the result, and takes the next one.
There is backpressure: a request is only taken if there is room for its result, so neither an
endless source nor a slow consumer fills the memory. Files are read and written in `job.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, TypeAlias

from ..client import AsyncClient
from ..errors import InvalidArgumentError
from .graceful_stop import NotSentError
from .requests import BatchRequest
from .results import BatchResult
from .retries import batch_client
from .sending import send_request
from .shared_iterator import END, SharedAsyncIterator

# How many results may wait for the consumer, in addition to those in flight, in units of
# `concurrency`. In order, all of them wait for the slowest: with 4, the workers only stop for a
# request that takes more than five times as long as the others.
MAX_AHEAD = 1
MAX_AHEAD_ORDERED = 4

_Place: TypeAlias = "list[BatchResult | None]"  # empty until the result is there

Source: TypeAlias = (
    Iterable[BatchRequest | Mapping[str, Any]] | AsyncIterable[BatchRequest | Mapping[str, Any]]
)


def run_requests(
    client: AsyncClient, requests: Source, *, concurrency: int = 256, ordered: bool = False
) -> AsyncGenerator[BatchResult, None]:
    """Send all requests, `concurrency` at a time; yields each result as soon as it is there.

    A request that fails yields a result with an `error`. Closing the generator (or leaving its
    loop) cancels the requests in flight.

    Args:
        client: what to send with. If it has no `rate_limit`, it gets `RateLimit()`, which learns
            the server's limits. Once the server has answered, a failed request is retried ten
            times, which takes two to four minutes, and a wait that the server asks for is
            respected, up to an hour.
        requests: any iterable, sync or async, finite or endless, of `BatchRequest` or of mappings
            like the lines of a batch file. The next one is only taken when a worker is free and
            there is room for the result: never more than `2 * concurrency` ahead of the consumer
            (`5 * concurrency` with `ordered`).
        concurrency: how many are in flight at once, 1 or more.
        ordered: yield in the order of `requests`, whatever finishes first.

    Raises:
        InvalidArgumentError: an argument is invalid (raised at once), or a request is (the message
            says which one).
        OpenAIError: the client was closed.

    If an invalid request, or an exception raised by `requests` itself, ends the run, it is raised
    after the results of all requests that were in flight.

    Example::

        async for result in run_requests(client, requests, concurrency=64):
            print(result.custom_id, result.error or result.completion.text)
    """
    check_concurrency(concurrency)
    if isinstance(requests, str | bytes | Mapping) or not isinstance(
        requests, Iterable | AsyncIterable
    ):
        msg = (
            f"requests has type {type(requests).__name__}: pass an iterable (sync or async) of "
            "BatchRequest or of mappings."
        )
        raise InvalidArgumentError(msg)
    return _results(batch_client(client), requests, concurrency, ordered)


def check_concurrency(concurrency: object) -> None:
    """Raise InvalidArgumentError unless it is a whole number of 1 or more."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        msg = f"concurrency is {concurrency!r}: pass a whole number of 1 or more."
        raise InvalidArgumentError(msg)


async def _results(
    client: AsyncClient, requests: Source, concurrency: int, ordered: bool
) -> AsyncGenerator[BatchResult, None]:
    # The workers refer to the `_FanOut` only, never to this generator: so it is deleted, and
    # thereby closed, when the consumer leaves its loop.
    fan_out = _FanOut(client, requests, concurrency, ordered)
    try:
        fan_out.start()
        while await fan_out.some_ready():
            while fan_out.ready:
                yield fan_out.take()
    finally:
        await fan_out.close()


class _FanOut:
    """The workers of one run, and the buffer between them and the consumer."""

    def __init__(
        self, client: AsyncClient, requests: Source, concurrency: int, ordered: bool
    ) -> None:
        self.ready: deque[BatchResult] = deque()
        self._client = client
        self._source: Iterator[Any] | SharedAsyncIterator[Any]
        if isinstance(requests, AsyncIterable):
            self._source = SharedAsyncIterator(requests)
        else:
            self._source = iter(requests)
        self._concurrency = concurrency
        # An entry for each request that is taken, until the consumer takes its result. (Not a
        # `Semaphore`: its `release` looks at all waiters that were woken but have not run, so that
        # a consumer that takes n results at once would cost n * n steps.)
        self._held: asyncio.Queue[None] = asyncio.Queue(
            concurrency * (1 + (MAX_AHEAD_ORDERED if ordered else MAX_AHEAD))
        )
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
        self._held.get_nowait()
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
        while (request := await self._next()) is not None:
            number = self._taken
            place = self._reserve()
            if self._running < self._concurrency:
                self._running += 1
                # Through the loop: with eager tasks, each would start inside the previous one.
                self._loop.call_soon(self._start_worker)
            result = None
            try:
                result = await send_request(self._client, request)
            except NotSentError:
                return
            except InvalidArgumentError as error:
                raise _at(number, error) from error
            finally:
                self._pass_on(place, result)

    async def _next(self) -> BatchRequest | None:
        """The next request once there is room for its result; `None` when there are no more."""
        await self._held.put(None)  # waits while there is no room for another result
        request = None
        try:
            if not self._ended:
                source = self._source
                if isinstance(source, SharedAsyncIterator):
                    value = await source.next()
                else:
                    value = next(source, END)
                if value is not END:
                    self._taken += 1
                    request = _checked(self._taken, value)
        finally:
            if request is None:
                self._end()
                self._held.get_nowait()
        return request

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
            self._held.get_nowait()
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
