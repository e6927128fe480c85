"""The headers of requests, ready to be sent. What many requests have in common is made once.

Nearly all requests of a client have the same headers. They are checked, given their key and written
as bytes once for each URL; for every request, that would take a quarter of its CPU time.
"""

from __future__ import annotations

from typing import Any

from multidict import CIMultiDict
from yarl import URL

from ..options import APIKey
from .aiohttp_internals import Connector
from .head import request_head
from .urls import remember


class Outgoing:
    """The headers of one or more requests to a URL, with the API key.

    Attributes:
        headers: what to send, to that URL or where it redirects to.
        secret: the keys that are sent, one per line, to be redacted from errors.
    """

    __slots__ = ("_latest", "_removed", "headers", "secret")

    def __init__(
        self, headers: CIMultiDict[str], removed: frozenset[str], secret: str | None
    ) -> None:
        self.headers = headers
        self.secret = secret
        self._removed = removed
        self._latest: tuple[str, URL, bool, tuple[bytes | None, Any]] | None = None

    def direct(
        self, method: str, url: URL, connector: Connector, ssl: object, *, has_body: bool
    ) -> tuple[bytes | None, Any]:
        """The head of a request as bytes, and the key of the connections to send it on.

        The head is `None` if only aiohttp itself can send such a request.
        """
        latest = self._latest  # except for redirects, all requests are of one kind
        if (
            latest is not None
            and latest[1] is url
            and latest[2] is has_body
            and latest[0] == method
        ):
            return latest[3]
        head = request_head(method, url, self.headers, self._removed, has_body=has_body)
        found = (head, None if head is None else connector.key(url, ssl))
        self._latest = method, url, has_body, found
        return found


class Prepared:
    """The headers that a client's requests have in common.

    Attributes:
        headers: without the API key. Requests share them, so they must not be changed.
    """

    __slots__ = ("_api_key", "_known", "_latest", "_removed", "headers")

    def __init__(
        self, headers: CIMultiDict[str], removed: frozenset[str], api_key: APIKey | None
    ) -> None:
        self.headers = headers
        self._removed = removed
        self._api_key = api_key
        self._known: dict[URL, Outgoing] = {}
        # Saves hashing the URL, which takes as long as the rest of `find`.
        self._latest: tuple[URL, Outgoing] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Prepared:
        """Itself: copies of a request share it, as the requests do."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the headers only: the rest holds the API key, and may hold an SSLContext."""
        return Prepared, (self.headers, self._removed, None)

    def serves(self, api_key: APIKey | None, removed: frozenset[str]) -> bool:
        """Whether a request still has the key and the removed headers that these were made with."""
        return api_key is self._api_key and removed is self._removed

    def find(self, url: URL) -> Outgoing | None:
        """The headers that earlier requests to this URL have sent."""
        latest = self._latest
        if latest is not None and latest[0] is url:
            return latest[1]
        known = self._known.get(url)
        if known is not None:
            self._latest = url, known
        return known

    def keep(self, url: URL, outgoing: Outgoing) -> None:
        """Keep the headers for the next request to this URL."""
        remember(self._known, url, outgoing)
