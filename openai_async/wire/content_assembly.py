"""Joins the pieces of a `content`: texts, and parts such as thinking, which come in pieces too.

Mistral and Anthropic's models get their thinking back in the next request, and refuse it unless it
is in the same parts as they sent it.
"""

from __future__ import annotations

from typing import Any

from .merging import Fields, Items, joined, merge

# Types of content parts: neighbours of the same type are pieces of one part.
_GROWING = ("text", "thinking")


def joined_content(pieces: list[Any]) -> Any:
    """The pieces of a `content` as one text, or as a list of parts if some are not text."""
    if all(type(piece) is str for piece in pieces):
        return "".join(pieces)
    # Without the empty texts that Mistral sends in between: it refuses thinking in two parts.
    return _joined_parts(
        [
            {"type": "text", "text": piece} if type(piece) is str else piece
            for piece in pieces
            if piece != ""
        ]
    )


def _joined_parts(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts, each from its pieces: neighbours of the same type, up to a signature."""
    parts: list[Fields] = []
    for piece in pieces:
        if not parts or not _goes_on(parts[-1], piece):
            parts.append(Fields())
        merge(parts[-1], piece)
    whole: list[dict[str, Any]] = [joined(part) for part in parts]
    for part in whole:
        inner = part.get("thinking")  # Mistral's is a list of text parts
        if type(inner) is list and all(type(item) is dict for item in inner):
            part["thinking"] = _joined_parts(inner)
    return whole


def _goes_on(part: Fields, piece: dict[str, Any]) -> bool:
    """Whether a piece belongs to an unfinished part."""
    kind, thinking = piece.get("type"), piece.get("thinking")
    if kind not in _GROWING or part.get("type") != kind:
        return False
    if part.get("signature") and not piece.get("signature"):
        return False
    held = part.get("thinking")
    return not (thinking and held) or isinstance(held, Items) == isinstance(thinking, list)
