"""This package."""

from __future__ import annotations

from ssl import SSLContext

from openai_async import AsyncClient

from . import KEY, MESSAGES, MODEL, PROMPT, Opened, Peer, Read, Sent


class Ours(Peer):
    def __init__(self, url: str, ssl: SSLContext | None = None) -> None:
        self._client = AsyncClient(base_url=url, api_key=KEY, max_connections=10_000, ssl=ssl)
        self._small_pool: AsyncClient | None = None
        self._images = self._client.images  # imported here, and not while memory is measured

    async def chat(self) -> int:
        result = await self._client.chat.completions.create(model=MODEL, messages=MESSAGES)
        return len(result.choices[0].message.content or "")

    async def stream(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        async for chunk in self._client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=tokens, stream=True
        ):
            pieces += 1
            if chunk.choices and (content := chunk.choices[0].delta.content):
                characters += len(content)
        return Read(pieces, characters)

    async def text(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        async for text in self._client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=tokens, stream=True
        ).text():
            pieces += 1
            characters += len(text)
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

    async def completion(self, tokens: int, model: str) -> Read:
        result = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=tokens, stream=True
        ).completion()
        return Read(1, len(result.text))

    async def models(self) -> int:
        return len((await self._client.models.list()).data)

    async def image(self) -> int:
        result = await self._images.generate(model="gpt-image-1", prompt=PROMPT)
        return len(result.data[0].b64_json or "")

    async def open(self, model: str) -> Opened:
        stream = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True
        )
        first = await anext(stream)

        async def rest() -> int:
            return len([chunk async for chunk in stream])

        return Opened(first.choices[0].delta.role or "", rest, stream.close)

    async def many(self, way: str, requests: int, concurrency: int) -> Sent:
        from . import many  # imports what no other work needs

        if self._small_pool is None:
            self._small_pool = AsyncClient(
                base_url=self._client.base_url, api_key=KEY, max_connections=concurrency
            )
        return await many.send(self._small_pool, way, requests, concurrency)

    async def close(self) -> None:
        if self._small_pool is not None:
            await self._small_pool.close()
        await self._client.close()
