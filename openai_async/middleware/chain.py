"""What a middleware is, and how several become one `send`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from ..errors import OpenAIError
from ..http.request import Request, Response

Send: TypeAlias = Callable[[Request], Awaitable[Response]]


class Middleware(Protocol):
    """Any async callable of this shape."""

    def __call__(self, request: Request, send: Send) -> Awaitable[Response]: ...


def chain(middlewares: Sequence[Middleware], send: Send) -> Send:
    """`send`, wrapped in all of them."""
    for middleware in reversed(middlewares):
        send = _wrap(middleware, send)
    return send


def checked(middleware: Middleware) -> Middleware:
    """A middleware of the user's; an error says what to do if it forgets to return the response."""

    async def call(request: Request, send: Send) -> Response:
        response = await middleware(request, send)
        if response is None:
            name = getattr(middleware, "__qualname__", type(middleware).__name__)
            msg = f"The middleware {name} returned None: end it with `return await send(request)`."
            raise OpenAIError(msg)
        return response

    return call


def _wrap(middleware: Middleware, send: Send) -> Send:
    def wrapped(request: Request) -> Awaitable[Response]:
        return middleware(request, send)

    return wrapped
