"""What the faults need beyond `RawServer`: ways to end a connection, and a server behind TLS."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from subprocess import run
from typing import Any, Self

from ..raw_server import Exchange, RawServer

# --- how a server ends a connection -------------------------------------------------------------


async def keep(exchange: Exchange) -> None:
    """Leave the connection open for the next request."""


async def close(exchange: Exchange) -> None:
    """End the connection in good order."""
    exchange.writer.close()


async def hang(exchange: Exchange) -> None:
    """Say nothing more, until the client hangs up."""
    protocol: Any = exchange.writer.transport.get_protocol()
    await protocol._stream_reader.read(1)


async def reset(exchange: Exchange) -> None:
    """A TCP reset."""
    exchange.abort()


# --- TLS ----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def self_signed() -> tuple[ssl.SSLContext, bytes]:
    """A server's context with a certificate nobody has signed, and that certificate."""
    with tempfile.TemporaryDirectory() as folder:
        key, cert = Path(folder, "key.pem"), Path(folder, "cert.pem")
        curve = "ec_paramgen_curve:prime256v1"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes"]
        command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        run(command, check=True, capture_output=True, timeout=30)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context, cert.read_bytes()


def trusting() -> ssl.SSLContext:
    """A client's context that knows the certificate of `TLSServer`."""
    return ssl.create_default_context(cadata=self_signed()[1].decode())


class HastyServer(RawServer):
    """Rejects any connection at its first byte, as servers of plain HTTP refuse a TLS hello."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()


class TLSServer(RawServer):
    """A `RawServer` behind a self-signed certificate."""

    async def __aenter__(self) -> Self:
        self._tasks = set()
        context, _ = self_signed()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}/v1"
        return self
