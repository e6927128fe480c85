"""Getting an answer onto the wire, token by token or at once, and breaking it off as scripted."""

import asyncio
from collections.abc import Iterable

import attrs
from aiohttp import web

from .exchange import Exchange

# Unpaced streams give way to other tasks now and then: one long stream must not hold up the loop.
_EVENTS_PER_TURN = 32


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
    """True when all is written, False when the script has cut the stream."""
    breaks_after = exchange.failure.breaks_after if exchange.failure else None
    pace = _Pace(exchange.state.tokens_per_second)
    tokens = 0
    for number, event in enumerate(events, 1):
        # An answer shorter than the script expects still breaks off: a test relies on it.
        if breaks_after is not None and (tokens >= breaks_after or event.closing):
            await _break_off(exchange)
            return False
        if event.is_token:
            await pace.next_token()
            tokens += 1
        elif number % _EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)
        await response.write(event.data)
    return True


class _Pace:
    """Waits so that tokens come at an even rate, whatever the writing itself takes."""

    def __init__(self, tokens_per_second: float | None) -> None:
        self._interval = None if tokens_per_second is None else 1 / tokens_per_second
        self._due: float | None = None
        self._tokens = 0

    async def next_token(self) -> None:
        if self._interval is None:
            self._tokens += 1
            if self._tokens % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        self._due = now if self._due is None else max(self._due + self._interval, now)
        await asyncio.sleep(self._due - now)


async def send_broken(exchange: Exchange, whole: web.Response) -> web.StreamResponse:
    """A plain answer which announces its whole length and delivers half of it, or nothing."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    try:
        await response.prepare(exchange.request)
        if exchange.failure is not None and exchange.failure.cut_after is not None:
            await response.write(body[: len(body) // 2])
        await _break_off(exchange)
    except ConnectionError:
        exchange.connection_lost()
    return response


async def _break_off(exchange: Exchange) -> None:
    if exchange.failure is not None and exchange.failure.cut_after is not None:
        exchange.close_connection()
        return
    # Nobody sets this event: the client's hanging up or the server's stop cancels the wait.
    await asyncio.Event().wait()
