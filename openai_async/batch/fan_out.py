"""`run_requests`: any number of requests through a few workers, results as they finish.

A worker takes a request from the source, sends it, hands over the result, and takes the next one.
Nothing is taken that there is no room for, so that neither a source without end nor a consumer that
rests fills the memory. No files, no JSON lines: `job.py` has those.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, TypeAlias

from attrs import evolve

from ..client import AsyncClient
from ..errors import APIStatusError, InvalidArgumentError
from ..http.request import Request, Response
from ..http.semaphore import FairSemaphore
from ..middleware import Send
from ..options import RateLimit
from .halting import NotSentError
from .requests import BatchRequest
from .results import BatchResult
from .sending import send_request

# How many results may wait for the consumer besides those still in flight, in units of
# `concurrency`. In order, all wait for the slowest: with these, the workers are held up only by an
# answer that takes more than five times as long as the others.
AHEAD = 1
AHEAD_IN_ORDER = 4

# A run has time. Its retries last two minutes on average, up to four: a server that is restarted
# is back by then. One that asks for a pause of an hour (limits by the hour, maintenance) gets it.
# There are a few requests a second then, so that no budget has to keep the server from them.
RETRIES = 10
LONGEST_DELAY = 60.0  # seconds
PATIENCE = 3600.0  # seconds
BUDGET = 1_000_000
# Until there has been an answer, the server may as well be the wrong one: that is told soon.
FIRST_RETRIES = 3

_END = object()
_Place: TypeAlias = "list[BatchResult | None]"  # empty, or holding one

Source: TypeAlias = (
    Iterable[BatchRequest | Mapping[str, Any]] | AsyncIterable[BatchRequest | Mapping[str, Any]]
)


def run_requests(
    client: AsyncClient, requests: Source, *, concurrency: int = 256, ordered: bool = False
) -> AsyncGenerator[BatchResult, None]:
    """Send all requests, `concurrency` at a time; yields each result as soon as it is there.

    A request that fails is a result with an `error`. Closing the generator (or leaving its loop)
    cancels what is in flight.

    Args:
        client: what to send with. If it has no `rate_limit`, it gets `RateLimit()`, which learns
            the server's. Once the server has answered, it tries ten times again, which is two to
            four minutes, and waits as long as the server asks it to, up to an hour.
        requests: any iterable, sync or async, with or without an end, of `BatchRequest` or of
            mappings like the lines of a batch file. It is asked for the next one only when there is
            a worker free and room for the result: it is never more than `2 * concurrency` ahead of
            the consumer (`5 * concurrency` with `ordered`).
        concurrency: how many are in flight at once, 1 or more.
        ordered: yield in the order of `requests`, whatever finishes first.

    Raises:
        InvalidArgumentError: an argument is wrong (at once), or a request is (its number is in the
            message).
        OpenAIError: the client was closed.

    What stops the run while it goes on (a wrong request, an exception of `requests` itself) is
    raised after the results of all that was in flight.

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
    return _results(paced(client), requests, concurrency, ordered)


