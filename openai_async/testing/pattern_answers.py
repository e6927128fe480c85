"""A short text that matches a regular expression, for the expressions that people write in schemas.

Literals, classes, groups, alternatives, repetitions and anchors. No I/O, and nothing random.
"""

import re
import warnings
from collections.abc import Iterator

# How much longer the text is made, step by step, for the lengths that a schema asks for.
_LONGER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)
_MAX_SIZE = 10_000
_SHORTHANDS = {
    "d": "1234567890",
    "w": "abcdefghijklmnopqrstuvwxyz_0123456789",
    "s": " ",
    "D": "abc",
    "W": "-",
    "S": "abcdefghijklmnopqrstuvwxyz",
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_ANY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.,:;/@#()äß漢"
_REPETITION = re.compile(r"\{(\d+)(,?)(\d*)\}")


def matching_text(pattern: str, turn: int, shortest: int = 0, longest: int = 10_000) -> str | None:
    """A text for `pattern` between these lengths; None if the pattern is not supported.

    `turn` chooses among alternatives and the characters of a class.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's about `[[`, which is plain in JSON Schema
            compiled = re.compile(pattern)
        texts = [_Writer(pattern, turn, longer).write() for longer in _LONGER]
    except (re.error, _UnsupportedError, RecursionError):
        return None
    fitting = (text for text in texts if shortest <= len(text) <= longest)
    return next((text for text in fitting if compiled.search(text)), None)


class _UnsupportedError(Exception):
    """The pattern has something that is not supported, such as a lookahead."""


class _Writer:
    """Reads the pattern from left to right, and writes a text for what it reads."""

    def __init__(self, pattern: str, turn: int, longer: int) -> None:
        self._pattern = pattern
        self._place = 0
        self._turn = turn
        self._longer = longer

    def write(self) -> str:
        text = self._alternatives()
        if self._place < len(self._pattern):
            raise _UnsupportedError
        return text

    def _alternatives(self) -> str:
        texts = [self._sequence()]
        while self._peek() == "|":
            self._place += 1
            texts.append(self._sequence())
        return texts[self._turn % len(texts)]

    def _sequence(self) -> str:
        return "".join(self._terms())

    def _terms(self) -> Iterator[str]:
        while (char := self._peek()) and char not in "|)":
            self._place += 1
            if char in "^$":
                continue
            if char == "(":
                yield self._repeated(self._group())
            elif char == "\\" and self._peek() in ("b", "B", "A", "Z"):
                self._place += 1
            else:
                yield self._repeated_char(self._characters(char))

    def _group(self) -> str:
        if self._peek() == "?":
            named = re.compile(r"\?(?::|P?<\w+>)").match(self._pattern, self._place)
            if named is None:
                raise _UnsupportedError
            self._place = named.end()
        text = self._alternatives()
        self._place += 1  # the closing bracket, which `re.compile` has seen
        return text

    def _characters(self, char: str) -> str:
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        return _ANY if char == "." else char

    def _escape(self) -> str:
        char = self._next()
        if char in "ux":
            digits = 4 if char == "u" else 2
            code = self._pattern[self._place : self._place + digits]
            self._place += digits
            return chr(int(code, 16))
        if char.isdigit():
            raise _UnsupportedError  # a reference to a group
        return _SHORTHANDS.get(char) or _CONTROLS.get(char, char)

    def _class(self) -> str:
        negated = self._peek() == "^"
        self._place += negated
        chars = ""
        while (char := self._next()) != "]" or not chars:
            some = self._escape() if char == "\\" else char
            if self._peek() == "-" and self._pattern[self._place + 1] != "]" and len(some) == 1:
                self._place += 1
                end = self._next()
                last = self._escape() if end == "\\" else end
                # Of all of Unicode, the first few will do.
                some = "".join(map(chr, range(ord(some), min(ord(last), ord(some) + 255) + 1)))
            chars += some
        if not negated:
            return chars
        return "".join(char for char in _ANY if char not in chars) or "\u2603"

    def _repeated_char(self, chars: str) -> str:
        """The characters in turn, so that a repeated class is a readable text."""
        count = self._count(1)
        return "".join(chars[(self._turn + place) % len(chars)] for place in range(count))

    def _repeated(self, text: str) -> str:
        return text * self._count(len(text))

    def _count(self, size: int) -> int:
        """How often to repeat what has this size."""
        char = self._peek()
        least, most = 1, 1
        if char in ("*", "+", "?"):
            self._place += 1
            least, most = (1, 1_000) if char == "+" else (0, 1 if char == "?" else 1_000)
        elif found := _REPETITION.match(self._pattern, self._place):
            self._place = found.end()
            least = int(found[1])
            most = least if not found[2] else int(found[3] or least + 1_000)
        else:
            return 1
        if self._peek() in ("?", "+"):  # lazy or possessive: the same texts
            self._place += 1
        count = min(least + self._longer, most)
        if count * size > _MAX_SIZE:
            raise _UnsupportedError
        return count

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _next(self) -> str:
        char = self._peek()
        self._place += 1
        return char
