"""pyreqwest: reqwest, an HTTP client in Rust, for asyncio; orjson and plain dicts."""

from __future__ import annotations

import orjson
from pyreqwest.client import ClientBuilder

from . import HEADERS, MESSAGES, MODEL, Peer


class Pyreqwest(Peer):
    def __init__(self, url: str) -> None:
        self._chat = f"{url}/chat/completions"
        self._client = ClientBuilder().default_headers(HEADERS).error_for_status().build()

    async def chat(self) -> int:
        data = orjson.dumps({"model": MODEL, "messages": MESSAGES})
        response = await self._client.post(self._chat).body_bytes(data).build().send()
        result = orjson.loads(memoryview(await response.bytes()))
        return len(result["choices"][0]["message"]["content"])

    async def close(self) -> None:
        await self._client.close()
