"""One attempt of one request, through the aiohttp session of its loop.

It takes a `Request`, and returns a `Response` or raises one of our exceptions. Retries are handled
above it, and so is JSON.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from functools import lru_cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.payload import Payload
from multidict import CIMultiDict
from yarl import URL

from .._submodules import LazyModule
from .._unix_sockets import socket_path
from ..errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    InvalidArgumentError,
    OpenAIError,
)
from ..options import Timeout, check_whole
from ..wire.redaction import without_secret
from .aiohttp_internals import Answer, Connector, detached, exchange, nothing_replaced, reused
from .answers import read_body, read_failure
from .authorization import authorized, known_outgoing
from .body import ByteStream
from .connection_errors import WIRE_ERRORS, connection_error, drop_traceback, redact_exception
from .deadlines import Deadline
from .head import request_bytes
from .log_lines import log, log_refusal, log_request, log_response
from .outgoing import Outgoing
from .pool import Pool, Pools
from .proxy import Proxies
from .redirects import MAX_REDIRECTS, redirect_target
from .request import Request, Response
from .tasks import in_its_own_task, running
from .urls import server_of
from .waits import CLOSED, PendingWaits

if TYPE_CHECKING:
    from . import multipart
else:  # not every program sends files
    multipart = LazyModule("openai_async.http.multipart")

# A request is sent again on at most this many stale connections in a row; the next one is an error.
MAX_STALE_CONNECTIONS = 4
# Seconds within which a stale connection fails: one round trip, or more on a slow network. After
# that, the server has probably received the request and begun to handle it.
STALE_WITHIN = 5.0
# Larger bodies are passed to aiohttp as a file, which it sends in chunks. It would write bytes in a
# single call, and warn that this blocks the event loop.
MAX_SINGLE_WRITE = 1024 * 1024
# Bytes of one response header. aiohttp's default of 8190 is too small for some gateways' policies
# and tokens. Envoy, which many gateways are built on, allows 60 KiB of headers in all.
MAX_HEADER = 64 * 1024

SSL = SSLContext | aiohttp.Fingerprint | bool


class Transport:
    """Sends requests; shared by a client and its `with_options()` copies."""

    def __init__(
        self,
        *,
        max_connections: int,
        proxy: str | None,
        trust_env: bool,
        ssl: SSL | None,
        session: aiohttp.ClientSession | None,
    ) -> None:
        check_whole("max_connections", max_connections)
        if ssl is not None and not isinstance(ssl, SSL):
            msg = f"ssl is {ssl!r}: pass an ssl.SSLContext, an aiohttp.Fingerprint or False."
            raise InvalidArgumentError(msg)
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            msg = f"session has type {type(session).__name__}: pass an aiohttp.ClientSession."
            raise InvalidArgumentError(msg)
        if session is not None and session.auth is not None:
            msg = "session has its own auth, which would replace the API key: leave it out."
            raise InvalidArgumentError(msg)
        self._proxies = Proxies(proxy, trust_env=trust_env)
        self._ssl: SSL = True if ssl is None else ssl
        self._pools = Pools(max_connections, session)
        self.owns_sessions = session is None
        self.warned_of_plain_http = False

    @property
    def waits(self) -> PendingWaits:
        """How middlewares wait: `close` ends these waits."""
        return self._pools.waits

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._pools.closed

    async def close(self) -> None:
        """Close the sessions of all loops; requests in flight fail."""
        await self._pools.close()

    async def send(self, request: Request) -> Response:
        """One attempt.

        Raises:
            APIStatusError: the answer's status is 300 or above.
            APITimeoutError: `request.timeout` ran out.
            APIConnectionError: there was no complete answer.
            OpenAIError: the client is closed or has no usable API key, or no loop is running.
        """
        loop, task = running()
        if task is None:
            return await in_its_own_task(self.send(request))
        if type(request.url) is not URL:
            msg = f"request.url has type {type(request.url).__name__}: pass a yarl.URL."
            raise InvalidArgumentError(msg)
        own, socket = request.api_key is None, socket_path(request.url)
        pool = self._pools.get(loop, own, socket) or await self._pools.open(loop, own, socket)
        if type(request.timeout) is not Timeout:  # a middleware may have set a number
            request.timeout = Timeout.of(request.timeout)
        limit = request.timeout.total
        first = request.timeout.first if request.stream else None
        if first is not None and (limit is None or first < limit):
            limit = first
        deadline = Deadline(pool.deadlines, limit)
        # Our own semaphore instead of the connector's limit: waiting for that counts against the
        # connect timeout, so that the last requests of every large fan-out would fail.
        if not pool.slots.acquire_nowait():
            await pool.slots.acquire()
        stream = None
        request.state.in_flight, request.state.getting_key = True, False
        sent = None if first is None else pool.deadlines.time()
        try:
            with deadline:
                response = await self._exchange(pool, request)
            stream = response.stream
        except BaseException as error:
            request.state.in_flight = False
            form = _form(request)
            if form is not None:
                request.state.no_retry = request.state.no_retry or not form.repeatable
                if form.failure is not None and isinstance(error, Exception):
                    raise form.failure from form.failure.__cause__
            if isinstance(error, OpenAIError):
                if self.closed and isinstance(error, APIConnectionError):
                    raise OpenAIError(CLOSED) from error
            elif isinstance(error, WIRE_ERRORS):
                raise self._explained(error, request, deadline) from error
            raise
        finally:
            if stream is None:
                pool.slots.release()
        if stream is not None and request.on_open is not None:
            try:
                if first is None or sent is None:
                    await request.on_open(response)
                else:
                    await _open_by(sent + first, request, response)
                    stream.idle = request.timeout.idle
            except BaseException:
                request.state.in_flight = False
                stream.abort()
                raise
        response.started = request.started
        response.elapsed = time.perf_counter() - request.started
        return response

    def _explained(self, error: BaseException, request: Request, deadline: Deadline) -> OpenAIError:
        """Our exception for one of `WIRE_ERRORS`, which becomes its cause."""
        redact_exception(error)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return APITimeoutError(
                f"No connection to {server_of(request.url)} within {request.timeout.connect:g} s. "
                f"Check {request.address} and the network, or raise Timeout(connect=...)."
            )
        if isinstance(error, TimeoutError) and deadline.expired:
            getting_key = request.state.getting_key
            if request.stream and not getting_key and deadline.seconds == request.timeout.first:
                return _no_first_chunk(request)
            missing = "API key from the api_key function" if getting_key else "complete answer"
            return APITimeoutError(
                f"No {missing} within {deadline.seconds:g} s. "
                "Raise timeout=... if it may take longer."
            )
        # A TimeoutError may also come from the kernel: ETIMEDOUT.
        if self.closed and not isinstance(error, TimeoutError):
            return OpenAIError(CLOSED)
        return connection_error(error, request.url, request.address)

    async def _exchange(self, pool: Pool, request: Request) -> Response:
        """Send the request, and read the whole answer, or only the headers of a stream."""
        outgoing = known_outgoing(request) or await authorized(request, self._proxies.secrets)
        secret = outgoing.secret
        debug = log.isEnabledFor(logging.DEBUG)
        if debug:
            log_request(request, secret)
        answer = await self._send(request.url, pool, request, outgoing)
        if answer.status >= 300:
            answer = await self._follow(answer, pool, request, outgoing)
        if answer.status < 200:  # as 101, which was not asked for; aiohttp would keep it open
            answer.close()
            msg = f"The server at {server_of(answer.url)} sent an unexpected HTTP {answer.status}."
            raise APIConnectionError(msg)
        if answer.status >= 300:
            # Not in a variable of this frame, to which its traceback refers: in that cycle, the
            # request and its stream would live until the garbage collector runs.
            raise await self._failure(answer, pool, request, secret)
        response = Response(
            status=answer.status, headers=without_secret(answer.headers, secret), secret=secret
        )
        if request.stream:
            timeout = request.timeout
            idle = timeout.idle if timeout.first is None else None  # until the first chunk
            response.stream = ByteStream(answer, idle, pool.slots.release, pool.streams)
        else:
            response.body = await read_body(answer, request.max_body, pool.streams)
        if debug:
            log_response(request, response)
        return response

    async def _failure(
        self, answer: Answer, pool: Pool, request: Request, secret: str | None
    ) -> APIError:
        """The exception for an answer with a status of 300 or above."""
        failure = await read_failure(answer, pool.streams, secret, picture=request.picture)
        self._pools.check_open(pool)
        if log.isEnabledFor(logging.DEBUG):
            log_refusal(request, failure)
        return failure

    async def _follow(
        self, answer: Answer, pool: Pool, request: Request, outgoing: Outgoing
    ) -> Answer:
        """Follow redirects as long as that is safe; returns the last answer."""
        url = request.url
        for _ in range(MAX_REDIRECTS):
            target = redirect_target(answer, url, request)
            form = _form(request)
            if target is None or (form is not None and not form.repeatable):
                break
            answer.release()
            url = target
            answer = await self._send(url, pool, request, outgoing)
        return answer

    async def _send(self, url: URL, pool: Pool, request: Request, outgoing: Outgoing) -> Answer:
        """Send the request to one URL and read the answer's headers.

        A server may close an idle connection just as a request is sent on it. The request is then
        sent again at once, as RFC 9112 (section 9.3.1) allows if no byte of an answer has arrived.
        This counts against neither `max_retries` nor the retry budget.
        """
        direct = self._direct(url, pool, request, outgoing)
        form = _form(request)
        for stale in range(MAX_STALE_CONNECTIONS, -1, -1):
            payload = None if form is None else await form.payload()
            # Checked right before sending, without an await in between: the client may have been
            # closed while this request waited for its slot or its key.
            self._pools.check_open(pool)
            taken = None if direct is None else direct[0].acquire(direct[1], MAX_HEADER)
            sent = pool.deadlines.time()
            try:
                if direct is not None and taken is not None:
                    connector, key, head, body = direct
                    data = request_bytes(head, body)
                    return await exchange(connector, key, taken, url, data)
                return await self._send_by_session(url, pool, request, outgoing, payload)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                used = taken if taken is not None else reused.get()
                late = pool.deadlines.time() - sent > STALE_WITHIN
                began = late or getattr(used, "answered", True)
                if not stale or began or (form is not None and not form.repeatable):
                    raise
                drop_traceback(error)
            finally:
                if taken is None:
                    reused.set(None)
        raise AssertionError  # the last round returns or raises

    def _direct(
        self, url: URL, pool: Pool, request: Request, outgoing: Outgoing
    ) -> tuple[Connector, Any, bytes, bytes | None] | None:
        """The connector, the key of its connections, the head and the body for a direct exchange.

        `None` if the request has to go through the session. A request is sent directly only if
        `session.request` would do exactly the same.
        """
        body = request.body
        if (
            pool.direct is None
            or self._proxies.of(url).url is not None
            # A memoryview counts its items, not its bytes; a str has to be encoded first.
            or not (body is None or (type(body) is bytes and len(body) <= MAX_SINGLE_WRITE))
            or not nothing_replaced()
        ):
            return None
        connector = pool.direct
        head, key = outgoing.direct(
            request.method, url, connector, self._ssl, has_body=body is not None
        )
        return None if head is None else (connector, key, head, body)

    async def _send_by_session(
        self, url: URL, pool: Pool, request: Request, outgoing: Outgoing, form: Payload | None
    ) -> Answer:
        """Send through the session: with a new connection, a proxy, hooks of others, and so on.

        `form` is the body of this attempt, if that is a form with files.
        """
        body: Any = request.body
        headers, proxy = outgoing.headers, self._proxies.of(url)
        if isinstance(body, bytes):
            if len(body) > MAX_SINGLE_WRITE:
                body = io.BytesIO(body)
        elif form is not None:
            body = form
            headers = CIMultiDict(headers)
            headers["Content-Type"] = form.content_type  # with the boundary, whatever else is set
        elif body is not None and not isinstance(body, bytearray | memoryview | str):
            kind = type(body).__name__
            msg = f"request.body has type {kind}: pass bytes, the body as it is sent."
            raise InvalidArgumentError(msg)
        answer = await pool.session.request(
            request.method,
            url,
            data=body,
            headers=headers if url.scheme == "https" else proxy.added_to(headers),
            skip_auto_headers=request.removed or None,
            allow_redirects=False,
            # A session passed by the user may have other defaults.
            raise_for_status=False,
            auto_decompress=True,
            timeout=_client_timeout(request.timeout.connect, pool.owned),
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            proxy=proxy.url,
            proxy_headers=proxy.headers,
            ssl=self._ssl,
        )
        if pool.direct is None or not nothing_replaced():  # others may have kept the answer
            return answer
        return detached(answer, pool.direct)


async def _open_by(when: float, request: Request, response: Response) -> None:
    """Wait for the first chunk, at most until this time on the loop's clock."""
    assert request.on_open is not None
    try:
        async with asyncio.timeout_at(when) as limit:
            await request.on_open(response)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise _no_first_chunk(request) from error


def _no_first_chunk(request: Request) -> APITimeoutError:
    return APITimeoutError(
        f"The stream had no first chunk within {request.timeout.first:g} s. "
        "Raise Timeout(first=...) if the model may take longer to begin."
    )


def _form(request: Request) -> multipart.Multipart | None:
    """The body, if it is a form with files."""
    body = request.body
    if body is None or isinstance(body, bytes) or not isinstance(body, multipart.Multipart):
        return None
    return body


@lru_cache(maxsize=64)
def _client_timeout(connect: float | None, own: bool) -> aiohttp.ClientTimeout:
    # aiohttp's `connect` covers DNS, TCP and TLS, and waiting for the connector's limit. Our own
    # session has no such limit; in one passed by the user, that wait must not count.
    if own:
        return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=None)
    return aiohttp.ClientTimeout(total=None, sock_connect=connect)
