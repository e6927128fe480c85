"""Table rows as lines of a batch: which column holds which part of a request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from ....errors import InvalidArgumentError
from ....jsontext import dumps, strict_loads
from ...requests import CHAT_URL

_PARTS = ("custom_id", "method", "url", "body", "prompt", "model")
# Parts that may be given as a constant instead of a column.
_CONSTANT_PARTS = ("method", "url", "model")


@frozen(kw_only=True)
class RowMapping:
    """Where to find the parts of a request in a row; made by `of`."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]

    @classmethod
    def of(cls, columns: Mapping[str, str] | None, names: Iterable[str]) -> RowMapping:
        """The mapping for a table with the columns `names`.

        Args:
            columns: the column for each of `custom_id`, `method`, `url` and `body` (JSON as text,
                or a struct); or `prompt` and `model` instead of `body`. For `method`, `url` and
                `model` it may be a constant value instead. Parts left out are looked up in columns
                of the same name. Without a `custom_id`, rows are named "row-1", "row-2"...

        Raises:
            InvalidArgumentError: a part is unknown, a column is missing, or there is no body.
        """
        there = set(names)
        found = {part: part for part in _PARTS if part in there}
        constants: dict[str, str] = {}
        for part, name in (columns or {}).items():
            if part not in _PARTS:
                msg = f"columns has {part!r}: it maps {', '.join(_PARTS)}."
                raise InvalidArgumentError(msg)
            if name in there:
                found[part] = name
            elif part in _CONSTANT_PARTS:
                constants[part] = name
                found.pop(part, None)
            else:
                listed = ", ".join(map(repr, sorted(there))) or "none"
                msg = f"The input has no column {name!r} for {part}: its columns are {listed}."
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
        """The row as a line of JSONL, to be checked like any other.

        Raises:
            InvalidArgumentError: the row has values that JSON cannot represent.
        """
        parts = {**self.constants, **{part: row[name] for part, name in self.columns.items()}}
        parts.setdefault("custom_id", f"row-{number}")
        if isinstance(parts["custom_id"], int):
            parts["custom_id"] = str(parts["custom_id"])
        if parts.get("method") is None:  # the default, POST, is right for nearly all urls
            parts.pop("method", None)
        try:
            parts["body"] = _body(parts)
        except ValueError as error:
            msg = f"the body is not valid JSON: {error}."
            raise InvalidArgumentError(msg) from error
        return dumps(parts)


def _body(parts: dict[str, Any]) -> Any:
    if "prompt" in parts:
        parts.setdefault("url", CHAT_URL)
        message = {"role": "user", "content": parts.pop("prompt")}
        return {"model": parts.pop("model"), "messages": [message]}
    body = parts["body"]
    return strict_loads(body) if isinstance(body, str | bytes) else without_nulls(body)


def without_nulls(value: Any) -> Any:
    """The value without null fields: Arrow gives each row the fields of all rows, and pandas fills
    those that a row does not have with NaN.
    """
    if isinstance(value, dict):
        return {k: without_nulls(item) for k, item in value.items() if not _is_missing(item)}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
