"""The JSON in the text of an answer: alone, after a model's reasoning, or in a code block.

Servers without a parser for reasoning leave it in the text as `<think>...</think>`, and models
without a strict mode like to write JSON in a code block of Markdown. No JSON begins with either, so
an answer that is JSON cannot be mistaken for them, and this needs no option as `text(think_tags=)`
does, where the tags may be part of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..types.reasoning import ThinkTags

# A byte order mark, and the white space of JSON.
_BLANK = "\ufeff \t\r\n"


class BeforeJSON:
    """Leaves out what is before the JSON of an answer that arrives in pieces."""

    __slots__ = ("_begun", "_tags")

    def __init__(self) -> None:
        self._begun = False
        self._tags = ThinkTags()

    def after(self, text: str, *, last: bool = False) -> str:
        """What is left of the next piece."""
        if not self._begun:
            text = text.lstrip(_BLANK)
            self._begun = bool(text)
        return self._tags.split(text, last=last)[1]


def json_in(text: str, *, growing: bool = False) -> Iterator[str]:
    """The parts of an answer that may be its JSON; at most one of them is.

    Args:
        growing: more text may follow, such as the end of the reasoning.
    """
    yield text
    rest = BeforeJSON().after(text, last=not growing)
    if not rest and not growing:  # all of it is reasoning that does not end
        rest = text
    if rest != text:
        yield rest
    block = _in_code_block(rest)
    if block is not None:
        # Without its end: it may not have arrived, or the model stopped once the JSON was complete.
        yield block.rstrip("`")
        if (end := block.rfind("```")) >= 0:
            yield block[:end].rstrip("`")  # a longer fence, for text with fences in it


def _in_code_block(text: str) -> str | None:
    """What follows the first line of a code block: one that says it is JSON, else the first."""
    says_json = _JSON_FENCE.search(text)
    start = says_json.start() if says_json is not None else text.find("```")
    line_end = text.find("\n", start)
    if start < 0 or line_end < 0:
        return None
    language = text[start:line_end].strip("` \t\r")
    return text[line_end + 1 :] if not language or language.isalnum() else None


_JSON_FENCE = re.compile(r"^```+json[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
