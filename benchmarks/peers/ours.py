"""This package."""

from __future__ import annotations

from openai_async import AsyncClient

from . import KEY, MESSAGES, MODEL, PROMPT, HangUp, Peer, Read


class Ours(Peer):
    def __init__(self, url: str) -> None:
        self._client = AsyncClient(base_url=url, api_key=KEY, max_connections=10_000)
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

    async def completion(self, tokens: int) -> Read:
        result = await self._client.chat.completions.create(
            model="flood", messages=MESSAGES, max_tokens=tokens, stream=True
        ).completion()
        return Read(1, len(result.text))

    async def models(self) -> int:
        return len((await self._client.models.list()).data)

    async def image(self) -> int:
        result = await self._images.generate(model="gpt-image-1", prompt=PROMPT)
        return len(result.data[0].b64_json or "")

    async def hold(self) -> HangUp:
        stream = await self._client.chat.completions.create(
            model="hold", messages=MESSAGES, stream=True
        )
        await anext(stream)
        return stream.close

    async def close(self) -> None:
        await self._client.close()
