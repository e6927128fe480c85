"""httpx clients and transports that send through an `AsyncClient`.

httpx2 is httpx by another name, and newer versions of the official SDK want the one, older ones and
most other packages the other. Both have the same classes, so ours are made for the one at hand.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import AsyncClient
from ..errors import InvalidArgumentError
from .httpx_requests import Sender
from .libraries import installed, library_of_openai

if TYPE_CHECKING:
    import httpx2


def http_client(client: AsyncClient, *, library: ModuleType | None = None) -> httpx2.AsyncClient:
    """An HTTP client for the official SDK: `AsyncOpenAI(http_client=http_client(client))`.

    Its requests go through `client`: its middlewares, retries, pacing and pool. What they say
    themselves prevails: URL, headers and key are those of the official client, and so is its
    `timeout`, if it has one of its own. Closing it leaves `client` open.

    One place retries. An answer that `client` has given up on is marked as final, so the official
    client does not ask again; a connection that fails raises the official client's own exception,
    which it does not retry either (openai 3.57; older versions do, and then each of their retries
    is sent once).

    Args:
        client: sends the requests. Its `base_url` and `api_key` are not used.
        library: `httpx` or `httpx2`; by default the one that the installed SDK is written for.

    Returns:
        An `httpx2.AsyncClient` or an `httpx.AsyncClient`.

    Raises:
        InvalidArgumentError: `client` is not one of ours, or httpx is not installed.
    """
    _check(client)
    kind = _client_class(library or library_of_openai())
    return kind(client)  # type: ignore[no-any-return]


def transport(client: AsyncClient) -> httpx2.AsyncBaseTransport:
    """A transport for anything that takes one: `httpx.AsyncClient(transport=transport(client))`.

    It serves the requests of httpx and httpx2. Failures are httpx's exceptions, with ours as their
    cause. Closing it leaves `client` open.

    Raises:
        InvalidArgumentError: `client` is not one of ours, or httpx is not installed.
    """
    _check(client)
    return _transport_class()(client)  # type: ignore[no-any-return]


def _check(client: object) -> None:
    if not isinstance(client, AsyncClient):
        msg = f"client has type {type(client).__name__}: pass an openai_async.AsyncClient."
        raise InvalidArgumentError(msg)


@cache
def _client_class(library: Any) -> Any:
    class HTTPClient(library.AsyncClient):  # type: ignore[misc]
        """What `http_client` returns."""

        def __init__(self, client: AsyncClient) -> None:
            self._sender = sender = _transport_class()(client)
            limits = client.timeout
            # Without `pool`, it is never httpx's default, which the official SDK replaces.
            own = library.Timeout(limits.total, connect=limits.connect, pool=None)
            sender.own_timeout = own.as_dict()
            super().__init__(transport=sender, timeout=own, trust_env=False)

        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            """Send without the library's own layers, unless they are in use.

            Its authentication, redirects and cookies take a tenth of a chat request.
            """
            request.extensions["streamed"] = stream
            auth = options.get("auth", library.USE_CLIENT_DEFAULT)
            if (
                self.is_closed
                or auth is not library.USE_CLIENT_DEFAULT
                or self.auth is not None
                or any(self.event_hooks.values())
                or request.url.userinfo
                or not isinstance(request.stream, library.AsyncByteStream)  # refuses it
            ):
                return await super().send(request, stream=stream, **options)
            return await self._sender.handle_async_request(request)

        def __reduce__(self) -> tuple[Any, ...]:
            return _again, (self._sender.client, library.__name__)

    return HTTPClient


def _again(client: AsyncClient, library: str) -> Any:
    return http_client(client, library=import_module(library))


@cache
def _transport_class() -> Any:
    bases = [library.AsyncBaseTransport for library in installed()]
    return type("ClientTransport", (Sender, *bases), {"__reduce__": _transport_again})


def _transport_again(sender: Sender) -> tuple[Any, ...]:
    return transport, (sender.client,)
