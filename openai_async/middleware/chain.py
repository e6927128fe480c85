"""What a middleware is, and how several become one `send`."""

from __future__ import annotations

import time
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
    """A middleware of the user's, with its response checked and its times filled in."""

    async def call(request: Request, send: Send) -> Response:
        response = await middleware(request, send)
        if not isinstance(response, Response):
            name = getattr(middleware, "__qualname__", type(middleware).__name__)
            what = "None" if response is None else f"a value of type {type(response).__name__}"
            msg = (
                f"The middleware {name} returned {what}: return a Response, "
                "as `return await send(request)` does."
            )
            raise OpenAIError(msg)
        if not response.started:  # the middleware made it, perhaps with the stream of another
            response.started = request.started
            response.elapsed = time.perf_counter() - request.started
        return response

    return call


def _wrap(middleware: Middleware, send: Send) -> Send:
    def wrapped(request: Request) -> Awaitable[Response]:
        return middleware(request, send)

    return wrapped
