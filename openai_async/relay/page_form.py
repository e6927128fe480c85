"""What the forms for a page, "text" and "ui", have in common: they show one answer, or a run of
tools with several answers and the results of their calls in between.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

from attrs import frozen

from ..types.chat_chunk import ChatCompletionChunk
from ..types.think_tags import ThinkTagsOption
from .deltas import Call, Delta, Deltas
from .form import Form


@frozen
class Called:
    """An answer is complete, and the app runs this call of it."""

    index: int
    """Which of the calls in the answer it is."""
    id: str
    """The id of the call in the run; never empty."""


@frozen
class Result:
    """What a call has returned, or the text for the model that says how it failed."""

    id: str
    content: str
    is_text: bool
    """Whether `content` is plain text, not JSON."""
    failed: bool


Piece: TypeAlias = ChatCompletionChunk | Called | Result


class PageForm(Form[ChatCompletionChunk]):
    """Turns what each chunk adds into events."""

    def __init__(self, n: int, think_tags: ThinkTagsOption) -> None:
        self._deltas = Deltas(n, think_tags)
        self._called: dict[str, Call] = {}
        """The calls that the app runs, by their id in the run."""
        self._has_results = False

    def chunk(self, chunk: ChatCompletionChunk) -> bytes:
        begin = b""
        if self._has_results:  # the run has sent them to the model, and this is its next answer
            self._has_results = False
            self._deltas.next_answer()
            begin = self._next_answer()
        return begin + b"".join([self._delta(delta) for delta in self._deltas.of(chunk)])

    def piece(self, piece: Piece) -> bytes:
        """The events for a piece of a run."""
        if isinstance(piece, ChatCompletionChunk):
            return self.chunk(piece)
        if isinstance(piece, Called):
            call = self._called[piece.id] = self._deltas.calls[piece.index]
            return self._rest() + self._call_ended(call)
        self._has_results = True
        return self._result(self._called[piece.id], piece)

    def _rest(self) -> bytes:
        """What was held back until the end of the answer."""
        return b"".join([self._delta(delta) for delta in self._deltas.end()])

    @abstractmethod
    def _delta(self, delta: Delta) -> bytes:
        """The events for a delta."""

    @abstractmethod
    def _call_ended(self, call: Call) -> bytes:
        """The events when a call has all its arguments."""

    @abstractmethod
    def _result(self, call: Call, result: Result) -> bytes:
        """The events for the result of a call."""

    @abstractmethod
    def _next_answer(self) -> bytes:
        """The events between the results and the next answer."""
