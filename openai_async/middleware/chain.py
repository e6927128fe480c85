"""What a middleware is, and how several become one `send`."""

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
