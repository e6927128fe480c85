"""Middlewares: `async def __call__(request, send) -> response`, between resource and transport.

A middleware gets every call once, as a `Request`, and passes it on with `await send(request)`. It
may change the request, inspect the response, send again, or return a response of its own. The first
in the list is the outermost; the client's own (retry, pacing) come last, next to the wire.
"""

from .chain import Middleware, Send, chain
from .retry import RETRYABLE_STATUSES, is_retryable

__all__ = ["RETRYABLE_STATUSES", "Middleware", "Send", "chain", "is_retryable"]
