"""URLs from paths and queries. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from string import ascii_letters, digits
from typing import TypeAlias, TypeVar
from urllib.parse import unquote

from yarl import URL

from .._unix_sockets import socket_path
from ..errors import InvalidArgumentError
from ..sentinels import Omit, is_left_out, is_omit

# How many URLs a cache holds. Paths may contain ids, so there is no limit to their number.
MAX_URLS = 64

K = TypeVar("K")
V = TypeVar("V")

Query: TypeAlias = Mapping[str, str | int | float | bool | Omit]


def remember(known: dict[K, V], key: K, value: V) -> None:
    """Add to a cache of at most `MAX_URLS` entries; the oldest entry is dropped to make room."""
    if len(known) >= MAX_URLS and key not in known:
        with suppress(KeyError, RuntimeError):  # another thread is dropping it, too
            del known[next(iter(known))]
    known[key] = value


def as_spelled(text: str) -> URL:
    """A URL from a server, exactly as received: a signature in its query covers the spelling.

    Raises:
        ValueError: it is not a URL.
    """
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def server_of(url: URL) -> str:
    """The server of a URL, for messages: its origin, or its Unix socket."""
    if (socket := socket_path(url)) is not None:
        return f"the Unix socket {socket}"
    return str(url.origin() if url.absolute else url)


def same_origin(one: URL, other: URL) -> bool:
    """Whether two URLs have the same scheme, host and port (RFC 6454, section 5)."""
    return _origin(one) == _origin(other)


def _origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, (url.host or "").lower(), url.port


class Urls:
    """The URLs below a base URL, each with the client's default query."""

    __slots__ = ("_base", "_defaults", "_known")

    def __init__(self, base: URL, defaults: dict[str, str]) -> None:
        self._base = base
        self._defaults = defaults
        self._known: dict[str, URL] = {}

    def of(self, path: str) -> URL:
        """The URL of a path; parameters in its own query override the defaults.

        Raises:
            InvalidArgumentError: it is not a path, or leads out of the base URL.
        """
        try:
            return self._known[path]
        except (KeyError, TypeError):  # not cached, or not even a string
            url = URL(f"{self._base}/{check_path(path)}")
        url = url.update_query({k: v for k, v in self._defaults.items() if k not in url.query})
        remember(self._known, path, url)
        return url


def with_query(url: URL, query: Query) -> URL:
    """The URL with these parameters; those that are `omit` are removed from it."""
    values = query_values(query)
    if removed := [name for name, value in query.items() if is_omit(value)]:
        url = url.without_query_params(*removed)
    return url.update_query(values)


def query_values(query: Query | None) -> dict[str, str]:
    """The parameters of a query as strings, as the API expects them."""
    if query is None:
        return {}
    if not isinstance(query, Mapping):
        msg = f"The query has type {type(query).__name__}: pass a dict."
        raise InvalidArgumentError(msg)
    given = {key: value for key, value in query.items() if not is_left_out(value)}
    for key, value in given.items():
        if not isinstance(value, str | int | float):
            kind = type(value).__name__
            msg = f"The query's {key!r} has type {kind}: pass a str, int, float or bool."
            raise InvalidArgumentError(msg)
        # yarl would leave it out of the URL.
        if re.search(r"[\ud800-\udfff]", f"{key}{value}"):
            msg = f"The query's {key!r} contains half a character (a lone surrogate): remove it."
            raise InvalidArgumentError(msg)
    return {
        str(key): str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in given.items()
    }


_PLAIN = frozenset(ascii_letters + digits + "_-/")


def check_path(path: object) -> str:
    """The path, relative to the base URL, without leading slashes."""
    # All of our own paths return here: a program's first request need not compile patterns.
    if isinstance(path, str) and path[:2] != "//" and _PLAIN.issuperset(path) and path.strip("/"):
        return path.lstrip("/")
    if (
        not isinstance(path, str)
        or not path.strip("/")
        or re.match(r"[a-zA-Z][\w+.\-]*:|//", path)
        or re.search(r"[\x00-\x1f\x7f#\ud800-\udfff]", path)
        or {".", ".."} & set(map(unquote, path.partition("?")[0].split("/")))
    ):
        msg = f'path is {path!r}: pass what comes after the base_url, like "/embeddings".'
        raise InvalidArgumentError(msg)
    return path.lstrip("/")
