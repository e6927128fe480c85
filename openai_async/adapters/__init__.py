"""Other people's clients on this package's transport: its pool, pacing, retries and time limits.

    from openai import AsyncOpenAI
    from openai_async import AsyncClient
    from openai_async.adapters import http_client

    async with AsyncClient(rate_limit=RateLimit()) as client:
        official = AsyncOpenAI(http_client=http_client(client))

Extra `openai`. Everything here is built on `client.send` and `client.stream`.
"""

from .httpx_clients import http_client, transport

__all__ = ("http_client", "transport")
