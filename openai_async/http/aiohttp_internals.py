"""Everything that relies on undocumented parts of aiohttp.

Each use has a test in tests/http/test_aiohttp_internals.py that fails when aiohttp changes it, and
a fallback for an aiohttp that lacks it: requests are then made with what aiohttp documents, a
little more slowly, or with one safeguard fewer, which is logged once. The range of aiohttp versions
in pyproject.toml ends where this file has not been tried.
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
"""Whether the request that this task sends goes out on a connection that has been used before."""


def open_session(keepalive: float) -> aiohttp.ClientSession:
    """A session that leaves time, retries and the bound on connections to us.

    Args:
        keepalive: seconds that an idle connection is kept.
    """
    session = aiohttp.ClientSession(
        connector=_Connector(keepalive),
        request_class=_ClientRequest,
        # The API sets no cookies that matter; Cloudflare's would tie requests together.
        cookie_jar=aiohttp.DummyCookieJar(),
        # All waiting is bounded by `Timeout`, in Transport and ByteStream.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    )
    # Otherwise aiohttp itself sends a failed GET once more, which neither `max_retries` nor
    # `attempts` nor the budget know about. The fault "closed before the header" counts requests.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False
    else:
        _tell_once("aiohttp itself may send a GET once more than max_retries allows")
    return session


class _Connector(aiohttp.TCPConnector):
    """Never hands out an idle connection on which unsolicited data has arrived.

    aiohttp checks that when a connection is returned, not when it is taken again: what a confused
    server sends in between would be read as the answer to the next request. The fault "a second
    answer later, unasked" fails if `_get` or `_conns` changes.
    """

    def __init__(self, keepalive: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive, socket_factory=open_socket)
        self._keepalive = keepalive

    def _get(self, key: Any, *args: Any) -> Any:
        try:
            idle = self._conns.get(key)
            if idle:
                self._drop_unfit(idle)
        except (AttributeError, TypeError, ValueError):  # no `_conns`, or one of another shape
            _tell_once("unsolicited data on an idle connection goes unnoticed")
        # The coroutine itself, not one wrapped around it.
        return super()._get(key, *args)

    def _drop_unfit(self, idle: Any) -> None:
        """Drop connections from the front until one is fit for use; note whether there is one."""
        oldest_good = time.monotonic() - self._keepalive
        while idle:
            protocol, since = idle[0]
            if protocol.is_connected() and not protocol.should_close and since >= oldest_good:
                reused.set(True)
                break
            idle.popleft()
            protocol.close()


class _ClientRequest(aiohttp.ClientRequest):
    """Prepares JSON bytes and a few headers, as nearly every request of ours has, at lower cost.

    aiohttp looks up how to send a body by its type, makes headers for it and merges them, and adds
    headers one by one: 5 % of a chat request. What goes over the wire is the same: tests compare it
    with aiohttp's own class. If aiohttp renamed these methods, they would no longer be called.
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
    """A function that makes the payload for JSON bytes: by copying one that aiohttp has made, for a
    third of the cost (0.5 us instead of 1.5); by aiohttp's own class where a copy is not the same.
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
    except (AttributeError, TypeError):  # with slots, for example
        same = False
    return copied if same else made


def bytes_so_far(content: aiohttp.StreamReader) -> int:
    """Bytes of a body that have come over the wire; if unknown, the bytes after decompression."""
    return getattr(content, "total_raw_bytes", content.total_bytes)


@cache
def _tell_once(what: str) -> None:
    log.warning("aiohttp %s differs from what openai_async expects: %s.", aiohttp.__version__, what)
