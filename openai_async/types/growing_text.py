"""A text that is still growing, and the JSON in a text that is not complete yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class TextSoFar:
    """A text that is still growing, and what it was after each of its pieces.

    `pieces` only grows. Reading every snapshot in turn costs a copy of the text each time, but does
    not join all of its pieces again.

    `read_json` reads the value of the text so far, if it is JSON.
    """

    __slots__ = ("_count", "_text", "choice_index", "pieces", "read_json")

    def __init__(
        self,
        pieces: list[Any],
        choice_index: int,
        read_json: Callable[[str], Any] | None = None,
    ) -> None:
        self.pieces = pieces
        self.choice_index = choice_index
        self.read_json = read_json
        self._count = 0
        self._text = ""

    def after(self, count: int) -> str:
        """The text in the first `count` pieces; those that are not strings are not text."""
        if count < self._count:
            return self.between(0, count)
        if count > self._count:
            self._text += self.between(self._count, count)
            self._count = count
        return self._text

    def between(self, start: int, end: int) -> str:
        return "".join(piece for piece in self.pieces[start:end] if type(piece) is str)


def utf8(text: str) -> bytes:
    """A text as UTF-8, even if a server has split a character into two halves."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def partial_json(text: str) -> Any:
    """The value of JSON text that may end anywhere; `None` if it is not the start of JSON."""
    from jiter import from_json  # only for those who read it

    try:
        return from_json(utf8(text), partial_mode="trailing-strings")
    except ValueError:
        return None
