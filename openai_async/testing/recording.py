"""A request as the server records it, for tests to check what was really sent."""

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from ..jsontext import strict_loads


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
    _done: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

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
