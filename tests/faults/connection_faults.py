"""Faults of connections: unreachable, lost, stale, and malformed HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from openai_async import (
    APIConnectionError,
    APIResponseValidationError,
    InternalServerError,
    StreamInterruptedError,
)

from ..raw_server import DONE, Answer, Exchange, RawServer
from .fault import CUT, EITHER, ELSEWHERE, LOST, RIGHT, Fault, Options, row
from .fault_server import HastyServer, TLSServer, close, hang, reset, trusting
from .parts import (
    CHUNKED,
    HEAD,
    OK,
    TEXT,
    as_chunk,
    bad_coding,
    behind_proxy,
    body,
    fitting,
    framed,
    good,
    half,
    late_junk,
    raw,
    stolen,
    unused_port,
)


def connection_faults() -> Iterator[Fault]:
    yield from _unreachable()
    yield from _tls()
    yield from _proxies()
    yield from _broken()
    yield from _reused()
    yield from _framing()


def _unreachable() -> Iterator[Fault]:
    yield row(
        "refused",
        "connections",
        client=lambda s: {"base_url": f"http://127.0.0.1:{unused_port()}/v1"},
        match="Connection refused.*base_url",
        **ELSEWHERE,
    )
    yield row(
        "unknown host",
        "connections",
        client=lambda s: {"base_url": "https://nowhere.test/v1"},
        match="Name or service not known",
        **ELSEWHERE,
    )
    yield row(
        "no address",
        "connections",
        client=lambda s: {"base_url": "https://empty.test/v1"},
        **ELSEWHERE,
    )


def _tls() -> Iterator[Fault]:
    yield row(
        "tls to an http port",
        "connections",
        client=lambda s: {"base_url": s.url.replace("http:", "https:")},
        server=HastyServer,
        match="try http://",
        **ELSEWHERE,
    )
    if shutil.which("openssl") is None:
        return
    tls: dict[str, Any] = {"server": TLSServer}
    yield row(
        "self-signed certificate", "connections", good, match="self-signed", **tls, **ELSEWHERE
    )
    yield row(
        "certificate of another host",
        "connections",
        good,
        client=lambda s: {"ssl": trusting(), "base_url": s.url.replace("127.0.0.1", "local.test")},
        **tls,
        **ELSEWHERE,
    )
    trusted: Options = lambda s: {"ssl": trusting()}  # noqa: E731
    yield row("trusted certificate", "connections", good, client=trusted, **tls, **RIGHT)
    yield row("tls, closed unasked", "connections", raw(b"", close), client=trusted, **tls, **LOST)
    yield row("http to a tls port", "connections", good, client=_to_http, **tls, **ELSEWHERE)


def _to_http(server: RawServer) -> dict[str, Any]:
    return {"base_url": server.url.replace("https:", "http:")}


def _proxies() -> Iterator[Fault]:
    http, https = behind_proxy("http://x.test/v1"), behind_proxy("https://x.test/v1")
    refused = raw(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    yield row(
        "proxy refuses the connection",
        "connections",
        client=lambda s: {
            "base_url": "http://x.test/v1",
            "proxy": f"http://127.0.0.1:{unused_port()}",
        },
        match="proxy",
        **ELSEWHERE,
    )
    yield row(
        "proxy answers 403 to CONNECT",
        "connections",
        refused,
        client=https,
        match="proxy",
        requests=1,
        recovers=False,
        **LOST,
    )
    for name, answer in (("closes", raw(b"", close)), ("talks nonsense", raw(b"SSH-2.0\r\n\r\n"))):
        name = f"proxy {name} on CONNECT"
        yield row(name, "connections", answer, client=https, recovers=False, **LOST)
    yield row("proxy works", "connections", good, client=http, **RIGHT)
    yield row(
        "proxy answers 502 itself",
        "connections",
        body(b"<html><title>Bad gateway</title></html>", "502 Bad Gateway", "text/html"),
        client=http,
        plain=InternalServerError,
        stream=InternalServerError,
        match="Bad gateway",
    )


def _broken() -> Iterator[Fault]:
    head = OK + b"Content-Type: application/json\r\nX-"
    for name, leave in (("reset", reset), ("closed", close)):
        yield row(
            f"{name} before the header",
            "connections",
            raw(b"", leave),
            requests=1,
            resent=1,
            **LOST,
        )
        yield row(f"{name} inside the status line", "connections", raw(OK[:9], leave), **LOST)
        yield row(f"{name} inside the header", "connections", raw(head, leave), **LOST)
        yield row(
            f"{name} after the header",
            "connections",
            raw(OK + TEXT + b"Content-Length: 9\r\n\r\n", leave),
            plain=APIConnectionError,
            stream=StreamInterruptedError,
        )
        for chunked in (False, True):
            kind = "chunked" if chunked else "content-length"
            answer = half(leave, chunked=chunked)
            yield row(f"{name} inside the {kind} body", "connections", answer, **CUT)
    for name, junk in (
        ("a bad chunk size", b"zz\r\n"),
        ("a negative chunk size", b"-5\r\n"),
        ("a chunk size of 20 digits", b"f" * 20 + b"\r\n"),
        ("no line end behind a chunk", b"1\r\nxyyyyy\r\n"),
        ("a second header", OK + b"\r\n"),
    ):
        yield row(name, "connections", bad_coding(junk), **CUT)
    one = OK + CHUNKED + as_chunk(HEAD) + b"zz\r\n"
    either = (StreamInterruptedError, APIConnectionError)
    yield row("a bad chunk size at once", "connections", raw(one, hang), stream=either)
    for name, data in (
        ("an ssh server", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ("zeros", bytes(100)),
        ("a header of 1 MB", OK + b"X-Long: " + b"x" * 2**20 + b"\r\n\r\n"),
        ("1 MB of headers", OK + b"".join(b"X-%d: xxxxxxxx\r\n" % i for i in range(60_000))),
        ("an endless status line", b"HTTP/1.1 200 " + b"O" * 2**20),
    ):
        yield row(name, "connections", raw(data, hang), **LOST)


def _reused() -> Iterator[Fault]:
    gone = raw(b"", close)
    torn = raw(b"", reset)
    for name, answer in (("closed", framed(then=close)), ("reset", framed(then=reset))):
        yield row(f"{name} after each answer", "connections", answer, times=3, retries=2, **RIGHT)
    for name, answer in (("closed", gone), ("reset", torn)):
        yield row(
            f"{name} as the second request comes",
            "connections",
            *(good, answer, good),
            times=2,
            retries=2,
            requests=3,
            **RIGHT,
        )
    yield row(
        "connection: close",
        "connections",
        framed("Connection: close\r\n", then=close),
        times=3,
        connections=3,
        **RIGHT,
    )
    yield row("kept alive", "connections", good, times=5, connections=1, **RIGHT)
    for name, junk in (
        ("extra bytes", b"junk junk\r\n\r\n"),
        ("extra line ends", b"\r\n\r\n"),
        ("a second answer", stolen()),
        ("half a second answer", stolen()[:40]),
    ):
        # What cannot be the start of an answer makes aiohttp's parser drop the whole packet, with
        # the good answer in it: a typed error is all that can come of that.
        outcome = EITHER if name == "extra bytes" else RIGHT
        at_once = framed(after=junk)
        times = 1 if name == "extra bytes" else 3
        yield row(f"{name} behind the answer", "connections", at_once, times=times, **outcome)
        yield row(
            f"{name} later, unasked",
            "connections",
            late_junk(junk),
            times=2,
            pause=0.08,
            **RIGHT,
        )


def _framing() -> Iterator[Fault]:
    """Odd framing: read correctly where the standard defines it, else a connection error."""
    either = {"plain": ("hi", APIConnectionError), "stream": ("hi", APIConnectionError)}
    for name, headers in (
        ("a folded header", "X-A: b\r\n  folded\r\n"),
        ("two content-lengths, the same", "Content-Length: %d\r\n"),
    ):
        yield row(name, "connections", _with_length(headers), **either)
    for name, headers in (
        ("a null byte in a header", "X-A: a\0b\r\n"),
        ("two content-lengths that differ", "Content-Length: 3\r\n"),
        ("a negative content-length", "Content-Length: -3\r\n"),
        ("a content-length in words", "Content-Length: many\r\n"),
        ("a header without a colon", "nonsense\r\n"),
    ):
        yield row(name, "connections", framed(headers), **LOST)
    for name, before in (
        ("100 continue first", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("103 early hints first", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=x\r\n\r\n"),
        ("five times 102 first", b"HTTP/1.1 102 Processing\r\n\r\n" * 5),
    ):
        yield row(name, "connections", framed(before=before), times=2, **RIGHT)
    yield row("lower-case header names", "connections", _lower_case, **RIGHT)
    yield row("latin-1 in a header", "connections", framed("X-Name: M\xfcller\r\n"), **RIGHT)
    yield row("500 headers", "connections", framed("X-A: b\r\n" * 100), **RIGHT)
    for version in (b"1.0", b"1.1"):
        name = f"http/{version.decode()}, no length, closed"
        yield row(name, "connections", _without_length(version), times=2, **RIGHT)
    yield row(
        "content-length too long, closed",
        "connections",
        framed(off=10, then=close),
        plain=APIConnectionError,
        stream="hi",
    )
    yield row(
        "content-length too short",
        "connections",
        framed(off=-len(DONE) - 5),
        plain=(APIResponseValidationError, APIConnectionError),
        stream=(StreamInterruptedError, APIConnectionError),
        partial="hi",
    )


def _with_length(headers: str) -> Answer:
    async def answer(exchange: Exchange) -> None:
        length = len(fitting(exchange)[0])
        await framed(headers % length if "%" in headers else headers)(exchange)

    return answer


def _without_length(version: bytes) -> Answer:
    async def answer(exchange: Exchange) -> None:
        content, kind = fitting(exchange)
        head = b"HTTP/%s 200 OK\r\nContent-Type: %s\r\n\r\n" % (version, kind.encode())
        await exchange.send(head + content)
        exchange.writer.close()

    return answer


async def _lower_case(exchange: Exchange) -> None:
    content, kind = fitting(exchange)
    head = f"HTTP/1.1 200 ok\r\ncontent-type:{kind}\r\ncontent-length:{len(content)}\r\n\r\n"
    await exchange.send(head.encode() + content)
