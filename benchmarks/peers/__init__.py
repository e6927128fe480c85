"""The clients that are compared: each does the same work, as its users would write it.

Every method reads what a program would read, and returns how much that was, so that the worker can
see whether it was all. Defaults everywhere, but for limits below the 5,000 streams that are opened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from ssl import SSLContext
from typing import Any

from attrs import frozen

import dependencies

KEY = "sk-benchmark-0123456789"
MODEL = "gpt-4o-mini"
PROMPT = "An otter in a beret, sitting at a desk"
# Any: each client has types of its own for messages.
MESSAGES: list[Any] = [
    {"role": "system", "content": "You are a patient teacher. Answer in a few short sentences."},
    {"role": "user", "content": "Why is the sky blue, and why is it red in the evening?"},
]

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

_OURS = ("openai_async", *dependencies.packages())
_BY_HAND = ("aiohttp", "orjson")
_OFFICIAL = ("openai", "httpx2", "httpx", "pydantic")

HangUp = Callable[[], Awaitable[None]]


@frozen
class Opened:
    """A stream whose first chunk has been read, and the role that it names.

    Its bound methods keep the stream open: `rest` reads it to the end and returns how many chunks
    there were, `hang_up` closes it.
    """

    role: str
    rest: Callable[[], Awaitable[int]]
    hang_up: HangUp


@frozen
class Sent:
    """The outcome of many requests, and the CPU seconds they took."""

    cpu: float
    answers: int
    tokens: int


@frozen
class Read:
    """What has been read of a stream."""

    pieces: int
    characters: int


class Peer(ABC):
    """A client with its pool, for one event loop. What it cannot do is not asked of it."""

    @abstractmethod
    def __init__(self, url: str) -> None:
        """`url` is the base URL: http://127.0.0.1:1234/v1.

        Peers that are measured over TLS also take `ssl`, the context to check the server with.
        """

    @abstractmethod
    async def chat(self) -> int:
        """Ask; the length of the answer."""

    async def stream(self, tokens: int, model: str) -> Read:
        """Read the content of every chunk."""
        raise NotImplementedError

    async def text(self, tokens: int, model: str) -> Read:
        """Read the text, in the shortest way there is."""
        return await self.stream(tokens, model)

    async def events(self, tokens: int, model: str) -> Read:
        """Read the content from the events of every chunk."""
        raise NotImplementedError

    async def completion(self, tokens: int, model: str) -> Read:
        """Stream, and put the whole answer together."""
        raise NotImplementedError

    async def models(self) -> int:
        """How many models there are."""
        raise NotImplementedError

    async def image(self) -> int:
        """Draw a picture; the length of its base64."""
        raise NotImplementedError

    async def open(self, model: str) -> Opened:
        """Open a stream and read its first chunk."""
        raise NotImplementedError

    async def many(self, way: str, requests: int, concurrency: int) -> Sent:
        """Send many chat requests: see peers/many.py."""
        raise NotImplementedError

    @abstractmethod
    async def close(self) -> None: ...


@frozen
class Kind:
    """Where a peer is written, what it is made of, and what else than this package it needs."""

    label: str
    where: str
    packages: tuple[str, ...]
    needs: tuple[str, ...] = ()
    uvloop: bool = False

    @property
    def missing(self) -> list[str]:
        """The packages it needs that are not installed."""
        needs = (*self.needs, "uvloop") if self.uvloop else self.needs
        return [name for name in needs if find_spec(name) is None]

    def make(self, url: str, ssl: SSLContext | None = None) -> Peer:
        module, _, name = self.where.partition(":")
        options = {} if ssl is None else {"ssl": ssl}
        peer: Peer = getattr(import_module(f"peers.{module}"), name)(url, **options)
        return peer


PEERS = {
    "ours": Kind("openai_async", "ours:Ours", _OURS),
    "by-hand": Kind("by hand", "by_hand:ByHand", _BY_HAND),
    "official-aiohttp": Kind(
        "official, aiohttp",
        "official:OverAiohttp",
        (*_OFFICIAL, "aiohttp"),
        needs=("openai", "aiohttp"),
    ),
    "official-httpx": Kind("official, httpx", "official:Official", _OFFICIAL, needs=("openai",)),
    "official-ours": Kind(
        "official, openai_async",
        "official:OverOurs",
        (*_OFFICIAL, *_OURS),
        needs=("openai",),
    ),
    "ours-uvloop": Kind("openai_async, uvloop", "ours:Ours", (*_OURS, "uvloop"), uvloop=True),
    "by-hand-uvloop": Kind("by hand, uvloop", "by_hand:ByHand", (*_BY_HAND, "uvloop"), uvloop=True),
    "by-hand-tuned": Kind("by hand, tuned", "by_hand:Tuned", _BY_HAND),
    "wreq": Kind("wreq", "by_wreq:Wreq", ("wreq", "orjson"), needs=("wreq",)),
    "pyreqwest": Kind(
        "pyreqwest", "by_pyreqwest:Pyreqwest", ("pyreqwest", "orjson"), needs=("pyreqwest",)
    ),
    "raw": Kind("raw protocol", "raw:Raw", ("orjson",)),
}
