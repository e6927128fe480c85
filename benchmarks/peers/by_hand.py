"""Without an SDK: aiohttp and orjson, plain dicts, no retries, no errors of its own.

`ByHand` is what a competent person writes first. `Tuned` is the result of an afternoon with a
profiler: the URL parsed once, the headers made once, no cookies, no total timeout, and a stream
split one read at a time, not line by line. To put a stream together, only its texts are joined;
everything else in the chunks is left out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from ssl import SSLContext
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from . import HEADERS, MESSAGES, MODEL, PROMPT, Opened, Peer, Read


class ByHand(Peer):
    def __init__(self, url: str, ssl: SSLContext | bool = True) -> None:
        self._url = url
        self._ssl = ssl
        self._open_session: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        # aiohttp wants a running loop when a session is made.
        if self._open_session is None:
            self._open_session = aiohttp.ClientSession(
                headers=HEADERS, connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl)
            )
        return self._open_session

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        data = orjson.dumps(body)
        async with self._session.post(f"{self._url}{path}", data=data) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())

    async def _events(self, model: str, **params: object) -> AsyncGenerator[dict[str, Any], None]:
        body = {"model": model, "messages": MESSAGES, "stream": True, **params}
        data = orjson.dumps(body)
        async with self._session.post(f"{self._url}/chat/completions", data=data) as response:
            response.raise_for_status()
            # Past [DONE] to the end of the response: else the connection could not be used again.
            async for line in response.content:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield orjson.loads(line[6:])

    async def chat(self) -> int:
        result = await self._post("/chat/completions", {"model": MODEL, "messages": MESSAGES})
        return len(result["choices"][0]["message"]["content"])

    async def stream(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        async for chunk in self._events(model, max_tokens=tokens):
            pieces += 1
            if chunk["choices"] and (content := chunk["choices"][0]["delta"].get("content")):
                characters += len(content)
        return Read(pieces, characters)

    async def models(self) -> int:
        async with self._session.get(f"{self._url}/models") as response:
            response.raise_for_status()
            return len(orjson.loads(await response.read())["data"])

    async def image(self) -> int:
        body = {"model": "gpt-image-1", "prompt": PROMPT}
        result = await self._post("/images/generations", body)
        return len(result["data"][0]["b64_json"])

    async def open(self, model: str) -> Opened:
        events = self._events(model)
        first = await anext(events)

        async def rest() -> int:
            return len([chunk async for chunk in events])

        return Opened(first["choices"][0]["delta"]["role"], rest, events.aclose)

    async def close(self) -> None:
        await self._session.close()


class Tuned(Peer):
    def __init__(self, url: str) -> None:
        self._chat = URL(f"{url}/chat/completions")
        self._headers = CIMultiDict(HEADERS)
        self._open_session: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open_session is None:
            self._open_session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._open_session

    async def chat(self) -> int:
        data = orjson.dumps({"model": MODEL, "messages": MESSAGES})
        async with self._session.post(self._chat, data=data, headers=self._headers) as response:
            response.raise_for_status()
            result = orjson.loads(await response.read())
        return len(result["choices"][0]["message"]["content"])

    async def _reads(self, tokens: int, model: str) -> AsyncGenerator[list[Any], None]:
        """The choices of each chunk, those of one read together."""
        body = {"model": model, "messages": MESSAGES, "stream": True, "max_tokens": tokens}
        data = orjson.dumps(body)
        rest = b""
        async with self._session.post(self._chat, data=data, headers=self._headers) as response:
            response.raise_for_status()
            async for read in response.content.iter_any():
                *events, rest = (rest + read).split(b"\n\n")
                yield [
                    orjson.loads(event[6:])["choices"]
                    for event in events
                    if event.startswith(b"data: ") and event != b"data: [DONE]"
                ]

    async def stream(self, tokens: int, model: str) -> Read:
        pieces = characters = 0
        async for chunks in self._reads(tokens, model):
            for choices in chunks:
                pieces += 1
                if choices and (content := choices[0]["delta"].get("content")):
                    characters += len(content)
        return Read(pieces, characters)

    async def completion(self, tokens: int, model: str) -> Read:
        texts = []
        async for chunks in self._reads(tokens, model):
            for choices in chunks:
                if choices and (content := choices[0]["delta"].get("content")):
                    texts.append(content)
        return Read(1, len("".join(texts)))

    async def close(self) -> None:
        await self._session.close()
