"""Requests without a resource: `client.request`, `client.send` and `client.stream`.

They are what the rest of the SDK is built on: the same checks, retries, pacing, time limits and
errors, with the answer as it came.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack, overload

from .._submodules import LazyModule
from ..errors import InvalidArgumentError
from ..http.request import Request, Response
from ..jsontext import dumps
from ..options import REQUEST_OPTIONS, RequestOptions
from .base_client import BaseClient
from .endpoint import check_known
from .params import json_body

if TYPE_CHECKING:
    from ..streaming import raw as streams
else:  # not every program streams
    streams = LazyModule("openai_async.streaming.raw")


class RawRequests(BaseClient):
    """Any request to the API, or to other endpoints of a server."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        **options: Unpack[RequestOptions],
    ) -> Response:
        """Send any request: for endpoints that have no method here.

        Args:
            method: an HTTP method.
            path: relative to the base URL, such as "/embeddings"; it may include a query.
            json: the body; `None` for a request without one.
            content: the body as bytes, in place of `json`; if it is not JSON, pass its
                Content-Type in `extra_headers`.

        Returns:
            A `Response`: `.status .headers .json() .json_object() .text() .body .meta`.

        Raises:
            APIError: as for every call; failures are retried in the same way too.

        Example::

            response = await client.request(
                "POST", "/embeddings", json={"model": "text-embedding-3-small", "input": "Hi"}
            )
            vector = response.json()["data"][0]["embedding"]
        """
        if options:
            check_known("request", options, REQUEST_OPTIONS)
        return await self.send(self._raw_request(method, path, json, content, options))

    def build_request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        **options: Unpack[RequestOptions],
    ) -> Request:
        """What `request(...)` would send, to be changed before it is passed to `send`.

        Raises:
            InvalidArgumentError: an argument is wrong.
        """
        if options:
            check_known("build_request", options, REQUEST_OPTIONS)
        return self._raw_request(method, path, json, content, options)

    async def send(self, request: Request) -> Response:
        """Send a request through the client's middlewares, and return the whole answer.

        Every attempt is sent with `request.headers` and, if those have no Authorization, with
        `request.api_key`.

        Raises:
            APIStatusError: the status is 300 or above.
            APIConnectionError, APITimeoutError: there was no complete answer.

        Example::

            request = client.build_request("POST", "/embeddings", json=body)
            request.headers["Idempotency-Key"] = key
            response = await client.send(request)
        """
        if not isinstance(request, Request):
            msg = f"request has type {type(request).__name__}: pass a Request (build_request)."
            raise InvalidArgumentError(msg)
        if request.stream:
            msg = "send returns whole responses, and request.stream is set: use client.stream(...)."
            raise InvalidArgumentError(msg)
        request.started = time.perf_counter()  # it may have been built long before
        return await self._send(request)

    @overload
    def stream(self, request: Request, /) -> streams.ResponseStream: ...

    @overload
    def stream(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        **options: Unpack[RequestOptions],
    ) -> streams.ResponseStream: ...

    def stream(
        self,
        method: str | Request,
        path: str = "",
        *,
        json: object = None,
        content: bytes | None = None,
        **options: Unpack[RequestOptions],
    ) -> streams.ResponseStream:
        """Send any request, and read the bytes of its answer as they arrive.

        The arguments are those of `request`, or a `Request`, as for `send`. Nothing is sent before
        the `async with` block begins.

        Returns:
            A `ResponseStream`: `.status .headers .meta`, an async iterator over bytes, `.read()`.

        Example::

            async with client.stream("GET", "/files/file-1/content") as response:
                async for data in response:
                    file.write(data)
        """
        check_known("stream", options, REQUEST_OPTIONS)
        if isinstance(method, Request):
            request = method
        else:
            request = self._raw_request(method, path, json, content, options)

        def begin() -> Request:
            request.started = time.perf_counter()
            return request

        return streams.ResponseStream(self._opening(begin), request.url.path)

    def _raw_request(
        self,
        method: str,
        path: str,
        json: object,
        content: bytes | None,
        options: Mapping[str, object],
    ) -> Request:
        if not isinstance(method, str) or not method.isalpha() or not method.isascii():
            msg = f'method is {method!r}: pass one like "GET" or "POST".'
            raise InvalidArgumentError(msg)
        extra_body = options.get("extra_body")
        if content is not None and (json is not None or extra_body is not None):
            msg = "Pass the body as json or as content: nothing can be merged into content."
            raise InvalidArgumentError(msg)
        if content is not None and not isinstance(content, bytes):
            msg = f"content has type {type(content).__name__}: pass bytes."
            raise InvalidArgumentError(msg)
        if json is not None and extra_body is not None:
            if not isinstance(json, Mapping) or not isinstance(extra_body, Mapping):
                msg = "extra_body can only be merged into a JSON object."
                raise InvalidArgumentError(msg)
            content = json_body(json, extra_body)
        elif json is not None:
            content = dumps(json)
        request = self._request(method.upper(), path, content, options)
        # `isinstance` with an ABC is slow, so the usual values are checked first.
        if json is None:
            request.params = None
        else:
            request.params = json if type(json) is dict or isinstance(json, Mapping) else None
        return request
