"""The head of a request as bytes: the request line and the headers. No I/O.

These are the bytes that aiohttp would send, header for header (tests/http/test_direct.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
from multidict import CIMultiDict
from yarl import URL

# Methods without peculiarities: an answer to HEAD has no body, and CONNECT makes a tunnel.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_WITHOUT_BODY = frozenset({"GET"})
_WITH_CONTENT_TYPE = frozenset({"POST", "PUT", "PATCH"})
# Headers that say how the message is framed, or whether the connection stays open: they change what
# aiohttp does.
_SPECIAL = frozenset(
    {"connection", "content-encoding", "content-length", "expect", "transfer-encoding", "upgrade"}
)
# If one of these is given several times, aiohttp sends the last.
_ONCE = frozenset({"accept-encoding", "host"})
# RFC 9110, section 5.5: a field value has no control characters, except for tabs.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def request_head(
    method: str, url: URL, headers: Mapping[str, str], removed: frozenset[str], *, has_body: bool
) -> bytes | None:
    """The head, except for the Content-Length of a body and the empty line.

    Returns:
        `None` if the request is unusual or not valid, and is therefore left to aiohttp.
    """
    whole = CIMultiDict({"Host": url.host_port_subcomponent or ""})
    for name, value in headers.items():
        if not isinstance(value, str) or name.lower() in _SPECIAL:
            return None
        if name.lower() in _ONCE and name in whole:
            if name.lower() != "host":
                return None
            whole[name] = value  # in place of ours
        else:
            whole.add(name, value)
    for name, value in aiohttp.ClientRequest.DEFAULT_HEADERS.items():
        if name not in whole and name.lower() not in removed:
            whole[name] = value
    if (
        method not in _METHODS
        or url.raw_user is not None
        or url.raw_password is not None
        or ("User-Agent" not in whole and "user-agent" not in removed)
        or (
            "Content-Type" not in whole
            and "content-type" not in removed
            and (has_body or method in _WITH_CONTENT_TYPE)
        )
    ):
        return None
    if not has_body and method not in _WITHOUT_BODY:
        whole["Content-Length"] = "0"
    lines = [f"{method} {url.raw_path_qs} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in whole.items()]
    if any(map(_FORBIDDEN.search, lines)):
        return None
    try:
        return "\r\n".join(lines).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def request_bytes(head: bytes, body: bytes | None) -> bytes:
    """The whole request, to be written at once."""
    if body is None:
        return head + b"\r\n\r\n"
    return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
