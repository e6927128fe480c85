"""What the server remembers of a request, so that a test can look at what was really sent."""

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import orjson


@attrs.define(eq=False)
class RecordedRequest:
    """One request as it arrived. `headers` is case-insensitive; it is not shown, as it holds a key.

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
        """The body as JSON; None when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    async def finished(self) -> None:
        """Wait until the server is done: the answer is complete, or the client is gone."""
        await self._done.wait()

    def finish(self) -> None:
        """The server's own note that it is done with this request."""
        self._done.set()
