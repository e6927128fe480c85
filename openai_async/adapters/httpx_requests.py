"""One request of httpx through an `AsyncClient`: converted, sent, and its answer converted back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from .. import AsyncClient, Request, ResponseStream, Timeout
from ..errors import APIStatusError, OpenAIError
from ..jsontext import dumps, loads
from ..relay.ends import EndOfStream
from .failures import library_error
from .libraries import library_of

# Our connection decides these, and we can only decompress what we ask for.
_NOT_SENT = frozenset(("accept-encoding", "connection", "content-length", "transfer-encoding"))
# What aiohttp adds to a request without it.
_ADDED = frozenset(("accept", "content-type", "user-agent"))
# The body is passed on decompressed and without framing.
_NOT_PASSED_ON = frozenset(
    ("connection", "content-encoding", "content-length", "transfer-encoding")
)
# A placeholder: these requests have their key in a header. But with a key here, they are not
# redirected to other origins.
_KEY = "-"


class Sender:
    """Sends the requests of httpx and httpx2, without importing either.

    Attributes:
        client: sends them.
        own_timeout: the timeout of requests that have none of their own, in httpx's form.
    """

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.own_timeout: dict[str, float | None] | None = None
        # The requests of a client hardly differ in their headers.
        self._headers = lru_cache(maxsize=64)(_headers)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request. The body of the answer has been read, unless it is a stream."""
        content: bytes = await request.aread()
        streamed = request.extensions.get("streamed")
        if streamed is None:  # not from our `HTTPClient`
            streamed = b'"stream":true' in content or b'"stream": true' in content
        started = time.perf_counter()
        try:
            ours = self._request(request, content)
            answer = await (self._open(request, ours) if streamed else self._whole(request, ours))
        except APIStatusError as error:
            answer = _refused(request, error)
        except OpenAIError as error:
            raise library_error(request, error) from error
        answer.elapsed = timedelta(seconds=time.perf_counter() - started)
        return answer

    async def aclose(self) -> None:
        """Leave the client open: others may use it."""

    def _request(self, request: Any, content: bytes) -> Request:
        client = self.client
        headers, removed, retried = self._headers(tuple(request.headers.raw), request.url.netloc)
        made = Request(
            method=request.method,
            url=_url(str(request.url)),
            headers=headers.copy(),
            removed=removed,
            body=content or None,
            timeout=self._timeout(request.extensions.get("timeout")),
            max_retries=0 if retried else client.max_retries,
            api_key=_KEY,
        )
        if client.rate_limit is not None and content:
            made.params = _params(content)
        return made

    def _timeout(self, limits: dict[str, float | None] | None) -> Timeout:
        if limits is None or limits == self.own_timeout:
            return self.client.timeout
        return _timeout(limits.get("read"), limits.get("connect"))

    async def _whole(self, request: Any, ours: Request) -> Any:
        response = await self.client.send(ours)
        headers = _passed_on(request, response.headers)
        return library_of(request).Response(
            response.status, headers=headers, content=response.body, request=request
        )

    async def _open(self, request: Any, ours: Request) -> Any:
        stream = self.client.stream(ours)
        await stream.__aenter__()
        library = library_of(request)
        headers = _passed_on(request, stream.headers)
        body = _body_class(library)(stream, request)
        # http_version: the official client reads the body to its end only if it is HTTP/1.1.
        return library.Response(
            stream.status,
            headers=headers,
            stream=body,
            request=request,
            extensions={"http_version": b"HTTP/1.1"},
        )


def _headers(
    raw: tuple[tuple[bytes, bytes], ...], netloc: bytes
) -> tuple[CIMultiDict[str], frozenset[str], bool]:
    """The headers to send, those that must not be added, and whether the sender is retrying."""
    headers = CIMultiDict[str]()
    for name, value in raw:
        key = (text := name.decode("latin-1")).lower()
        if key not in _NOT_SENT and not (key == "host" and value == netloc):
            headers.add(text, value.decode("utf-8", "surrogateescape"))
    removed = frozenset(name for name in (*_ADDED, "authorization") if name not in headers)
    retried = headers.get("x-stainless-retry-count", "0") != "0"
    return headers, removed, retried


@lru_cache(maxsize=64)
def _url(text: str) -> URL:
    url = URL(text, encoded=True)
    # httpx has moved the name and password to a header.
    return url if url.user is url.password is None else url.with_user(None)


@lru_cache(maxsize=64)
def _timeout(read: float | None, connect: float | None) -> Timeout:
    return Timeout(total=read, connect=connect, idle=read)


def _params(content: bytes) -> dict[str, Any] | None:
    """What pacing reads: the model, and the texts whose tokens it estimates."""
    try:
        value = loads(content)
    except ValueError:  # a form, which has no tokens to count
        return None
    return value if isinstance(value, dict) else None


def _passed_on(request: Any, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with the bytes that arrived."""
    not_passed_on = _NOT_PASSED_ON if request.method != "HEAD" else ()
    return [
        (name.encode(), value.encode("utf-8", "surrogateescape"))
        for name, value in headers.items()
        if name.lower() not in not_passed_on
    ]


def _refused(request: Any, error: APIStatusError) -> Any:
    """The answer that the client has given up on."""
    headers = CIMultiDict(error.headers or {})
    headers["x-should-retry"] = "false"  # the official client must not retry it again
    body = error.body
    content = body.encode() if isinstance(body, str) else b"" if body is None else dumps(body)
    return library_of(request).Response(
        error.status_code,
        headers=_passed_on(request, headers),
        content=content,
        request=request,
    )


class _Body:
    """The bytes of an open answer. One loop after another may read it."""

    def __init__(self, stream: ResponseStream, request: Any) -> None:
        self._stream = stream
        self._request = request
        self._end = EndOfStream.of(request.url.path, stream.headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        end = self._end
        try:
            async for data in self._stream:
                if end is not None:
                    end.feed(data)
                yield data
        except OpenAIError as error:
            if end is not None and end.done:
                return  # the answer is complete: only the end of the connection failed
            raise library_error(self._request, error, opening=False) from error
        if end is not None and not end.complete:
            cut = end.error()
            raise library_error(self._request, cut, opening=False) from cut

    async def aclose(self) -> None:
        await self._stream.__aexit__(None, None, None)


@cache
def _body_class(library: Any) -> Any:
    return type("ClientByteStream", (_Body, library.AsyncByteStream), {})
