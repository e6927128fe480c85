"""One request on its way to its answer: what the routes get to see of the server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs
import orjson
from aiohttp import web

from .answers import RateWindow, invalid
from .files import FileStore
from .limits import Limiter, Verdict
from .models import ModelStore
from .recording import RecordedRequest
from .script import Failure, Reply


@attrs.define(eq=False)
class ServerState:
    """What outlives a request."""

    models: ModelStore
    tokens_per_second: float | None = None
    files: FileStore = attrs.field(factory=FileStore)
    limiter: Limiter | None = None
    window: RateWindow = attrs.field(factory=RateWindow)
    origin: str = ""
    stopping: bool = False


@attrs.define(eq=False)
class Exchange:
    request: web.Request
    record: RecordedRequest
    state: ServerState
    step: Reply | Failure | None = None
    started: float = attrs.field(factory=time.monotonic)
    verdict: Verdict | None = None
    # True once the server itself has broken the connection, so that nobody blames the client.
    cut: bool = False

    @property
    def failure(self) -> Failure | None:
        return self.step if isinstance(self.step, Failure) else None

    @property
    def reply(self) -> Reply | None:
        return self.step if isinstance(self.step, Reply) else None

    def rate_headers(self) -> Mapping[str, str]:
        """What the answer says of limits: of those there are, or else that there is plenty."""
        if self.state.limiter is None:
            return self.state.window.headers()
        return self.verdict.headers if self.verdict is not None else {}

    def settle(self, usage: Mapping[str, Any]) -> None:
        """Charge what the answer has really used; a scripted usage need not tell."""
        total = usage.get("total_tokens")
        if self.verdict is not None and isinstance(total, int) and total >= 0:
            self.verdict.settle(total, asyncio.get_running_loop().time())

    def connection_lost(self) -> None:
        """Note who ended the connection before the answer was complete."""
        if not (self.cut or self.state.stopping):
            self.record.disconnected = True

    def close_connection(self) -> None:
        """End the TCP connection in the middle of the answer, once all written is sent."""
        self.cut = True
        if self.request.transport is not None:
            self.request.transport.close()

    def json_object(self) -> dict[str, Any]:
        """The request's body, which has to be a JSON object."""
        try:
            body = orjson.loads(self.record.body)
        except orjson.JSONDecodeError as error:
            raise invalid(f"We could not parse the JSON body of your request: {error}.") from error
        if not isinstance(body, dict):
            raise invalid("The JSON body of your request must be an object.")
        return body


Handler: TypeAlias = Callable[[Exchange], Awaitable[web.StreamResponse]]
