"""The official SDK: over httpx as it comes, over aiohttp (`pip install "openai[aiohttp]"`), and
over this package.

Its own defaults: 1,000 connections, of which 100 are kept when they are idle.
"""

from __future__ import annotations

import openai

from openai_async import AsyncClient
from openai_async.adapters import http_client

from . import KEY, MESSAGES, MODEL, PROMPT, Opened, Peer, Read


class Official(Peer):
    def __init__(self, url: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=url, api_key=KEY)

    async def chat(self) -> int:
        result = await self._client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return len(result.choices[0].message.content or "")

    async def stream(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        stream = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=tokens, stream=True
        )
        async for chunk in stream:
            pieces += 1
            if chunk.choices and (content := chunk.choices[0].delta.content):
                characters += len(content)
        return Read(pieces, characters)

    async def events(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        async with self._client.chat.completions.stream(
            model=model, messages=MESSAGES, max_tokens=tokens
        ) as stream:
            async for event in stream:
                if event.type == "chunk":
                    pieces += 1
                elif event.type == "content.delta":
                    characters += len(event.delta)
        return Read(pieces, characters)

    async def models(self) -> int:
        return len((await self._client.models.list()).data)

    async def image(self) -> int:
        result = await self._client.images.generate(model="gpt-image-1", prompt=PROMPT)
        return len((result.data or [])[0].b64_json or "")

    async def open(self, model: str) -> Opened:
        stream = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True
        )
        first = await anext(stream)

        async def rest() -> int:
            return len([chunk async for chunk in stream])

        return Opened(first.choices[0].delta.role or "", rest, stream.close)

    async def close(self) -> None:
        await self._client.close()


class OverAiohttp(Official):
    def __init__(self, url: str) -> None:
        http_client = openai.DefaultAioHttpClient()
        self._client = openai.AsyncOpenAI(base_url=url, api_key=KEY, http_client=http_client)


class OverOurs(Official):
    def __init__(self, url: str) -> None:
        self._transport = AsyncClient(base_url=url, api_key=KEY)
        self._client = openai.AsyncOpenAI(
            base_url=url, api_key=KEY, http_client=http_client(self._transport)
        )

    async def close(self) -> None:
        await super().close()
        await self._transport.close()
