"""Which proxy a request goes through: the one that was passed, or one from the environment.

A proxy's credentials are not kept in its URL, which aiohttp's exceptions for failed connections
show.
"""

from __future__ import annotations

import logging
import netrc
import os
from base64 import b64encode
from pathlib import Path
from urllib.request import getproxies_environment
from urllib.request import proxy_bypass_environment as named_by  # type: ignore[attr-defined]

from multidict import CIMultiDict
from yarl import URL

from .._unix_sockets import UNIX
from ..errors import InvalidArgumentError
from ..options import check_proxy
from .urls import remember

log = logging.getLogger("openai_async")

AUTHORIZATION = "Proxy-Authorization"


class Proxy:
    """A proxy's arguments for aiohttp.

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
        if url.user is not None or url.password is not None:
            self.log_in(url.user or "", url.password or "")

    def log_in(self, user: str, password: str) -> None:
        """Send these credentials."""
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


DIRECT = Proxy(None)


class Proxies:
    """The proxies of a client: `proxy` for all URLs or, with `trust_env`, those of the environment.

    The environment is read once, as for all other options: requests need not look at it, and if it
    changes while the program runs, all requests of a client still use the same proxies.

    aiohttp's own `trust_env` is not used. It reads the environment and ~/.netrc for each request,
    in a thread, ignores ALL_PROXY, and would send the credentials that ~/.netrc has for the API's
    host with a request that has no Authorization.

    Attributes:
        secrets: the credentials of all proxies, to be redacted from errors.
    """

    def __init__(self, proxy: str | None, *, trust_env: bool) -> None:
        if not isinstance(trust_env, bool):
            msg = f"trust_env is {trust_env!r}: pass True or False."
            raise InvalidArgumentError(msg)
        self._only = Proxy(check_proxy(proxy))
        self._schemes: dict[str, Proxy] = {}
        self._known: dict[URL, Proxy] = {}
        if trust_env and proxy is None:
            self._environment = getproxies_environment()
            self._schemes = _by_scheme(self._environment)
        every = (self._only, *self._schemes.values())
        self.secrets = tuple(secret for one in every for secret in one.secrets)

    def of(self, url: URL) -> Proxy:
        """The proxy for requests to a URL."""
        if not self._schemes:
            return self._only if self._only.url is None or url.scheme != UNIX else DIRECT
        origin = url.origin()
        found = self._known.get(origin)
        if found is None:
            found = DIRECT if self._is_exempt(origin) else self._schemes.get(url.scheme, DIRECT)
            remember(self._known, origin, found)
        return found

    def _is_exempt(self, origin: URL) -> bool:
        """Whether NO_PROXY names the host, one of its domains, or the host with its port."""
        # Only the raw authority has the brackets of an IPv6 address.
        hosts = (origin.host or "", origin.authority, origin.raw_authority)
        return any(named_by(host, self._environment) for host in hosts)


def _by_scheme(environment: dict[str, str]) -> dict[str, Proxy]:
    """The proxies of HTTP_PROXY and HTTPS_PROXY or, where one is missing, of ALL_PROXY."""
    proxies = {}
    for scheme in ("http", "https"):
        name = scheme if scheme in environment else "all"
        if (text := environment.get(name)) is None:
            continue
        # As in curl, the scheme of a proxy may be omitted.
        text = text if "://" in text else f"http://{text}"
        try:
            proxy = Proxy(check_proxy(text))
        except InvalidArgumentError as error:
            variable = f"{name.upper()}_PROXY"
            msg = f'{variable} is not an http(s) URL: write it like "http://proxy:3128".'
            raise InvalidArgumentError(msg) from error
        if proxy.headers is None:
            _log_in_by_netrc(proxy)
        proxies[scheme] = proxy
    return proxies


def _log_in_by_netrc(proxy: Proxy) -> None:
    """Use the credentials that ~/.netrc, or the file that NETRC names, has for the proxy's host."""
    name = os.environ.get("NETRC")
    path = Path(name or ("~/_netrc" if os.name == "nt" else "~/.netrc"))
    try:
        host = proxy.url.host if proxy.url else None
        found = netrc.netrc(path.expanduser()).authenticators(host or "")
    except FileNotFoundError:
        return
    except (OSError, RuntimeError, ValueError, netrc.NetrcParseError) as error:
        # The error's text may contain a password.
        log.warning(
            "No password is sent to the proxy: cannot read %s (%s).", path, type(error).__name__
        )
        return
    if found is not None:
        proxy.log_in(found[0] or found[1], found[2])
