"""A body for the log: without API keys, and with long texts and base64 cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidArgumentError
from ..jsontext import dumps, loads
from ..types.values import TOO_DEEP
from .redaction import SECRET_HEADERS, redacted

# Longer texts, lists and bodies that are not JSON are cut to this many characters or items.
MAX_TEXT = 1000
MAX_ITEMS = 50
# Characters of base64 that are shown, after its type: enough to tell the format of a file.
MAX_BASE64 = 16

_BASE64 = re.compile(r"(data:[^,\s]{0,100};base64,)?([A-Za-z0-9+/_=\-\r\n]{200})")

# The keys of other services, as the tools of an MCP server need them. Not "token", which is also a
# piece of a text.
_SECRETS = {
    *(name.lower().replace("-", "_") for name in SECRET_HEADERS),
    *("access_token", "apikey", "client_secret", "password"),
}


def shown_body(body: Any, secret: str | None) -> str:
    """A body, as bytes or parsed, on one line.

    It is redacted after parsing, so that no JSON escape can hide a key, and before cutting, which
    could leave half a key.
    """
    if isinstance(body, bytes):
        try:
            body = loads(body)
        except ValueError:
            if b"\0" in body[:MAX_TEXT]:
                return f"<{len(body)} bytes>"
            body = body.decode("utf-8", "replace")
    try:
        return dumps(_cut(redacted(body, secret))).decode("utf-8", "replace")
    except (InvalidArgumentError, RecursionError):  # nested too deep, or NaN
        return TOO_DEEP


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return _cut_text(value)
    if isinstance(value, Mapping):
        return {key: "[secret]" if _is_secret(key) else _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_cut(item) for item in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, f"… {len(value)} items"]
    return value


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and key.lower().replace("-", "_") in _SECRETS


def _cut_text(text: str) -> str:
    if (found := _BASE64.match(text)) is not None:
        start = found.start(2) + MAX_BASE64
        return f"{text[:start]}… {len(text)} characters"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… {len(text)} characters"
