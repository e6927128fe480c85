"""Other clients on this package's transport, with its pool, pacing, retries and time limits.

    from openai import AsyncOpenAI
    from openai_async import AsyncClient, RateLimit
    from openai_async.adapters import http_client

    async with AsyncClient(rate_limit=RateLimit()) as client:
        official = AsyncOpenAI(http_client=http_client(client))

Needs the extra `openai`. Everything here is built on `client.send` and `client.stream`.
"""

from .httpx_clients import http_client, transport

__all__ = ("http_client", "transport")
