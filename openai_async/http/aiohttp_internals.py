"""Everything that relies on undocumented parts of aiohttp.

Each use has a test in tests/http/test_aiohttp_internals.py that fails if aiohttp changes it, and a
fallback to documented features: requests are then a little slower, or have one safeguard less,
which is logged once. pyproject.toml allows no aiohttp version that this file was not tested with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict

from .sockets import open_socket

try:
    from aiohttp.http_exceptions import HttpProcessingError
except ImportError:
    HttpProcessingError = aiohttp.ClientError  # type: ignore[assignment,misc]

log = logging.getLogger("openai_async")

JSON = "application/json"

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
        request_class=_ClientRequest,
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


class _ClientRequest(aiohttp.ClientRequest):
    """A shortcut for requests with a JSON body and few headers, as nearly all of ours are.

    aiohttp looks up a payload class by the body's type, creates and merges headers for it, and adds
    headers one at a time, which is 5 % of a chat request. The bytes on the wire are the same: tests
    compare them. If aiohttp renames these methods, its own are used.
    """

    def update_headers(self, headers: Any) -> None:
        if not isinstance(headers, CIMultiDict) or hdrs.HOST in headers:
            super().update_headers(headers)
            return
        self.headers = CIMultiDict({hdrs.HOST: self.url.host_port_subcomponent or ""})
        self.headers.extend(headers)

    def update_body_from_data(self, body: Any, *args: Any, **kwargs: Any) -> None:
        if type(body) is bytes and hdrs.CONTENT_TYPE in self.headers:
            body = json_payload()(body)
        super().update_body_from_data(body, *args, **kwargs)


@cache
def json_payload() -> Callable[[bytes], aiohttp.BytesPayload]:
    """A function that makes the payload of JSON bytes.

    It copies a payload that aiohttp has made, at a third of the cost (0.5 us instead of 1.5). If a
    copy would differ from an original, it uses aiohttp's class.
    """
    cls = aiohttp.BytesPayload

    def made(value: bytes) -> aiohttp.BytesPayload:
        return cls(value, content_type=JSON)

    template = made(b"")
    new = object.__new__

    def copied(value: bytes) -> aiohttp.BytesPayload:
        payload = new(cls)
        payload.__dict__.update(template.__dict__)
        payload._value = value
        payload._size = len(value)
        return payload

    try:
        same = vars(copied(b"1")) == vars(made(b"1"))
    except (AttributeError, TypeError):  # a class with __slots__, for example
        same = False
    return copied if same else made


def bytes_received(content: aiohttp.StreamReader) -> int:
    """Bytes of the body received so far, before decompression; after it, if aiohttp lacks that."""
    return getattr(content, "total_raw_bytes", content.total_bytes)


@cache
def _warn_once(what: str) -> None:
    log.warning("aiohttp %s differs from what openai_async expects: %s.", aiohttp.__version__, what)
