"""Middlewares: `async def __call__(request, send) -> response`, between resource and transport.

A middleware gets every call once, as a `Request`, and passes it on with `await send(request)`. It
may change the request, inspect the response, send again, or return a response of its own. The first
in the list is the outermost; the client's own (retry, pacing) come last, next to the wire.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from ..http.request import Request, Response

Send: TypeAlias = Callable[[Request], Awaitable[Response]]


class Middleware(Protocol):
    """Any async callable of this shape."""

    async def __call__(self, request: Request, send: Send) -> Response: ...


def chain(middlewares: Sequence[Middleware], send: Send) -> Send:
    """`send`, wrapped in all of them."""
    for middleware in reversed(middlewares):
        send = _wrap(middleware, send)
    return send


def _wrap(middleware: Middleware, send: Send) -> Send:
    def wrapped(request: Request) -> Awaitable[Response]:
        return middleware(request, send)

    return wrapped
