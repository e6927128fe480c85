"""The API key of a request: resolved, put into the headers, and collected for redaction."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias
from urllib.parse import quote, unquote_plus

from multidict import CIMultiDict
from yarl import URL

from .._unix_sockets import HOST, UNIX
from ..errors import OpenAIError
from ..options import check_api_key
from ..wire.redaction import SECRET_PARAMETERS, secret_of
from .headers import check_present
from .outgoing import Outgoing
from .request import Request

KeyFunction: TypeAlias = Callable[[], str | Awaitable[str]]


def known_outgoing(request: Request) -> Outgoing | None:
    """The headers, if an earlier request of the client has sent the same ones."""
    prepared = request.prepared
    if prepared is None or not prepared.serves(request.api_key, request.removed):
        return None
    return prepared.find(request.url)


async def authorized(request: Request, proxy_secrets: Iterable[str]) -> Outgoing:
    """The headers with the key, and the secrets that no error may show."""
    headers, key = request.sent_headers, request.api_key
    if request.prepared is None:  # a middleware or the caller may have changed them
        headers = CIMultiDict(check_present(headers))
    if "Authorization" in headers or "authorization" in request.removed:
        key = None
    elif key is not None and not isinstance(key, str):
        request.state.getting_key = True
        key = await _call_key_function(key)
        request.state.getting_key = False
    secret = secret_of(headers, key, *proxy_secrets, *_keys_in_query(request.url))
    unix = request.url.scheme == UNIX and "Host" not in headers
    if key or unix:
        headers = headers.copy()
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if unix:
        headers["Host"] = HOST
    outgoing = Outgoing(headers, request.removed, secret)
    prepared = request.prepared
    # A function that returns the key is called for each attempt.
    if (
        prepared is not None
        and prepared.serves(request.api_key, request.removed)
        and not callable(request.api_key)
    ):
        prepared.keep(request.url, outgoing)
    return outgoing


async def _call_key_function(api_key: KeyFunction) -> str:
    try:
        key = api_key() if _is_async(api_key) else await _in_thread(api_key)
        if inspect.isawaitable(key):
            key = await key
    except OpenAIError:
        raise
    except Exception as error:
        msg = f"The api_key function failed with {type(error).__name__}: see the cause."
        raise OpenAIError(msg) from error
    return check_api_key(key)


def _is_async(function: KeyFunction) -> bool:
    """Whether a function, or the one that it wraps, is declared with `async def`."""
    function = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with `async def __call__`
    )


async def _in_thread(function: KeyFunction) -> str | Awaitable[str]:
    """The result of a function that may block: on a file, a lock, a request for a token."""

    def call() -> str | Awaitable[str]:
        try:
            return function()
        except StopIteration as error:  # asyncio's futures cannot have this exception
            msg = "It raised StopIteration."
            raise RuntimeError(msg) from error

    context = contextvars.copy_context()
    future = asyncio.get_running_loop().run_in_executor(None, context.run, call)
    try:
        # A thread cannot be cancelled: what it returns later is discarded.
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_discard)
        raise


def _discard(future: asyncio.Future[str | Awaitable[str]]) -> None:
    if future.cancelled() or future.exception() is not None:
        return
    if inspect.iscoroutine(coroutine := future.result()):
        coroutine.close()  # Python would warn that it was never awaited


def _keys_in_query(url: URL) -> list[str]:
    """The API keys in a query, where some vendors expect them."""
    if not url.raw_query_string:
        return []
    keys: list[str] = []
    for pair in url.raw_query_string.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() in SECRET_PARAMETERS:
            plain = unquote_plus(value)
            # Decoded, as it was sent, and as others would encode it.
            keys += {plain, value, quote(plain, safe="")}
    return keys
