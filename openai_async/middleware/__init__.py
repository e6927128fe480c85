"""Middlewares: `async def __call__(request, send) -> response`, between resource and transport.

A middleware sees every call once, as a `Request`, and passes it on with `await send(request)`; it
may change the request, look at the response, send again, or answer by itself. The first in the
list is the outermost; the client's own (retry) come after the user's, next to the wire.
"""

from .chain import Middleware, Send, chain
from .retry import RETRYABLE_STATUSES, is_retryable

__all__ = ["RETRYABLE_STATUSES", "Middleware", "Send", "chain", "is_retryable"]
