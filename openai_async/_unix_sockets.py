"""URLs of servers that listen on a Unix socket: `http+unix://%2Frun%2Fserver.sock/v1`. No I/O.

The host of such a URL is the path of the socket, percent-encoded. Capital letters are encoded, too,
because yarl converts hosts to lower case.
"""

from __future__ import annotations

import os
import re
from string import ascii_lowercase, digits
from urllib.parse import unquote

from yarl import URL

from .errors import InvalidArgumentError

UNIX = "http+unix"
HOST = "localhost"
"""The Host header of requests to a Unix socket."""

_SEEN_BY_SERVER = URL(f"http://{HOST}")
_PLAIN = frozenset((ascii_lowercase + digits + "-._").encode())


def is_unix(text: str) -> bool:
    return text[: len(UNIX) + 1].lower() == f"{UNIX}:"


def unix_base_url(text: str) -> URL:
    """The URL, checked and without a trailing slash."""
    if os.name == "nt":
        msg = "base_url is a Unix socket, which Windows does not support: pass an http(s) URL."
        raise InvalidArgumentError(msg)
    found = re.fullmatch(r"[\w+]+://([^/?#@:\s\x00-\x1f]+)(/[^?#\s\x00-\x1f]*)?", text)
    path = unquote(found[1]) if found else ""
    if found is None or not path.startswith("/") or "\0" in path:
        msg = (
            f"base_url {text!r} does not name a Unix socket: write the absolute path of the socket "
            'percent-encoded, like "http+unix://%2Frun%2Fserver.sock/v1".'
        )
        raise InvalidArgumentError(msg)
    host = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in path.encode())
    return URL(f"{UNIX}://{host}{(found[2] or '').rstrip('/')}")


def socket_path(url: URL) -> str | None:
    """The path of the socket that a URL names; `None` for other URLs."""
    return unquote(url.raw_host or "") if url.scheme == UNIX else None


def join_url(url: URL, reference: URL) -> URL:
    """The URL that a reference in an answer from `url` leads to.

    In an answer from a Unix socket, `http://localhost` is the server on that socket.
    """
    if url.scheme != UNIX:
        return url.join(reference)
    target = _SEEN_BY_SERVER.join(URL(url.raw_path_qs, encoded=True)).join(reference)
    if not target.absolute or target.origin() != _SEEN_BY_SERVER:
        return target
    return URL(f"{UNIX}://{url.raw_host}{target.raw_path_qs}", encoded=True)
