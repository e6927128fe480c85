"""Rows of a table as lines of a batch's input: which column holds what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from attrs import frozen

from ....errors import InvalidArgumentError

CHAT = "/v1/chat/completions"
_KNOWN = ("custom_id", "method", "url", "body", "prompt", "model")
# What may be said once for all rows in place of a column.
_CONSTANT = ("method", "url", "model")


@frozen(kw_only=True)
class RowMapping:
    """Where the parts of a request stand in a row; made by `of`."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]

    @classmethod
    def of(cls, columns: Mapping[str, str] | None, names: Iterable[str]) -> RowMapping:
        """The mapping for a table that has the columns `names`.

        Args:
            columns: the column for each of `custom_id`, `method`, `url` and `body` (JSON as text,
                or a struct); or `prompt` in place of `body`, with a `model`. For `method`, `url`
                and `model` it may be the value itself, the same for all rows. Parts left out are
                in columns of their own name. Without a `custom_id` rows are "row-1" and so on.

        Raises:
            InvalidArgumentError: there is no such part or column, or no body.
        """
        there = set(names)
        found = {part: part for part in _KNOWN if part in there}
        constants: dict[str, str] = {}
        for part, name in (columns or {}).items():
            if part not in _KNOWN:
                msg = f"columns has {part!r}: it maps {', '.join(_KNOWN)}."
                raise InvalidArgumentError(msg)
            if name in there:
                found[part] = name
            elif part in _CONSTANT:
                constants[part] = name
                found.pop(part, None)
            else:
                listed = ", ".join(map(repr, sorted(there))) or "none at all"
                msg = f"The input has no column {name!r} for {part}: there are {listed}."
                raise InvalidArgumentError(msg)
        if "prompt" in (columns or {}):
            found.pop("body", None)
        elif "body" in found:
            found.pop("prompt", None)
        if "body" in found:
            found.pop("model", None)
        elif "prompt" not in found or "model" not in {*found, *constants}:
            msg = 'The input has no body: pass columns={"prompt": COLUMN, "model": MODEL}.'
            raise InvalidArgumentError(msg)
        return cls(columns=found, constants=constants)

    def line(self, number: int, row: Mapping[str, Any]) -> bytes:
        """The line of a row, to be rejected_as_invalid like any other.

        Raises:
            InvalidArgumentError: the row holds what JSON cannot.
        """
        parts = {**self.constants, **{part: row[name] for part, name in self.columns.items()}}
        parts.setdefault("custom_id", f"row-{number}")
        if isinstance(parts["custom_id"], int):
            parts["custom_id"] = str(parts["custom_id"])
        if parts.get("method") is None:  # POST, for nearly all urls
            parts.pop("method", None)
        try:
            parts["body"] = _body(parts)
            return orjson.dumps(parts)
        except orjson.JSONDecodeError as error:
            msg = f"the body is broken JSON: {error.msg} at column {error.colno}."
            raise InvalidArgumentError(msg) from error
        except TypeError as error:
            msg = f"the row holds what JSON cannot: {error}."
            raise InvalidArgumentError(msg) from error


def _body(parts: dict[str, Any]) -> Any:
    if "prompt" in parts:
        parts.setdefault("url", CHAT)
        message = {"role": "user", "content": parts.pop("prompt")}
        return {"model": parts.pop("model"), "messages": [message]}
    body = parts["body"]
    return orjson.loads(body) if isinstance(body, str | bytes) else without_nulls(body)


def without_nulls(value: Any) -> Any:
    """Without keys whose value is null: Arrow gives every row all fields that any row has."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
