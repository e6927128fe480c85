"""What each chunk adds to choice 0 of a chat completion, however the server formats it.

The chunks are assembled by the same rules as for `stream.completion()`, and what has grown is read
from the assembly. So the deltas add up to the completion: if the reasoning is sent twice, one copy
is read, and each piece of a tool call goes where the rules put it. Other choices are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from ..types.chat_chunk import ChatCompletionChunk
from ..types.think_tags import ThinkTagsOption, tags_for
from ..wire.assembly import Assembly
from ..wire.choice_assembly import ChoiceAssembly
from ..wire.merging import Text, joined
from .form import json_of
from .sources import sources_in, sources_of


class TextDelta(NamedTuple):
    """A piece of a text."""

    kind: Literal["reasoning", "text", "refusal"]
    text: str


class CallDelta(NamedTuple):
    """A piece of the arguments of a tool call."""

    call: Call
    begins: bool
    """The call begins, or begins again: the server has sent other arguments instead."""
    arguments: str


class SourceDelta(NamedTuple):
    """A web page that the answer cites."""

    number: int
    """1 for the first page, 2 for the next one, and so on, across all answers of a run."""
    url: str
    title: str
    """ "" if the server sends none."""


Delta: TypeAlias = TextDelta | CallDelta | SourceDelta


class Call:
    """A tool call, as far as the deltas have reported it. It begins with its first arguments: until
    then, its name may still grow.

    Attributes:
        index: 0 for the first call, 1 for the next one, and so on, across all answers of a run.
    """

    def __init__(self, held: dict[str, Any], index: int) -> None:
        self.index = index
        self._held = held
        self._begun_as: str | None = None
        self._told = 0
        """How many pieces the deltas have reported, and the last of them."""
        self._last = ""

    @property
    def sent_index(self) -> int:
        """The `index` in its chunks, by which the completion sorts the calls."""
        return int(self._held["index"])

    @property
    def id(self) -> str:
        """ "" if the server sends none."""
        return str(self._held.get("id") or "")

    @property
    def name(self) -> str:
        return str(self._function.get("name") or "")

    @property
    def arguments(self) -> str:
        """All of them so far: JSON, or the input of a custom tool."""
        return "".join(self._pieces)

    @property
    def is_custom(self) -> bool:
        """Whether its arguments are free text."""
        return "custom" in self._held

    @property
    def _function(self) -> dict[str, Any]:
        called = self._held.get("custom") or self._held.get("function")
        return called if isinstance(called, dict) else {}

    @property
    def _pieces(self) -> list[str]:
        held = self._function.get("input" if self.is_custom else "arguments")
        return held if isinstance(held, Text) else []

    def grow(self, *, last: bool = False) -> CallDelta | None:
        """What is new; with `last`, including what may have been a placeholder."""
        pieces, name = self._pieces, self.name
        # Some servers send `{}` before the arguments.
        if not last and (not name or not any(pieces) or (not self._told and pieces == ["{}"])):
            return None
        told = self._told
        if told and (len(pieces) < told or pieces[told - 1] != self._last):
            self._begun_as, told = None, 0
        new, begins = "".join(pieces[told:]), name != self._begun_as
        self._begun_as, self._told = name, len(pieces)
        self._last = pieces[-1] if pieces else ""
        return CallDelta(self, begins, new) if new or begins else None


class Deltas:
    """Takes the chunks of an answer for which `n` choices were requested, or of all the answers of
    a run of tools, one after the other.

    Attributes:
        id: of the completion.
    """

    def __init__(self, n: int, think_tags: ThinkTagsOption) -> None:
        self.id = ""
        self._think_tags: ThinkTagsOption = think_tags
        self._tags = tags_for(think_tags) if think_tags else None
        self._assembly = Assembly(single=n == 1)
        self._calls: dict[int, Call] = {}
        """By the `id()` of the call in the assembly."""
        self._earlier_calls = 0
        """How many calls there were in earlier answers."""
        self._refused = 0
        """How many pieces of the refusal the deltas have reported."""
        self._sources: dict[str, str] = {}
        """The titles of the pages that are cited, by URL."""
        self._told_sources = 0

    @property
    def finish_reason(self) -> str | None:
        choice = self._choice
        return None if choice is None else choice.finish_reason

    @property
    def calls(self) -> list[Call]:
        """The calls of this answer, in the order in which the completion has them."""
        return sorted(self._calls.values(), key=lambda call: call.sent_index)

    def next_answer(self) -> None:
        """Start over: the chunks that follow belong to the next answer of the run."""
        self._earlier_calls += len(self._calls)
        self._calls = {}
        self._assembly = Assembly(single=True)
        self._tags = tags_for(self._think_tags) if self._think_tags else None
        self._refused = 0
        self.id = ""

    def of(self, chunk: ChatCompletionChunk) -> Iterator[Delta]:
        """What a chunk adds."""
        self.id = self.id or chunk.id
        value = json_of(chunk)
        if "citations" in value or "search_results" in value:
            self._cite(sources_in(value))
        added = self._assembly.add(value)
        text, reasoning = (chunk.text, chunk.reasoning) if added is None else added
        if self._tags is not None:
            thought, text = self._tags.split(text or "")
            reasoning = (reasoning or "") + thought
        if reasoning:
            yield TextDelta("reasoning", reasoning)
        if text:
            yield TextDelta("text", text)
        if (choice := self._choice) is None:
            return
        refusal = choice.pieces("refusal")
        if isinstance(refusal, Text) and (new := "".join(refusal[self._refused :])):
            self._refused = len(refusal)
            yield TextDelta("refusal", new)
        for held in choice.calls.take_changed() if choice.calls else ():
            index = self._earlier_calls + len(self._calls)
            call = self._calls.setdefault(id(held), Call(held, index))
            if (delta := call.grow()) is not None:
                yield delta

    def end(self) -> Iterator[Delta]:
        """What was held back until the end of the answer."""
        if self._tags is not None:
            thought, text = self._tags.split("", last=True)
            if thought:
                yield TextDelta("reasoning", thought)
            if text:
                yield TextDelta("text", text)
        for call in self._calls.values():
            if (delta := call.grow(last=True)) is not None:
                yield delta
        if (choice := self._choice) is not None:
            self._cite(sources_of(joined(choice.pieces("annotations"))))
        for number, (url, title) in enumerate(self._sources.items(), 1):
            if number > self._told_sources:
                yield SourceDelta(number, url, title)
        self._told_sources = len(self._sources)

    def _cite(self, pages: Iterable[tuple[str, str]]) -> None:
        for url, title in pages:
            self._sources[url] = title or self._sources.get(url, "")

    @property
    def _choice(self) -> ChoiceAssembly | None:
        found = self._assembly.choice_of(0)
        return None if found is None else found[1]
