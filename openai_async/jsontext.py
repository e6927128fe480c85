"""JSON text to values and back, without loss.

orjson does nearly all of it. The standard library handles what orjson cannot (integers beyond 64
bits, `NaN` and lone surrogates in responses, number types of other libraries in requests), and what
orjson would change silently (NaN to `null`) is detected where that costs next to nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import orjson

from .errors import InvalidArgumentError
from .types.base import APIObject

# Python can be configured to refuse longer integers, but never integers of up to this many digits
# (`sys.int_info.str_digits_check_threshold`).
MAX_DIGITS = 640


def shown(value: object, most: int = 80) -> str:
    """The start of a value for a message about JSON, where `None` is written `null`.

    Strings are in single quotes, as in all messages. Anything that is not JSON is shown as its
    `repr`.
    """
    if isinstance(value, str):
        return repr(value[:most])
    try:
        text = json.dumps(value, default=repr, skipkeys=True)
    except (ValueError, RecursionError):  # a circular reference, or nested too deep
        text = f"of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


# --- reading ---


def loads(data: bytes) -> Any:
    """Parse JSON; anything that is not JSON raises ValueError.

    That error does not hold the text, as a `JSONDecodeError` does: it becomes the `__cause__` of
    others, and a server's text may repeat the API key.

    What orjson refuses is parsed again by the standard library, because servers written in Python
    send `NaN` and `Infinity` in logprobs, and lone surrogates where an emoji was split. So are
    integers beyond 64 bits, which orjson would round to floats.
    """
    try:
        value = orjson.loads(data)
    except ValueError as error:
        reason = str(error)
    else:
        return _read_again(data) if _has_long_integer(data) else value
    if "depth" in reason:  # orjson allows 1,024 levels; Python's stack has no room for more
        raise ValueError(reason)
    return _read_again(data)


def _read_again(data: bytes) -> Any:
    try:
        return json.loads(data, parse_int=_integer)
    except RecursionError:
        reason = "nested too deep"
    except ValueError as error:
        reason = str(error)
    raise ValueError(reason)  # outside the `except`, whose error would be its context


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


# 64 bits hold every number of 18 digits. In every sixth byte, a run of 19 digits appears as three
# digits in a row, so most responses can be ruled out without looking at every byte: that takes
# 0.4 us for a chunk of a stream, and a regular expression 7.
_LONG = 19
_EVERY = 6
_DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")
_DIGITS = re.compile(rb"[0-9]+")


def _has_long_integer(data: bytes) -> bool:
    """Whether the JSON contains an integer of more than 18 digits outside its strings."""
    if b"0" * (_LONG // _EVERY) not in data[_EVERY - 1 :: _EVERY].translate(_DIGITS_TO_0):
        return False
    zeros = data.translate(_DIGITS_TO_0)
    at = zeros.find(b"0" * _LONG)
    while at >= 0:
        end = _DIGITS.match(data, at).end()  # type: ignore[union-attr] # there is a digit
        if data[max(0, at - 1) : at] in _BEFORE and data[end : end + 1] not in _WITHIN_FLOAT:
            return True
        at = zeros.find(b"0" * _LONG, end)
    return False


_BEFORE = frozenset((b"", b":", b",", b"[", b"-", b" ", b"\t", b"\r", b"\n"))
_WITHIN_FLOAT = frozenset((b".", b"e", b"E"))


# --- writing ---


def dumps(value: object) -> bytes:
    """Write a request body. It may contain response objects: `messages.append(choice.message)`.

    Number types of other libraries are written as plain numbers: those of numpy and the like by
    their `.item()`, all others by `__index__` or `__float__`. So a `Decimal` becomes the nearest
    float, which is how JSON parsers would read it anyway (RFC 8259, section 6).

    Raises:
        InvalidArgumentError: a value is not JSON, or not a finite number; the message says where.
    """
    string_keys = True
    try:
        data = orjson.dumps(value, default=_default)
    except TypeError:
        string_keys = False
        try:
            # For `logit_bias={50256: -100}`. Only on the second try, since the option makes every
            # call slower.
            data = orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            from ._unawaited import refuse_unawaited  # imported for mistakes only

            refuse_unawaited(value)
            return _dumps_plain(_plain(value))
    # orjson writes NaN as null; few bodies contain null at all.
    if b"null" in data and not (string_keys and _is_finite(value)):
        _plain(value)
    return data


def _default(value: object) -> object:
    if isinstance(value, APIObject):
        return value._json()
    return dict(value) if isinstance(value, Mapping) else _number(value)


def _dumps_plain(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # long integers, surrogates
        return json.dumps(value, separators=(",", ":")).encode()


def _is_finite(value: object) -> bool:
    """Whether it certainly contains neither NaN nor infinity; False if it contains objects."""
    found = [value]
    for item in found:  # grows as we go
        kind = type(item)
        if kind is str or item is None:
            continue
        if kind is dict:
            found += item.values()  # type: ignore[attr-defined]
        elif kind is list or kind is tuple:
            found += item  # type: ignore[arg-type]
        elif kind is float:
            if not math.isfinite(item):  # type: ignore[arg-type]
                return False
        elif kind is not int and kind is not bool:
            return False
    return True


_PLAIN = frozenset((str, int, bool))


class _Path:
    """The path to a value: built on the way down, and formatted only for an error."""

    __slots__ = ("_above", "_key")

    def __init__(self, above: _Path | None, key: object) -> None:
        self._above = above
        self._key = key

    def __str__(self) -> str:
        above = "" if self._above is None else str(self._above)
        if isinstance(self._key, int):
            return f"{above}[{self._key}]"
        return f"{above}.{self._key}" if above else str(self._key)


def _plain(value: object) -> object:
    """The value as dicts with string keys, lists, strings, finite numbers, booleans and None."""
    try:
        return _made_plain(value, None)
    except RecursionError as error:
        msg = "The request cannot be written as JSON: it is nested too deep, or contains itself."
        raise InvalidArgumentError(msg) from error


def _made_plain(value: object, path: _Path | None) -> object:
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, APIObject):
        value = value._json()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):  # as orjson writes them
        names = [f.name for f in dataclasses.fields(value) if not f.name.startswith("_")]
        value = {name: getattr(value, name) for name in names}
    if isinstance(value, dict | Mapping):
        named = {_key(key, path): item for key, item in value.items()}
        return {key: _made_plain(item, _Path(path, key)) for key, item in named.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [_made_plain(item, _Path(path, n)) for n, item in enumerate(value)]
    if isinstance(value, str):
        return str.__str__(value)  # the text that a subclass holds
    return _leaf(value, path)


def _leaf(value: object, path: _Path | None) -> object:
    try:
        number = _number(value)
    except TypeError:
        pass
    else:
        if isinstance(number, float) and not math.isfinite(number):
            name = json.dumps(number)  # NaN, Infinity, -Infinity
            msg = f"{_where(path)} is {name}, which JSON cannot represent: pass a finite number."
            raise InvalidArgumentError(msg)
        return number
    try:
        return orjson.loads(orjson.dumps(value))  # dates, times and UUIDs
    except TypeError as error:
        kind = type(value).__name__
        advice = "its .tolist()" if hasattr(value, "tolist") else "text, numbers, dicts or lists"
        msg = f"{_where(path)} has type {kind}, which cannot be written as JSON: pass {advice}."
        raise InvalidArgumentError(msg) from error


def _where(path: _Path | None) -> str:
    return "The request" if path is None else str(path)


def _key(key: object, path: _Path | None) -> str:
    """A key as JSON writes it: `logit_bias={50256: -100}` is fine."""
    if type(key) is str:
        return key
    word = _made_plain(key, _Path(path, key))
    if isinstance(word, str):
        return word
    if isinstance(word, dict | list):
        msg = f"{_where(path)} has a key of type {type(key).__name__}: use text or numbers as keys."
        raise InvalidArgumentError(msg)
    return json.dumps(word)


def _number(value: object) -> int | float:
    """The plain number that an object represents; TypeError if it represents none.

    numpy's boolean is not a Python bool, but its `.item()` is. An array of numbers is not a number.
    """
    if getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
        if not isinstance(value, int | float):
            raise TypeError
        return value
    try:
        if hasattr(type(value), "__index__"):
            return operator.index(value)  # type: ignore[arg-type]
        if hasattr(type(value), "__float__") and not hasattr(value, "shape"):
            return float(value)  # type: ignore[arg-type]
    except (ValueError, ArithmeticError) as error:  # a signalling NaN, a value too large
        raise TypeError from error
    raise TypeError
