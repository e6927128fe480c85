"""An answer as the response of an ASGI framework: Starlette, FastAPI, Quart, Litestar, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import StreamInterruptedError
from ..relay import KEEP_ALIVE
from ..relay.relay import Relay
from ..types.think_tags import ThinkTagsOption
from .relaying import FIRST_EVENT, NOTHING_NEW, Plan, Refusal, Relayed, begin

if TYPE_CHECKING:
    from starlette.responses import Response
else:
    try:  # FastAPI accepts nothing else
        from starlette.responses import Response
    except ImportError:
        Response = object

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class SSEResponse(Response):
    """Relays a stream to the browser: `return SSEResponse(stream)`.

    It is an ASGI application, and a Starlette `Response` if Starlette is installed.

    An error before the answer begins becomes a response with its status (401, 429, 502, ...) and a
    safe text in JSON; a later one becomes the last event. When the browser disconnects, even before
    the first token, the stream is closed within half a second.

    Args:
        stream, form, first_event, keep_alive, headers, think_tags: as for `sse_response`.
        background: called after the response, such as Starlette's `BackgroundTask`.

    Raises:
        InvalidArgumentError: an argument is wrong.
    """

    def __init__(
        self,
        stream: Relayed,
        *,
        form: str | None = None,
        first_event: float = FIRST_EVENT,
        keep_alive: float | None = KEEP_ALIVE,
        headers: Mapping[str, str] | None = None,
        think_tags: ThinkTagsOption = False,
        background: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._plan = Plan(stream, form, first_event, keep_alive, headers, think_tags)
        if Response is object:
            self.raw_headers = encoded(headers or {})
        else:
            super().__init__(headers=headers)
            del self.headers["content-length"]
        self.background: Any = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        relay = self._plan.relay(_last_event_id(scope))
        if relay is None:
            await self._send_whole(send, NOTHING_NEW)
            return
        if scope["method"] == "HEAD":  # GET routes accept HEAD too; it must not cost an answer
            await self._send_whole(send, Refusal(200, relay.headers, b""))
            return
        listener = asyncio.create_task(_until_left(receive))
        listener.add_done_callback(lambda _: relay.close())
        try:
            async with relay:
                await self._relay(relay, send)
        finally:
            listener.cancel()
            await asyncio.wait((listener,))
        if not listener.cancelled():
            listener.result()  # raises what `receive` has raised
        if self.background is not None:
            await self.background()

    async def _relay(self, relay: Relay, send: Send) -> None:
        if (refusal := await begin(relay, self._plan.first_event)) is not None:
            await self._send_whole(send, refusal)
            return

        async def pass_on(message: MutableMapping[str, Any]) -> None:
            try:
                await send(message)
            except OSError:  # the browser has disconnected
                relay.close()

        await self._start(pass_on, 200, relay.headers)
        async for data in relay:
            await pass_on({"type": "http.response.body", "body": data, "more_body": True})
        last = b""
        if relay.cut:
            # uvicorn 0.43 to 0.45 also reports a disconnect when it shuts down. The browser is
            # still there then, and must not take the answer for complete.
            last = relay.failure(StreamInterruptedError("The browser has disconnected."))
            if not last:
                return  # the server breaks the response off
        await pass_on({"type": "http.response.body", "body": last})

    async def _start(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        own = {name.lower() for name, _ in self.raw_headers}
        others = [(name, value) for name, value in encoded(headers) if name not in own]
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*others, *self.raw_headers],
            }
        )

    async def _send_whole(self, send: Send, whole: Refusal) -> None:
        length = {"Content-Length": str(len(whole.body))} if whole.body else {}
        with suppress(OSError):  # the browser has disconnected
            await self._start(send, whole.status, {**whole.headers, **length})
            await send({"type": "http.response.body", "body": whole.body})


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI takes them."""
    pairs = ((name.lower(), value) for name, value in headers.items())
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _last_event_id(scope: Scope) -> str | None:
    values = [value for name, value in scope["headers"] if name.lower() == b"last-event-id"]
    return values[0].decode("latin-1") if values else None


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
