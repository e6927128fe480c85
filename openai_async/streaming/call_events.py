"""What each chunk adds to one call of a function, as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..jsontext import loads
from ..types.chat_events import (
    FunctionToolCallArgumentsDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
)
from ..types.growing_text import TextSoFar, utf8
from ..types.structuring import without_hooks

DecodeArguments: TypeAlias = Callable[[str, str], object]
"""Turns the name of a function and its arguments into the value of `parsed_arguments`."""

_twin: Any = without_hooks(FunctionToolCallArgumentsDeltaEvent)


class GrowingCall:
    """A function call, as far as events have reported it.

    Args:
        function: the function in the assembly, which grows.
        index: the index to report.
        so_far: an empty text, for the arguments.
    """

    __slots__ = ("_function", "_index", "_so_far", "_told", "open")

    def __init__(self, function: dict[str, Any], index: int, so_far: TextSoFar) -> None:
        self._function = function
        self._index = index
        self._so_far = so_far
        self._told = 0
        """How many of the pieces events have reported."""
        self.open = True

    def grow(self, *, begins: bool) -> FunctionToolCallArgumentsDeltaEvent | None:
        """The event for the new piece of the arguments, or for the beginning of the call."""
        pieces: list[str] = self._function.get("arguments") or []
        # Some servers send `{}` before the arguments. If no others come, `close` reports it.
        placeholder = not self._told and pieces == ["{}"]
        new = "" if placeholder else self._new_in(pieces)
        return self._delta(new) if new or begins else None

    def close(self, decode: DecodeArguments, events: list[Any]) -> None:
        if not self.open:
            return
        if new := self._new_in(self._function.get("arguments") or []):
            events.append(self._delta(new))
        self.open = False
        events.append(
            FunctionToolCallArgumentsDoneEvent(
                name=self._function.get("name") or "",
                index=self._index,
                arguments=self._so_far.after(self._told),
                choice_index=self._so_far.choice_index,
                decode=decode,
            )
        )

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a JSON object, so that nothing can be added to them."""
        text = self._so_far.after(self._told)
        if not text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(loads(utf8(text)), dict)
        except ValueError:
            return False

    def _new_in(self, pieces: list[str]) -> str:
        told, before = self._told, self._so_far.pieces
        if told and (len(pieces) < told or pieces[told - 1] != before[-1]):
            # A server that sends all arguments again. Earlier events keep the text they had.
            self._so_far, told = TextSoFar([], self._so_far.choice_index), 0
        new, self._told = pieces[told:], len(pieces)
        self._so_far.pieces += new
        return "".join(new)

    def _delta(self, new: str) -> FunctionToolCallArgumentsDeltaEvent:
        self.open = True
        event = _twin()  # see `_delta_maker` in choice_events
        event.name = self._function.get("name") or ""
        event.index = self._index
        event.arguments_delta = new
        event._text = self._so_far
        event._count = self._told
        event.__class__ = FunctionToolCallArgumentsDeltaEvent
        return event  # type: ignore[no-any-return]
