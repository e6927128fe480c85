"""A request as the server records it, for tests to check what was really sent."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import attrs

from ..jsontext import strict_loads


class Signal:
    """Set once. Can be awaited in any loop: the test's may differ from the server's."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        # A running future cannot be cancelled, so one waiter cannot cancel it for the others.
        self._future.set_running_or_notify_cancel()

    def set(self) -> None:
        self._future.set_result(None)

    async def wait(self) -> None:
        if not self._future.done():
            await asyncio.wrap_future(self._future)


@attrs.define(eq=False)
class RecordedRequest:
    """One request as it arrived.

    `headers` is case-insensitive, and not in the repr, since it contains the key.

    `disconnected` is True once the client has hung up before its answer was complete. Wait for
    `finished()` before looking at it.
    """

    method: str
    path: str
    query: dict[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    disconnected: bool = False
    _done: Signal = attrs.field(factory=Signal, init=False, repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is not JSON."""
        try:
            return strict_loads(self.body)
        except ValueError:
            return None

    async def finished(self) -> None:
        """Wait until the server is done: the answer is complete, or the client has hung up."""
        await self._done.wait()

    def finish(self) -> None:
        """Called by the server when it is done with this request."""
        self._done.set()
