"""The batches of the server, and the tasks that run them."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from .listing import page_of
from .responses import RefusedError

_ENDED = ("completed", "failed", "expired", "cancelled")


class BatchStore:
    def __init__(self) -> None:
        self._batches: dict[str, dict[str, Any]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(
        self,
        batch: dict[str, Any],
        run: Coroutine[Any, Any, None],
        end: Callable[[asyncio.Task[None]], None],
    ) -> None:
        """Run a batch in a task. `end` is called with the task when it ends in any way."""
        batch_id = batch["id"]
        self._batches[batch_id] = batch
        task = self._tasks[batch_id] = asyncio.create_task(run)

        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[batch_id]
            end(task)

        task.add_done_callback(ended)

    def get(self, batch_id: str) -> dict[str, Any]:
        try:
            return self._batches[batch_id]
        except KeyError:
            msg = f"No batch found with id '{batch_id}'."
            raise RefusedError(404, msg, param="batch_id", code="not_found") from None

    def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page; the newest batch comes first."""
        return page_of([*self._batches.values()], query, order="desc")

    def cancel(self, batch_id: str) -> dict[str, Any]:
        batch = self.get(batch_id)
        if batch["status"] in _ENDED:
            msg = f"Cannot cancel a batch with status '{batch['status']}'."
            raise RefusedError(409, msg, code="batch_already_ended")
        become(batch, "cancelling")
        self._tasks[batch_id].cancel()
        return batch

    async def stop(self) -> None:
        """Cancel all running batches."""
        for task in self._tasks.values():
            task.cancel()
        while self._tasks:
            await asyncio.wait([*self._tasks.values()])
            await asyncio.sleep(0)  # let their callbacks run


def become(batch: dict[str, Any], status: str) -> None:
    """Change the status, and record the time."""
    batch["status"] = status
    batch[f"{status}_at"] = int(time.time())
