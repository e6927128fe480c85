"""Headers that users set: checked when they are passed; they replace or remove ours. No I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict

from ..errors import InvalidArgumentError
from ..sentinels import Omit, is_left_out, is_omit


def find_header_value(header: str, value: str | None, variable: str) -> str:
    """An organization or project id, passed or from the environment; checked. "" if not set."""
    found = os.environ.get(variable, "") if value is None else value
    if not isinstance(found, str):
        option = header.removeprefix("OpenAI-").lower()
        msg = f"{option} has type {type(found).__name__}: pass the id as a string."
        raise InvalidArgumentError(msg)
    check_headers({header: found})
    return found


def check_headers(headers: Mapping[str, str | Omit | None]) -> Mapping[str, str | None]:
    """Return the headers if none can break out of its line (RFC 9110, section 5.5).

    `None` and `omit` stand for a header that is not sent; `NOT_GIVEN` changes nothing.
    """
    given: Any = headers
    if isinstance(headers, Mapping) and any(map(is_left_out, headers.values())):
        given = {
            name: None if is_omit(value) else value
            for name, value in headers.items()
            if is_omit(value) or not is_left_out(value)
        }
    return _checked(given)


def _checked(headers: Mapping[str, str | None]) -> Mapping[str, str | None]:
    if not isinstance(headers, Mapping):
        msg = f"Headers have type {type(headers).__name__}: pass a dict of strings."
        raise InvalidArgumentError(msg)
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str | None):
            msg = f"Header {name!r} is not text: pass strings for the names and values of headers."
            raise InvalidArgumentError(msg)
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
            msg = f"{name!r} is not a valid header name: use letters, digits and hyphens."
            raise InvalidArgumentError(msg)
        if name.lower() in ("content-length", "transfer-encoding"):
            msg = f"{name!r} describes the body and is set automatically: leave it out."
            raise InvalidArgumentError(msg)
        if value is None:
            if name.lower() == "host":
                msg = "Every request needs a Host (RFC 9112, section 3.2): set it or leave it out."
                raise InvalidArgumentError(msg)
            continue
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            msg = f"The value of {name!r} contains a line break or control character: remove it."
            raise InvalidArgumentError(msg)
        if re.search(r"[\ud800-\udfff]", value):
            msg = f"The value of {name!r} contains half a character (a lone surrogate): remove it."
            raise InvalidArgumentError(msg)
    return headers


def check_present(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The same for headers of a finished request, in which `None` has no meaning."""
    for name, value in _checked(headers).items():
        if value is None:
            msg = f"Header {name!r} is None: leave it out with `del request.headers[{name!r}]`."
            raise InvalidArgumentError(msg)
    return headers


def change_headers(
    headers: CIMultiDict[str], removed: frozenset[str], changes: Mapping[str, str | None]
) -> frozenset[str]:
    """Set the headers that have a value, and remove those that are `None`.

    Returns:
        The lower-case names of those that must not be sent: `removed`, updated by the changes.
    """
    gone = set(removed)
    for name, value in changes.items():
        if value is None:
            headers.popall(name, None)
            gone.add(name.lower())
        else:
            headers[name] = value
            gone.discard(name.lower())
    return frozenset(gone)
