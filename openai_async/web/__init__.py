"""Relays a stream to a browser: `sse_response` in aiohttp.web; `SSEResponse` in Starlette, FastAPI
and any other ASGI framework.

    return await sse_response(request, stream)
    return SSEResponse(stream)

Pass the stream as `create(..., stream=True)` returns it, without `await`. Then the response can
have the status of an early error, and a browser that disconnects before the first token is noticed.
"""

from .aiohttp_response import sse_response
from .asgi_response import SSEResponse
from .broadcast import Broadcast, JoinedBroadcast
from .stores import BroadcastStore, MemoryStore
from .ui_messages import from_ui_messages

__all__ = [
    "Broadcast",
    "BroadcastStore",
    "JoinedBroadcast",
    "MemoryStore",
    "SSEResponse",
    "from_ui_messages",
    "sse_response",
]
