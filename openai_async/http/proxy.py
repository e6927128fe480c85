"""A proxy's URL and, kept apart from it, its credentials. No I/O.

aiohttp's exceptions for failed connections show the proxy's URL, so it must not contain a password.
"""

from __future__ import annotations

from base64 import b64encode

from multidict import CIMultiDict
from yarl import URL

AUTHORIZATION = "Proxy-Authorization"


class Proxy:
    """The proxy's arguments for aiohttp.

    Attributes:
        url: without user name and password; `None` for no proxy.
        headers: sent to the proxy only, when it opens a tunnel to an https URL.
        secrets: to be redacted from errors.
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
        # UTF-8 is the only charset that RFC 7617 (section 2.1) defines.
        token = b64encode(f"{user}:{password}".encode()).decode()
        self.headers = {AUTHORIZATION: f"Basic {token}"}
        self.secrets = (password, token)

    def added_to(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """`headers` with the credentials, for an http URL: the proxy reads that request itself."""
        if self.headers is None:
            return headers
        headers = headers.copy()
        headers.update(self.headers)
        return headers
