"""Merges the pieces of a JSON object into the whole.

Strings are text and are concatenated, except those that name something; objects are merged; lists
are joined, and items with the same `index` are pieces of one item.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

# Strings that name something, and so replace the earlier value; all others are concatenated. Some
# servers repeat the role, or a tool call's id and name, in every chunk.
NAMES = frozenset({"role", "id", "type", "name", "format", "signature"})
# message.audio.data, tool_calls[].function.arguments: the API nests no deeper. Anything below that
# is taken as it is, since following it could exhaust the stack.
_MAX_DEPTH = 4


class Fields(dict[str, Any]):
    """An unfinished object. Only these are merged into; the JSON of a chunk is never changed."""

    __slots__ = ()


class Text(list[str]):
    """A text in pieces."""

    __slots__ = ()


class Items(list[Any]):
    """An unfinished list."""

    __slots__ = ()

    def add(self, item: Any, depth: int) -> None:
        """Add an item, or a piece of the last item with the same `index` and `type`."""
        index = item.get("index") if type(item) is dict else None
        if index is None or depth >= _MAX_DEPTH:
            self.append(item)
            return
        kind = item.get("type")
        for held in reversed(self):
            if isinstance(held, Fields) and held.get("index") == index:
                if kind is None or held.get("type") in (None, kind):
                    merge(held, {k: v for k, v in item.items() if k != "index"}, depth + 1)
                    return
                break
        fresh = Fields()
        self.append(fresh)
        merge(fresh, item, depth + 1)

    def whole(self) -> list[Any]:
        """The items in order."""
        return self


def merge(into: Fields, piece: dict[str, Any], depth: int = 0) -> None:
    """Add a piece of an object to the pieces so far."""
    for key, value in piece.items():
        held = into.get(key)
        if value is None:
            into.setdefault(key, None)
        elif not value and held is not None:
            pass  # an empty value never replaces another
        elif isinstance(value, str) and key not in NAMES:
            if isinstance(held, Text):
                held.append(value)
            else:
                into[key] = Text([value])
        elif isinstance(value, dict) and depth < _MAX_DEPTH:
            if not isinstance(held, Fields):
                held = into[key] = Fields()
            merge(held, value, depth + 1)
        elif isinstance(value, list):
            if not isinstance(held, Items):
                held = into[key] = Items()
            for item in value:
                held.add(item, depth)
        else:
            into[key] = value


def index_of(piece: dict[str, Any]) -> int | None:
    """The `index` of a choice or a call; `None` if it has none."""
    index = piece.get("index")
    if index is None or type(index) is int:
        return index
    try:
        return int(float(index))  # 0.0, "0" and "0.0"
    except (TypeError, ValueError, OverflowError):
        return None  # not worth rejecting the answer for


def joined_base64(text: str) -> str:
    """Joined pieces of base64 as one text: each may have its own padding. Malformed: unchanged."""
    if "=" not in text.rstrip("="):
        return text  # without padding inside, joining the pieces was enough
    try:
        parts = [b64decode(part, validate=True) for part in re.findall("[^=]+=*", text)]
    except ValueError:
        return text
    return b64encode(b"".join(parts)).decode()


def joined(value: Any) -> Any:
    """The merged value as plain JSON."""
    if isinstance(value, Text):
        return "".join(value)
    if isinstance(value, Items):
        return [joined(item) for item in value.whole()]
    if isinstance(value, Fields):
        return {key: joined(item) for key, item in value.items()}
    return value
