"""The headers of requests, ready to be sent. What is the same for many requests is made once.

Nearly all requests of a client have the same headers. With their key they are checked, copied and
written as bytes once for each URL, which is a quarter of the CPU time of a request otherwise.
"""

from __future__ import annotations

from multidict import CIMultiDict
from yarl import URL

from ..options import APIKey
from .head import request_head
from .urls import MAX_URLS


class Outgoing:
    """The headers of one or more requests to a URL, with the API key.

    Attributes:
        headers: what to send, to that URL or where it redirects to.
        secret: the keys that are sent, one per line, to be redacted from errors.
    """

    __slots__ = ("_heads", "_removed", "headers", "secret")

    def __init__(
        self, headers: CIMultiDict[str], removed: frozenset[str], secret: str | None
    ) -> None:
        self.headers = headers
        self.secret = secret
        self._removed = removed
        self._heads: dict[tuple[str, URL, bool], bytes | None] = {}

    def head(self, method: str, url: URL, *, has_body: bool) -> bytes | None:
        """The head of a request as bytes; `None` if only aiohttp itself can send it."""
        kind = (method, url, has_body)
        try:
            return self._heads[kind]
        except KeyError:
            head = request_head(method, url, self.headers, self._removed, has_body=has_body)
            if len(self._heads) < MAX_URLS:
                self._heads[kind] = head
            return head


class Prepared:
    """The headers that a client's requests have in common.

    Attributes:
        headers: without the API key. They are shared, and must not be changed.
        known: what is sent to each URL.
    """

    __slots__ = ("_api_key", "_removed", "headers", "known")

    def __init__(
        self, headers: CIMultiDict[str], removed: frozenset[str], api_key: APIKey | None
    ) -> None:
        self.headers = headers
        self._removed = removed
        self._api_key = api_key
        self.known: dict[URL, Outgoing] = {}

    def serves(self, api_key: APIKey | None, removed: frozenset[str]) -> bool:
        """Whether a request still has the key and the removed headers that it was made with."""
        return api_key is self._api_key and removed is self._removed

    def keep(self, url: URL, outgoing: Outgoing) -> None:
        """For the next request to this URL."""
        if len(self.known) < MAX_URLS:
            self.known[url] = outgoing
