"""Assembles the pieces of one choice: its message, its log probabilities and its finish_reason."""

from __future__ import annotations

from typing import Any, TypeVar

from ..types.normalize import content_text, finish_reason
from ..types.reasoning import DETAILS, FIELDS, TEXTS, field_text, reasoning_field
from ..types.values import MalformedError
from .call_assembly import Calls, merge_function
from .content_assembly import joined_content
from .merging import NAMES, Fields, Items, joined, joined_base64, merge
from .reasoning_details import Details

T = TypeVar("T", list[Any], dict[str, Any])

# The texts that models stream.
_TEXTS = frozenset({"content", *TEXTS})
_EMPTY: dict[str, Any] = {"role": "assistant", "content": None}


class ChoiceAssembly:
    """An unfinished choice."""

    __slots__ = (
        *("_by_delta", "_extra", "_grows", "_logprobs", "_message"),
        *("finish_reason", "reasoning", "text"),
    )

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._by_delta: tuple[str, ...] = ()
        """The fields of the message that have arrived in deltas; few, and a set is four times as
        large."""
        self._grows = False
        """Whether each message repeats the whole text so far."""
        self.text: list[Any] | None = None
        """The content so far, in pieces: strings, and parts that are not text."""
        self.reasoning: str | None = None
        """The field whose reasoning is read: the first in which some arrived."""
        self._message: Fields | None = None
        """All the rest, once there is more than a content and the usual role."""
        self._logprobs: Fields | None = None
        self._extra: dict[str, Any] | None = None

    def add(self, piece: dict[str, Any]) -> tuple[str, str] | None:
        """Take in a piece.

        Returns:
            The text and the reasoning it adds, if they are not just those of its delta.
        """
        added = None
        for key, value in piece.items():
            if value is None or key == "index":
                continue
            if key == "delta":
                added = self._add_delta(checked(value, dict)) or added
            elif key == "message":
                added = self._add_message(piece) or added
            elif key == "finish_reason":
                self.finish_reason = finish_reason(value) or self.finish_reason
            elif key == "logprobs" and type(value) is dict:
                if self._logprobs is None:
                    self._logprobs = Fields(content=None, refusal=None)
                merge(self._logprobs, value)
            else:
                self._add_extra(key, value)
        return added

    def add_text(self, piece: dict[str, Any]) -> bool:
        """Take in a piece that only continues the text, or the arguments of the last tool call; any
        other changes nothing: `False`.

        It does what `add` would do, but is 0.4 us faster.
        """
        if piece.get("finish_reason") is not None or piece.get("logprobs") is not None:
            return False
        if len(piece) != 2 + ("finish_reason" in piece) + ("logprobs" in piece):
            return False
        delta, held = piece.get("delta"), self.text
        if type(delta) is not dict or len(delta) != 1 or self.finish_reason is not None:
            return False
        text = delta.get("content")
        if text is None and "tool_calls" in self._by_delta and (calls := self.calls) is not None:
            return calls.add_arguments(delta.get("tool_calls"))
        # Not for the first text, which has to be recorded in `_by_delta`.
        if type(text) is not str or held is None or "content" not in self._by_delta:
            return False
        held.append(text)
        return True

    def growing(self, piece: dict[str, Any]) -> tuple[str, list[Any]] | None:
        """The field and the pieces of the text that the last piece added has continued.

        `None` unless the same piece with another text would only add that text: nothing else in
        the piece may be joined to what came before, as other texts, lists and objects are. Names
        and vendors' values would only replace equal ones, and an empty value replaces nothing.
        """
        delta, field = piece.get("delta"), None
        if type(delta) is not dict or self.finish_reason is not None:
            return None
        for key, value in delta.items():
            if not value or (key in NAMES and type(value) is str):
                continue
            if field is not None or key not in _TEXTS or type(value) is not str:
                return None
            field = key
        if field is None or (field != "content" and field != self.reasoning):
            return None
        for key, value in piece.items():
            if value and (key == "logprobs" or type(value) is list):
                return None
        pieces = self.pieces(field)
        return None if pieces is None else (field, pieces)

    def pieces(self, field: str) -> list[Any] | None:
        """The pieces of a text of the message so far, in a list that only grows."""
        pieces = self.text if field == "content" else self._held(field)
        return pieces if isinstance(pieces, list) else None

    @property
    def calls(self) -> Calls | None:
        """The tool calls so far, in the order in which they began."""
        calls = self._held("tool_calls")
        return calls if isinstance(calls, Calls) else None

    def _add_delta(self, delta: dict[str, Any]) -> tuple[str, str] | None:
        for key, value in delta.items():
            if value and key not in self._by_delta:
                self._by_delta += (key,)
        self._merge(delta)
        field = self._field_in(delta)
        if field is None or field == self.reasoning:
            return None
        # Another copy of the reasoning, with or without the one that is read.
        read = self.reasoning or field
        return content_text(delta.get("content")) or "", field_text(read, delta.get(read))

    def _field_in(self, holder: dict[str, Any]) -> str | None:
        """The field of a delta or message that has reasoning, if any does."""
        if FIELDS.isdisjoint(holder) and type(holder.get("content")) in (str, type(None)):
            return None
        field = reasoning_field(holder)
        if self.reasoning is None:
            self.reasoning = field
        return field

    def _held(self, key: str) -> Any:
        """What has arrived so far of a field of the message that is not its content."""
        return (self._message or _EMPTY).get(key)

    def _merge(self, delta: dict[str, Any]) -> None:
        message = self._message
        for key, value in delta.items():
            if key == "content":
                self._add_content(value)
                continue
            if message is None:
                if key == "role" and (value == "assistant" or not value):
                    continue
                message = self._message = Fields(_EMPTY)
            if key == "tool_calls":
                calls = message.get(key)
                if not isinstance(calls, Calls):
                    calls = message[key] = Calls()
                calls.add(value)
            elif key in DETAILS and type(value) is list:
                details = message.get(key)
                if not isinstance(details, Details):
                    details = message[key] = Details()
                details.take(value)
            elif key == "function_call" and type(value) is dict:
                held = message.get(key)
                if not isinstance(held, Fields):
                    held = message[key] = Fields()
                merge_function(held, value)
            else:
                merge(message, {key: value})

    def _add_content(self, value: Any) -> None:
        if value is None:
            return
        if self.text is None:
            self.text = []
        if type(value) is str:
            self.text.append(value)
            return
        for part in value if type(value) is list else [value]:
            text = content_text(part)
            if text is not None:
                self.text.append(text)
            elif type(part) is dict and part:
                self.text.append(part)

    def _add_message(self, piece: dict[str, Any]) -> tuple[str, str] | None:
        """Take in a message instead of a delta: a piece, all so far, or the whole at the end.

        Returns:
            The text and the reasoning it adds, if the message is used.
        """
        message = piece["message"]
        if piece.get("delta") or type(message) is not dict:
            return None
        ends = bool(self.finish_reason or finish_reason(piece.get("finish_reason")))
        text = reasoning = ""
        for key, value in message.items():
            new: Any = None
            if key == "content":
                new = None if self.text else value
                held = "".join(t for t in self.text or () if type(t) is str)
                text = self._new_text(key, held, content_text(value) or "", ends)
                # The first time, including parts that are not text, such as thinking.
                self._add_content(text if self.text else value)
            elif key == "tool_calls":
                calls = self._held(key)
                if key not in self._by_delta:
                    self._merge({key: calls.new_in(value) if isinstance(calls, Calls) else value})
            elif type(value) is str:
                held = joined(self._held(key))
                held = held if type(held) is str else ""
                new = self._new_text(key, held, value, ends)
                self._merge({key: new})
            elif key not in self._by_delta and not self._held(key):
                new = value
                self._merge({key: new})
            if new and self._field_in({key: new}) is not None and key == self.reasoning:
                reasoning = field_text(key, new)
        return text, reasoning

    def _new_text(self, key: str, held: str, text: str, ends: bool) -> str:
        """The part of a message's text that did not arrive before."""
        if held and text.startswith(held) and text != held:
            self._grows = True
            return text[len(held) :]
        # After deltas, it is the whole text again, even if spelled differently.
        return "" if key in self._by_delta or (text == held and (self._grows or ends)) else text

    def _add_extra(self, key: str, value: Any) -> None:
        """A vendor's field: lists of numbers are joined; otherwise, the last value is kept."""
        if self._extra is None:
            self._extra = {}
        held = self._extra.get(key)
        if value and _are_numbers(value):
            if type(held) is not Items:
                held = self._extra[key] = Items()
            held.extend(value)
        elif value or not held:
            self._extra[key] = value

    def result(self) -> dict[str, Any]:
        content = None if self.text is None else joined_content(self.text)
        message = {**(_EMPTY if self._message is None else joined(self._message))}
        message["content"] = content
        audio = message.get("audio")
        if type(audio) is dict and type(audio.get("data")) is str:
            audio["data"] = joined_base64(audio["data"])
        if self.reasoning is not None and reasoning_field(message) != self.reasoning:
            message = {self.reasoning: None, **message}  # so that it is read here as well
        return {
            "logprobs": None,
            **{key: joined(value) for key, value in (self._extra or {}).items()},
            "message": message,
            **({} if self._logprobs is None else {"logprobs": joined(self._logprobs)}),
            "finish_reason": self.finish_reason,
        }


def _are_numbers(value: Any) -> bool:
    return type(value) is list and all(type(item) in (int, float) for item in value)


def checked(value: Any, kind: type[T]) -> T:
    """The value, or an empty one of this kind if it is empty or `null`: PHP writes `{}` as `[]`."""
    if not value:
        return kind()
    if not isinstance(value, kind):
        expected = "a list" if kind is list else "an object"
        msg = f"The stream has a {type(value).__name__} where {expected} was expected."
        raise MalformedError(msg, value)
    return value
