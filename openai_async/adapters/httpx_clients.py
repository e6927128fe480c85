"""httpx clients and transports that send through an `AsyncClient`.

httpx2 is httpx under another name: newer versions of the official SDK use it, while older ones and
most other packages use httpx. Both have the same classes, so ours are derived from either.
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

    Requests go through the middlewares, retries, pacing and pool of `client`. Their URL, headers
    and key are those of the official client, and so is `timeout`, if that has one of its own.
    Closing the HTTP client leaves `client` open.

    Only `client` retries. An answer that it has given up on is marked as final, so that the
    official client does not ask again. A connection that fails raises the official client's own
    exception, which the official client does not retry either; before openai 2.31 it does, and
    then each of its retries is sent once.

    Args:
        client: sends the requests. Its `base_url` and `api_key` are not used.
        library: `httpx` or `httpx2`; by default the one that the installed SDK uses.

    Returns:
        An `httpx2.AsyncClient` or an `httpx.AsyncClient`.

    Raises:
        InvalidArgumentError: `client` is not one of ours, `library` is something else, or httpx is
            not installed.
    """
    _check(client)
    if library is not None and library not in installed():
        msg = f"library is {library!r}: pass the module httpx or httpx2 itself."
        raise InvalidArgumentError(msg)
    kind = _client_class(library or library_of_openai())
    return kind(client)  # type: ignore[no-any-return]


def transport(client: AsyncClient) -> httpx2.AsyncBaseTransport:
    """A transport for anything that takes one: `httpx.AsyncClient(transport=transport(client))`.

    It takes the requests of httpx and of httpx2, and has httpx2's class if both are installed.
    Failures are raised as the exceptions of the library that sends the request, with ours as their
    cause. Closing the transport leaves `client` open.

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
            # With `pool=None`, it never equals httpx's default, which the official SDK replaces.
            own = library.Timeout(limits.total, connect=limits.connect, pool=None)
            sender.own_timeout = own.as_dict()
            super().__init__(transport=sender, timeout=own, trust_env=False)

        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            """Send without the library's own layers, unless they are in use.

            Its authentication, redirects and cookies take a tenth of the time of a chat request.
            """
            request.extensions["streamed"] = stream
            auth = options.get("auth", library.USE_CLIENT_DEFAULT)
            if (
                self.is_closed
                or auth is not library.USE_CLIENT_DEFAULT
                or self.auth is not None
                or any(self.event_hooks.values())
                or request.url.userinfo
                or not isinstance(request.stream, library.AsyncByteStream)  # httpx refuses it
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
    # Of one library only: SDKs written for httpx2, such as Anthropic's, refuse what is of httpx.
    # httpx itself takes any object with these methods.
    base = installed()[0].AsyncBaseTransport
    return type("ClientTransport", (Sender, base), {"__reduce__": _transport_again})


def _transport_again(sender: Sender) -> tuple[Any, ...]:
    return transport, (sender.client,)
