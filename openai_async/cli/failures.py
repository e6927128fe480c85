"""`--fail`: how requests to the built-in server fail, from words such as `503,times=2`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..testing import Failure, LocalServer, RecordedRequest
from .errors import UsageError

N = TypeVar("N", int, float)
# The server keeps all the failures to come in a list.
_MAX_TIMES = 10**6
# The same requests fail each time.
_SEED = 0


def _seconds(text: str) -> float:
    return _within(float(text), 0 <= float(text) < math.inf)


def _times(text: str) -> int:
    return _within(int(text), 1 <= int(text) <= _MAX_TIMES)


def _share(text: str) -> float:
    share = float(text.removesuffix("%")) / 100
    return _within(share, text.endswith("%") and 0 < share <= 1)


def _tokens(text: str) -> int:
    return _within(int(text), int(text) >= 0)


def _within(number: N, holds: bool) -> N:
    if not holds:
        raise ValueError
    return number


# Each word, how its value is read, and a description of the value.
_WORDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "status": (int, "an HTTP status, like 503"),
    "retry-after": (_seconds, "seconds, like 2"),
    "delay": (_seconds, "seconds, like 0.5"),
    "cut": (_tokens, "a number of tokens, like 3"),
    "stall": (_tokens, "a number of tokens, like 3"),
    "times": (_times, "a number of requests, like 2"),
    "share": (_share, "a percentage, like 10%"),
}


def script_failures(server: LocalServer, texts: Sequence[str]) -> None:
    """Make requests fail as the texts say: the next ones, or a share of all.

    Raises:
        UsageError: a text is not as `--help` describes it.
    """
    chance = random.Random(_SEED)
    for text in texts:
        values = _values(text)
        times, share = values.pop("times", 1), values.pop("share", None)
        failure = _failure(text, values)
        if share is None:
            server.script(failure, times=times)
        else:
            server.script(_at_random(failure, share, chance))


def _values(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in text.split(","):
        if part.strip() in _WORDS:
            raise _wrong(text, f"{part.strip()} needs a value, like {part.strip()}=2")
        name, _, word = part.strip().rpartition("=")
        name = name or "status"
        if name not in _WORDS:
            known = ", ".join(f"{known}=" for known in _WORDS if known != "status")
            raise _wrong(text, f"{part.strip()!r} is neither a status nor one of {known}")
        if name in values:
            raise _wrong(text, f"it has two values for {name}")
        read, what = _WORDS[name]
        try:
            values[name] = read(word)
        except ValueError:
            raise _wrong(text, f"{name} must be {what}, not {word!r}") from None
    if "times" in values and "share" in values:
        raise _wrong(text, "pass times or share, not both")
    return values


def _failure(text: str, values: dict[str, Any]) -> Failure:
    retry_after = values.get("retry-after")
    if retry_after is not None and "status" not in values:
        raise _wrong(text, "retry-after needs a status, like 429,retry-after=2")
    if len(values.keys() & {"status", "cut", "stall"}) > 1:
        raise _wrong(text, "pass one of a status, cut and stall")
    if not values.keys() & {"status", "delay", "cut", "stall"}:
        raise _wrong(text, "it needs a status, delay, cut or stall")
    try:
        return Failure(
            values.get("status"),
            headers=None if retry_after is None else {"retry-after": f"{retry_after:.12g}"},
            delay=values.get("delay", 0.0),
            cut_after=values.get("cut"),
            stall_after=values.get("stall"),
        )
    except ValueError as error:
        raise _wrong(text, str(error).removeprefix("Failure ").removesuffix(".")) from None


def _at_random(
    failure: Failure, share: float, chance: random.Random
) -> Callable[[RecordedRequest], Failure | None]:
    return lambda request: failure if chance.random() < share else None


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"--fail is {text!r}: {why}.")
