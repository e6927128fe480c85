"""The canned server: an `asyncio.Protocol` that does as little as possible, in its own process.

    python benchmarks/server.py [--no-limits] [--tls KEY-AND-CERTIFICATE.pem]

Prints its port, and ends when its standard input does, so that it does not outlive its parent.
The model in the request says how a stream is written: "one" (an event per write), "burst" (20 per
write), "flood" (as fast as the client takes it), "hold" (two events, then silence), "first" (one
event, and the rest once any client sends a chat request without a stream). `max_tokens` says how
long it is. With `--no-limits` no answer has X-RateLimit headers, which would pace a client that
reads them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import sys
from collections.abc import Iterator
from typing import ClassVar, cast

import canned
import machine

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')
_TOKENS = re.compile(rb'"max_tokens": *(\d+)')
_MODEL = re.compile(rb'"model": *"([^"]*)"')
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

# Model: events in a write, and seconds to the next. Without a pause the server is always ahead, and
# a client finds a whole stream in one read. With these, nearly each read is one write, for 32
# streams of "burst" and for 8 of "one" at once. A client that cannot keep up reads more at once,
# which is to its advantage.
_MANNERS = {b"one": (1, 0.001), b"burst": (20, 0.010), b"flood": (20, 0.0)}


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after another."""

    _waiting: ClassVar[list[Connection]] = []
    """Those whose "first" stream has not continued yet."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._writes: Iterator[bytes] | None = None  # of the stream under way
        self._turn: asyncio.Handle | None = None
        self._paused = False
        self._pause = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._waiting:
            self._waiting.remove(self)
        if self._turn is not None:
            self._turn.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._answer_all()

    def _answer_all(self) -> None:
        while self._writes is None and (request := self._request()) is not None:
            self._answer(*request)

    def _request(self) -> tuple[bytes, bytes] | None:
        """The next whole request: its line and its body."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self._received, 0, end)
        start = end + 4
        stop = start + (int(length[1]) if length is not None else 0)
        if len(self._received) < stop:
            return None
        line = bytes(self._received[: self._received.find(b"\r\n")])
        body = bytes(self._received[start:stop])
        del self._received[:stop]
        return line, body

    def _answer(self, line: bytes, body: bytes) -> None:
        if line.startswith(b"POST /v1/chat/completions "):
            if _STREAM.search(body):
                self._begin_stream(body)
            else:
                self._transport.write(canned.chat())
                self._go_on()
        elif line.startswith(b"GET /v1/models "):
            self._transport.write(canned.models())
        elif line.startswith(b"POST /v1/images/generations "):
            self._transport.write(canned.image())
        else:
            self._transport.write(_NOT_FOUND)

    def _begin_stream(self, body: bytes) -> None:
        model, tokens = _MODEL.search(body), _TOKENS.search(body)
        assert model is not None
        if model[1] == b"hold":
            self._writes = iter(())  # under way until the client hangs up
            self._transport.write(canned.held_stream())
            return
        if model[1] == b"first":
            self._writes = iter((canned.first_stream()[1],))
            self._transport.write(canned.first_stream()[0])
            self._pause = 0.0
            self._waiting.append(self)
            return
        per_write, self._pause = _MANNERS[model[1]]
        self._writes = iter(canned.stream(int(tokens[1]) if tokens is not None else 200, per_write))
        self._take_turn()

    def _go_on(self) -> None:
        """Write what has been held back since the first event."""
        for connection in self._waiting:
            connection._take_turn()
        self._waiting.clear()

    def _take_turn(self) -> None:
        """Each write in its own iteration of the loop; otherwise all would leave as one."""
        if self._turn is None and not self._paused:
            self._turn = self._loop.call_later(self._pause, self._write)

    def _write(self) -> None:
        self._turn = None
        if self._paused or self._writes is None:
            return
        data = next(self._writes, None)
        if data is not None:
            self._transport.write(data)
            self._take_turn()
        else:
            self._writes = None
            self._answer_all()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writes is not None:
            self._take_turn()


async def serve(tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The canned server.")
    parser.add_argument("--no-limits", action="store_true", help="no X-RateLimit headers")
    parser.add_argument("--tls", metavar="PEM", help="a key with its certificate")
    options = parser.parse_args()
    machine.pin(-1)
    machine.allow_many_files()
    if options.no_limits:
        canned.forget_limits()
    tls = None
    if options.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(tls))
    else:
        uvloop.run(serve(tls))


if __name__ == "__main__":
    main()
