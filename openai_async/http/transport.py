"""One attempt of one request, through the aiohttp session of its loop.

A `Request` goes in, a `Response` comes out, and what goes wrong between is one of our exceptions.
Nothing here knows of retries or of the shapes of JSON.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Coroutine
from functools import lru_cache
from ssl import SSLContext
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidArgumentError,
    OpenAIError,
)
from ..options import check_proxy
from ..wire.redaction import (
    without_secret,
)
from .aiohttp_internals import reused
from .answers import read_body, read_failure
from .authorization import authorized
from .body import ByteStream
from .connection_errors import WIRE_ERRORS, connection_error, forget_frames
from .deadlines import Deadline
from .pool import Pool, Pools
from .proxy import Proxy
from .redirects import MAX_REDIRECTS, redirect_target
from .request import Request, Response
from .waits import CLOSED, Waits

# How many stale connections in a row are put up with; after that it is an error like any other.
MAX_STALE = 4
# Larger bodies go to aiohttp as a file, which it sends in pieces. Bytes it would write in one go,
# and say in a warning that this blocks the loop.
MAX_AT_ONCE = 1024 * 1024
# Bytes of one header. aiohttp stops at 8190, but policies and the tokens of gateways are longer.
# Envoy, which many gateways are built on, passes on 60 KiB of headers in all.
MAX_HEADER = 64 * 1024

SSL = SSLContext | aiohttp.Fingerprint | bool


class Transport:
    """Sends requests; shared by a client and its `with_options()` copies."""

    def __init__(
        self,
        *,
        max_connections: int,
        proxy: str | None,
        ssl: SSL | None,
        session: aiohttp.ClientSession | None,
    ) -> None:
        whole = isinstance(max_connections, int) and not isinstance(max_connections, bool)
        if not whole or max_connections < 1:
            msg = f"max_connections is {max_connections!r}: pass a whole number of 1 or more."
            raise InvalidArgumentError(msg)
        if ssl is not None and not isinstance(ssl, SSL):
            msg = f"ssl is {ssl!r}: pass an ssl.SSLContext, an aiohttp.Fingerprint or False."
            raise InvalidArgumentError(msg)
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            msg = f"session has type {type(session).__name__}: pass an aiohttp.ClientSession."
            raise InvalidArgumentError(msg)
        if session is not None and session.auth is not None:
            msg = "session has auth of its own, which takes the place of the API key: leave it out."
            raise InvalidArgumentError(msg)
        self._proxy = Proxy(check_proxy(proxy))
        self._ssl: SSL = True if ssl is None else ssl
        self._pools = Pools(max_connections, session)
        self.owns_sessions = session is None
        self.warned_of_plain_http = False

    @property
    def waits(self) -> Waits:
        """What middlewares wait with; `close` ends their waits."""
        return self._pools.waits

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._pools.closed

    async def close(self) -> None:
        """Close the sessions of all loops; what is still under way fails."""
        await self._pools.close()

    async def send(self, request: Request) -> Response:
        """One attempt.

        Raises:
            APIStatusError: the answer's status is 300 or above.
            APITimeoutError: `request.timeout` ran out.
            APIConnectionError: there was no complete answer.
            OpenAIError: the client is closed, or has no usable API key; or no loop is running.
        """
        if not _in_a_task():
            return await _in_its_own_task(self.send(request))
        own = request.api_key is None
        pool = self._pools.get(own=own) or await self._pools.open(own=own)
        # Our own slots instead of the connector's limit: there, waiting for a free connection
        # counts against the connect timeout, which fails the tail of every large fan-out.
        if not pool.slots.acquire_nowait():
            await pool.slots.acquire()
        stream = None
        request.state.in_flight = True
        try:
            response = await self._attempt(pool, request)
            stream = response.stream
        except BaseException:
            request.state.in_flight = False
            raise
        finally:
            if stream is None:
                pool.slots.release()
        if stream is not None and request.on_open is not None:
            try:
                await request.on_open(response)
            except BaseException:
                request.state.in_flight = False
                stream.abort()
                raise
        response.elapsed = time.perf_counter() - request.started
        return response

    async def _attempt(self, pool: Pool, request: Request) -> Response:
        deadline = Deadline(pool.deadlines, request.timeout.total)
        try:
            with deadline:
                return await self._exchange(pool, request)
        except aiohttp.ConnectionTimeoutError as error:
            msg = (
                f"No connection to {request.url.origin()} within {request.timeout.connect:g} s. "
                f"Check {request.address} and the network, or raise Timeout(connect=...)."
            )
            raise APITimeoutError(msg) from error
        except TimeoutError as error:
            if not deadline.expired:  # the kernel's ETIMEDOUT
                raise connection_error(error, request.url, request.address) from error
            msg = (
                f"No complete answer within {request.timeout.total:g} s. "
                "Raise timeout=... if it may take longer."
            )
            raise APITimeoutError(msg) from error
        except APIConnectionError as error:
            if self.closed:
                raise OpenAIError(CLOSED) from error
            raise
        except WIRE_ERRORS as error:
            if isinstance(error, OpenAIError):
                raise
            if self.closed:
                raise OpenAIError(CLOSED) from error
            raise connection_error(error, request.url, request.address) from error

    async def _exchange(self, pool: Pool, request: Request) -> Response:
        """Send the request; read the answer, or for a stream its headers."""
        headers, secret = await authorized(request, self._proxy.secrets)
        answer = await self._send(request.url, pool, request, headers)
        if answer.status >= 300:
            answer = await self._follow(answer, pool, request, headers)
        if answer.status >= 300:
            failure = await read_failure(answer, pool.streams, secret, picture=request.picture)
            self._pools.check_open(pool)
            raise failure
        response = Response(
            status=answer.status, headers=without_secret(answer.headers, secret), secret=secret
        )
        if request.stream:
            response.stream = ByteStream(
                answer, request.timeout.idle, pool.slots.release, pool.streams
            )
        else:
            response.body = await read_body(answer, request.max_body, pool.streams)
        return response

    async def _follow(
        self,
        answer: aiohttp.ClientResponse,
        pool: Pool,
        request: Request,
        headers: CIMultiDict[str],
    ) -> aiohttp.ClientResponse:
        """The answer that a redirect leads to, where it is safe to go on."""
        url = request.url
        for _ in range(MAX_REDIRECTS):
            target = redirect_target(answer, url, request)
            if target is None:
                break
            answer.release()
            url = target
            answer = await self._send(url, pool, request, headers)
        return answer

    async def _send(
        self, url: URL, pool: Pool, request: Request, headers: CIMultiDict[str]
    ) -> aiohttp.ClientResponse:
        """The answer of one URL, its headers read, on a connection that is alive.

        A server may close an idle connection in the moment a request goes out on it. That is
        nobody's failure: the request is sent again at once, as RFC 9112 (section 9.3.1) allows
        where no byte of an answer has come, and uses up neither retries nor budget.
        """
        body: bytes | io.BytesIO | None = request.body
        for stale in range(MAX_STALE, -1, -1):
            if request.body is not None and len(request.body) > MAX_AT_ONCE:
                body = io.BytesIO(request.body)
            # Looked at here, where no await stands between: the client may have been closed while
            # this request waited for its slot or its key.
            self._pools.check_open(pool)
            reused.set(False)
            try:
                return await pool.session.request(
                    request.method,
                    url,
                    data=body,
                    headers=headers if url.scheme == "https" else self._proxy.added_to(headers),
                    skip_auto_headers=request.removed or None,
                    allow_redirects=False,
                    # What a session of the user's own may have set otherwise.
                    raise_for_status=False,
                    auto_decompress=True,
                    timeout=_client_timeout(request.timeout.connect, pool.owned),
                    max_line_size=MAX_HEADER,
                    max_field_size=MAX_HEADER,
                    proxy=self._proxy.url,
                    proxy_headers=self._proxy.headers,
                    ssl=self._ssl,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                began = not isinstance(getattr(error, "message", ""), str)  # half a header came
                if not stale or began or not reused.get():
                    raise
                forget_frames(error)
        raise AssertionError  # the last round returns or raises


@lru_cache(maxsize=64)
def _client_timeout(connect: float | None, own: bool) -> aiohttp.ClientTimeout:
    # `connect` covers DNS, TCP and TLS, and a wait for the connector's limit, which our own
    # session does not have. In a session we were given that wait must not count.
    if own:
        return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=None)
    return aiohttp.ClientTimeout(total=None, sock_connect=connect)


def _in_a_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError as error:  # no running event loop
        msg = (
            "No asyncio event loop is running here: openai_async works with asyncio only, "
            "not with trio. Call it from asyncio.run(...)."
        )
        raise OpenAIError(msg) from error


async def _in_its_own_task(sent: Coroutine[Any, Any, Response]) -> Response:
    """For callers that drive their coroutines by hand, as patched event loops do.

    Time limits, ours and aiohttp's, cancel the task that they run in, so there has to be one.
    """
    task = asyncio.ensure_future(sent)
    try:
        return await task
    except BaseException:  # GeneratorExit too, if the caller is dropped while waiting
        task.cancel()
        raise
