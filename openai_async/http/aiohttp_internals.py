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

import inspect
import logging
import time
from contextvars import ContextVar
from functools import cache, lru_cache
from types import FunctionType
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy
from yarl import URL

from .sockets import open_socket

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
        connector=_Connector(keepalive),
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


class _Connector(aiohttp.TCPConnector):
    """Never reuses an idle connection on which unsolicited data has arrived.

    aiohttp checks for that when a connection is released, not when it is reused: what a broken
    server sends in between would be taken for the answer to the next request. The fault "a second
    answer later, unasked" fails if `_get` or `_conns` changes.
    """

    def __init__(self, keepalive: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive, socket_factory=open_socket)
        self._keepalive = keepalive

    def _get(self, key: Any, *args: Any) -> Any:
        try:
            idle = self._conns.get(key)
            if idle:
                self._drop_unusable(idle)
        except (AttributeError, TypeError, ValueError):  # `_conns` is missing or different
            _warn_once("unsolicited data on an idle connection goes unnoticed")
        # Return aiohttp's own coroutine: wrapping it in another would cost time.
        return super()._get(key, *args)

    def _drop_unusable(self, idle: Any) -> None:
        """Close unusable connections at the front; set `reused` if a usable one is left."""
        oldest_good = time.monotonic() - self._keepalive
        while idle:
            protocol, since = idle[0]
            if protocol.is_connected() and not protocol.should_close and since >= oldest_good:
                reused.set(True)
                break
            idle.popleft()
            protocol.close()


# --- direct exchanges ---------------------------------------------------------------------------

# What mocks, recorders and tracers replace to see or answer requests (aioresponses and vcrpy the
# second). While any of them is not aiohttp's own, every request goes through `session.request`.
_REQUEST = aiohttp.ClientSession.request
_INNER_REQUEST = aiohttp.ClientSession._request
_CONNECT = aiohttp.BaseConnector.connect
_SEND = aiohttp.ClientRequest.send
_START = aiohttp.ClientResponse.start


def nothing_replaced() -> bool:
    """Whether requests would go through aiohttp's own methods."""
    # By identity: a wrapper may claim to be equal to what it wraps.
    return (
        aiohttp.ClientSession._request is _INNER_REQUEST
        and aiohttp.ClientSession.request is _REQUEST
        and aiohttp.BaseConnector.connect is _CONNECT
        and aiohttp.ClientRequest.send is _SEND
        and aiohttp.ClientResponse.start is _START
    )


@cache
def _known_shape() -> bool:
    """Whether this aiohttp has what a direct exchange uses.

    It must be aiohttp's own, too: this module may be imported while something is replaced.
    """
    own = (_REQUEST, _INNER_REQUEST, _CONNECT, _SEND, _START)
    try:
        parameters = inspect.signature(ResponseHandler.set_response_params).parameters
        return (
            all(type(function) is FunctionType for function in own)
            and not any(hasattr(function, "__wrapped__") for function in own)
            and {"read_until_eof", "max_line_size", "max_field_size"} <= parameters.keys()
            and inspect.iscoroutinefunction(ResponseHandler.read)
            and inspect.iscoroutinefunction(aiohttp.BaseConnector._get)
            and isinstance(aiohttp.ClientRequest.connection_key, property)
            and all(hasattr(Connection, name) for name in ("protocol", "transport", "release"))
        )
    except (AttributeError, TypeError, ValueError):
        return False


def allows_direct(session: aiohttp.ClientSession) -> bool:
    """Whether direct exchanges are possible: in a session of `open_session` that nothing observes.

    Tracers add their hooks to every session when it is created.
    """
    return (
        type(session.connector) is _Connector
        and _known_shape()
        and not session.trace_configs
        and not getattr(session, "_middlewares", ())
    )


async def open_connection(session: aiohttp.ClientSession, key: Any) -> Connection | None:
    """An idle connection from the pool, or `None`. Never suspends."""
    connector: Any = session.connector
    found: Connection | None = await connector._get(key, [])
    return found


@lru_cache(maxsize=64)
def connection_key(url: URL, ssl: Any) -> Any:
    """What identifies the connections that may be used for a URL."""
    # Made by aiohttp: it has had more parts in each version.
    return aiohttp.ClientRequest("GET", url, ssl=ssl).connection_key


class DirectAnswer:
    """The answer to a direct exchange: what we use of an `aiohttp.ClientResponse`."""

    __slots__ = ("connection", "content", "headers", "status", "url")

    def __init__(self, url: URL, connection: Connection, message: Any, content: Any) -> None:
        self.url = url
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content: aiohttp.StreamReader = content
        self.connection: Connection | None = connection
        if content.is_eof():
            self._release_connection()
        else:
            content.on_eof(self._release_connection)

    @property
    def closed(self) -> bool:
        """Whether the connection has been released or closed."""
        return self.connection is None

    def release(self) -> None:
        """Return the connection to the pool, or close it if the body has not been read."""
        self._end_reading()
        self._release_connection()

    def close(self) -> None:
        """Close the connection; a waiting read fails."""
        self._end_reading()
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _release_connection(self) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        protocol = connection.protocol
        # The server has answered before it read all of the body. aiohttp closes such a connection.
        if protocol is not None and protocol.writing_paused:
            connection.close()
        else:
            connection.release()

    def _end_reading(self) -> None:
        if self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))


async def exchange(connection: Connection, url: URL, data: bytes, max_header: int) -> DirectAnswer:
    """Write a request, and read the headers of its answer.

    Raises:
        WIRE_ERRORS: the connection has failed; it is closed.
    """
    protocol: Any = connection.protocol
    try:
        protocol.set_response_params(
            read_until_eof=True, max_line_size=max_header, max_field_size=max_header
        )
        protocol.transport.write(data)
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:  # as `ClientResponse.start` does
            message, content = await protocol.read()
    except BaseException:
        connection.close()
        raise
    return DirectAnswer(url, connection, message, content)


def bytes_received(content: aiohttp.StreamReader) -> int:
    """Bytes of the body received so far, before decompression; after it, if aiohttp lacks that."""
    return getattr(content, "total_raw_bytes", content.total_bytes)


@cache
def _warn_once(what: str) -> None:
    log.warning("aiohttp %s differs from what openai_async expects: %s.", aiohttp.__version__, what)
