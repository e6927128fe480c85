"""Our exceptions as those of httpx and of the official SDK."""

from __future__ import annotations

import sys
from typing import Any

import aiohttp

from ..errors import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    OpenAIError,
    StreamInterruptedError,
)
from .libraries import library_of

# httpx's names for what aiohttp raises; the first match counts.
_KINDS: dict[type[Exception], str] = {
    aiohttp.ClientProxyConnectionError: "ProxyError",
    aiohttp.ClientHttpProxyError: "ProxyError",
    aiohttp.ClientConnectorError: "ConnectError",
    aiohttp.ServerDisconnectedError: "RemoteProtocolError",
    aiohttp.ClientPayloadError: "RemoteProtocolError",
    aiohttp.ClientResponseError: "RemoteProtocolError",
    aiohttp.NonHttpUrlClientError: "UnsupportedProtocol",
}

# The first version of the official SDK that passes on its own exceptions from its HTTP client.
# Those before take everything but httpx's timeouts for a failed connection.
_PASSES_ON = (2, 31)


def library_error(request: Any, error: OpenAIError, *, opening: bool = True) -> Exception:
    """The exception to raise from ours.

    The official client would retry after an exception of httpx, and then wrap it in one that says
    "Connection error.". So it gets its own exceptions, which it passes on as they are.

    Args:
        opening: the answer has not begun; else it is being read.
    """
    official = sys.modules.get("openai")
    is_timeout = isinstance(error, APITimeoutError)
    made: Exception
    if (
        official is None
        or not _is_from(official, request.headers)
        or (is_timeout and opening and not _passes_on(official))
    ):
        made = getattr(library_of(request), _kind(error))(str(error), request=request)
    elif is_timeout:
        made = official.APITimeoutError(request=request)
        made.message = str(error)  # type: ignore[attr-defined] # its own only says "timed out"
        made.args = (str(error),)
    else:
        made = official.APIConnectionError(message=str(error), request=request)
    return made


def _is_from(official: Any, headers: Any) -> bool:
    """Whether the official SDK made a request. Frameworks may replace its User-Agent."""
    if "OpenAI/Python" in headers.get("User-Agent", ""):
        return True
    # SDKs of other vendors, made by the same generator, send this too, with versions of their own.
    return bool(headers.get("X-Stainless-Package-Version") == official.__version__)


def _passes_on(official: Any) -> bool:
    major, minor = official.__version__.split(".")[:2]
    return (int(major), int(minor)) >= _PASSES_ON


def _kind(error: OpenAIError) -> str:
    """The name of the exception in httpx."""
    cause = error.__cause__
    if isinstance(error, APITimeoutError):
        connecting = isinstance(cause, aiohttp.ConnectionTimeoutError)
        return "ConnectTimeout" if connecting else "ReadTimeout"
    if isinstance(error, StreamInterruptedError | APIResponseValidationError):
        return "RemoteProtocolError"
    for kind, name in _KINDS.items():
        if isinstance(cause, kind):
            return name
    if isinstance(error, APIConnectionError):
        return "ReadError"
    return "LocalProtocolError"  # nothing was sent
