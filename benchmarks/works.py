"""What is measured: each work as one awaitable call, which checks what came.

Works of one group take turns within the same rounds, so that they can be compared with each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

import canned
from peers import Peer, Read

SHORT = 200
LONG = 100_000
BY_HAND = ("ours", "by-hand")
OFFICIAL = ("official-aiohttp", "official-httpx")
UVLOOP = ("ours-uvloop", "by-hand-uvloop")


class WrongAnswerError(Exception):
    """A peer has not read what the server sent."""


@frozen
class Work:
    """One kind of work.

    Attributes:
        name: what `--only` knows it by.
        label: what the tables call it.
        call: does it once.
        peers: who does it.
        group: the works it shares its rounds with.
        concurrency: how many calls run at once.
        size: how many operations one call is.
        gc_threshold: how many new objects there must be before Python looks for garbage; `None` is
            its default.
    """

    name: str
    label: str
    call: Callable[[Peer], Awaitable[None]]
    peers: tuple[str, ...]
    group: str
    concurrency: int = 32
    size: int = 1
    gc_threshold: int | None = None


def _check(came: object, wanted: object) -> None:
    if came != wanted:
        msg = f"{came} has been read, where {wanted} was sent"
        raise WrongAnswerError(msg)


async def _chat(peer: Peer) -> None:
    _check(await peer.chat(), len(canned.CHAT_TEXT))


async def _models(peer: Peer) -> None:
    _check(await peer.models(), canned.MODELS)


async def _image(peer: Peer) -> None:
    _check(await peer.image(), canned.IMAGE_SIZE)


def _stream(tokens: int, model: str) -> Callable[[Peer], Awaitable[None]]:
    async def stream(peer: Peer) -> None:
        wanted = Read(canned.chunks(tokens), canned.stream_length(tokens))
        _check(await peer.stream(tokens, model), wanted)

    return stream


async def _text(peer: Peer) -> None:
    came = await peer.text(SHORT, "burst")
    _check(came.characters, canned.stream_length(SHORT))
    if came.pieces not in (SHORT, canned.chunks(SHORT)):  # with and without the empty ones
        _check(came.pieces, SHORT)


def _completion(tokens: int) -> Callable[[Peer], Awaitable[None]]:
    async def completion(peer: Peer) -> None:
        _check(await peer.completion(tokens), Read(1, canned.stream_length(tokens)))

    return completion


_ALL = (
    Work(
        name="chat",
        label="a chat request, 32 at a time",
        call=_chat,
        peers=(*BY_HAND, *OFFICIAL, *UVLOOP, "by-hand-tuned", "raw"),
        group="chat",
    ),
    Work(
        name="chat-1000",
        label="a chat request, 1,000 at a time",
        call=_chat,
        peers=BY_HAND,
        group="chat",
        concurrency=1000,
    ),
    Work(
        name="chat-1000-gc",
        label="a chat request, 1,000 at a time, `gc.set_threshold(100_000)`",
        call=_chat,
        peers=BY_HAND,
        group="chat",
        concurrency=1000,
        gc_threshold=100_000,
    ),
    Work(
        name="stream",
        label="a streamed chunk, 20 a read",
        call=_stream(SHORT, "burst"),
        peers=(*BY_HAND, *OFFICIAL, *UVLOOP, "by-hand-tuned"),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="text",
        label="a streamed chunk, only its text",
        call=_text,
        peers=(*BY_HAND, "ours-uvloop", "by-hand-tuned"),
        group="stream",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="stream-one",
        label="a streamed chunk, one a read",
        call=_stream(SHORT, "one"),
        peers=(*BY_HAND, *OFFICIAL, "by-hand-tuned"),
        group="stream-one",
        concurrency=8,
        size=canned.chunks(SHORT),
    ),
    Work(
        name="stream-flood",
        label="a streamed chunk, as fast as it is read",
        call=_stream(SHORT, "flood"),
        peers=(*BY_HAND, "by-hand-tuned"),
        group="flood",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="long-stream",
        label="a chunk of a stream of 100,000",
        call=_stream(LONG, "flood"),
        peers=BY_HAND,
        group="flood",
        concurrency=1,
        size=canned.chunks(LONG),
    ),
    Work(
        name="completion-short",
        label="a chunk of `completion()`, 200 tokens",
        call=_completion(SHORT),
        peers=("ours",),
        group="flood",
        size=canned.chunks(SHORT),
    ),
    Work(
        name="completion-long",
        label="a chunk of `completion()`, 100,000 tokens",
        call=_completion(LONG),
        peers=("ours",),
        group="flood",
        concurrency=1,
        size=canned.chunks(LONG),
    ),
    Work(
        name="models",
        label="a list of 80 models",
        call=_models,
        peers=(*BY_HAND, *OFFICIAL),
        group="models",
    ),
    Work(
        name="image",
        label="an image of 4 MB base64",
        call=_image,
        peers=(*BY_HAND, *OFFICIAL),
        group="image",
        concurrency=2,
    ),
)
WORKS = {work.name: work for work in _ALL}


@frozen
class MemoryWork:
    """What is asked of a fresh process; see memory.py."""

    name: str
    label: str
    unit: str
    command: dict[str, object]
    peers: tuple[str, ...]


_MEMORY = (
    MemoryWork(
        "open-1000",
        "an open stream, 1,000 open",
        "kB",
        {"work": "open-streams", "streams": 1000},
        (*BY_HAND, *OFFICIAL),
    ),
    MemoryWork(
        "open-5000",
        "an open stream, 5,000 open",
        "kB",
        {"work": "open-streams", "streams": 5000},
        BY_HAND,
    ),
    MemoryWork(
        "image-peak",
        "peak for an image, per byte of it",
        "x",
        {"work": "image-peak"},
        (*BY_HAND, *OFFICIAL),
    ),
)
MEMORY = {work.name: work for work in _MEMORY}
