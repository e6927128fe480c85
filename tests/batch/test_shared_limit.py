"""The limit that workers share: who is granted how much, and what is lost. Without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf

import pytest
from yarl import URL

from openai_async import OpenAIError, RateLimit, RateLimitError
from openai_async.batch.engines.ray.shared_limit import (
    EXTRA_FACTOR,
    GRANT_INTERVAL,
    Grant,
    Limiter,
    QuotaRequest,
    Report,
    SharedLimit,
)
from openai_async.batch.engines.ray.shared_pacing import SharedPacing
from openai_async.http.request import Request, Response
from openai_async.middleware import Send
from openai_async.middleware.pacing import Outcome, Pace, Reservation
from openai_async.middleware.pacing.pace import INITIAL_WINDOW

SUCCEEDED = Outcome("succeeded")


class Workers:
    """Simulated workers that always have requests waiting, and the clock they share."""

    def __init__(self, limit: RateLimit, *names: str, want: int = 50, tokens: float = 0.0) -> None:
        self.shared = SharedLimit(Pace(limit))
        self.now = 0.0
        self.granted: list[tuple[float, str, list[Reservation]]] = []
        self._tokens = [tokens] * want
        for name in names:
            self.ask(name)

    def ask(self, name: str) -> None:
        def grant(reservations: list[Reservation]) -> None:
            self.granted.append((self.now, name, reservations))

        self.shared.waiting.append(QuotaRequest(name, self._tokens, grant))

    def run(self, seconds: float) -> None:
        """Each answer comes at once, and every worker that was served asks again."""
        end = self.now + seconds
        while self.now < end:
            before = len(self.granted)
            wait = self.shared.serve(self.now)
            for _, name, reservations in self.granted[before:]:
                for reservation in reservations:
                    self.shared.report(name, reservation, SUCCEEDED, self.now)
                self.ask(name)
            self.now += min(wait, end - self.now) if len(self.granted) == before else 0.001

    def count(self, name: str | None = None, *, since: float = 0.0, until: float = inf) -> int:
        return sum(
            len(reservations)
            for at, who, reservations in self.granted
            if name in (None, who) and since <= at < until
        )


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c", "d", "e"]])
@pytest.mark.parametrize("per_minute", [60, 1200, 60_000])
def test_all_workers_together_keep_the_limit_in_every_window(
    names: list[str], per_minute: int
) -> None:
    limit = RateLimit(requests_per_minute=per_minute, adaptive=False)
    workers = Workers(limit, *names)
    workers.run(20)
    rate = per_minute / 60
    burst = workers.shared.pace.requests.capacity
    for start in range(19):
        for seconds in (0.5, 1, 5):
            sent = workers.count(since=start, until=start + seconds)
            assert sent <= rate * seconds + burst + 1e-6
    assert workers.count() >= 0.95 * rate * 20


def test_the_limit_of_tokens_is_kept_as_well() -> None:
    limit = RateLimit(tokens_per_minute=60_000, adaptive=False)
    workers = Workers(limit, "a", "b", tokens=100)
    workers.run(20)
    assert 0.95 * 200 <= workers.count() <= 200 + workers.shared.pace.tokens.capacity / 100


def test_workers_take_turns() -> None:
    workers = Workers(RateLimit(requests_per_minute=6000, adaptive=False), "a", "b")
    workers.run(20)
    largest = max(len(reservations) for _, _, reservations in workers.granted)
    assert abs(workers.count("a") - workers.count("b")) <= largest


def test_a_grant_covers_what_is_due_in_a_short_time() -> None:
    workers = Workers(RateLimit(requests_per_minute=12_000, adaptive=False), "a", "b")
    workers.run(1)
    first = len(workers.granted)
    workers.run(10)
    assert len(workers.granted) - first == pytest.approx(10 / GRANT_INTERVAL, rel=0.1)


def test_no_worker_is_granted_more_than_it_has_waiting() -> None:
    workers = Workers(RateLimit(requests_per_minute=60_000, adaptive=False), "a", want=3)
    workers.run(1)
    assert max(len(reservations) for _, _, reservations in workers.granted) == 3


def test_without_a_limit_everything_is_granted_at_once() -> None:
    workers = Workers(RateLimit(adaptive=False), "a", "b")
    assert workers.shared.serve(0.0) == inf
    assert workers.count("a") == workers.count("b") >= 50


def test_a_429_of_one_worker_pauses_all_workers() -> None:
    workers = Workers(RateLimit(), "a", "b", want=1)
    workers.shared.serve(0.0)
    (_, _, (reservation,)), _ = workers.granted
    workers.shared.report("a", reservation, Outcome("rate_limited", None, 7.0), 1.0)
    workers.ask("b")
    assert workers.shared.serve(1.0) == pytest.approx(7.0)
    assert workers.shared.snapshot(1.0).paused == pytest.approx(7.0)


def test_a_cancelled_reservation_goes_to_another_worker() -> None:
    workers = Workers(RateLimit(requests_per_minute=60, adaptive=False), "a", "b")
    workers.shared.serve(0.0)
    ((_, name, (reservation,)),) = workers.granted
    assert workers.shared.serve(0.0) > 0
    workers.shared.report(name, reservation, Outcome("cancelled"), 0.0)
    assert workers.shared.serve(0.0) == inf
    assert workers.count("b") == 1


def test_a_dead_worker_costs_no_more_than_its_grant() -> None:
    workers = Workers(RateLimit(requests_per_minute=6000, adaptive=False), "a", "b", want=20)
    workers.run(1)
    workers.ask("a")
    before = workers.count("b")
    workers.shared.remove_worker("a")
    workers.granted = [grant for grant in workers.granted if grant[1] == "b"]
    workers.run(10)
    assert workers.count("a") == 0
    assert workers.count("b") - before >= 0.95 * (10 * 100 - 20)


def test_a_dead_worker_does_not_hold_up_the_others() -> None:
    """While nothing is known of a server, the window does not count requests of dead workers."""
    workers = Workers(RateLimit(), "a", "b")
    assert workers.shared.serve(0.0) > 0
    assert (workers.count("a"), workers.count("b")) == (INITIAL_WINDOW, 0)
    workers.shared.remove_worker("a")
    workers.shared.serve(0.0)
    assert workers.count("b") == INITIAL_WINDOW


# --- the middleware, with the limiter as a plain object ---


class CountingLimiter(Limiter):
    """Counts calls; can be gone, or slow to answer."""

    def __init__(self, limit: RateLimit) -> None:
        super().__init__(limit)
        self.calls = 0
        self.gone = False
        self.asked = asyncio.Event()
        self.arrives = asyncio.Event()
        """Grants wait for it."""
        self.arrives.set()
        self.on_grant: list[Callable[[], object]] = []
        """Called just before the granted requests continue."""

    async def acquire(
        self, worker: str, model: str, tokens: Sequence[float], reports: Sequence[Report]
    ) -> Grant:
        self.calls += 1
        self.asked.set()
        if self.gone:
            msg = "The limiter is gone."
            raise OpenAIError(msg)
        grant = await super().acquire(worker, model, tokens, reports)
        await self.arrives.wait()
        for call in self.on_grant:
            asyncio.get_running_loop().call_soon(call)
        return grant


def request() -> Request:
    return Request(method="POST", url=URL("http://test"), params={"model": "m"}, api_key="k")


async def good(request: Request) -> Response:
    return Response(status=200, headers={})


def rejected(retry_after: float) -> Send:
    async def send(request: Request) -> Response:
        raise RateLimitError("Slow down.", status_code=429, retry_after=retry_after)

    return send


def pacing(limiter: Limiter, name: str = "a") -> SharedPacing:
    return SharedPacing(limiter, worker=name, limit=RateLimit())


async def test_requests_that_wait_together_take_one_call() -> None:
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    await asyncio.gather(*[middleware(request(), good) for _ in range(100)])
    assert limiter.calls == 1
    await middleware.close()


async def test_without_a_limit_a_call_is_granted_more_than_it_asks_for() -> None:
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    await middleware(request(), good)
    await asyncio.gather(*[middleware(request(), good) for _ in range(EXTRA_FACTOR)])
    assert limiter.calls == 1
    await middleware.close()


async def test_after_a_429_extra_reservations_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openai_async.batch.engines.ray.shared_pacing.EXTRA_LIFETIME", inf)
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    with pytest.raises(RateLimitError):
        await middleware(request(), rejected(0))
    await middleware(request(), good)
    assert limiter.calls == 2
    await middleware.close()


async def test_a_limit_learned_by_one_worker_paces_the_others() -> None:
    limiter = Limiter(RateLimit())
    one, other = pacing(limiter, "a"), pacing(limiter, "b")
    with pytest.raises(RateLimitError):
        await one(request(), rejected(60))
    waiting = asyncio.create_task(other(request(), good))
    await asyncio.sleep(0.01)
    snapshot = (await limiter.snapshot())["m"]
    assert (snapshot.waiting, snapshot.rejections, waiting.done()) == (1, 1, False)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await one.close()
    await other.close()


async def test_a_429_that_comes_while_another_is_reported_is_reported_too() -> None:
    class SlowLimiter(CountingLimiter):
        reported = 0

        async def report(self, worker: str, model: str, reports: Sequence[Report]) -> None:
            self.reported += len(reports)
            self.asked.set()
            await self.arrives.wait()

    limiter = SlowLimiter(RateLimit())
    middleware = pacing(limiter, "a")
    refuse = [asyncio.Event(), asyncio.Event()]

    async def refused(number: int) -> None:
        async def send(request: Request) -> Response:
            await refuse[number].wait()
            raise RateLimitError("Slow down.", status_code=429)

        with pytest.raises(RateLimitError):
            await middleware(request(), send)

    calls = [asyncio.create_task(refused(number)) for number in range(2)]
    async with asyncio.timeout(5):
        await limiter.asked.wait()
        limiter.asked.clear()
        limiter.arrives.clear()
        refuse[0].set()
        await calls[0]
        await limiter.asked.wait()
        refuse[1].set()
        await calls[1]
        limiter.asked.clear()
        limiter.arrives.set()
        await limiter.asked.wait()
    assert limiter.reported == 2
    await middleware.close()


async def test_a_request_cancelled_while_waiting_returns_its_reservation() -> None:
    limiter = CountingLimiter(RateLimit())  # lets only so many be in flight at first
    limiter.arrives.clear()
    one, other = pacing(limiter, "a"), pacing(limiter, "b")
    cancelled = [asyncio.create_task(one(request(), good)) for _ in range(INITIAL_WINDOW)]
    await limiter.asked.wait()
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
    limiter.arrives.set()
    await hold_together(other, INITIAL_WINDOW)
    await one.close()
    await other.close()


async def test_a_request_cancelled_right_after_its_grant_returns_its_reservation() -> None:
    limiter = CountingLimiter(RateLimit())
    one, other = pacing(limiter, "a"), pacing(limiter, "b")
    cancelled = [asyncio.create_task(one(request(), good)) for _ in range(INITIAL_WINDOW)]
    limiter.on_grant = [task.cancel for task in cancelled]
    outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    limiter.on_grant.clear()
    await hold_together(other, INITIAL_WINDOW)
    await one.close()
    await other.close()


async def test_while_nothing_is_known_answers_make_room_for_the_next_requests() -> None:
    limiter = Limiter(RateLimit())
    middleware = pacing(limiter)
    await hold_together(middleware, INITIAL_WINDOW)
    await hold_together(middleware, INITIAL_WINDOW)
    await middleware.close()


async def hold_together(middleware: SharedPacing, number: int) -> None:
    """Return once this many requests were in flight at the same time."""
    there = 0
    all_there = asyncio.Event()

    async def hold(request: Request) -> Response:
        nonlocal there
        there += 1
        if there == number:
            all_there.set()
        await all_there.wait()
        return await good(request)

    async with asyncio.timeout(10):
        await asyncio.gather(*[middleware(request(), hold) for _ in range(number)])


async def test_a_request_without_a_key_is_not_paced() -> None:
    limiter = CountingLimiter(RateLimit())
    middleware = pacing(limiter)
    picture = Request(method="GET", url=URL("http://elsewhere"))
    await middleware(picture, good)
    assert limiter.calls == 0


async def test_waiting_requests_fail_when_the_limiter_has_died() -> None:
    limiter = CountingLimiter(RateLimit())
    limiter.gone = True
    middleware = pacing(limiter)
    for _ in range(2):
        with pytest.raises(OpenAIError, match="gone"):
            await middleware(request(), good)


async def test_reservations_of_an_earlier_epoch_of_the_limiter_are_void() -> None:
    limiter = Limiter(RateLimit())
    old = Report("another epoch", (0.0, 0.0, 0.0, 0.0, 0.0), Outcome("failed"))
    grant = await limiter.acquire("a", "m", [0.0] * 10, [old] * 10)
    assert len(grant.reservations) == INITIAL_WINDOW
    await limiter.report("a", "m", [old] * 10)
    waiting = asyncio.create_task(limiter.acquire("a", "m", [0.0], []))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_late_call_of_a_dead_worker_is_granted_nothing() -> None:
    limiter = Limiter(RateLimit())
    await limiter.acquire("a", "m", [0.0], [])
    await limiter.remove_worker("a")
    late = asyncio.create_task(limiter.acquire("a", "m", [0.0] * 10, []))
    await asyncio.sleep(0)
    assert len((await limiter.acquire("b", "m", [0.0] * 10, [])).reservations) == INITIAL_WINDOW
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)


async def test_a_late_report_of_a_dead_worker_is_ignored() -> None:
    limiter = Limiter(RateLimit())
    grant = await limiter.acquire("a", "m", [0.0] * INITIAL_WINDOW, [])
    await limiter.remove_worker("a")
    late = [Report(grant.epoch, it, Outcome("failed")) for it in grant.reservations]
    await limiter.report("a", "m", late)
    assert len((await limiter.acquire("b", "m", [0.0] * 10, [])).reservations) == INITIAL_WINDOW
