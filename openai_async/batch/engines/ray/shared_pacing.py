"""The middleware of a worker: requests wait for a slice of the limit that all workers share.

What `Pacing` is in one process, with the arithmetic elsewhere: one question at a time is under way,
for all the requests that wait, and tells the limiter what has become of the earlier ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from math import inf
from time import monotonic
from typing import Any, TypeAlias

from ....errors import APIStatusError, OpenAIError
from ....http.request import Request, Response
from ....middleware import Send
from ....middleware.pacing.lanes import SAMPLE_INTERVAL, estimated, total_tokens
from ....middleware.pacing.pace import Reservation
from ....middleware.pacing.token_estimate import estimate_tokens
from ....options import RateLimit
from ....types.rate_limits import RateLimits
from .shared_limit import GOOD_FOR, LimiterPort, Outcome

# Requests in one question: more than any slice has, but for the first ones of a fast server.
MOST = 256
# Seconds after which outcomes are told that no question has taken along. Until then the limiter
# takes these requests for under way, which matters only while it finds out how many there may be.
TELL = 0.05

_Turn: TypeAlias = "asyncio.Future[tuple[str, Reservation]]"


class SlicePacing:
    """The middleware, for one event loop; next to the wire, within the retries.

    A reservation is good for one attempt. `close` it when nothing is under way any more.
    """

    def __init__(self, limiter: LimiterPort, *, worker: str, limit: RateLimit) -> None:
        self._limiter = limiter
        self._worker = worker
        self._adaptive = limit.adaptive
        self._counts_tokens = limit.tokens_per_minute is not None
        self._estimate = limit.estimate_tokens or estimate_tokens
        self._queues: dict[str, _Queue] = {}

    async def __call__(self, request: Request, send: Send) -> Response:
        if request.api_key is None:  # a picture's URL, at some other server
            return await send(request)
        params = request.params
        queue = self._queue(None if params is None else params.get("model"))
        # Even if nobody counts tokens now: when its turn comes, a limit may be known.
        life, reservation = await queue.enter(estimated(self._estimate, params))
        try:
            response = await send(request)
        except APIStatusError as error:
            self._failed(queue, life, reservation, error)
            raise
        except BaseException:
            if not queue.open:
                queue.tell(Outcome("failed", life, reservation))
            raise
        self._answered(queue, life, reservation, response)
        return response

    async def close(self) -> None:
        """Stop asking, and tell the limiter what it has not been told."""
        for queue in self._queues.values():
            await queue.close()

    def _queue(self, model: Any) -> _Queue:
        name = model if type(model) is str else ""
        queue = self._queues.get(name)
        if queue is None:
            queue = _Queue(self._limiter, self._worker, name, self._counts_tokens)
            self._queues[name] = queue
        return queue

    def _answered(
        self, queue: _Queue, life: str, reservation: Reservation, response: Response
    ) -> None:
        """Headers and usage are looked at as often as `Pacing` does. No batch has streams."""
        now = monotonic()
        if now >= queue.next_sample:
            queue.next_sample = now + SAMPLE_INTERVAL
            known = RateLimits.from_headers(response.headers) if self._adaptive else None
            tokens = total_tokens(response.body) if queue.counts_tokens else None
            queue.tell(Outcome("answered", life, reservation, known, None, tokens))
        elif not queue.open:
            queue.tell(Outcome("answered", life, reservation))

    def _failed(
        self, queue: _Queue, life: str, reservation: Reservation, error: APIStatusError
    ) -> None:
        known = RateLimits.from_headers(error.headers or {}) if self._adaptive else None
        if error.status_code == 429:
            queue.drop_stock()
            queue.tell(
                Outcome("rate_limited", life, reservation, known, error.retry_after), now=True
            )
        elif error.status_code < 500:
            queue.tell(Outcome("rejected_as_invalid", life, reservation, known))
        elif not queue.open:
            queue.tell(Outcome("failed", life, reservation))


class _Queue:
    """The requests for one model that wait, and the outcomes that are to be told."""

    def __init__(self, limiter: LimiterPort, worker: str, model: str, counts_tokens: bool) -> None:
        self.counts_tokens = counts_tokens
        self.open = False
        """Whether the limiter need not know that a request has ended."""
        self.next_sample = -inf
        self._limiter = limiter
        self._worker = worker
        self._model = model
        self._waiting: deque[tuple[float, _Turn]] = deque()
        self._life = ""
        self._stock: list[Reservation] = []  # more than was asked for, where there is no limit
        self._good_until = -inf
        self._outcomes: list[Outcome] = []
        self._asking: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False

    async def enter(self, estimate: float) -> tuple[str, Reservation]:
        """Wait for the turn."""
        if self._stock and not self._waiting:
            if monotonic() < self._good_until:
                return self._life, self._stock.pop()
            self._stock.clear()
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._waiting.append((estimate, turn))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        try:
            return await turn
        except BaseException:  # GeneratorExit too, of who is dropped while waiting
            if not turn.done():
                turn.cancel()  # whoever gets a reservation for it gives that back
            elif not turn.cancelled() and turn.exception() is None:
                self.tell(Outcome("not_sent", *turn.result()))
            raise

    def tell(self, outcome: Outcome, *, now: bool = False) -> None:
        """With the next question, or soon, or now: a 429 is to hold up all workers."""
        self._outcomes.append(outcome)
        if now:
            self._urgent = True
            self._tell()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL, self._tell)

    def drop_stock(self) -> None:
        """There is a limit after all."""
        self._stock.clear()

    async def close(self) -> None:
        """Who still waits is cancelled."""
        tasks = [task for task in (self._asking, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if outcomes := self._untold():
            await self._limiter.report(self._worker, self._model, outcomes)

    async def _ask(self) -> None:
        """Ask for all who wait, again and again while there are any."""
        try:
            while self._waiting:
                if self._waiting[0][1].done():  # cancelled while it waited
                    self._waiting.popleft()
                    continue
                tokens = [estimate for estimate, _ in islice(self._waiting, MOST)]
                grant = await self._limiter.ask(self._worker, self._model, tokens, self._untold())
                self.counts_tokens, self.open = grant.counts_tokens, grant.open
                self._life, self._stock = grant.life, grant.reservations[len(tokens) :]
                self._good_until = monotonic() + GOOD_FOR
                for reservation in grant.reservations[: len(tokens)]:
                    _, turn = self._waiting.popleft()
                    if turn.done():
                        self.tell(Outcome("not_sent", grant.life, reservation))
                    else:
                        turn.set_result((grant.life, reservation))
        except OpenAIError as error:  # there is no limiter any more
            while self._waiting:
                _, turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_exception(error)
        finally:
            self._asking = None
            while self._waiting:
                self._waiting.popleft()[1].cancel()

    def _tell(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            told = False
            while self._urgent or not told:  # a 429 may come while others are told of
                self._urgent, told = False, True
                if outcomes := self._untold():
                    await self._limiter.report(self._worker, self._model, outcomes)
        except OpenAIError:
            pass  # the next question meets the same, and says so to those who wait
        finally:
            self._telling = None

    def _untold(self) -> list[Outcome]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        outcomes, self._outcomes = self._outcomes, []
        return outcomes
