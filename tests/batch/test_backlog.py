"""The requests still to be sent, and the workers that wait for them. Without Ray."""

from __future__ import annotations

import asyncio

from openai_async.batch.engines.ray.backlog import Backlog, NumberedRequest
from openai_async.batch.requests import BatchRequest


class Source:
    """A backlog of some requests, which may be halted."""

    def __init__(self, number: int) -> None:
        self.halted = False
        self.ended = asyncio.Event()
        url = "/v1/chat/completions"
        requests = [BatchRequest(custom_id=str(i), url=url) for i in range(number)]
        self.backlog = Backlog(requests, lambda: self.halted, self.ended.set)

    async def taken_by_one_and_awaited_by_another(
        self,
    ) -> tuple[list[NumberedRequest], asyncio.Task[list[NumberedRequest]]]:
        taken = await self.backlog.get(10)
        waiting = asyncio.create_task(self.backlog.get(10))
        await self.ended.wait()
        await let_tasks_run()
        return taken, waiting


async def let_tasks_run() -> None:
    """Let every task run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_requeued_requests_go_to_a_waiting_worker() -> None:
    source = Source(2)
    taken, waiting = await source.taken_by_one_and_awaited_by_another()
    source.backlog.requeue(taken)
    await let_tasks_run()
    assert waiting.done()
    assert await waiting == taken


async def test_requests_requeued_after_a_halt_are_given_up() -> None:
    source = Source(2)
    taken, waiting = await source.taken_by_one_and_awaited_by_another()
    source.halted = True
    source.backlog.requeue(taken)
    assert source.backlog.total == 0
    await let_tasks_run()
    assert not waiting.done()
    waiting.cancel()
