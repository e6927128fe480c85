"""What the wire raises, as our exceptions: what happened, with whom, and what to check.

An exception of aiohttp's becomes the `__cause__` of ours, so the key is taken out of it first.
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
from .aiohttp_internals import ParserError

# What aiohttp, asyncio and the parsers below them raise when the wire is at fault; RuntimeError
# comes from a session of another loop.
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
    """Our exception for aiohttp's: what happened, to whom, and what to check."""
    _forget_key(error)
    where = str(url.origin() if url.absolute else url)
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
        return APIConnectionError(f"The answer of {where} broke off: {_reason(error)}.")
    return APIConnectionError(f"The connection to {where} failed: {_reason(error)}.")


def is_certificate_error(error: BaseException | None) -> bool:
    """Whether one side does not trust the other's certificate, which a retry would not change."""
    while error is not None:
        if isinstance(error, aiohttp.ServerFingerprintMismatch | ssl.SSLCertVerificationError):
            return True
        # What the server said about ours: SSLV3_ALERT_BAD_CERTIFICATE, TLSV1_ALERT_UNKNOWN_CA...
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        if re.search("CERTIFICATE|_CA$", reason or ""):
            return True
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    return False


def forget_frames(error: BaseException) -> None:
    """Take the traceback from an exception of aiohttp's.

    aiohttp keeps what it raises (`StreamReader.exception()`), and the traceback's frames keep both
    of them and, by way of their callers, the reader of a stream: until the garbage collector came,
    who left the loop of a stream that had been tried again would not hang up.
    """
    error.__traceback__ = None


def _forget_key(error: BaseException | None) -> None:
    """Take the key out of an exception that will be our `__cause__`, and printed by reporters.

    aiohttp keeps the request's headers in it, and its parser quotes what the server sent and it
    could not read (as `b'...'`, or below an empty line): that may repeat the key, or be an answer.
    """
    while error is not None:
        forget_frames(error)
        if isinstance(error, aiohttp.ClientResponseError):
            headers = CIMultiDict(error.request_info.headers)
            for name in SECRET_HEADERS:
                headers.popall(name, None)
            sent = error.request_info
            # The query is removed too, as some vendors have the key there.
            error.request_info = aiohttp.RequestInfo(
                sent.url.with_query(None),
                sent.method,
                CIMultiDictProxy(headers),
                sent.real_url.with_query(None),
            )
            error.args = (error.request_info, error.history)
        else:
            error.args = tuple(map(_unquoted, error.args))
        if hasattr(error, "message"):
            error.message = _unquoted(error.message)
        error = error.__cause__ or error.__context__


def _unquoted(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"""\bb(['"]).*\1""", "(bytes)", value.split("\n\n")[0], flags=re.DOTALL)


def _reason(error: BaseException) -> str:
    """What went wrong, in the words of the innermost cause, on one line without a full stop."""
    while (inner := getattr(error, "os_error", None) or error.__cause__) is not None:
        error = inner
    if isinstance(error, ssl.SSLError):
        text = getattr(error, "verify_message", None) or error.reason
    elif isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        # asyncio puts the address where the system's words should be; the number says it better.
        text = os.strerror(error.errno)
    else:
        text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    line = " ".join(_unquoted(str(text or type(error).__name__).strip()).split())
    return line[:120].rstrip(".: ")
