"""The limit that workers share: what is handed out, to whom, and what is lost. No Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf

import pytest
from yarl import URL

from openai_async import OpenAIError, RateLimit, RateLimitError
from openai_async.batch.engines.ray.shared_limit import (
    ON_TOP,
    SLICE,
    Ask,
    Grant,
    Limiter,
    Outcome,
    Slices,
)
from openai_async.batch.engines.ray.shared_pacing import SlicePacing
from openai_async.http.request import Request, Response
from openai_async.middleware import Send
from openai_async.middleware.pacing.pace import INITIAL_WINDOW, Pace, Reservation


class Workers:
    """Simulated workers that always have requests waiting, and the clock they share."""

    def __init__(self, limit: RateLimit, *names: str, want: int = 50, tokens: float = 0.0) -> None:
        self.slices = Slices(Pace(limit))
        self.now = 0.0
        self.granted: list[tuple[float, str, list[Reservation]]] = []
        self._tokens = [tokens] * want
        for name in names:
            self.ask(name)

    def ask(self, name: str) -> None:
        def grant(reservations: list[Reservation]) -> None:
            self.granted.append((self.now, name, reservations))

        self.slices.waiting.append(Ask(name, self._tokens, grant))

    def run(self, seconds: float) -> None:
        """Each answer comes at once, and whoever was served asks again."""
        end = self.now + seconds
        while self.now < end:
            before = len(self.granted)
            wait = self.slices.serve(self.now)
            for _, name, reservations in self.granted[before:]:
                for reservation in reservations:
                    self.slices.finish(name, Outcome("answered", "", reservation), self.now)
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
def test_all_together_keep_to_the_limit_in_every_window(names: list[str], per_minute: int) -> None:
    limit = RateLimit(requests_per_minute=per_minute, adaptive=False)
    workers = Workers(limit, *names)
    workers.run(20)
    rate = per_minute / 60
    burst = workers.slices.pace.requests.capacity
    for start in range(19):
        for seconds in (0.5, 1, 5):
            sent = workers.count(since=start, until=start + seconds)
            assert sent <= rate * seconds + burst + 1e-6
    assert workers.count() >= 0.95 * rate * 20


def test_tokens_are_kept_to_as_well() -> None:
    limit = RateLimit(tokens_per_minute=60_000, adaptive=False)
    workers = Workers(limit, "a", "b", tokens=100)
    workers.run(20)
    assert 0.95 * 200 <= workers.count() <= 200 + workers.slices.pace.tokens.capacity / 100


def test_workers_take_turns() -> None:
    workers = Workers(RateLimit(requests_per_minute=6000, adaptive=False), "a", "b")
    workers.run(20)
    largest = max(len(reservations) for _, _, reservations in workers.granted)
    assert abs(workers.count("a") - workers.count("b")) <= largest


def test_a_slice_is_what_is_due_in_a_short_time() -> None:
    workers = Workers(RateLimit(requests_per_minute=12_000, adaptive=False), "a", "b")
    workers.run(1)
    first = len(workers.granted)
    workers.run(10)
    assert len(workers.granted) - first == pytest.approx(10 / SLICE, rel=0.1)


def test_nobody_gets_more_than_it_has_waiting() -> None:
    workers = Workers(RateLimit(requests_per_minute=60_000, adaptive=False), "a", want=3)
    workers.run(1)
    assert max(len(reservations) for _, _, reservations in workers.granted) == 3


def test_without_any_limit_all_is_granted_at_once() -> None:
    workers = Workers(RateLimit(adaptive=False), "a", "b")
    assert workers.slices.serve(0.0) == inf
    assert workers.count("a") == workers.count("b") >= 50


def test_a_429_that_one_worker_meets_holds_up_all() -> None:
    workers = Workers(RateLimit(), "a", "b", want=1)
    workers.slices.serve(0.0)
    (_, _, (reservation,)), _ = workers.granted
    workers.slices.finish("a", Outcome("rate_limited", "", reservation, None, 7.0), 1.0)
    workers.ask("b")
    assert workers.slices.serve(1.0) == pytest.approx(7.0)
    assert workers.slices.known(1.0).paused == pytest.approx(7.0)


def test_what_was_not_used_goes_to_the_others() -> None:
    workers = Workers(RateLimit(requests_per_minute=60, adaptive=False), "a", "b")
    workers.slices.serve(0.0)
    ((_, name, (reservation,)),) = workers.granted
    assert workers.slices.serve(0.0) > 0
    workers.slices.finish(name, Outcome("not_sent", "", reservation), 0.0)
    assert workers.slices.serve(0.0) == inf
    assert workers.count("b") == 1


def test_a_dead_worker_costs_no_more_than_its_slice() -> None:
    workers = Workers(RateLimit(requests_per_minute=6000, adaptive=False), "a", "b", want=20)
    workers.run(1)
    workers.ask("a")
    before = workers.count("b")
    workers.slices.forget("a")
    workers.granted = [grant for grant in workers.granted if grant[1] == "b"]
    workers.run(10)
    assert workers.count("a") == 0
    assert workers.count("b") - before >= 0.95 * (10 * 100 - 20)


def test_a_dead_worker_holds_nobody_up() -> None:
    """While nothing is known of a server there are only so many at once, dead ones not counted."""
    workers = Workers(RateLimit(), "a", "b")
    assert workers.slices.serve(0.0) > 0
    assert (workers.count("a"), workers.count("b")) == (INITIAL_WINDOW, 0)
    workers.slices.forget("a")
    workers.slices.serve(0.0)
    assert workers.count("b") == INITIAL_WINDOW


# --- the middleware, and the limiter as a plain object ---


class CountingLimiter(Limiter):
    """Counts questions, and can be gone, or far away."""

    def __init__(self, limit: RateLimit) -> None:
        super().__init__(limit)
        self.questions = 0
        self.gone = False
        self.asked = asyncio.Event()
        self.arrives = asyncio.Event()
        """Answers wait for it."""
        self.arrives.set()
        self.soon: list[Callable[[], object]] = []
        """Called just before those that were granted go on."""

    async def ask(
        self, worker: str, model: str, tokens: Sequence[float], outcomes: Sequence[Outcome]
    ) -> Grant:
        self.questions += 1
        self.asked.set()
        if self.gone:
            msg = "The limiter is gone."
            raise OpenAIError(msg)
        grant = await super().ask(worker, model, tokens, outcomes)
        await self.arrives.wait()
        for call in self.soon:
            asyncio.get_running_loop().call_soon(call)
        return grant


def request() -> Request:
    return Request(method="POST", url=URL("http://test"), params={"model": "m"}, api_key="k")


async def good(request: Request) -> Response:
    return Response(status=200, headers={})


def refused(retry_after: float) -> Send:
    async def send(request: Request) -> Response:
        raise RateLimitError("Slow down.", status_code=429, retry_after=retry_after)

    return send


def pacing(limiter: Limiter, name: str = "a") -> SlicePacing:
    return SlicePacing(limiter, worker=name, limit=RateLimit())


async def test_requests_that_wait_together_ask_once() -> None:
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    await asyncio.gather(*[middleware(request(), good) for _ in range(100)])
    assert limiter.questions == 1
    await middleware.close()


async def test_without_a_limit_a_question_is_good_for_more_than_it_asks_for() -> None:
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    await middleware(request(), good)
    await asyncio.gather(*[middleware(request(), good) for _ in range(ON_TOP)])
    assert limiter.questions == 1
    await middleware.close()


async def test_after_a_429_what_was_granted_on_top_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openai_async.batch.engines.ray.shared_pacing.GOOD_FOR", inf)
    limiter = CountingLimiter(RateLimit(adaptive=False))
    middleware = pacing(limiter)
    with pytest.raises(RateLimitError):
        await middleware(request(), refused(0))
    await middleware(request(), good)
    assert limiter.questions == 2
    await middleware.close()


async def test_what_one_worker_learns_another_is_held_up_by() -> None:
    limiter = Limiter(RateLimit())
    one, other = pacing(limiter, "a"), pacing(limiter, "b")
    with pytest.raises(RateLimitError):
        await one(request(), refused(60))
    waiting = asyncio.create_task(other(request(), good))
    await asyncio.sleep(0.01)
    known = (await limiter.known())["m"]
    assert (known.waiting, known.rejections, waiting.done()) == (1, 1, False)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await one.close()
    await other.close()


async def test_who_is_cancelled_while_waiting_gives_the_ticket_back() -> None:
    limiter = CountingLimiter(RateLimit())  # which lets so many be under way at first, and no more
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


async def test_who_is_cancelled_with_the_ticket_in_hand_gives_it_back() -> None:
    limiter = CountingLimiter(RateLimit())
    one, other = pacing(limiter, "a"), pacing(limiter, "b")
    cancelled = [asyncio.create_task(one(request(), good)) for _ in range(INITIAL_WINDOW)]
    limiter.soon = [task.cancel for task in cancelled]
    outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    limiter.soon.clear()
    await hold_together(other, INITIAL_WINDOW)
    await one.close()
    await other.close()


async def test_while_nothing_is_known_answers_let_the_next_ones_go() -> None:
    limiter = Limiter(RateLimit())
    middleware = pacing(limiter)
    await hold_together(middleware, INITIAL_WINDOW)
    await hold_together(middleware, INITIAL_WINDOW)
    await middleware.close()


async def hold_together(middleware: SlicePacing, number: int) -> None:
    """Returns when so many requests were under way at once."""
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
    assert limiter.questions == 0


async def test_when_the_limiter_is_gone_who_waits_is_told() -> None:
    limiter = CountingLimiter(RateLimit())
    limiter.gone = True
    middleware = pacing(limiter)
    for _ in range(2):
        with pytest.raises(OpenAIError, match="gone"):
            await middleware(request(), good)


async def test_tickets_of_an_earlier_life_of_the_limiter_mean_nothing() -> None:
    limiter = Limiter(RateLimit())
    old = Outcome("failed", "another life", (0.0, 0.0, 0.0, 0.0, 0.0))
    grant = await limiter.ask("a", "m", [0.0] * 10, [old] * 10)
    assert len(grant.reservations) == INITIAL_WINDOW
    await limiter.report("a", "m", [old] * 10)
    question = asyncio.create_task(limiter.ask("a", "m", [0.0], []))
    await asyncio.sleep(0)
    assert not question.done()
    question.cancel()
    await asyncio.gather(question, return_exceptions=True)


async def test_a_question_of_a_worker_that_is_dead_takes_nothing() -> None:
    limiter = Limiter(RateLimit())
    await limiter.ask("a", "m", [0.0], [])
    await limiter.forget("a")
    late = asyncio.create_task(limiter.ask("a", "m", [0.0] * 10, []))
    await asyncio.sleep(0)
    assert len((await limiter.ask("b", "m", [0.0] * 10, [])).reservations) == INITIAL_WINDOW
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)


async def test_what_a_dead_worker_says_afterwards_is_not_counted_again() -> None:
    limiter = Limiter(RateLimit())
    grant = await limiter.ask("a", "m", [0.0] * INITIAL_WINDOW, [])
    await limiter.forget("a")
    late = [Outcome("failed", grant.life, reservation) for reservation in grant.reservations]
    await limiter.report("a", "m", late)
    assert len((await limiter.ask("b", "m", [0.0] * 10, [])).reservations) == INITIAL_WINDOW
