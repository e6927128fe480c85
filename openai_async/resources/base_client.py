"""From an endpoint and its parameters to a request, and from the response to an object.

This is all that resources need from a client. `AsyncClient` adds the options and the pool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict
from yarl import URL

from .._version import __version__
from ..http.headers import (
    change_headers,
    check_headers,
)
from ..http.outgoing import Prepared
from ..http.request import Request, Response
from ..http.urls import Urls, with_query
from ..http.waits import PendingWaits
from ..middleware import Send
from ..options import (
    REQUEST_OPTIONS,
    APIKey,
    RequestOptions,
    Timeout,
    check_retries,
)
from ..wire.codec import parse
from .endpoint import Endpoint, R
from .params import json_body

if TYPE_CHECKING:
    from ..http.multipart import Multipart
    from ..streaming.binary import BinaryContent
    from ..streaming.raw import Connect
    from .usage_refusals import Place, Standing

ACCEPT = "application/json"
USER_AGENT = f"openai_async/{__version__}"
# A generated picture is a few MB; more than this is not one.
MAX_DOWNLOAD = 100 * 1024 * 1024


class BaseClient:
    """Sends the requests of resources.

    Attributes:
        api_key: the key, or the function that returns it.
        base_url: the URL of the API.
        timeout: for each attempt.
        max_retries: how many times a failed request is sent again.
    """

    api_key: APIKey
    base_url: URL
    timeout: Timeout
    max_retries: int
    _usage_standings: dict[Place, Standing]
    """Which servers and models take the question for the usage."""
    _asks_usage = True
    """Whether streams request their usage."""
    _urls: Urls
    _prepared: Prepared
    _json_prepared: Prepared
    _removed: frozenset[str]
    _send: Send
    _waits: PendingWaits

    def _call(
        self,
        endpoint: Endpoint[R],
        params: Mapping[str, Any],
        body: bytes | Multipart | None = None,
        **ids: object,
    ) -> Coroutine[Any, Any, R]:
        """Send the parameters to an endpoint; `ids` fill in its path.

        A resource that has checked the parameters itself passes the `body`.
        """
        if body is None:
            endpoint.check(params)
            # An endpoint without parameters, such as `batches.cancel`, gets no body.
            if endpoint.method == "POST" and endpoint.params is not RequestOptions:
                body = json_body(params, params.get("extra_body"))
        path = endpoint.path_for(ids) if ids else endpoint.path
        answer: Any = self._answer(endpoint, path, body, params)
        # The name in Python's warning about a coroutine that was never awaited.
        answer.__name__ = answer.__qualname__ = endpoint.name
        return answer  # type: ignore[no-any-return]

    async def _answer(
        self,
        endpoint: Endpoint[R],
        path: str,
        body: bytes | Multipart | None,
        params: Mapping[str, Any],
    ) -> R:
        response = await self._send(self._request(endpoint.method, path, body, params))
        return parse(endpoint.result, response.body, response.meta, response.secret)

    async def _answer_with_secret(
        self, endpoint: Endpoint[R], params: Mapping[str, Any], body: bytes
    ) -> tuple[R, str | None]:
        """The answer, and the keys that were sent, to be redacted from errors about its text."""
        response = await self._send(self._request(endpoint.method, endpoint.path, body, params))
        return parse(
            endpoint.result, response.body, response.meta, response.secret
        ), response.secret

    def _connector(
        self, endpoint: Endpoint[Any], params: Mapping[str, Any], body: bytes | Multipart
    ) -> Connect:
        """The function that a stream calls to open its response."""

        return self._opening(lambda: self._request(endpoint.method, endpoint.path, body, params))

    def _opening(self, build: Callable[[], Request]) -> Connect:
        """The function that sends the request that `build` returns, and opens the answer."""

        def connect(on_open: Callable[[Response], Awaitable[None]]) -> Awaitable[Response]:
            request = build()
            request.stream = True
            request.on_open = on_open
            return self._send(request)

        return connect

    def _binary(
        self, endpoint: Endpoint[Any], options: Mapping[str, Any], **ids: object
    ) -> BinaryContent:
        """The answer of an endpoint that sends a file; nothing is sent before it is opened."""
        from ..streaming.binary import BinaryContent

        endpoint.check(options)
        path = endpoint.path_for(ids)

        def build() -> Request:
            request = self._request(endpoint.method, path, None, options)
            if request.headers.get("Accept") == ACCEPT:  # unless the user has set another
                request.headers["Accept"] = "application/octet-stream, */*"
            return request

        return BinaryContent(self._opening(build))

    async def _download(self, url: str) -> bytes:
        """The bytes of the picture at a URL; no default headers are sent."""
        from ..http.download import download

        async def get(target: URL, api_key: APIKey | None) -> Response:
            request = Request(
                method="GET",
                url=target,
                headers=CIMultiDict({"User-Agent": USER_AGENT}),
                timeout=self.timeout,
                max_retries=self.max_retries,
                max_body=MAX_DOWNLOAD,
                api_key=api_key,
                picture=True,
            )
            return await self._send(request)

        return await download(url, get, base_url=self.base_url, api_key=self.api_key)

    def _request(
        self, method: str, path: str, body: bytes | Multipart | None, options: Mapping[str, Any]
    ) -> Request:
        if body is None and (extra_body := options.get("extra_body")) is not None:
            body = json_body({}, extra_body)
        prepared = self._json_prepared if isinstance(body, bytes) else self._prepared
        request = Request(
            method=method,
            url=self._urls.of(path),
            headers=prepared.headers,
            prepared=prepared,
            removed=self._removed,
            body=body,
            params=options,
            timeout=self.timeout,
            max_retries=self.max_retries,
            api_key=self.api_key,
        )
        if not REQUEST_OPTIONS.isdisjoint(options):
            _apply(options, request)
        return request


def _apply(options: RequestOptions | Mapping[str, Any], request: Request) -> None:
    """Override the client's options with those of a call."""
    if (extra_headers := options.get("extra_headers")) is not None:
        request.removed = change_headers(
            request.headers, request.removed, check_headers(extra_headers)
        )
    if (extra_query := options.get("extra_query")) is not None:
        request.url = with_query(request.url, extra_query)
    if "timeout" in options:
        request.timeout = Timeout.of(options["timeout"])
    if "max_retries" in options:
        request.max_retries = check_retries(options["max_retries"])


class Resource:
    """A part of the API, reached through its client."""

    __slots__ = ("_client",)

    def __init__(self, client: BaseClient) -> None:
        self._client = client
