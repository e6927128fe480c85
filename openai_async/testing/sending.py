"""Sends an answer, token by token or at once; cuts it off or stalls where the script says so."""

import asyncio
from collections.abc import Iterable

import attrs
from aiohttp import web

from .exchange import Exchange

# Unpaced streams yield to other tasks now and then: a long one must not block the loop.
_EVENTS_PER_YIELD = 32


@attrs.frozen
class Event:
    """One server-sent event. Only tokens are paced and counted; `closing` ones follow the last."""

    data: bytes
    is_token: bool = False
    closing: bool = False


async def send_events(exchange: Exchange, events: Iterable[Event]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    try:
        await response.prepare(exchange.request)
        if await _write_events(exchange, response, events):
            await response.write_eof()
    except ConnectionError:
        exchange.connection_lost()
    return response


async def _write_events(
    exchange: Exchange, response: web.StreamResponse, events: Iterable[Event]
) -> bool:
    """True if everything was written, False if the script has cut off the stream."""
    breaks_after = exchange.failure.breaks_after if exchange.failure else None
    pace = _Pace(exchange.state.tokens_per_second)
    tokens = 0
    for number, event in enumerate(events, 1):
        # An answer shorter than the script expects is cut off anyway, as a test relies on it.
        if breaks_after is not None and (tokens >= breaks_after or event.closing):
            await _cut_or_stall(exchange)
            return False
        if event.is_token:
            await pace.next_token()
            tokens += 1
        elif number % _EVENTS_PER_YIELD == 0:
            await asyncio.sleep(0)
        await response.write(event.data)
    return True


class _Pace:
    """Waits so that tokens come at an even rate, however long writing takes."""

    def __init__(self, tokens_per_second: float | None) -> None:
        self._interval = None if tokens_per_second is None else 1 / tokens_per_second
        self._due: float | None = None
        self._tokens = 0

    async def next_token(self) -> None:
        if self._interval is None:
            self._tokens += 1
            if self._tokens % _EVENTS_PER_YIELD == 0:
                await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        self._due = now if self._due is None else max(self._due + self._interval, now)
        await asyncio.sleep(self._due - now)


async def send_truncated(exchange: Exchange, whole: web.Response) -> web.StreamResponse:
    """A plain answer that announces its full length and sends half of it, or nothing."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    try:
        await response.prepare(exchange.request)
        if exchange.failure is not None and exchange.failure.cut_after is not None:
            await response.write(body[: len(body) // 2])
        await _cut_or_stall(exchange)
    except ConnectionError:
        exchange.connection_lost()
    return response


async def _cut_or_stall(exchange: Exchange) -> None:
    if exchange.failure is not None and exchange.failure.cut_after is not None:
        exchange.close_connection()
        return
    # Never set: the wait is cancelled when the client hangs up or the server stops.
    await asyncio.Event().wait()
