"""Everything that relies on undocumented parts of aiohttp.

Each use has a test in tests/http/test_aiohttp_internals.py that fails if aiohttp changes it, and a
fallback to documented features: requests are then slower, or have one safeguard less, which is
logged once. pyproject.toml allows no aiohttp version that this file was not tested with.

Most of it is the direct exchange. `ClientSession.request` spends three quarters of its CPU time on
preparing what a client of one API knows beforehand: defaults, cookies, redirects, a payload class,
a task to write the body, headers to serialize. On a connection that is already open, `exchange`
writes a finished head and body, and reads the answer with aiohttp's own parser. Connecting, TLS,
the pool, keep-alive, chunked and compressed bodies remain aiohttp's.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import time
from contextvars import ContextVar
from functools import cache, partial
from types import FunctionType
from typing import Any, TypeAlias

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from multidict import CIMultiDictProxy
from yarl import URL

from .._unix_sockets import UNIX
from .read_size import bound_reads
from .sockets import open_socket
from .urls import remember

try:
    from aiohttp.http_exceptions import HttpProcessingError
except ImportError:
    HttpProcessingError = aiohttp.ClientError  # type: ignore[assignment,misc]

log = logging.getLogger("openai_async")

ParserError: type[Exception] = HttpProcessingError
"""What aiohttp's pure-Python parser raises, unwrapped."""

PURE_PYTHON = HttpResponseParser.__module__ == "aiohttp.http_parser"
"""Whether that parser is in use, as on PyPy: it quotes verbatim what it could not parse."""

reused: ContextVar[ResponseHandler | None] = ContextVar("openai_async_reused", default=None)
"""The connection that the request of this task is sent on, if it has been used before."""


