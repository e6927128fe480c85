"""A string for a JSON Schema: a word of the prompt, or what its format or pattern requires."""

import datetime as dt
import hashlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .pattern_answers import matching_text
from .schema_parts import bound

_MAX_LENGTH = 10_000
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


def string_answer(schema: Mapping[str, Any], words: Sequence[str], turn: int, seed: int) -> str:
    """A string that fits; `turn` and `seed` choose among those that do."""
    shortest = bound(schema, "minLength", 0, _MAX_LENGTH)
    longest = bound(schema, "maxLength", _MAX_LENGTH, _MAX_LENGTH)
    word, again = words[turn % len(words)], turn // len(words)
    if again:
        word = f"{word} {again + 1}"
    name = schema.get("format")
    if isinstance(name, str) and name in _FORMATS:
        return _FORMATS[name](word, seed + turn)
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        found = _fitting_word(pattern, words, turn, shortest, longest)
        if found is None:
            found = matching_text(pattern, seed + turn, shortest, longest)
        if found is not None:
            return found
    text, more = word, turn
    while len(text) < shortest:
        more += 1
        text = f"{text} {words[more % len(words)]}"
    return text[: max(longest, shortest)] if len(text) > longest else text


def _fitting_word(
    pattern: str, words: Sequence[str], turn: int, shortest: int, longest: int
) -> str | None:
    """The next of the words that matches the pattern as it is."""
    try:
        matches = re.compile(pattern).search
    except re.error:
        return None
    fitting = [word for word in words if shortest <= len(word) <= longest and matches(word)]
    return fitting[turn % len(fitting)] if fitting else None


def _name(word: str) -> str:
    return _NOT_IN_NAMES.sub("-", word.lower()).strip("-") or "user"


def _moment(turn: int) -> dt.datetime:
    return dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC) + dt.timedelta(days=turn, minutes=turn)


def _uuid(word: str, turn: int) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(f"{turn}:{word}".encode()).digest()[:16], version=4))


_FORMATS: dict[str, Callable[[str, int], str]] = {
    "date": lambda word, turn: _moment(turn).date().isoformat(),
    "date-time": lambda word, turn: f"{_moment(turn):%Y-%m-%dT%H:%M:%SZ}",
    "time": lambda word, turn: f"{_moment(turn):%H:%M:%SZ}",
    "duration": lambda word, turn: f"PT{turn + 1}H30M",
    "email": lambda word, turn: f"{_name(word)}@example.com",
    "hostname": lambda word, turn: f"{_name(word)}.example.com",
    "ipv4": lambda word, turn: f"192.0.2.{turn % 254 + 1}",
    "ipv6": lambda word, turn: f"2001:db8::{turn % 65_535 + 1:x}",
    "uri": lambda word, turn: f"https://example.com/{_name(word)}",
    "uri-reference": lambda word, turn: f"/{_name(word)}",
    "json-pointer": lambda word, turn: f"/{_name(word)}",
    "regex": lambda word, turn: f"^{_name(word)}$",
    "uuid": _uuid,
}
