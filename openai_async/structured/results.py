"""The result of a tool, as the text that is sent to the model."""

from __future__ import annotations

import json
import operator
from typing import Any

from msgspec import to_builtins
from msgspec.json import Encoder


def result_text(value: object) -> str:
    """Text as it is, `None` as "", and all else as JSON.

    Attrs classes, dataclasses, TypedDicts, NamedTuples, Structs and pydantic models are objects.
    `NaN` and `Infinity`, which JSON does not have, are written as Python's `json` writes them: the
    model reads text.

    Raises:
        TypeError, ValueError: it cannot be written as JSON.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        # A file name or a web page may have lone surrogates, with which no request can be sent.
        return str.__str__(value).encode("utf-8", "replace").decode()
    plain = _with_names(value)
    text = _encode(plain).decode()
    if "null" in text:  # perhaps a NaN: msgspec writes it like None
        held = to_builtins(plain, enc_hook=_plain, str_keys=True)
        text = json.dumps(held, ensure_ascii=False, separators=(",", ":"))
    return text


def _with_names(value: Any) -> Any:
    """The value with NamedTuples as dicts; msgspec writes them as arrays."""
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)) is not None:
        value = dict(zip(names, value, strict=True))
    if type(value) is dict:
        return {key: _with_names(item) for key, item in value.items()}
    return [_with_names(item) for item in value] if type(value) in (list, tuple) else value


def _plain(value: Any) -> Any:
    """A value of a class that msgspec does not know."""
    if isinstance(value, str):  # a subclass
        return str.__str__(value)
    if hasattr(value, "model_dump"):  # a pydantic model
        return value.model_dump(mode="json")
    if hasattr(value, "__index__"):  # whole numbers of numpy and others
        return operator.index(value)
    if hasattr(value, "__float__"):
        return float(value)
    msg = f"A tool returned {type(value).__name__}, which cannot be written as JSON."
    raise TypeError(msg)


_encode = Encoder(enc_hook=_plain).encode
