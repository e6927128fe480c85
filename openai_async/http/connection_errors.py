"""The exceptions of aiohttp and below, mapped to ours: what failed, where, and what to check.

The original becomes the `__cause__` of ours, so the API key is removed from it first.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..errors import APIConnectionError
from ..wire.redaction import SECRET_HEADERS
from .aiohttp_internals import PURE_PYTHON, ParserError
from .urls import server_of

# What aiohttp, asyncio and their parsers raise when a connection fails; RuntimeError comes from a
# session of another event loop.
WIRE_ERRORS = (
    aiohttp.ClientError,
    ParserError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)


def connection_error(
    error: BaseException, url: URL, address: str = "base_url"
) -> APIConnectionError:
    """Our exception for one of `WIRE_ERRORS`; `address` names the setting to check."""
    redact_exception(error)
    where = server_of(url)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return APIConnectionError(f"The proxy on the way to {where} failed: {_reason(error)}.")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        hint = f"Check {address}, and that the server is up."
        if is_certificate_error(error):
            hint = f"Check {address}, or pass ssl=... with the CA that signed the certificate."
        if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
            hint = f"The server does not speak TLS there: try http:// in {address}."
        return APIConnectionError(f"Cannot connect to {where}: {_reason(error)}. {hint}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return APIConnectionError(f"The answer from {where} was cut off: {_reason(error)}.")
    return APIConnectionError(f"The connection to {where} failed: {_reason(error)}.")


def is_certificate_error(error: BaseException | None) -> bool:
    """Whether either side rejected the other's certificate, which no retry would change."""
    while error is not None:
        if isinstance(error, aiohttp.ServerFingerprintMismatch | ssl.SSLCertVerificationError):
            return True
        # The server's alert about ours: SSLV3_ALERT_BAD_CERTIFICATE, TLSV1_ALERT_UNKNOWN_CA...
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        if re.search("CERTIFICATE|_CA$", reason or ""):
            return True
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    return False


def drop_traceback(error: BaseException) -> None:
    """Remove the traceback from an exception that aiohttp keeps (`StreamReader.exception()`).

    Its frames refer to the exception and, through their callers, to the reader of the stream. That
    cycle would delay closing an abandoned stream until the garbage collector runs.
    """
    error.__traceback__ = None


def redact_exception(error: BaseException | None) -> None:
    """Remove secrets from an exception that becomes a `__cause__`, and so may be printed.

    aiohttp's exceptions hold the request's headers, and its parser quotes the bytes that it could
    not parse (as `b'...'`, or after an empty line), which may repeat the key or be part of an
    answer.
    """
    while error is not None:
        drop_traceback(error)
        if isinstance(error, aiohttp.ClientResponseError):
            headers = CIMultiDict(error.request_info.headers)
            for name in SECRET_HEADERS:
                headers.popall(name, None)
            sent = error.request_info
            # The query too: some vendors expect the key there.
            error.request_info = aiohttp.RequestInfo(
                sent.url.with_query(None),
                sent.method,
                CIMultiDictProxy(headers),
                sent.real_url.with_query(None),
            )
            error.args = (error.request_info, error.history)
        elif isinstance(error, aiohttp.ServerDisconnectedError) and type(error.message) is not str:
            # The headers received so far, which may repeat the key.
            error.message = "Server disconnected while sending its headers"
            error.args = (error.message,)
        else:
            error.args = tuple(map(_without_quoted_bytes, error.args))
        if hasattr(error, "message"):
            error.message = _without_quoted_bytes(error.message)  # pyright: ignore[reportAttributeAccessIssue]
        if PURE_PYTHON:
            _redact_parsers_error(error)
        error = error.__cause__ or error.__context__


def _redact_parsers_error(error: BaseException) -> None:
    """The same for aiohttp's pure-Python parser, whose quotes cannot be told from other text."""
    if isinstance(error, aiohttp.ClientPayloadError):  # ends with its cause's message
        error.args = (str(error).partition(":")[0],)
        return
    text = "malformed or incomplete HTTP"
    if isinstance(error, aiohttp.ClientResponseError):  # has its parts in `args`, see above
        error.message = text
    elif isinstance(error, ParserError):
        error.message, error.args = text, (text,)  # type: ignore[attr-defined]


def _without_quoted_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return b""
    if not isinstance(value, str):
        return value
    return re.sub(r"""\bb(['"]).*\1""", "(bytes)", value.split("\n\n")[0], flags=re.DOTALL)


def _reason(error: BaseException) -> str:
    """The innermost cause's message, on one line without a full stop."""
    while (inner := getattr(error, "os_error", None) or error.__cause__) is not None:
        error = inner
    if isinstance(error, ssl.SSLError):
        text = getattr(error, "verify_message", None) or error.reason
    elif isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        # asyncio replaces the system's message by the address; errno still tells what it was.
        text = os.strerror(error.errno)
    else:
        text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    line = " ".join(_without_quoted_bytes(str(text or type(error).__name__).strip()).split())
    return line[:120].rstrip(".: ")