def open_session(keepalive: float, unix_socket: str | None = None) -> aiohttp.ClientSession:
    """A session without timeouts, retries and connection limits, which are handled elsewhere.

    Args:
        keepalive: seconds that an idle connection is kept.
        unix_socket: the path of the socket that all requests are sent to.
    """
    session = aiohttp.ClientSession(
        connector=TCPConnector(keepalive)
        if unix_socket is None
        else UnixConnector(unix_socket, keepalive),
        # The API needs no cookies, and Cloudflare's would link requests to each other.
        cookie_jar=aiohttp.DummyCookieJar(),
        # `Timeout` covers all waiting, in Transport and ByteStream.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    )
    # Otherwise aiohttp itself would send a failed GET again, uncounted by `max_retries`, `attempts`
    # and the retry budget. The fault "closed before the header" counts requests.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False
    else:
        _warn_once("aiohttp itself may send a GET once more than max_retries allows")
    return session


class Protocol(ResponseHandler):
    """A connection that knows whether a request on it has been answered."""

    answered = True
    """Whether a byte has arrived since it was acquired; `True` until it is first reused."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        bound_reads(transport)

    def close(self) -> None:
        # asyncio would first wait until the server has read what is still to be sent: forever, if
        # it does not read.
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()

    def data_received(self, data: bytes) -> None:
        self.answered = True
        super().data_received(data)


class Connector(aiohttp.BaseConnector):
    """Never reuses an idle connection on which unsolicited data has arrived.

    aiohttp checks for that when a connection is released, not when it is reused: what a broken
    server sends in between would be taken for the answer to the next request. The fault "a second
    answer later, unsolicited" fails if `_get` or `_conns` changes.
    """

    def _prepare(self, keepalive: float) -> None:
        if not hasattr(self, "_factory"):
            _warn_once("a request on a connection that the server has closed is not sent again")
        factory: Any = partial(Protocol, loop=self._loop)
        self._factory = factory
        self._keepalive = keepalive
        # Here and not in a global cache: a key holds the client's SSLContext, up to 1 MB.
        self._known_keys: dict[URL, Any] = {}

    def key(self, url: URL, ssl: Any) -> Any:
        """What identifies the connections that may be used for a URL; `ssl` is always the same."""
        origin = url.origin()
        key = self._known_keys.get(origin)
        if key is None:
            # Made by aiohttp: it has had more parts in each version.
            key = aiohttp.ClientRequest("GET", url, ssl=ssl).connection_key
            remember(self._known_keys, origin, key)
        return key

    def _get(self, key: Any, *args: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            idle = self._first_idle(key)
            if isinstance(idle, Protocol):
                idle.answered = False
                reused.set(idle)
        except (AttributeError, TypeError, ValueError):  # `_conns` is missing or different
            _warn_once("unsolicited data on an idle connection goes unnoticed")
        # Return aiohttp's own coroutine: wrapping it in another would cost time.
        return super()._get(key, *args)

    def _first_idle(self, key: Any) -> Any:
        """The connection to reuse next, if any; closes unusable ones that come before it."""
        idle = self._conns.get(key)
        oldest_good = time.monotonic() - self._keepalive
        while idle:
            protocol, since = idle[0]
            if protocol.is_connected() and not protocol.should_close and since >= oldest_good:
                return protocol
            idle.popleft()
            protocol.close()
        return None

    def acquire(self, key: Any, max_header: int) -> ResponseHandler | None:
        """An idle connection, ready for a request: `_get` without its coroutine and `Connection`.

        `None` if there is none, or if this aiohttp is different.
        """
        try:
            protocol = self._first_idle(key)
            if not isinstance(protocol, Protocol):
                return None
            # As aiohttp does. `read_until_eof`: a body without a length ends with the connection.
            protocol.set_response_params(
                read_until_eof=True, max_line_size=max_header, max_field_size=max_header
            )
            self._acquired.add(protocol)
            idle = self._conns[key]
        except (AttributeError, TypeError, ValueError):
            return None
        protocol.answered = False
        idle.popleft()
        if not idle:
            del self._conns[key]
        return protocol

    def release(self, key: Any, protocol: ResponseHandler, *, close: bool) -> None:
        """Return a connection to the pool, to be reused if possible."""
        self._release(key, protocol, should_close=close)


class TCPConnector(Connector, aiohttp.TCPConnector):  # pyright: ignore[reportIncompatibleMethodOverride]
    def __init__(self, keepalive: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive, socket_factory=open_socket)
        self._prepare(keepalive)


class UnixConnector(Connector, aiohttp.UnixConnector):  # pyright: ignore[reportIncompatibleMethodOverride]
    """All its connections lead to one socket, whatever the URL."""

    # Requests keep their http+unix URL, which errors show.
    allowed_protocol_schema_set = frozenset({UNIX})

    def __init__(self, path: str, keepalive: float) -> None:
        super().__init__(path, limit=0, keepalive_timeout=keepalive)
        self._prepare(keepalive)


# --- direct exchanges ---------------------------------------------------------------------------

# What mocks, recorders and tracers replace to see or answer requests (aioresponses and vcrpy: the
# second). While any of these is replaced, every request goes through `session.request`.
_SESSION = aiohttp.ClientSession  # a test may replace the class by one without these methods
_REQUEST = aiohttp.ClientSession.request
_INNER_REQUEST = aiohttp.ClientSession._request
_CONNECT = aiohttp.BaseConnector.connect
_SEND = aiohttp.ClientRequest.send
_START = aiohttp.ClientResponse.start

# What a direct exchange uses of aiohttp.
_USED: tuple[tuple[type, str], ...] = (
    *((ResponseHandler, name) for name in ("read", "set_response_params", "is_connected")),
    *((ResponseHandler, name) for name in ("should_close", "writing_paused")),
    *((aiohttp.StreamReader, name) for name in ("is_eof", "on_eof", "read_nowait", "readany")),
    *((aiohttp.StreamReader, name) for name in ("exception", "set_exception")),
    (aiohttp.ClientRequest, "connection_key"),
)


def nothing_replaced() -> bool:
    """Whether the methods of aiohttp that send requests are its own.

    Those that only make or read a response are not checked: a mock or recorder has to replace
    others to see a request.
    """
    # By identity: a wrapper may claim to be equal to what it wraps.
    return (
        _SESSION._request is _INNER_REQUEST
        and _SESSION.request is _REQUEST
        # Inherited: from aiohttp.TCPConnector, too, if replaced there.
        and TCPConnector.connect is _CONNECT
        and UnixConnector.connect is _CONNECT
        and aiohttp.ClientRequest.send is _SEND
        and aiohttp.ClientResponse.start is _START
    )


@cache
def _known_shape() -> bool:
    """Whether this aiohttp has what a direct exchange uses.

    Its methods must also be its own: this module may be imported while something is replaced.
    """
    own = (_REQUEST, _INNER_REQUEST, _CONNECT, _SEND, _START)
    try:
        parameters = inspect.signature(ResponseHandler.set_response_params).parameters
        return (
            all(type(function) is FunctionType for function in own)
            and not any(hasattr(function, "__wrapped__") for function in own)
            and not any(getattr(cls, name, None) is None for cls, name in _USED)
            and {"read_until_eof", "max_line_size", "max_field_size"} <= parameters.keys()
            and inspect.iscoroutinefunction(ResponseHandler.read)
            and inspect.isdatadescriptor(RawResponseMessage.code)
            and inspect.isdatadescriptor(RawResponseMessage.headers)
            and isinstance(aiohttp.ClientRequest.connection_key, property)
        )
    except (AttributeError, TypeError, ValueError):
        return False


def direct_connector(session: aiohttp.ClientSession) -> Connector | None:
    """The connector of a session of `open_session`, if direct exchanges are possible with it.

    They are not if anything observes the session: tracers add hooks to each session at creation.
    Nor are they if a test has put another class in the place of `ClientSession`.
    """
    connector = getattr(session, "connector", None)
    if (
        isinstance(connector, Connector)
        and _known_shape()
        and isinstance(getattr(connector, "_conns", None), dict)
        and isinstance(getattr(connector, "_acquired", None), set)
        and hasattr(connector, "_release")
        and hasattr(connector, "_loop")
        and not session.trace_configs
        and not getattr(session, "_middlewares", ())
    ):
        return connector
    return None


class DirectAnswer:
    """The answer to a direct exchange, with the part of `aiohttp.ClientResponse` that we use."""

    __slots__ = ("_connector", "_key", "_protocol", "content", "headers", "status", "url")

    def __init__(
        self,
        url: URL,
        connector: Connector,
        key: Any,
        protocol: ResponseHandler,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.content = content
        self._connector = connector
        self._key = key
        self._protocol: ResponseHandler | None = protocol
        if content.is_eof():
            self._release_connection()
        else:
            content.on_eof(self._release_connection)

    @property
    def closed(self) -> bool:
        """Whether the connection has been released or closed."""
        return self._protocol is None

    @property
    def connection(self) -> ResponseHandler | None:
        """The connection, for its `transport`; `None` once it has been released or closed."""
        return self._protocol

    def release(self) -> None:
        """Return the connection to the pool, or close it if the body has not been read."""
        self._end_reading()
        self._release_connection()

    def close(self) -> None:
        """Close the connection; a waiting read fails."""
        self._end_reading()
        self._release_connection(close=True)

    def _release_connection(self, *, close: bool = False) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            # A server may answer before it has read all of the body. Then aiohttp closes, too.
            self._connector.release(self._key, protocol, close=close or protocol.writing_paused)

    def _end_reading(self) -> None:
        if self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))

    def __del__(self) -> None:
        if self._protocol is not None and not self._connector._loop.is_closed():
            self._release_connection(close=True)


Answer: TypeAlias = aiohttp.ClientResponse | DirectAnswer
"""Only what both have in common is used."""


def detached(answer: aiohttp.ClientResponse, connector: Connector) -> Answer:
    """An open answer without what `ClientResponse` keeps of the request: 1.2 kB for each stream.

    Returns the answer itself if it is not open, or if this aiohttp is different.
    """
    parts: Any = answer
    try:
        connection, content = parts._connection, answer.content
        if (
            type(answer) is not aiohttp.ClientResponse
            or connection is None
            or content.is_eof()
            or parts._ClientResponse__writer is not None  # the request is still being written
            or connection._protocol.upgraded
        ):
            return answer
        protocol, key = connection._protocol, connection._key
        count, url = len(answer.raw_headers), answer.url
        content._eof_callbacks.remove(parts._response_eof)
    except (AttributeError, TypeError, ValueError):
        return answer
    # From here on, the connection belongs to the new answer.
    connection._protocol = parts._connection = None
    parts._closed = True
    _forget_headers(protocol, count)
    return DirectAnswer(url, connector, key, protocol, answer.status, answer.headers, content)


def _forget_headers(protocol: ResponseHandler, count: int) -> None:
    """Empty the parser's own lists of headers, which it keeps until the next answer begins: 3 kB.

    Cython hides them from everything but the garbage collector. If it does not show them, they
    stay as they are.
    """
    for part in gc.get_referents(getattr(protocol, "_parser", None)):
        if type(part) is list and len(part) == count > 0:  # as text, or as bytes
            pair = part[0]
            if type(pair) is tuple and len(pair) == 2 and isinstance(pair[0], str | bytes):
                part.clear()


async def exchange(
    connector: Connector, key: Any, protocol: ResponseHandler, url: URL, data: bytes
) -> DirectAnswer:
    """Write a request on an acquired connection, and read the headers of the answer.

    Raises:
        WIRE_ERRORS: the connection has failed; it is closed.
    """
    try:
        protocol.transport.write(data)  # type: ignore[union-attr] # connected when acquired
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:  # as `ClientResponse.start` does
            message, content = await protocol.read()
    except BaseException:
        connector.release(key, protocol, close=True)
        raise
    if not content.is_eof():
        _forget_headers(protocol, len(message.raw_headers))
    return DirectAnswer(url, connector, key, protocol, message.code, message.headers, content)


# --- reading bodies -----------------------------------------------------------------------------

_READER_SLOTS = {
    *("_buffer", "_buffer_offset", "_cursor", "_eof", "_exception", "_http_chunk_splits"),
    *("_protocol", "_size", "_waiter"),
}
_READER_IS_KNOWN = set(getattr(aiohttp.StreamReader, "__slots__", ())) >= _READER_SLOTS


def abort_writing(writer: Any) -> None:
    """Close the connection that a request is being written to: its body cannot be completed."""
    transport = getattr(writer, "transport", None)
    if transport is not None:
        transport.abort()


def take_buffered(content: Any) -> bytes:
    """`content.read_nowait()`: all bytes that have arrived, b"" at the end.

    aiohttp resumes the transport and enters the parser again after each HTTP chunk that it takes
    from its buffer, at 2 us each, and servers send a chunk for each event of a stream.
    """
    if not _READER_IS_KNOWN or type(content) is not aiohttp.StreamReader or content._buffer_offset:
        data: bytes = content.read_nowait()
        return data
    if content._exception is not None:
        raise content._exception
    buffer = content._buffer
    data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
    buffer.clear()
    content._size = 0
    content._cursor += len(data)
    if content._http_chunk_splits:
        content._http_chunk_splits.clear()
    if content._protocol._reading_paused:
        content._protocol.resume_reading()
    return data


async def read_any(content: Any, loop: asyncio.AbstractEventLoop) -> bytes:
    """`content.readany()`: the bytes that have arrived, or the next; b"" at the end."""
    if not _READER_IS_KNOWN or type(content) is not aiohttp.StreamReader:
        data: bytes = await content.readany()
        return data
    while not content._buffer and not content._eof and content._exception is None:
        if not content._protocol.connected:
            msg = "Connection closed."
            raise RuntimeError(msg)
        if content._waiter is not None:
            msg = "Another task is reading this body."
            raise RuntimeError(msg)
        waiter = content._waiter = loop.create_future()
        try:
            await waiter
        finally:
            content._waiter = None
    return take_buffered(content)


def bytes_received(content: aiohttp.StreamReader) -> int:
    """Bytes of the body received so far, before decompression; after it, if aiohttp lacks that."""
    return getattr(content, "total_raw_bytes", content.total_bytes)


@cache
def _warn_once(what: str) -> None:
    log.warning("aiohttp %s differs from what openai_async expects: %s.", aiohttp.__version__, what)
