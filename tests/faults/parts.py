"""The parts that faulty answers are made of: async functions of `Exchange`.

Most fit any call: they send `PLAIN` or `EVENTS`, whichever was asked for, so that one row tries all
five calls.
"""

from __future__ import annotations

import asyncio
import random
import socket
import zlib
from collections.abc import Callable

import msgspec

from ..raw_server import DONE, Answer, Exchange, RawServer, chunk, sse
from .fault import Options
from .fault_server import hang, keep

# --- the parts of answers -----------------------------------------------------------------------

PLAIN = msgspec.json.encode(
    {
        "object": "list",
        "data": [{"id": "hi"}],
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    }
)


HEAD = sse(chunk("h")) + sse(chunk("i"))


FINISH = sse(chunk(finish="stop"))


EVENTS = HEAD + FINISH + DONE


OK = b"HTTP/1.1 200 OK\r\n"


TEXT = b"Content-Type: text/event-stream\r\n"


CHUNKED = TEXT + b"Transfer-Encoding: chunked\r\n\r\n"


def fitting(exchange: Exchange) -> tuple[bytes, str]:
    """The right answer to this request, and its content type."""
    if b'"stream":true' in exchange.body:
        return EVENTS, "text/event-stream"
    return PLAIN, "application/json"


def framed(
    headers: str = "",
    *,
    status: str = "200 OK",
    before: bytes = b"",
    after: bytes = b"",
    off: int = 0,
    then: Answer = keep,
) -> Answer:
    """The right answer in an odd form; its Content-Length is `off` by so much."""

    async def answer(exchange: Exchange) -> None:
        body, kind = fitting(exchange)
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}"
        head += f"Content-Length: {len(body) + off}\r\n\r\n"
        await exchange.send(before + head.encode("latin-1") + body + after)
        await then(exchange)

    return answer


good = framed()


def raw(data: bytes, then: Answer = keep) -> Answer:
    """These bytes, whatever the request."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(data)
        await then(exchange)

    return answer


def body(
    data: bytes, status: str = "200 OK", kind: str = "application/json", headers: str = ""
) -> Answer:
    """A well-formed answer with this body."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}"
    return raw(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)


def packed(pack: Callable[[bytes], bytes], coding: str) -> Answer:
    """The right answer, compressed."""

    async def answer(exchange: Exchange) -> None:
        content, kind = fitting(exchange)
        await body(pack(content), kind=kind, headers=f"Content-Encoding: {coding}\r\n")(exchange)

    return answer


def half(then: Answer, *, chunked: bool) -> Answer:
    """A part of the right answer: of a stream the first two events, of JSON a few bytes."""

    async def answer(exchange: Exchange) -> None:
        content, kind = fitting(exchange)
        part = HEAD if content is EVENTS else content[:9]
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 99999"
        data = b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
        await exchange.send(OK + b"Content-Type: %s\r\n" % kind.encode() + framing + b"\r\n\r\n")
        await exchange.send(data)
        await apart()
        await then(exchange)

    return answer


async def apart() -> None:
    """What is sent next comes in a packet of its own, when the client has read the last one."""
    await asyncio.sleep(0.01)


def bad_coding(junk: bytes) -> Answer:
    """Half an answer in chunks, then a malformed chunk; the connection stays open."""
    return half(raw(junk, hang), chunked=True)


def events(*parts: bytes, then: Answer | None = None, headers: str = "") -> Answer:
    """A stream in these parts, each in a packet of its own; ended properly, or by `then`."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream(headers)
        for part in parts:
            await exchange.part(part)
            await asyncio.sleep(0)  # the client reads
        if then is None:
            await exchange.end()
        else:
            await apart()
            await then(exchange)

    return answer


def bytewise(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[i : i + 1] for i in range(len(data)))


def split(data: bytes, seed: int) -> tuple[bytes, ...]:
    """`data` in pieces of random sizes."""
    cuts = sorted(random.Random(seed).sample(range(1, len(data)), 12))
    return tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))


def gzipped(*parts: bytes) -> tuple[bytes, ...]:
    """The parts as one gzip stream, flushed after each."""
    packer = zlib.compressobj(wbits=31)
    done = [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return (*done, packer.flush())


def every(seconds: float, data: bytes, *, begin: bytes, end: bytes = b"", times: int) -> Answer:
    """`begin`, then `data` every so many seconds, then `end`."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(begin)
        for _ in range(times):
            await exchange.send(data)
            await asyncio.sleep(seconds)
        await exchange.send(end)

    return answer


def as_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def endless_line(exchange: Exchange) -> None:
    """More than the decoder's limit without a line end."""
    await exchange.start_stream()
    for _ in range(64):
        await exchange.part(b"data: " + b"x" * 2**20 if _ == 0 else b"x" * 2**20)
    await hang(exchange)


def late_junk(junk: bytes) -> Answer:
    """The right answer, and long after the client has read it, unsolicited data."""

    async def answer(exchange: Exchange) -> None:
        await good(exchange)
        await asyncio.sleep(0.03)
        await exchange.send(junk)

    return answer


def stolen() -> bytes:
    """A whole answer, and the wrong one, for plain calls and streams alike."""
    wrong = PLAIN.replace(b'"hi"', b'"stolen"')
    return OK + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(wrong) + wrong


# --- where the client is sent -------------------------------------------------------------------


def origin(server: RawServer) -> str:
    return server.url.removesuffix("/v1")


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
    return port


def behind_proxy(base_url: str) -> Options:
    """The server is the proxy."""
    return lambda server: {"base_url": base_url, "proxy": origin(server)}
