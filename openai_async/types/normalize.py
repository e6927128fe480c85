"""How text, finish reasons and arguments are read from what different servers send.

Pure functions of parsed JSON. `chunk.text`, `text()`, `completion()` and whole answers all use
them, and so agree on the content.
"""

from __future__ import annotations

import json
from typing import Any

# What some servers send instead of null.
_NO_FINISH = frozenset({"", "null", "none", "undefined"})
# Content parts that hold the text of the answer. Thinking, references and pictures do not.
_TEXT_PARTS = frozenset({None, "text", "output_text"})
# The keys that belong inside the function of a call.
_OF_FUNCTION = ("name", "arguments", "input")
# How deep lists of parts may be nested; no server sends even two levels.
_MAX_DEPTH = 8


def finish_reason(value: object) -> str | None:
    """Why a choice has ended; `None` if it has not, whatever the server sends for that."""
    if type(value) is not str or value.strip().lower() in _NO_FINISH:
        return None
    return value


def fails(choice: object) -> bool:
    """Whether a choice, whole or streamed, reports a failure, as OpenRouter's do."""
    if type(choice) is not dict:
        return False
    error = choice.get("error")
    return (error is not None and is_error_object(error)) or choice.get("finish_reason") == "error"


def is_error_object(value: object) -> bool:
    """Whether the value of an `error` field reports an error: not if all of it is empty."""
    return any(value.values()) if type(value) is dict else bool(value)


def content_text(value: Any, depth: int = 0) -> str | None:
    """The text of a `content`: a string, a part, or a list of both; `None` if it has none.

    Mistral and its relays send `[{"type": "text", "text": "..."}]`, with thinking and references
    among the parts, and plain strings in between.
    """
    if type(value) is str:
        return value
    if type(value) is list:
        if depth > _MAX_DEPTH:
            return None
        texts = [text for part in value if (text := content_text(part, depth + 1)) is not None]
        return "".join(texts) if texts else None
    if type(value) is dict:
        text = value.get("text") if value.get("type") in _TEXT_PARTS else None
        if type(text) is dict:  # {"value": "..."}, as in the Assistants API
            text = text.get("value")
        return text if type(text) is str else None
    return json.dumps(value) if value else None


def arguments_text(value: Any) -> str:
    """The arguments of a call as JSON text, as in the API; some servers send the object itself."""
    return value if type(value) is str else json.dumps(value)


def as_call(piece: dict[str, Any]) -> dict[str, Any]:
    """A tool call with its name and arguments moved into its function if they are beside the id."""
    function = piece.get("function")
    if (function and type(function) is not str) or piece.get("custom"):
        return piece
    kind = "custom" if piece.get("type") == "custom" or "input" in piece else "function"
    held = {key: piece[key] for key in _OF_FUNCTION if key in piece}
    if function:
        held["name"] = function
    if not held:
        return piece
    rest = {key: value for key, value in piece.items() if key not in _OF_FUNCTION}
    rest.pop("function", None)
    return {**rest, kind: held}


def is_usage(value: object) -> bool:
    """Whether a value states how many tokens were used: an object with a non-zero number."""
    return type(value) is dict and any(type(n) in (int, float) and n for n in value.values())
