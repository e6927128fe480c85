"""What is still to be sent, and who waits for it. No Ray."""

from __future__ import annotations

import asyncio

from openai_async.batch.engines.ray.backlog import Backlog, Numbered
from openai_async.batch.requests import BatchRequest


class Source:
    """A backlog of so many requests, which may be halted."""

    def __init__(self, number: int) -> None:
        self.halted = False
        self.ended = asyncio.Event()
        url = "/v1/chat/completions"
        requests = [BatchRequest(custom_id=str(i), url=url) for i in range(number)]
        self.backlog = Backlog(requests, lambda: self.halted, self.ended.set)

    async def taken_by_one_and_awaited_by_another(
        self,
    ) -> tuple[list[Numbered], asyncio.Task[list[Numbered]]]:
        taken = await self.backlog.take(10)
        waiting = asyncio.create_task(self.backlog.take(10))
        await self.ended.wait()
        await some_turns()
        return taken, waiting


async def some_turns() -> None:
    """Of the loop: who can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_given_back_goes_to_who_waits() -> None:
    source = Source(2)
    taken, waiting = await source.taken_by_one_and_awaited_by_another()
    source.backlog.give_back(taken)
    await some_turns()
    assert waiting.done()
    assert await waiting == taken


async def test_what_is_given_back_once_all_is_halted_is_given_up() -> None:
    source = Source(2)
    taken, waiting = await source.taken_by_one_and_awaited_by_another()
    source.halted = True
    source.backlog.give_back(taken)
    assert source.backlog.taken == 0
    await some_turns()
    assert not waiting.done()
    waiting.cancel()
