"""How the tests ask a LocalServer."""

from __future__ import annotations

from typing import Any

import aiohttp

from openai_async.testing import LocalServer

QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [QUESTION]}
STREAM = {**HELLO, "stream": True}


async def chat(server: LocalServer, http: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any]:
    """Status and JSON of the answer to a question, with these parameters."""
    async with http.post(f"{server.url}/chat/completions", json={**HELLO, **fields}) as response:
        return response.status, await response.json()


def content(answer: dict[str, Any], index: int = 0) -> str:
    return str(answer["choices"][index]["message"]["content"])
