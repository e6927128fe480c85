"""Many time limits, one timer: each call still gets its own TimeoutError, and only its own."""

from __future__ import annotations

import asyncio

import pytest

from openai_async import AsyncClient
from openai_async.http.deadlines import MAX_IDLE, Deadline, Deadlines
from openai_async.testing import LocalServer

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def deadlines() -> Deadlines:
    return Deadlines(asyncio.get_running_loop())


async def test_a_call_that_takes_too_long_is_a_timeout(deadlines: Deadlines) -> None:
    deadline = Deadline(deadlines, 0.01)
    with pytest.raises(TimeoutError) as caught, deadline:
        await asyncio.Event().wait()
    assert deadline.expired
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_a_call_that_ends_in_time_is_not_affected(deadlines: Deadlines) -> None:
    with Deadline(deadlines, 60) as deadline:
        await asyncio.sleep(0)
    assert not deadline.expired


async def test_no_limit(deadlines: Deadlines, timers: list[asyncio.TimerHandle]) -> None:
    with Deadline(deadlines, None):
        await asyncio.sleep(0)
    assert timers == []


async def test_a_cancellation_from_elsewhere_stays_one(deadlines: Deadlines) -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with Deadline(deadlines, 60):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_while_the_time_runs_out(deadlines: Deadlines) -> None:
    async def wait() -> None:
        with Deadline(deadlines, 60) as deadline:
            try:
                await asyncio.Event().wait()
            finally:
                deadline.expire()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_while_a_cancelled_task_cleans_up(deadlines: Deadlines) -> None:
    cleaned_up = False

    async def work() -> None:
        nonlocal cleaned_up
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(TimeoutError), Deadline(deadlines, 0.01):
                await asyncio.Event().wait()
            cleaned_up = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned_up


async def test_an_error_of_the_body_is_not_hidden(deadlines: Deadlines) -> None:
    with pytest.raises(KeyError), Deadline(deadlines, 60):
        raise KeyError


async def test_the_next_await_after_a_timeout_is_not_cancelled(deadlines: Deadlines) -> None:
    with pytest.raises(TimeoutError), Deadline(deadlines, 0.01):
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_calls_run_out_in_the_order_they_began(deadlines: Deadlines) -> None:
    order: list[int] = []

    async def wait(number: int) -> None:
        with pytest.raises(TimeoutError), Deadline(deadlines, 0.01):
            await asyncio.Event().wait()
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(wait(number))
            await asyncio.sleep(0.001)
    assert order == [0, 1, 2, 3, 4]


async def test_the_first_that_ends_in_time_does_not_save_the_second(deadlines: Deadlines) -> None:
    with Deadline(deadlines, 0.05):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), Deadline(deadlines, 0.05):
        await asyncio.Event().wait()


async def test_one_inside_another(deadlines: Deadlines) -> None:
    with (
        pytest.raises(TimeoutError),
        Deadline(deadlines, 0.01) as outer,
        Deadline(deadlines, 60) as inner,
    ):
        await asyncio.Event().wait()
    assert (outer.expired, inner.expired) == (True, False)


async def test_a_thousand_calls_set_one_timer(
    deadlines: Deadlines, timers: list[asyncio.TimerHandle]
) -> None:
    async def call() -> None:
        with Deadline(deadlines, 600):
            await asyncio.sleep(0)

    await asyncio.gather(*(call() for _ in range(1000)))
    assert len(timers) == 1


async def test_limits_that_differ_each_time_leave_no_timers_behind(
    deadlines: Deadlines, timers: list[asyncio.TimerHandle]
) -> None:
    for number in range(100):
        with Deadline(deadlines, 600 + number):
            await asyncio.sleep(0)
    assert sum(not timer.cancelled() for timer in timers) == MAX_IDLE


async def test_after_an_idle_time_no_timer_is_set(
    deadlines: Deadlines, timers: list[asyncio.TimerHandle]
) -> None:
    with Deadline(deadlines, 0.01):
        pass
    await asyncio.sleep(0.03)
    waiting = [timer for timer in timers if timer.when() > asyncio.get_running_loop().time()]
    assert waiting == []


async def test_closing_leaves_no_timer_behind(
    deadlines: Deadlines, timers: list[asyncio.TimerHandle]
) -> None:
    with Deadline(deadlines, 600):
        pass
    with Deadline(deadlines, 700):
        deadlines.close()
        assert [timer.cancelled() for timer in timers] == [True, False]  # one is needed still
    assert all(timer.cancelled() for timer in timers)


async def test_a_closed_client_leaves_no_timer_behind(
    server: LocalServer, timers: list[asyncio.TimerHandle]
) -> None:
    async with AsyncClient(base_url=server.url, api_key="local", timeout=10_000) as client:
        await client.models.list()
    late = asyncio.get_running_loop().time() + 5_000  # the only ones that are so far off
    assert [timer.cancelled() for timer in timers if timer.when() > late] == [True]


async def test_a_task_that_cannot_be_cancelled_keeps_no_other_waiting(deadlines: Deadlines) -> None:
    class Stubborn(asyncio.Future[None]):
        def cancel(self, msg: object = None) -> bool:
            raise RuntimeError("no")

    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
    stubborn = Stubborn()

    async def wait(future: asyncio.Future[None]) -> None:
        with Deadline(deadlines, 0.01):
            await future

    tasks = [asyncio.create_task(wait(stubborn)), asyncio.create_task(wait(asyncio.Future()))]
    with pytest.raises(TimeoutError):
        await tasks[1]
    with pytest.raises(TimeoutError):
        await wait(asyncio.Future())  # nor those to come
    asyncio.Future.cancel(stubborn)
    await asyncio.wait(tasks)
    assert len(told) == 1
