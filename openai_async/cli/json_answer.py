"""The answer to `chat --schema`: whether it is JSON of the form that was asked for.

In strict mode the server guarantees it. Other answers are checked for what scripts rely on: that
the value is an object, say, and has all its keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..jsontext import shown, strict_loads
from ..structured.answer_text import json_in
from .errors import CommandError

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def checked_json(text: str, schema: Mapping[str, object]) -> str:
    """The JSON of an answer, which may be in a code block of Markdown, or follow reasoning.

    Raises:
        CommandError: it is not JSON, has another type, or lacks a required key.
    """
    for found in json_in(text):
        try:
            value = strict_loads(found)
        except ValueError:
            continue
        _check(value, schema)
        return found
    msg = f"The answer is not JSON: {shown(text)}."
    raise CommandError(msg)


def _check(value: Any, schema: Mapping[str, Any]) -> None:
    wanted = schema.get("type", [])
    kinds = wanted if isinstance(wanted, list) else [wanted]
    if kinds and not any(_is(value, kind) for kind in kinds):
        msg = f"The answer does not match the schema: it is {shown(value)}, not of type "
        raise CommandError(msg + f"{' or '.join(kinds)}.")
    required = schema.get("required")
    if isinstance(value, dict) and isinstance(required, list):
        missing = [shown(key) for key in required if key not in value]
        if missing:
            msg = f"The answer does not match the schema: it has no {', '.join(missing)}."
            raise CommandError(msg)


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])
