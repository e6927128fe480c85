"""An answer as the response of an aiohttp.web handler."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from ..relay import KEEP_ALIVE
from ..relay.relay import Relay
from ..types.think_tags import ThinkTagsOption
from .relaying import FIRST_EVENT, Plan, Relayed, begin

# How often to see whether the browser is still there, in seconds.
CHECK_INTERVAL = 0.25


async def sse_response(
    request: web.Request,
    stream: Relayed,
    *,
    form: str | None = None,
    first_event: float = FIRST_EVENT,
    keep_alive: float | None = KEEP_ALIVE,
    headers: Mapping[str, str] | None = None,
    think_tags: ThinkTagsOption = False,
) -> web.StreamResponse:
    """Relay a whole stream to the browser: `return await sse_response(request, stream)`.

    An error before the answer begins becomes a response with its status (401, 429, 502, ...) and a
    safe text in JSON; a later one becomes the last event. When the browser disconnects, even before
    the first token, the stream is closed within half a second.

    Args:
        request: the request that is being handled.
        stream: what `create(..., stream=True)` or `run_tools` returns, not awaited;
            `client.stream(...)`; `Conversation.stream(...)`; or a `Broadcast`.
        form: `"chunks"`, `"text"`, `"ui"` or `"raw"`; see docs/web.md. The default is `"text"` for
            `run_tools` and conversations, `"raw"` for `client.stream(...)`, and else `"chunks"`.
        first_event: seconds to wait for the answer to begin. After that, the response starts
            without it, and a failure can only be an event.
        keep_alive: seconds of silence after which a comment is sent; `None` for never.
        headers: additional headers for the response.
        think_tags: whether `"text"` and `"ui"` send a `<think>` block at the beginning as
            reasoning; see `ChatCompletionStream.text`.

    Raises:
        InvalidArgumentError: an argument is wrong.
    """
    plan = Plan(stream, form, first_event, keep_alive, headers, think_tags)
    relay = plan.relay(request.headers.get("Last-Event-ID"))
    if relay is None:
        return web.Response(status=204, headers=plan.headers)
    if request.method == "HEAD":  # `add_get` accepts HEAD too; it must not cost an answer
        return web.Response(headers=plan.beside(relay.headers))
    async with relay, _ClosedOnDisconnect(relay, request):
        if (refusal := await begin(relay, plan.first_event)) is not None:
            return web.Response(
                status=refusal.status,
                headers=plan.beside(refusal.headers),
                body=refusal.body,
            )
        response = web.StreamResponse(headers=plan.beside(relay.headers))
        try:
            await response.prepare(request)
            async for data in relay:
                await response.write(data)
        except ConnectionError:
            if not _has_left(request):
                raise
        return response


class _ClosedOnDisconnect:
    """Closes the relay soon after the browser has disconnected. A handler is not told, unless it
    writes, or the app has `handler_cancellation`.
    """

    def __init__(self, relay: Relay, request: web.Request) -> None:
        self._relay = relay
        self._request = request

    async def __aenter__(self) -> None:
        self._wait()

    async def __aexit__(self, *exc: object) -> None:
        self._timer.cancel()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CHECK_INTERVAL, self._check)

    def _check(self) -> None:
        if _has_left(self._request):
            self._relay.close()
        else:
            self._wait()


def _has_left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
