"""A request and its answer in progress: what handlers get, with the state of the server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs
from aiohttp import web

from ..jsontext import strict_loads
from .batch_store import BatchStore
from .files import FileStore
from .forms import FormPart, parse_form
from .limits import Decision, Limiter
from .models import ModelStore
from .picture_store import PictureStore
from .recording import RecordedRequest
from .responses import RateWindow, invalid
from .script import Failure, Reply
from .stored_chats import ChatStore
from .uploads import UploadStore


@attrs.define(eq=False)
class ServerState:
    """What requests share."""

    models: ModelStore
    tokens_per_second: float | None = None
    pictures: PictureStore = attrs.field(factory=PictureStore)
    files: FileStore = attrs.field(factory=FileStore)
    uploads: UploadStore = attrs.field(factory=UploadStore)
    batches: BatchStore = attrs.field(factory=BatchStore)
    chats: ChatStore = attrs.field(factory=ChatStore)
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
    decision: Decision | None = None
    # True once the server itself has closed the connection: then the client did not hang up.
    cut: bool = False

    @property
    def failure(self) -> Failure | None:
        return self.step if isinstance(self.step, Failure) else None

    @property
    def reply(self) -> Reply | None:
        return self.step if isinstance(self.step, Reply) else None

    def rate_headers(self) -> Mapping[str, str]:
        """The x-ratelimit headers: of the limits, or, without any, of a plentiful supply."""
        if self.state.limiter is None:
            return self.state.window.headers()
        return self.decision.headers if self.decision is not None else {}

    def settle(self, usage: Mapping[str, Any]) -> None:
        """Charge the tokens really used; a scripted usage need not have them."""
        total = usage.get("total_tokens")
        if self.decision is not None and isinstance(total, int) and total >= 0:
            self.decision.settle(total, asyncio.get_running_loop().time())

    def connection_lost(self) -> None:
        """Record that the client hung up before the answer was complete, if it did."""
        if not (self.cut or self.state.stopping):
            self.record.disconnected = True

    def close_connection(self) -> None:
        """Close the TCP connection in mid-answer, once everything written is sent."""
        self.cut = True
        if self.request.transport is not None:
            self.request.transport.close()

    def form(self) -> list[FormPart]:
        """The parts of the request's body, which must be a form."""
        return parse_form(self.record.headers.get("Content-Type", ""), self.record.body)

    def json_object(self) -> dict[str, Any]:
        """The request's body, which must be a JSON object."""
        try:
            body = strict_loads(self.record.body)
        except ValueError as error:
            raise invalid(f"We could not parse the JSON body of your request: {error}.") from error
        if not isinstance(body, dict):
            raise invalid("The JSON body of your request must be an object.")
        return body


Handler: TypeAlias = Callable[[Exchange], Awaitable[web.StreamResponse]]
