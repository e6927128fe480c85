"""Where servers put a model's reasoning, and how it is read from there.

Pure functions of parsed JSON, as in `normalize`. Some servers send several copies of the same
reasoning, in fields of their own: OpenRouter as text and as `reasoning_details`, StepFun as
`reasoning` and `reasoning_content`. Only one of them is read.
"""

from __future__ import annotations

from typing import Any

TEXTS = ("reasoning_content", "reasoning", "reasoning_text")
"""The fields with reasoning as text: DeepSeek's, vLLM's, llama.cpp's and Qwen's; OpenRouter's,
newer vLLM's, Ollama's and Groq's; GitHub Copilot's."""
DETAILS = ("reasoning_details", "thinking_blocks")
"""The fields with a list of parts: OpenRouter's and MiniMax's; LiteLLM's."""
FIELDS = frozenset({*TEXTS, *DETAILS})
"""All fields with nothing but reasoning. It may also be among the parts of `content`."""

# The keys of a part that hold its text: a summary, if the vendor keeps the full text secret. What
# is encrypted (`data`) can only be sent back.
_PART_TEXTS = ("thinking", "text", "summary", "reasoning", "content")
# The types of content parts with reasoning: Mistral's and Anthropic's; others'.
_PARTS = frozenset({"thinking", "reasoning"})
_MAX_DEPTH = 8


def reasoning_field(holder: dict[str, Any]) -> str | None:
    """The field of a message or delta that has its reasoning: of several copies, the first.

    In a stream, the field that has the first piece is read until the end (see `Assembly`).
    """
    for field, value in holder.items():
        if not value or (field not in FIELDS and (field != "content" or type(value) is str)):
            continue
        if field_text(field, value):
            return field
    return None


def reasoning_text(holder: Any, field: str | None = None) -> str | None:
    """The reasoning in a message or delta, or in one field of it; `None` if there is none."""
    if type(holder) is not dict:
        return None
    field = field or reasoning_field(holder)
    return None if field is None else field_text(field, holder.get(field)) or None


def field_text(field: str, value: Any) -> str:
    """The reasoning in the value of a field; "" if there is none."""
    if type(value) is str:
        return "" if field == "content" else value
    if field != "content":
        return _text(value)
    parts = value if type(value) is list else [value]
    return "".join(_text(part) for part in parts if _is_reasoning(part))


def without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """A copy of a message without any reasoning; the rest of its content is text, if possible."""
    rest = {key: value for key, value in message.items() if key not in FIELDS}
    content = rest.get("content")
    if type(content) is list:
        parts = [part for part in content if not _is_reasoning(part)]
        texts = [part.get("text") if type(part) is dict else part for part in parts]
        whole = all(type(text) is str for text in texts)
        rest["content"] = "".join(map(str, texts)) if whole else parts
    return rest


def _is_reasoning(part: Any) -> bool:
    return type(part) is dict and part.get("type") in _PARTS


def _text(value: Any, depth: int = 0) -> str:
    if type(value) is str:
        return value
    if depth > _MAX_DEPTH:
        return ""
    if type(value) is list:
        return "".join([_text(item, depth + 1) for item in value])
    if type(value) is dict:
        return next((text for key in _PART_TEXTS if (text := _text(value.get(key), depth + 1))), "")
    return ""


# --- <think> ... </think> -----------------------------------------------------------------------

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkTags:
    """Splits a text that begins with `<think>...</think>` into reasoning and answer, in pieces.

    Only such a block at the very beginning is reasoning: in any other place, an answer may be about
    these tags. What may be the start of a tag is held back until the next piece. White space
    around the tags is dropped.

    Args:
        opened: the text begins inside the block, with or without another `<think>`.
    """

    __slots__ = ("_held", "_opened", "_space", "_where")

    def __init__(self, *, opened: bool = False) -> None:
        self._opened = opened
        self._where = "before"
        self._held = ""
        """What may be the start of a tag."""
        self._space: list[str] = []
        """The white space before that, in pieces, of which there may be many."""

    def split(self, text: str, *, last: bool = False) -> tuple[str, str]:
        """The reasoning and the answer in the next piece of the text."""
        text, self._held = self._held + text, ""
        reasoning = ""
        if self._where == "before":
            text = self._begin(text, last)
        if self._where == "opened":  # after <think>
            text = text.lstrip()
            if text:
                self._where = "inside"
        if self._where == "inside":
            reasoning, text = self._think(text, last)
        if self._where == "closed":  # after </think>
            text = text.lstrip()
            if text:
                self._where = "answer"
        return reasoning, text

    def _begin(self, text: str, last: bool) -> str:
        """What follows `<think>`, or the text itself; "" until it is clear which."""
        start = text.lstrip()
        if start.startswith(_OPEN):
            self._opened, start = True, start[len(_OPEN) :]
        elif not last and _OPEN.startswith(start):
            self._space.append(text[: len(text) - len(start)])
            self._held = start
            return ""
        elif not self._opened:
            self._where = "answer"
            return self._spaces() + text
        self._where = "opened"
        self._space.clear()
        return start

    def _think(self, text: str, last: bool) -> tuple[str, str]:
        """The reasoning, and what follows `</think>`."""
        thought, found, rest = text.partition(_CLOSE)
        if not found and last:
            return self._spaces() + thought, ""
        if not found:
            end = _start_of_close(thought)
            thought, self._held = thought[:end], thought[end:]
        kept = thought.rstrip()
        reasoning = self._spaces() + kept if kept else ""
        if found:
            self._where = "closed"
            self._space.clear()
        else:
            self._space.append(thought[len(kept) :])
        return reasoning, rest

    def _spaces(self) -> str:
        spaces = "".join(self._space)
        self._space.clear()
        return spaces


def _start_of_close(text: str) -> int:
    """Where the end of `text` that may be the start of `</think>` begins."""
    for size in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
        if _CLOSE.startswith(text[-size:]):
            return len(text) - size
    return len(text)
