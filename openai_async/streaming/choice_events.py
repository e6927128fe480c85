"""What each chunk adds to one choice, as events: read from what has grown in its assembly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from ..types import chat_events as types
from ..types.chat_chunk import ChunkChoice
from ..types.chat_events import T
from ..types.growing_text import TextSoFar
from ..types.structuring import without_hooks
from ..wire.choice_assembly import ChoiceAssembly
from .call_events import DecodeArguments, GrowingCall

E = TypeVar("E")
Event: TypeAlias = types.ChatCompletionStreamEvent[T]


def reasoning_pieces(choice: ChoiceAssembly) -> list[Any] | None:
    """The pieces of the reasoning so far, in a list that only grows, if a field is its text."""
    for name in ("reasoning_content", "reasoning"):
        pieces = choice.pieces(name)
        if pieces and any(pieces):
            return pieces
    return None


class GrowingText:
    """A text of a choice, as far as events have reported it."""

    __slots__ = ("delta", "done", "open", "so_far", "told")

    def __init__(
        self,
        delta: Callable[[str, TextSoFar, int], Any],
        done: Callable[[str, int], Any],
        so_far: TextSoFar,
    ) -> None:
        self.delta = delta
        self.done = done
        self.so_far = so_far
        self.told = 0
        """How many of the pieces events have reported."""
        self.open = False

    def grow(self, pieces: list[Any]) -> Any | None:
        """The event for the new ones of these pieces; `None` if there is no text in them."""
        told, so_far = self.told, self.so_far
        self.told, so_far.pieces = len(pieces), pieces
        new = so_far.between(told, self.told) if self.told > told else ""
        if not new:
            return None
        self.open = True
        return self.delta(new, so_far, self.told)

    def close(self, events: list[Any]) -> None:
        if self.open:
            self.open = False
            events.append(self.done(self.so_far.after(self.told), self.so_far.choice_index))


class GrowingChoice(Generic[T]):
    """A choice, as far as events have reported it."""

    def __init__(
        self,
        index: int,
        choice: ChoiceAssembly,
        decode: Callable[[str], T] | None,
        decode_arguments: DecodeArguments,
        read_json: Callable[[str], Any] | None,
    ) -> None:
        self.assembled = choice
        self._index = index
        self._decode_arguments = decode_arguments
        text = TextSoFar([], index, read_json)
        self._content = GrowingText(_content_delta, partial(_content_done, decode), text)
        self._refusal = GrowingText(_refusal_delta, _refusal_done, TextSoFar([], index))
        self._reasoning = GrowingText(_reasoning_delta, _reasoning_done, TextSoFar([], index))
        self._calls: dict[int, GrowingCall] = {}
        """By the identity of the call in the assembly."""
        self._latest: GrowingCall | None = None
        self._indices: set[int] = set()
        self._next_index = 0
        self._parts: list[Any] = []
        self._tokens: dict[str, list[Any]] = {}
        self._tokens_open = False

    @property
    def ends(self) -> bool:
        """Whether the choice has its finish_reason, and there is something to close."""
        return self.assembled.finish_reason is not None and (
            self._tokens_open
            or any(text.open for text in (self._reasoning, self._content, self._refusal))
            or any(call.open for call in self._calls.values())
        )

    def text_in(self, field: str) -> GrowingText:
        """The text that grows in this field of the deltas."""
        return self._content if field == "content" else self._reasoning

    def grow(self, piece: ChunkChoice, events: list[Event[T]]) -> None:
        """Append the events for a piece that has been added to the assembly."""
        choice = self.assembled
        # Once there is some, no other field is read: some servers send it in two fields.
        reasoning = self._reasoning.so_far.pieces or reasoning_pieces(choice) or self._parts
        if reasoning is self._parts and (text := piece.delta.reasoning):
            reasoning.append(text)  # from `reasoning_details` or parts of the content
        if reasoning and (event := self._reasoning.grow(reasoning)):
            events.append(event)
        if choice.text and (event := self._content.grow(choice.text)):
            self._reasoning.close(events)
            events.append(event)
        refusal = choice.pieces("refusal")
        if refusal and (event := self._refusal.grow(refusal)):
            self._reasoning.close(events)
            events.append(event)
        if calls := choice.calls:
            self._grow_calls(calls.take_changed(), events)
        if piece.logprobs is not None:
            self._grow_tokens("content", piece.logprobs.content, events)
            self._grow_tokens("refusal", piece.logprobs.refusal, events)

    def close(self, events: list[Event[T]]) -> None:
        """Append the events for all that is complete at the end of the choice."""
        self._close_texts(events)
        if self._tokens_open:
            self._tokens_open = False
            for kind, tokens in self._tokens.items():
                events.append(_TOKENS[kind][1](choice_index=self._index, tokens=tokens))
        for call in self._calls.values():
            call.close(self._decode_arguments, events)

    def _close_texts(self, events: list[Event[T]]) -> None:
        for text in (self._reasoning, self._content, self._refusal):
            text.close(events)

    def _grow_calls(self, calls: Iterable[dict[str, Any]], events: list[Event[T]]) -> None:
        for held in calls:
            function = held.get("function")  # the API has no events for custom tools
            if not isinstance(function, dict):
                continue
            call = self._calls.get(id(held))
            if begins := call is None:
                if not (function.get("name") or any(function.get("arguments") or ())):
                    continue  # nothing to report yet
                self._close_texts(events)
                # Pieces of several calls may alternate, so only what is whole is done here.
                if self._latest is not None and self._latest.is_whole:
                    self._latest.close(self._decode_arguments, events)
                text = TextSoFar([], self._index)
                call = GrowingCall(function, self._free_index(held["index"]), text)
                self._calls[id(held)] = self._latest = call
            if event := call.grow(begins=begins):
                events.append(event)

    def _free_index(self, index: int) -> int:
        """The index of a new call: some servers number all calls 0."""
        if index in self._indices:
            index = self._next_index
        self._indices.add(index)
        self._next_index = max(self._next_index, index + 1)
        return index

    def _grow_tokens(self, kind: str, new: list[Any] | None, events: list[Event[T]]) -> None:
        if new:
            tokens = self._tokens.setdefault(kind, [])
            # Their JSON, which the assembly has anyway: many objects that live for as long as the
            # stream would make the garbage collector work.
            tokens += [token._raw for token in new]
            self._tokens_open = True
            index, count = self._index, len(tokens)
            make = _TOKENS[kind][0]
            events.append(make(**{kind: new}, choice_index=index, tokens=tokens, count=count))


def _delta_maker(cls: type[E]) -> Callable[[str, TextSoFar, int], E]:
    """Makes the events of the texts, of which there is one for nearly every chunk: in a quarter of
    the time that the `__init__` of a frozen class takes.
    """
    twin: Any = without_hooks(cls)

    def make(delta: str, text: TextSoFar, count: int) -> E:
        event = twin()
        event.delta = delta
        event._text = text
        event._count = count
        event.__class__ = cls
        return event  # type: ignore[no-any-return]

    return make


_content_delta = _delta_maker(types.ContentDeltaEvent)
_refusal_delta = _delta_maker(types.RefusalDeltaEvent)
_reasoning_delta = _delta_maker(types.ReasoningDeltaEvent)


def _content_done(
    decode: Callable[[str], T] | None, text: str, choice_index: int
) -> types.ContentDoneEvent[T]:
    return types.ContentDoneEvent(content=text, choice_index=choice_index, decode=decode)


def _refusal_done(text: str, choice_index: int) -> types.RefusalDoneEvent:
    return types.RefusalDoneEvent(refusal=text, choice_index=choice_index)


def _reasoning_done(text: str, choice_index: int) -> types.ReasoningDoneEvent:
    return types.ReasoningDoneEvent(reasoning=text, choice_index=choice_index)


_TOKENS: dict[str, tuple[Any, Any]] = {
    "content": (types.LogprobsContentDeltaEvent, types.LogprobsContentDoneEvent),
    "refusal": (types.LogprobsRefusalDeltaEvent, types.LogprobsRefusalDoneEvent),
}