def check_concurrency(concurrency: object) -> None:
    """`concurrency`, if it is a whole number of 1 or more."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        msg = f"concurrency is {concurrency!r}: pass a whole number of 1 or more."
        raise InvalidArgumentError(msg)


def paced(client: AsyncClient) -> AsyncClient:
    """The client with what a long run needs: pacing, and patience with a server that is busy.

    What the client has of that already, stays: a paced client keeps its pace.
    """
    if any(isinstance(middleware, Patience) for middleware in client.middlewares):
        return client
    policy = evolve(
        client.retry,
        max_retry_after=max(client.retry.max_retry_after, PATIENCE),
        max_delay=max(client.retry.max_delay, LONGEST_DELAY),
        budget=max(client.retry.budget, BUDGET),
    )
    return client.with_options(
        rate_limit=RateLimit() if client.rate_limit is None else client.rate_limit,
        retry=policy,
        max_retries=max(client.max_retries, FIRST_RETRIES),
        middlewares=[Patience(), *client.middlewares],
    )


class Patience:
    """A middleware: many retries for each request, once the server has answered one."""

    def __init__(self) -> None:
        self._heard = False

    async def __call__(self, request: Request, send: Send) -> Response:
        if self._heard:
            request.max_retries = max(request.max_retries, RETRIES)
        try:
            response = await send(request)
        except APIStatusError as error:
            self._heard |= error.status_code < 500
            raise
        self._heard = True
        return response


async def _results(
    client: AsyncClient, requests: Source, concurrency: int, ordered: bool
) -> AsyncGenerator[BatchResult, None]:
    # The workers know of the `_FanOut` only, never of this generator: so it is deleted, and thereby
    # closed, when the consumer's loop is left.
    fan_out = _FanOut(client, requests, concurrency, ordered)
    try:
        fan_out.start()
        while await fan_out.some_ready():
            while fan_out.ready:
                yield fan_out.take()
    finally:
        await fan_out.close()


class _FanOut:
    """The workers of one run, and what is between them and the consumer."""

    def __init__(
        self, client: AsyncClient, requests: Source, concurrency: int, ordered: bool
    ) -> None:
        self.ready: deque[BatchResult] = deque()
        self._client = client
        self._source: Iterator[Any] | None = None
        self._async_source: AsyncIterator[Any] | None = None
        if isinstance(requests, AsyncIterable):
            self._async_source = aiter(requests)
        else:
            self._source = iter(requests)
        self._concurrency = concurrency
        # Acquired before a request is taken, released when the consumer takes its result.
        self._room = FairSemaphore(concurrency * (1 + (AHEAD_IN_ORDER if ordered else AHEAD)))
        # In order: the places of all requests taken, each empty until its result is there.
        self._places: deque[_Place] | None = deque() if ordered else None
        self._loop = asyncio.get_running_loop()
        self._workers: list[asyncio.Task[None]] = []
        self._running = 0  # workers that have not ended, the one that is about to start included
        self._numbers = 0  # requests taken so far
        # An async source is asked by one task, and that only while a worker wants a request.
        self._waiting_workers: deque[asyncio.Future[Any]] = deque()
        self._feeder: asyncio.Task[None] | None = None
        self._demand: asyncio.Future[None] | None = None
        self._ended = False  # nothing more is taken from the source
        self._failure: BaseException | None = None
        self._wake: asyncio.Future[None] | None = None

    # --- the consumer's side ---

    async def some_ready(self) -> bool:
        """Wait for results; False, or what went wrong, once there will be no more."""
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
        self._room.release()
        return self.ready.popleft()

    async def close(self) -> None:
        """Cancel what is in flight and wait until it has ended; close the source."""
        self._ended = True
        tasks = [*self._workers, *([self._feeder] if self._feeder is not None else [])]
        for task in tasks:
            task.cancel()
        try:
            # Waits for all of them even if it is cancelled itself.
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._failure = None  # its frames hold this object, and so do the workers
            self._workers.clear()
            if isinstance(self._async_source, AsyncGenerator):
                await self._async_source.aclose()

    # --- the workers' side ---

    def start(self) -> None:
        """Begin with one worker. Each that has found a request sees to it that there is another."""
        self._running = 1
        self._start_worker()

    def _start_worker(self) -> None:
        if self._ended:
            self._one_less()
            return
        worker = self._loop.create_task(self._work())
        self._workers.append(worker)
        worker.add_done_callback(self._worker_ended)

    async def _work(self) -> None:
        while (request := await self._next()) is not None:
            number = self._numbers
            place = self._reserve()
            if self._running < self._concurrency:
                self._running += 1
                # By way of the loop: with eager tasks, each would start within the one before.
                self._loop.call_soon(self._start_worker)
            result = None
            try:
                result = await send_request(self._client, request)
            except NotSentError:
                return
            except InvalidArgumentError as error:
                raise _at(number, error) from error
            finally:
                self._hand_over(place, result)

    async def _next(self) -> BatchRequest | None:
        """The next request once there is room for its result; `None` when there are no more."""
        if not self._room.acquire_nowait():
            await self._room.acquire()
        request = None
        try:
            if not self._ended:
                source = self._source
                value = await self._ask() if source is None else next(source, _END)
                if value is not _END:
                    self._numbers += 1
                    request = _checked(self._numbers, value)
        finally:
            if request is None:
                self._ended = True
                self._room.release()
        return request

    async def _ask(self) -> object:
        """The next of an async source; `_END` when there are no more."""
        if self._ended:
            return _END
        if self._feeder is None:
            self._feeder = self._loop.create_task(self._feed())
        turn = self._loop.create_future()
        self._waiting_workers.append(turn)
        if self._demand is not None and not self._demand.done():
            self._demand.set_result(None)
        return await turn

    async def _feed(self) -> None:
        """Hand out the async source.

        Requests that it has ready reach all waiting workers at once. With a lock in place of this
        task, each turn of the loop would hand out one, at twice the CPU time.
        """
        assert self._async_source is not None
        try:
            while not self._ended:
                while not self._waiting_workers:
                    self._demand = self._loop.create_future()
                    await self._demand
                value = await anext(self._async_source, _END)
                if value is _END:
                    break
                while self._waiting_workers and (turn := self._waiting_workers.popleft()).done():
                    pass  # of a worker that was cancelled: the run is at its end
                if not turn.done():
                    turn.set_result(value)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and self._ended:
                raise  # the end of the run, not the source's own
            asking = [turn for turn in self._waiting_workers if not turn.done()]
            if not asking:
                raise
            asking[0].set_exception(error)
        finally:
            self._ended = True
            for turn in self._waiting_workers:
                if not turn.done():
                    turn.set_result(_END)

    def _reserve(self) -> _Place | None:
        """In order: the place of the request that was taken last."""
        if self._places is None:
            return None
        place: _Place = []
        self._places.append(place)
        return place

    def _hand_over(self, place: _Place | None, result: BatchResult | None) -> None:
        """A request has its result; `None` if it was not to be."""
        if result is None:
            self._ended = True
        if place is None:
            self._show(result)
            return
        place.append(result)
        places = self._places
        while places and places[0]:
            self._show(places.popleft()[0])

    def _show(self, result: BatchResult | None) -> None:
        if result is None:
            self._room.release()
            return
        self.ready.append(result)
        self._wake_consumer()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        """Workers end when there is nothing more to take, or with what ends the run."""
        self._ended = True
        failure = asyncio.CancelledError() if worker.cancelled() else worker.exception()
        if failure is not None and self._failure is None:
            self._failure = failure
            if self._feeder is not None:  # it may wait for long, and for nothing
                self._feeder.cancel()
        self._one_less()

    def _one_less(self) -> None:
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
