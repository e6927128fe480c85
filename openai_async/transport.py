"""The pooled aiohttp session, and one attempt of one request through it.

This is the only module that talks to aiohttp: a `Request` goes in, a `Response` comes out, and
whatever goes wrong between is one of our exceptions. It knows nothing of retries or JSON shapes.

There is one session per event loop and process. aiohttp's connections belong to the loop they were
opened in, so a client that is used in two loops needs two sets of them, and a forked child must
leave its parent's alone.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import time
import warnings
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import lru_cache
from ssl import SSLContext

import aiohttp
from attrs import define, field
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .bytestream import (
    ERROR_BODY_WAIT,
    MAX_ERROR_BODY,
    WIRE_ERRORS,
    ByteStream,
    connection_error,
    running_loop,
)
from .codec import body_or_text
from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    OpenAIError,
    redacted,
    status_error,
)
from .options import APIKey, check_api_key
from .request import Request, Response

# A redirect within one origin is a matter of a slash or a version prefix: one or two hops.
MAX_REDIRECTS = 5

_CLOSED = "This client is closed: create a new AsyncClient."

SSL = SSLContext | aiohttp.Fingerprint | bool


@define(eq=False)
class _Pool:
    """The session of one loop, the slots that bound its requests, and what is open."""

    session: aiohttp.ClientSession
    owned: bool
    """Whether the session is ours to close."""
    slots: asyncio.Semaphore
    streams: set[ByteStream] = field(factory=set)
    answers: set[aiohttp.ClientResponse] = field(factory=set)
    """Plain answers whose body is being read."""
    pid: int = field(factory=os.getpid)
    keeper: AsyncGenerator[None, None] | None = None

    async def close(self) -> None:
        for stream in list(self.streams):
            stream.hang_up(APIConnectionError("The client was closed while this stream was open."))
        for answer in list(self.answers):
            answer.close()  # a closed connector would leave the reader of the body waiting
        if self.owned:
            await self.session.close()

    def close_without_waiting(self) -> None:
        """Do of `close()` what needs no waiting, which is all but the farewells of TLS."""
        closing = self.close()
        with suppress(StopIteration):
            closing.send(None)
        closing.close()


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
        self._max_connections = max_connections
        self._proxy = proxy
        self._ssl: SSL = True if ssl is None else ssl
        self._session = session
        # By loop, and whether the session is our own. With a session of the user's, one of our own
        # is opened for what must not carry that session's default headers: downloads.
        self._pools: dict[tuple[asyncio.AbstractEventLoop, bool], _Pool] = {}
        self._of_parent: list[_Pool] = []
        self.closed = False

    async def send(self, request: Request) -> Response:
        """One attempt.

        Raises:
            APIStatusError: the answer's status is 300 or above.
            APITimeoutError: `request.timeout` ran out.
            APIConnectionError: there was no complete answer.
            OpenAIError: the client is closed, or has no usable API key.
        """
        pool = await self._pool(own=self._session is None or request.api_key is None)
        # Our own slots instead of the connector's limit: there, waiting for a free connection
        # counts against the connect timeout, which fails the tail of every large fan-out.
        await pool.slots.acquire()
        stream = None
        try:
            response = await self._attempt(pool, request)
            stream = response.stream
        finally:
            if stream is None:
                pool.slots.release()
        if stream is not None and request.on_open is not None:
            try:
                await request.on_open(response)
            except BaseException:
                stream.abort()
                raise
        response.elapsed = time.perf_counter() - request.started
        return response

    async def _attempt(self, pool: _Pool, request: Request) -> Response:
        deadline = asyncio.timeout(request.timeout.total)
        try:
            async with deadline:
                return await self._exchange(pool, request)
        except aiohttp.ConnectionTimeoutError as error:
            msg = (
                f"No connection to {request.url.origin()} within {request.timeout.connect:g} s. "
                "Check base_url and the network, or raise Timeout(connect=...)."
            )
            raise APITimeoutError(msg) from error
        except TimeoutError as error:
            if not deadline.expired():  # the kernel's ETIMEDOUT
                raise connection_error(error, request.url) from error
            msg = (
                f"No complete answer within {request.timeout.total:g} s. "
                "Raise timeout=... if it may take longer."
            )
            raise APITimeoutError(msg) from error
        except WIRE_ERRORS as error:
            if isinstance(error, OpenAIError):
                raise
            if self.closed:
                raise OpenAIError(_CLOSED) from error
            raise connection_error(error, request.url) from error

    async def _exchange(self, pool: _Pool, request: Request) -> Response:
        """Send the request; read the answer, or for a stream its headers."""
        headers = request.headers
        key = await _ask_for_key(request.api_key)
        if key is not None and "Authorization" not in headers:
            headers = headers.copy()
            headers["Authorization"] = f"Bearer {key}"
        secret = headers.get("Authorization", "").rpartition(" ")[2] or None
        answer = await self._send(pool, request, headers)
        if answer.status >= 300:
            raise await _failure(answer, secret)
        response = Response(status=answer.status, headers=answer.headers, secret=secret)
        if request.stream:
            response.stream = ByteStream(
                answer, request.timeout.idle, pool.slots.release, pool.streams
            )
        else:
            pool.answers.add(answer)
            try:
                response.body = await _read(answer, request.max_body)
            finally:
                pool.answers.discard(answer)
        return response

    async def _send(
        self, pool: _Pool, request: Request, headers: CIMultiDict[str]
    ) -> aiohttp.ClientResponse:
        """The answer, its headers read; redirects are followed where that is safe."""
        url = request.url
        for _ in range(MAX_REDIRECTS):
            # Looked at here, where no await stands between: the client may have been closed while
            # this request waited for its slot or its key.
            self._check_open(pool)
            answer = await pool.session.request(
                request.method,
                url,
                data=_payload(request.body),
                headers=headers,
                allow_redirects=False,
                # What a session of the user's own may have set otherwise.
                raise_for_status=False,
                auto_decompress=True,
                timeout=_client_timeout(request.timeout.connect, pool.owned),
                proxy=self._proxy,
                ssl=self._ssl,
            )
            target = _redirect(answer, url, request)
            if target is None:
                break
            answer.release()
            url = target
        return answer

    def _check_open(self, pool: _Pool | None) -> None:
        if self.closed:
            raise OpenAIError(_CLOSED)
        if pool is not None and pool.session.closed:
            msg = "The aiohttp session of this client is closed: create a new one."
            raise OpenAIError(msg)

    async def _pool(self, *, own: bool) -> _Pool:
        """The pool of the running loop, opened at its first use."""
        self._check_open(None)
        loop = asyncio.get_running_loop()
        pool = self._pools.get((loop, own))
        if pool is None or pool.pid != os.getpid():
            pool = await self._open(loop, own)
        return pool

    async def _open(self, loop: asyncio.AbstractEventLoop, own: bool) -> _Pool:
        self._sweep()
        session = None if own else self._session
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                # The API sets no cookies that matter; Cloudflare's would tie requests together.
                cookie_jar=aiohttp.DummyCookieJar(),
                # All waiting is bounded by `Timeout`, above and in ByteStream.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        slots = asyncio.Semaphore(self._max_connections)
        pool = self._pools[loop, own] = _Pool(session, own, slots)
        pool.keeper = _keep(pool, self._pools, (loop, own))
        await anext(pool.keeper)
        return pool

    def _sweep(self) -> None:
        """Forget the pools of closed loops; set those of a parent process aside, untouched.

        Closing a parent's connections in its forked child would take them out of the epoll
        instance that both share.
        """
        for place, pool in list(self._pools.items()):
            if pool.pid != os.getpid():
                self._of_parent.append(pool)
            elif not place[0].is_closed():
                continue
            self._pools.pop(place, None)

    async def close(self) -> None:
        """Close the sessions of all loops; what is still under way fails."""
        self.closed = True
        self._sweep()
        here = asyncio.get_running_loop()
        while self._pools:
            (loop, _), pool = self._pools.popitem()
            if loop is here:
                await pool.close()
            else:
                # Told, not waited for: it may be busy, stand still, or end at this moment.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(pool.close_without_waiting)

    def __del__(self) -> None:
        mine = [
            (place[0], pool)
            for place, pool in getattr(self, "_pools", {}).items()
            if pool.owned and pool.pid == os.getpid()
        ]
        if not mine:
            return
        msg = "Unclosed AsyncClient: use `async with`, or `await client.close()`."
        warnings.warn(msg, ResourceWarning, source=self, stacklevel=2)
        for loop, pool in mine:
            if loop is running_loop():
                pool.close_without_waiting()
            # The last reference to the keeper: its loop takes it over, and closes the session.
            pool.keeper = None


async def _keep(
    pool: _Pool,
    pools: dict[tuple[asyncio.AbstractEventLoop, bool], _Pool],
    place: tuple[asyncio.AbstractEventLoop, bool],
) -> AsyncGenerator[None, None]:
    """Closes the pool when its loop ends.

    A loop has no "on close" hook, but `asyncio.run` and `asyncio.Runner` finish the async
    generators that are still open before they close the loop (PEP 525, `shutdown_asyncgens`).
    So a client at module level needs no closing between one `asyncio.run` and the next.
    """
    try:
        yield
    finally:
        pools.pop(place, None)
        await pool.close()


@lru_cache(maxsize=64)
def _client_timeout(connect: float | None, own: bool) -> aiohttp.ClientTimeout:
    # `connect` covers DNS, TCP and TLS, and a wait for the connector's limit, which our own
    # session does not have. In a session we were given that wait must not count.
    if own:
        return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=None)
    return aiohttp.ClientTimeout(total=None, sock_connect=connect)


async def _ask_for_key(api_key: APIKey | None) -> str | None:
    if api_key is None or isinstance(api_key, str):
        return api_key
    try:
        key = api_key()
        if inspect.isawaitable(key):
            key = await key
    except OpenAIError:
        raise
    except Exception as error:
        msg = f"The api_key function failed with {type(error).__name__}: see the cause."
        raise OpenAIError(msg) from error
    return check_api_key(key)


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """The body as aiohttp likes it: over 1 MiB as a file, which it sends in pieces.

    Bytes it would write in one go, and says in a warning that this blocks the loop.
    """
    return io.BytesIO(body) if body is not None and len(body) > 2**20 else body


def _redirect(answer: aiohttp.ClientResponse, url: URL, request: Request) -> URL | None:
    """Where to go on from `url`, if this is a redirect that keeps method, body and origin.

    RFC 9110, section 15.4: only 307 and 308 keep the method. A POST that 301 or 302 would turn
    into a GET is an error to report, and so is leaving for another origin with the key and the
    prompt; both end as an `APIStatusError` that names the target.
    """
    location = answer.headers.get("Location")
    if location is None or not (
        answer.status in (307, 308)
        or (answer.status in (301, 302, 303) and request.method in ("GET", "HEAD"))
    ):
        return None
    try:
        target = url.join(URL(location))
        safe = request.api_key is None or target.origin() == request.url.origin()
    except ValueError:  # no URL, or one without an origin
        return None
    return target if safe and target.scheme in ("http", "https") and target.host else None


async def _read(answer: aiohttp.ClientResponse, limit: int | None) -> bytes:
    """The whole body, unless it is larger than `limit` bytes."""
    if limit is None:
        return await answer.read()
    parts, size = [], 0
    try:
        while part := await answer.content.readany():
            parts.append(part)
            size += len(part)
            if size > limit:
                msg = f"The answer of {answer.url.origin()} is larger than {limit} bytes."
                raise APIResponseValidationError(msg, status_code=answer.status)
    except BaseException:
        answer.close()
        raise
    return b"".join(parts)


async def _failure(answer: aiohttp.ClientResponse, secret: str | None) -> APIError:
    """The exception for an answer of status 300 or above; closes the answer."""
    data = b""
    try:
        # The status is what counts: a body that stalls or breaks off still says something.
        with suppress(TimeoutError, *WIRE_ERRORS):
            async with asyncio.timeout(ERROR_BODY_WAIT):
                while len(data) < MAX_ERROR_BODY and (part := await answer.content.readany()):
                    data += part
    finally:
        if answer.content.at_eof():
            answer.release()
        else:
            answer.close()
    headers = answer.headers
    if secret is not None and any(secret in value for value in headers.values()):
        headers = CIMultiDictProxy(
            CIMultiDict((k, redacted(v, secret)) for k, v in headers.items())
        )
    return status_error(answer.status, headers, redacted(body_or_text(data), secret))
