"""A body for the log: without API keys, and with long texts, lists and base64 cut."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from ..jsontext import loads
from .redaction import redacted

# Longer texts, lists and objects are cut to this many characters, items or fields.
MAX_TEXT = 1000
MAX_ITEMS = 50
# What is nested deeper is left out, since it could exceed Python's recursion limit.
MAX_DEPTH = 50

# Of base64, the type and 16 characters are shown: enough to recognize the format of a file. Its
# first line is long, unlike that of a list of words.
_BASE64 = re.compile(
    r"((?:data:[^,\s]{0,100};base64,)?[\w+/=-]{16})[\w+/=-]{44}[\w+/=\r\n-]{140,}", re.ASCII
)

# Fields with keys for other services, such as MCP servers. Not "token" alone: in logprobs, that is
# a piece of the text.
_NAME = (
    r"[\w-]{0,30}(?:authorization|api[_-]?key|subscription[_-]key|[_-]token|secret|password|cookie)"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
# Keys within a text: in the JSON of a tool's arguments, a header, a query or a URL, or pasted.
_SECRET = re.compile(
    rf"""(\b{_NAME}[\\"']*\s?[:=]\s?[\\"']*(?:Bearer\s|Basic\s)?|\bBearer\s(?=\S{{16}}))"""
    r"""[^\s\\"'&,;]+|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)|\bsk-[\w-]{20,}""",
    re.IGNORECASE,
)


def shown_body(body: Any, secret: str | None) -> str:
    """A body, as bytes or parsed, on one line.

    It is redacted after parsing, so that no JSON escape can hide a key.
    """
    if isinstance(body, bytes):
        try:
            body = loads(body)
        except ValueError:
            if b"\0" in body[:MAX_TEXT]:
                return f"<{len(body)} bytes>"
            body = body.decode("utf-8", "replace")
    text = json.dumps(_shown(body, secret), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates


def _shown(value: Any, secret: str | None, depth: int = 0) -> Any:
    """The value as it is logged. What is cut off is skipped: vectors have millions of numbers."""
    if isinstance(value, str):
        return _shown_text(redacted(value, secret))  # before cutting, which could leave half a key
    if isinstance(value, Mapping | list) and depth == MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        fields = {
            _shown(name, secret): (
                "[secret]" if _is_secret(name, item) else _shown(item, secret, depth + 1)
            )
            for name, item in islice(value.items(), MAX_ITEMS)
        }
        more = {"…": f"{len(value)} fields"} if len(value) > MAX_ITEMS else {}
        return fields | more
    if isinstance(value, list):
        items = [_shown(item, secret, depth + 1) for item in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, f"… {len(value)} items"]
    return value


def _is_secret(name: object, value: object) -> bool:
    """Whether to hide a field. Not if it is an object, as in the schema of a tool's parameters."""
    return (
        isinstance(name, str)
        and not isinstance(value, Mapping)
        and _SECRET_NAME.fullmatch(name) is not None
    )


def _shown_text(text: str) -> str:
    shown = _SECRET.sub(lambda found: f"{found[1] or ''}[secret]", text[:MAX_TEXT])
    shown, cut = _BASE64.subn(r"\1…", shown)
    if not cut and len(text) <= MAX_TEXT:
        return shown
    return f"{shown.removesuffix('…')}… {len(text)} characters"
