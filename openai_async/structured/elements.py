"""The elements of a JSON array, each as soon as its text is complete."""

from __future__ import annotations

import re

# Everything that matters for where an element ends; all else is skipped at the speed of C.
_OUTSIDE = re.compile(r'["\[\]{},]')
# Where the array begins; other brackets may be in words before it.
_BEGINS = re.compile(r'(?:\A|```[a-zA-Z]*[ \t\r]*\n)\s*(?:\{\s*"value"\s*:\s*)?\[')
_HEAD = 64
"""Characters, at most, of a beginning that is split into pieces."""
_IN_STRING = re.compile(r'["\\]')


class Elements:
    """Cuts the elements out of an array that arrives in pieces.

    The array is the whole text, or the value of the object around it (`{"value": [...`), or one of
    the two in a code block of Markdown. Each character is read once, so the time grows in
    proportion to the length of the text.
    """

    __slots__ = ("_depth", "_escaped", "_head", "_in_string", "_pieces", "ended")

    def __init__(self) -> None:
        self._pieces: list[str] = []  # of the element that is being written
        self._head = ""  # what may be before the array
        self._depth = 0  # 0: before the array, 1: between or in plain elements
        self._in_string = False
        self._escaped = False
        self.ended = False

    def feed(self, text: str) -> list[str]:
        """Take in a piece; returns the texts of the elements that it completes."""
        found: list[str] = []
        if not self._depth and not (text := self._after_head(text)):
            return found
        begin = at = 0
        if self._escaped and text:
            self._escaped, at = False, 1
        while not self.ended:
            match = (_IN_STRING if self._in_string else _OUTSIDE).search(text, at)
            if match is None:
                break
            at, mark = match.end(), match[0]
            if mark == "\\":
                self._escaped = at == len(text)
                at += 1
            elif mark == '"':
                self._in_string = not self._in_string
            elif mark in "[{":
                self._depth += 1
            elif mark != "," and self._depth > 1:
                self._depth -= 1
            elif self._depth == 1:  # a comma between elements, or the end of the array
                self._take(text[begin : at - 1], found)
                begin = at
                self.ended = mark != ","
        if self._depth and not self.ended:
            self._pieces.append(text[begin:])
        return found

    def _after_head(self, text: str) -> str:
        """What follows the beginning of the array; "" if it has not begun."""
        self._head += text
        begins = _BEGINS.search(self._head)
        if begins is None:
            if len(self._head) > _HEAD:  # only its end matters; the NUL says it is not the start
                self._head = "\0" + self._head[-_HEAD:]
            return ""
        rest, self._head, self._depth = self._head[begins.end() :], "", 1
        return rest

    def _take(self, text: str, found: list[str]) -> None:
        self._pieces.append(text)
        element = "".join(self._pieces).strip()
        self._pieces.clear()
        if element:  # not in an empty array
            found.append(element)
