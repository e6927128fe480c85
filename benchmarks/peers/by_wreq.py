"""wreq: an HTTP client for asyncio in Rust, with threads of its own; orjson and plain dicts."""

from __future__ import annotations

import orjson
import wreq

from . import HEADERS, MESSAGES, MODEL, Peer


class Wreq(Peer):
    def __init__(self, url: str) -> None:
        self._chat = f"{url}/chat/completions"
        self._client = wreq.Client(headers=HEADERS)

    async def chat(self) -> int:
        data = orjson.dumps({"model": MODEL, "messages": MESSAGES})
        async with self._client.post(self._chat, body=data) as response:
            response.raise_for_status()
            result = orjson.loads(await response.bytes())
        return len(result["choices"][0]["message"]["content"])

    async def close(self) -> None:
        self._client.close()
