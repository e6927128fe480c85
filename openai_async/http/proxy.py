"""A proxy, with its password kept separately: no I/O.

If the URL that aiohttp gets had the password, so would the exceptions of failed connections.
"""

from __future__ import annotations

from base64 import b64encode

from multidict import CIMultiDict
from yarl import URL

AUTHORIZATION = "Proxy-Authorization"


class Proxy:
    """What aiohttp is told about a proxy.

    Attributes:
        url: without user name and password; `None` for no proxy.
        headers: for the proxy alone, which is asked for a tunnel to an https URL.
        secrets: what errors must not show.
    """

    __slots__ = ("headers", "secrets", "url")

    def __init__(self, proxy: str | None) -> None:
        self.url: URL | None = None
        self.headers: dict[str, str] | None = None
        self.secrets: tuple[str, ...] = ()
        if proxy is None:
            return
        url = URL(proxy)
        self.url = url.with_user(None)
        if url.user is None and url.password is None:
            return
        user, password = url.user or "", url.password or ""
        # UTF-8 is the only charset that a server can ask for (RFC 7617, section 2.1).
        token = b64encode(f"{user}:{password}".encode()).decode()
        self.headers = {AUTHORIZATION: f"Basic {token}"}
        self.secrets = (password, token)

    def added_to(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """The headers of a request to an http URL, which the proxy reads itself."""
        if self.headers is None:
            return headers
        headers = headers.copy()
        headers.update(self.headers)
        return headers
