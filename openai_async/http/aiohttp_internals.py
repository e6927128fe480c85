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
import inspect
import logging
import time
from contextvars import ContextVar
from functools import cache
from types import FunctionType
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import RawResponseMessage
from multidict import CIMultiDictProxy
from yarl import URL

from .read_size import bound_reads
from .sockets import open_socket
from .urls import MAX_URLS

try:
    from aiohttp.http_exceptions import HttpProcessingError
except ImportError:
    HttpProcessingError = aiohttp.ClientError  # type: ignore[assignment,misc]

log = logging.getLogger("openai_async")

ParserError: type[Exception] = HttpProcessingError
"""What aiohttp's pure-Python parser raises, unwrapped."""

reused: ContextVar[bool] = ContextVar("openai_async_reused", default=False)
"""Whether the request of this task is sent on a connection that has been used before."""


def open_session(keepalive: float) -> aiohttp.ClientSession:
    """A session without timeouts, retries and connection limits, which are handled elsewhere.

    Args:
        keepalive: seconds that an idle connection is kept.
    """
    session = aiohttp.ClientSession(
        connector=Connector(keepalive),
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


class Connector(aiohttp.TCPConnector):
    """Never reuses an idle connection on which unsolicited data has arrived.

    aiohttp checks for that when a connection is released, not when it is reused: what a broken
    server sends in between would be taken for the answer to the next request. The fault "a second
    answer later, unasked" fails if `_get` or `_conns` changes.
    """

    def __init__(self, keepalive: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive, socket_factory=open_socket)
        self._keepalive = keepalive
        # Here and not in a global cache: a key holds the client's SSLContext, up to 1 MB.
        self._known_keys: dict[URL, Any] = {}

    def key(self, url: URL, ssl: Any) -> Any:
        """What identifies the connections that may be used for a URL; `ssl` is always the same."""
        key = self._known_keys.get(url)
        if key is None:
            # Made by aiohttp: it has had more parts in each version.
            key = aiohttp.ClientRequest("GET", url, ssl=ssl).connection_key
            if len(self._known_keys) < MAX_URLS:
                self._known_keys[url] = key
        return key

    async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
        protocol = await super()._create_connection(*args, **kwargs)
        bound_reads(protocol.transport)
        return protocol

    def _get(self, key: Any, *args: Any) -> Any:
        try:
            if self._has_idle(key):
                reused.set(True)
        except (AttributeError, TypeError, ValueError):  # `_conns` is missing or different
            _warn_once("unsolicited data on an idle connection goes unnoticed")
        # Return aiohttp's own coroutine: wrapping it in another would cost time.
        return super()._get(key, *args)

    def _has_idle(self, key: Any) -> bool:
        """Close unusable connections at the front; return whether a usable one is left."""
        idle = self._conns.get(key)
        oldest_good = time.monotonic() - self._keepalive
        while idle:
            protocol, since = idle[0]
            if protocol.is_connected() and not protocol.should_close and since >= oldest_good:
                return True
            idle.popleft()
            protocol.close()
        return False

    def acquire(self, key: Any, max_header: int) -> ResponseHandler | None:
        """An idle connection, ready for a request: `_get` without its coroutine and `Connection`.

        `None` if there is none, or if this aiohttp is different.
        """
        try:
            if not self._has_idle(key):
                return None
            idle = self._conns[key]
            protocol = idle[0][0]
            # As aiohttp does. `read_until_eof`: a body without a length ends with the connection.
            protocol.set_response_params(
                read_until_eof=True, max_line_size=max_header, max_field_size=max_header
            )
            self._acquired.add(protocol)
        except (AttributeError, TypeError, ValueError):
            return None
        idle.popleft()
        if not idle:
            del self._conns[key]
        return protocol

    def release(self, key: Any, protocol: ResponseHandler, *, close: bool) -> None:
        """Return a connection to the pool, to be reused if possible."""
        self._release(key, protocol, should_close=close)


# --- direct exchanges ---------------------------------------------------------------------------

# What mocks, recorders and tracers replace to see or answer requests (aioresponses and vcrpy: the
# second). While any of these is replaced, every request goes through `session.request`.
_SESSION = aiohttp.ClientSession  # a test may replace the class by one without these methods
_REQUEST = aiohttp.ClientSession.request
_INNER_REQUEST = aiohttp.ClientSession._request
_CONNECT = aiohttp.BaseConnector.connect
_SEND = aiohttp.ClientRequest.send
_START = aiohttp.ClientResponse.start


def nothing_replaced() -> bool:
    """Whether the methods of aiohttp that send requests are its own."""
    # By identity: a wrapper may claim to be equal to what it wraps.
    return (
        _SESSION._request is _INNER_REQUEST
        and _SESSION.request is _REQUEST
        and Connector.connect is _CONNECT  # inherited: from TCPConnector, too, if replaced there
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
        type(connector) is Connector
        and _known_shape()
        and isinstance(getattr(connector, "_conns", None), dict)
        and isinstance(getattr(connector, "_acquired", None), set)
        and hasattr(connector, "_release")
        and not session.trace_configs
        and not getattr(session, "_middlewares", ())
    ):
        return connector
    return None


class DirectAnswer:
    """The answer to a direct exchange, with the part of `aiohttp.ClientResponse` that we use."""

    __slots__ = ("_connector", "_key", "_protocol", "content", "headers", "status", "url")

    def __init__(
        self, url: URL, connector: Connector, key: Any, protocol: Any, message: Any, content: Any
    ) -> None:
        self.url = url
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content: aiohttp.StreamReader = content
        self._connector = connector
        self._key = key
        self._protocol = protocol
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
        protocol: ResponseHandler | None = self._protocol
        return protocol

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


async def exchange(
    connector: Connector, key: Any, protocol: Any, url: URL, data: bytes
) -> DirectAnswer:
    """Write a request on an acquired connection, and read the headers of the answer.

    Raises:
        WIRE_ERRORS: the connection has failed; it is closed.
    """
    message = None
    try:
        protocol.transport.write(data)
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:  # as `ClientResponse.start` does
            message, content = await protocol.read()
    except BaseException as error:
        connector.release(key, protocol, close=True)
        if message is not None and isinstance(error, aiohttp.ClientConnectionError):
            # As if within the headers: this is no idle connection that the server has closed.
            raise aiohttp.ServerDisconnectedError(message) from error
        raise
    return DirectAnswer(url, connector, key, protocol, message, content)


# --- reading bodies -----------------------------------------------------------------------------

_READER_SLOTS = {
    *("_buffer", "_buffer_offset", "_cursor", "_eof", "_exception", "_http_chunk_splits"),
    *("_protocol", "_size", "_waiter"),
}
_READER_IS_KNOWN = set(getattr(aiohttp.StreamReader, "__slots__", ())) >= _READER_SLOTS


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
