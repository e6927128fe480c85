"""Assembles the chunks of a stream into a completion.

It works on parsed JSON and not on typed objects, so that vendors' fields (`reasoning_content` and
the like) are assembled by the same rules as those of the API. Text is kept in pieces and joined
once: the cost is linear in the length of the stream. `choice_assembly` assembles one choice,
`call_assembly` its tool calls.

An empty value counts as missing: `""`, `{}`, `[]` and 0 never replace an earlier value.
"""

from __future__ import annotations

from typing import Any

from ..types.normalize import content_text, fails, is_usage
from .choice_assembly import ChoiceAssembly, checked
from .merging import index_of

# Fields that identify the answer: the first value is kept. Gateways repeat it or send another.
_IDENTITY = frozenset({"id", "created", "model", "object"})
# The model's output. Once a choice has its finish_reason, none of these fields should follow.
_OUTPUT = ("content", "refusal", "tool_calls", "function_call", "reasoning_content", "reasoning")


class Assembly:
    """Takes in chunks; returns the completion so far.

    Args:
        single: whether one choice was requested: then all pieces belong to the first, whatever
            their index.

    Attributes:
        trusted: whether a finish_reason can be trusted: not in a stream where a choice went on
            after its own.
        failed: whether a choice has reported a failure.
    """

    __slots__ = ("_choices", "_first", "_single", "_top", "failed", "trusted")

    def __init__(self, *, single: bool = True) -> None:
        self._single = single
        self.trusted = True
        self.failed = False
        self._top: dict[str, Any] = {}
        self._choices: dict[int, ChoiceAssembly] = {}
        self._first: int | None = None  # the index of the first choice

    @property
    def begun(self) -> int:
        """How many choices have begun."""
        return len(self._choices)

    @property
    def finished(self) -> bool:
        """Whether every choice that has begun has a finish_reason that can be trusted."""
        for choice in self._choices.values():
            if choice.finish_reason is None:
                return False
        return self.trusted and bool(self._choices)

    @property
    def empty(self) -> bool:
        """Whether no part of an answer has arrived yet."""
        return not self._choices and not self.has_usage

    @property
    def has_usage(self) -> bool:
        return is_usage(self._top.get("usage"))

    @property
    def total_tokens(self) -> int | None:
        """The total in `usage`, if it has arrived."""
        usage = self._top.get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        return total if isinstance(total, int) else None

    def add(self, chunk: dict[str, Any]) -> str | None:
        """Take in a chunk.

        Returns:
            The text that the chunk adds to choice 0, if that is not in its delta; else `None`.

        Raises:
            MalformedError: the chunk has the wrong shape.
        """
        top = self._top
        if top:
            for key, value in chunk.items():
                if value is None or key == "choices":
                    continue
                if not top.get(key) or (value and key not in _IDENTITY):
                    if key == "usage" and key in top and not is_usage(value):
                        continue
                    top[key] = value
        else:
            self._top = {
                key: value for key, value in chunk.items() if value is not None and key != "choices"
            }
        choices = chunk.get("choices")
        if type(choices) is list and len(choices) == 1 and self._add_text(choices[0]):
            return None
        pieces = [checked(piece, dict) for piece in checked(choices, list) if piece]
        if len(pieces) > 1 and len({index_of(piece) or 0 for piece in pieces}) > 1:
            self._single = False  # more than were requested, but each has its own index
        texts, in_delta = "", True
        for piece in pieces:
            own = index = index_of(piece) or 0
            if self._single and self._first is not None:
                index = self._first
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = ChoiceAssembly()
                self._first = index if self._first is None else self._first
            elif choice.finish_reason is not None and _has_output(piece):
                self.trusted = False
            if "error" in piece or piece.get("finish_reason") is not None:
                self.failed = self.failed or fails(piece)
            text = choice.add(piece)
            if self._single or own == 0:
                in_delta = in_delta and text is None and own == 0
                texts += _text_of(piece) if text is None else text
            if "usage" in piece:
                self._take_usage(piece)
        if "x_groq" in chunk:
            self._take_usage(chunk["x_groq"])
            self.failed = self.failed or fails(chunk["x_groq"])
        return None if in_delta else texts

    def _add_text(self, piece: Any) -> bool:
        """Take in a chunk that only continues a text or a call, as nearly all do; else `False`."""
        if type(piece) is not dict or type(index := piece.get("index")) is not int:
            return False
        choice = self._choices.get(index)
        if choice is None or (index and self._single):
            return False
        return choice.add_text(piece)

    def choice_of(self, index: int) -> tuple[int, ChoiceAssembly] | None:
        """The choice to which a piece with this index was added, and its index."""
        if self._single and self._first is not None:
            index = self._first
        choice = self._choices.get(index)
        return None if choice is None else (index, choice)

    def growing(self, chunk: dict[str, Any]) -> tuple[str, list[Any]] | None:
        """The field and the pieces of the text that the last chunk added has continued.

        `None` unless the same chunk with another text would only add that text to choice 0. The
        fields of the chunk itself do not matter: each would be set to the same value again.
        """
        choices = chunk.get("choices")
        if type(choices) is not list or len(choices) != 1 or "x_groq" in chunk:
            return None
        piece = choices[0]
        if type(piece) is not dict or index_of(piece):
            return None
        index = self._first if self._single and self._first is not None else 0
        choice = self._choices.get(index)
        return None if choice is None else choice.growing(piece)

    def _take_usage(self, holder: Any) -> None:
        """Take the usage from a choice, where Kimi puts it, or from Groq's `x_groq`."""
        usage = holder.get("usage") if type(holder) is dict else None
        if is_usage(usage) and not self.has_usage:
            self._top["usage"] = usage

    def completion(self) -> dict[str, Any]:
        """The JSON of a `chat.completion`, as a request without `stream` would have received it."""
        top = {k: v for k, v in self._top.items() if k not in ("object", "obfuscation")}
        return top | {
            "object": "chat.completion",
            "choices": [
                {"index": index, **self._choices[index].result()} for index in sorted(self._choices)
            ],
        }


def only_opens(chunk: dict[str, Any]) -> bool:
    """Whether a chunk only opens choice 0, as the first chunk of nearly every stream does.

    Its delta is a role and nothing else: no text, end or failure, and nothing that may have the
    wrong shape. So it can be added to the answer later.
    """
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or "x_groq" in chunk:
        return False
    (piece,) = choices
    if type(piece) is not dict or piece.get("index") != 0:
        return False
    delta = piece.get("delta")
    if type(delta) is not dict or type(delta.get("role")) is not str:
        return False
    for key, value in piece.items():
        if value is not None and key not in ("index", "delta"):
            return False
    for key, value in delta.items():
        if value is not None and value != "" and key != "role":
            return False
    return True


def _text_of(piece: dict[str, Any]) -> str:
    delta = piece.get("delta")
    return (content_text(delta.get("content")) or "") if type(delta) is dict else ""


def _has_output(piece: dict[str, Any]) -> bool:
    delta = piece.get("delta")
    return type(delta) is dict and any(delta.get(key) for key in _OUTPUT)
