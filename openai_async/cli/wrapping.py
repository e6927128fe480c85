"""Wraps text at words while it is being written to a terminal.

Text is shown as soon as it arrives, so a word may turn out to be too long for its line when half of
it is there already: it is then erased, and written again on the next line.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rich.cells import cell_len

# Chinese and Japanese have no spaces: a line may end between any two characters, ...
_IDEOGRAPHIC = (
    "\u2e80-\u2fff\u3001-\u30ff\u3100-\u312f\u31a0-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\ufe30-\ufe4f\uff01-\uff60\U00020000-\U0003ffff"
)
_IS_IDEOGRAPHIC = re.compile(f"[{_IDEOGRAPHIC}]")
# ... except before these and after those (https://www.w3.org/TR/jlreq/#line_composition).
_NOT_FIRST = frozenset(
    "、。，．・：；？！）〕］｝〉》」』】〙〗々ー～ヽヾゝゞ"  # noqa: RUF001
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"
)
_NOT_LAST = frozenset("（〔［｛〈《「『【〘〖")  # noqa: RUF001
# No-break spaces are not among the spaces.
_TOKENS = re.compile(f"\n|[ \t\u3000]+|[{_IDEOGRAPHIC}]|[^\n \t\u3000{_IDEOGRAPHIC}]+")
# A line that begins or ends a block of code (CommonMark, 4.5).
_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})(.*)")
# As much of a line as is kept to recognize a fence.
_LINE_START = 200
# Longer words stay where they begin. Only invisible characters get this far.
_LONGEST_WORD = 2000
_TAB = 8


class WordWrapper:
    """Turns text, piece by piece, into what to write to a terminal.

    A word that is longer than a line begins a line of its own, and is left to the terminal: so URLs
    can be clicked and copied. Blocks of code are left to it, too.

    Args:
        width: returns the width of the terminal in cells. It is called for each piece, since
            windows are resized. Where it is 0, nothing is wrapped.
    """

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._room = 0
        self._column = 0  # where the cursor is
        self._gap = ""  # the spaces after the last word; written with the next
        self._word = ""  # what has been written of the current word
        self._word_column = 0
        # Where the line ends if that word is moved. At 0 it stays: nothing is before it.
        self._before = 0
        self._line_start = ""
        self._fence = ""

    def feed(self, text: str) -> str:
        """What to write for the next piece of text."""
        # The last column stays empty: terminals differ on where the cursor is once that is full.
        room = self._width() - 1
        if room != self._room:
            self._room = room
            self._before = 0  # the terminal may have moved the word, so it cannot be erased
        if room <= 0:
            gap, self._gap = self._gap, ""
            return gap + text
        return "".join(map(self._written, _TOKENS.findall(text)))

    def _written(self, token: str) -> str:
        if token == "\n":
            self._end_line()
            return token
        if len(self._line_start) < _LINE_START:
            self._line_start += token
        if self._fence:
            return token
        if token[0] in " \t\u3000":
            self._gap += token
            return ""
        return self._placed(token)

    def _placed(self, token: str) -> str:
        """Continue the current word, or begin another; on the next line if it does not fit."""
        gap = self._gap
        if not self._word or gap or _may_break(self._word[-1], token[0]):
            self._before = self._column
            self._word_column = self._column = self._after(gap)
            self._word = self._gap = ""
            shown = 0
        else:
            shown = self._column - self._before
        if self._before == 0 or len(self._word) > _LONGEST_WORD:
            self._column += cell_len(token)
            self._word = token  # its end is enough, as it is not moved
            return gap + token
        self._word += token
        length = cell_len(self._word)  # of the whole, since an emoji may come in two pieces
        if self._word_column + length <= self._room:
            self._column = self._word_column + length
            return gap + token
        self._before, self._column = 0, length
        return ("\b" * shown + "\x1b[K" if shown else "") + "\n" + self._word

    def _after(self, gap: str) -> int:
        """The column after the gap."""
        column = self._column
        for space in gap:
            column += _TAB - column % _TAB if space == "\t" else cell_len(space)
        return column

    def _end_line(self) -> None:
        if found := _FENCE.match(self._line_start):
            if not self._fence:
                self._fence = found[1]
            elif found[1].startswith(self._fence) and not found[2].strip():
                self._fence = ""
        self._column = self._before = 0
        self._gap = self._word = self._line_start = ""


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters with no space between them."""
    if before in _NOT_LAST or after in _NOT_FIRST:
        return False
    return bool(_IS_IDEOGRAPHIC.match(before) or _IS_IDEOGRAPHIC.match(after))
