"""A bound on what is under way: in order, and never lost to a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from openai_async.http.slots import Slots


def test_as_many_as_there_are() -> None:
    slots = Slots(2)
    assert [slots.take_now() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take_now()


async def test_who_has_waited_longest_is_next() -> None:
    slots = Slots(1)
    assert slots.take_now()
    order: list[int] = []

    async def wait(number: int) -> None:
        await slots.take()
        order.append(number)
        slots.give_back()

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    slots.give_back()
    assert not slots.take_now()  # it is the first one's already
    await asyncio.gather(*tasks)
    assert (order, slots.free) == ([0, 1, 2], 1)


async def test_who_is_cancelled_while_waiting_is_passed_over() -> None:
    slots = Slots(1)
    assert slots.take_now()
    gone, waiting = asyncio.create_task(slots.take()), asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    slots.give_back()
    await waiting
    assert slots.free == 0


async def test_who_is_passed_over_learns_only_that_it_was_cancelled() -> None:
    slots = Slots(1)
    assert slots.take_now()
    gone = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    gone.cancel()
    slots.give_back()  # before the task has run
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert slots.free == 1


async def test_a_slot_given_to_who_is_cancelled_in_that_moment_is_not_lost() -> None:
    slots = Slots(1)
    assert slots.take_now()
    first, second = asyncio.create_task(slots.take()), asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.give_back()  # to the first, whose task has not run yet
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    slots.give_back()
    assert slots.free == 1


async def test_nobody_is_left_in_the_queue() -> None:
    slots = Slots(1)
    assert slots.take_now()
    tasks = [asyncio.create_task(slots.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    slots.give_back()
    assert slots.free == 1


async def test_who_gives_up_is_forgotten() -> None:
    slots = Slots(1)
    assert slots.take_now()
    for _ in range(100):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slots.take(), 0)
    assert len(slots._waiting) == 0


async def test_who_is_dropped_while_waiting_takes_no_slot_along() -> None:
    slots = Slots(1)
    assert slots.take_now()
    waiting = slots.take()
    waiting.send(None)
    slots.give_back()  # to the one that waits
    waiting.close()
    assert slots.free == 1


async def test_a_free_slot_is_not_waited_for() -> None:
    slots = Slots(1)
    await slots.take()
    assert slots.free == 0
