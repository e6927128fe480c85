"""The semaphore is fair, and no slot is lost when a waiter is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from openai_async.http.semaphore import FairSemaphore


def test_no_more_slots_are_acquired_than_there_are() -> None:
    semaphore = FairSemaphore(2)
    assert [semaphore.acquire_nowait() for _ in range(3)] == [True, True, False]
    semaphore.release()
    assert semaphore.acquire_nowait()


def test_a_slot_cannot_be_released_twice() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    semaphore.release()
    with pytest.raises(AssertionError, match="released more often than acquired"):
        semaphore.release()
    assert semaphore.free == 1


async def test_its_repr_shows_free_slots_and_waiters() -> None:
    semaphore = FairSemaphore(2)
    assert semaphore.acquire_nowait()
    assert repr(semaphore) == "<FairSemaphore 1 of 2 free, 0 waiting>"


async def test_waiters_acquire_in_the_order_they_came() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    order: list[int] = []

    async def wait(number: int) -> None:
        await semaphore.acquire()
        order.append(number)
        semaphore.release()

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    semaphore.release()
    assert not semaphore.acquire_nowait()  # it belongs to the first waiter already
    await asyncio.gather(*tasks)
    assert (order, semaphore.free) == ([0, 1, 2], 1)


async def test_a_cancelled_waiter_is_skipped() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    gone, waiting = (
        asyncio.create_task(semaphore.acquire()),
        asyncio.create_task(semaphore.acquire()),
    )
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    semaphore.release()
    await waiting
    assert semaphore.free == 0


async def test_a_skipped_waiter_raises_nothing_but_its_cancellation() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    gone = asyncio.create_task(semaphore.acquire())
    await asyncio.sleep(0)
    gone.cancel()
    semaphore.release()  # before the task has run
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert semaphore.free == 1


async def test_a_slot_handed_to_a_waiter_that_is_cancelled_at_that_moment_goes_to_the_next() -> (
    None
):
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    first, second = (
        asyncio.create_task(semaphore.acquire()),
        asyncio.create_task(semaphore.acquire()),
    )
    await asyncio.sleep(0)
    semaphore.release()  # to the first, whose task has not run yet
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    semaphore.release()
    assert semaphore.free == 1


async def test_a_slot_released_after_all_waiters_were_cancelled_becomes_free() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    tasks = [asyncio.create_task(semaphore.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    semaphore.release()
    assert semaphore.free == 1


async def test_waiters_that_time_out_are_removed_from_the_queue() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    for _ in range(100):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(semaphore.acquire(), 0)
    assert len(semaphore._waiting) == 0


async def test_a_coroutine_closed_while_it_waits_keeps_no_slot() -> None:
    semaphore = FairSemaphore(1)
    assert semaphore.acquire_nowait()
    waiting = semaphore.acquire()
    waiting.send(None)
    semaphore.release()  # to the waiter
    waiting.close()
    assert semaphore.free == 1


async def test_acquiring_a_free_slot_does_not_wait() -> None:
    semaphore = FairSemaphore(1)
    await semaphore.acquire()
    assert semaphore.free == 0
