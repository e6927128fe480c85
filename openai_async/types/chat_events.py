"""The events of `client.chat.completions.stream(...)`: what arrives, and what it adds up to.

Type checkers narrow an event by its `type`. An event is made for every piece of an answer, so it
holds only what is new; what came before is put together when `snapshot` is read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeAlias

from attrs import field, frozen

from .chat_chunk import ChatCompletionChunk
from .chat_logprobs import ChatCompletionTokenLogprob
from .growing_text import TextSoFar, partial_json
from .structuring import structurer

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .chat_completion import ChatCompletion

    T = TypeVar("T", default=None)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "ChatCompletionStreamEvent",
    "ChunkEvent",
    "ContentDeltaEvent",
    "ContentDoneEvent",
    "FunctionToolCallArgumentsDeltaEvent",
    "FunctionToolCallArgumentsDoneEvent",
    "LogprobsContentDeltaEvent",
    "LogprobsContentDoneEvent",
    "LogprobsRefusalDeltaEvent",
    "LogprobsRefusalDoneEvent",
    "ReasoningDeltaEvent",
    "ReasoningDoneEvent",
    "RefusalDeltaEvent",
    "RefusalDoneEvent",
]


class _SoFar(Protocol):
    """An answer that is still arriving."""

    def completion(self) -> ChatCompletion:
        """The completion so far."""
        ...


@frozen(kw_only=True, weakref_slot=False)
class ChunkEvent:
    """A chunk, as it arrived. The events that follow say what is new in it."""

    type: ClassVar[Literal["chunk"]] = "chunk"
    chunk: ChatCompletionChunk
    _so_far: _SoFar = field(repr=False, eq=False)

    @property
    def snapshot(self) -> ChatCompletion:
        """The completion so far. If you read it later, it includes what has arrived since."""
        return self._so_far.completion()


@frozen(kw_only=True, weakref_slot=False)
class _TextDeltaEvent:
    delta: str
    """The new text, never empty."""
    _text: TextSoFar = field(repr=False, eq=False)
    _count: int = field(repr=False)

    @property
    def choice_index(self) -> int:
        """The choice that it belongs to: 0, unless `n` choices were requested."""
        return self._text.choice_index

    @property
    def snapshot(self) -> str:
        """The text up to and including this piece."""
        return self._text.after(self._count)


@frozen(kw_only=True, weakref_slot=False)
class ContentDeltaEvent(_TextDeltaEvent):
    """A piece of the text of the answer."""

    type: ClassVar[Literal["content.delta"]] = "content.delta"

    @property
    def parsed(self) -> object:
        """With `response_format=T`: the value so far, as dicts and lists; the last string may be
        unfinished. `None` if there is none yet.
        """
        read = self._text.read_json
        return None if read is None else read(self.snapshot)


@frozen(kw_only=True, weakref_slot=False)
class ContentDoneEvent(Generic[T]):
    """The text of the answer is complete."""

    type: ClassVar[Literal["content.done"]] = "content.done"
    content: str
    choice_index: int
    _decode: Callable[[str], T] | None = field(default=None, alias="decode", repr=False, eq=False)

    @cached_property
    def parsed(self) -> T | None:
        """With `response_format=T`: the answer as a `T`.

        Raises:
            APIResponseValidationError: it is not a `T`.
        """
        return None if self._decode is None else self._decode(self.content)


@frozen(kw_only=True, weakref_slot=False)
class RefusalDeltaEvent(_TextDeltaEvent):
    """A piece of a refusal."""

    type: ClassVar[Literal["refusal.delta"]] = "refusal.delta"


@frozen(kw_only=True, weakref_slot=False)
class RefusalDoneEvent:
    """The refusal is complete."""

    type: ClassVar[Literal["refusal.done"]] = "refusal.done"
    refusal: str
    choice_index: int


@frozen(kw_only=True, weakref_slot=False)
class ReasoningDeltaEvent(_TextDeltaEvent):
    """A piece of the model's reasoning. The official SDK has no such event."""

    type: ClassVar[Literal["reasoning.delta"]] = "reasoning.delta"


@frozen(kw_only=True, weakref_slot=False)
class ReasoningDoneEvent:
    """The reasoning is complete."""

    type: ClassVar[Literal["reasoning.done"]] = "reasoning.done"
    reasoning: str
    choice_index: int


@frozen(kw_only=True, weakref_slot=False)
class FunctionToolCallArgumentsDeltaEvent:
    """A tool call begins, or a piece of its arguments has arrived."""

    type: ClassVar[Literal["tool_calls.function.arguments.delta"]] = (
        "tool_calls.function.arguments.delta"
    )
    name: str
    index: int
    """The `index` of the tool call; if a server numbers two calls alike, the next free one."""
    arguments_delta: str
    """The new piece; "" in the first event of a call whose arguments are yet to come."""
    _text: TextSoFar = field(repr=False, eq=False)
    _count: int = field(repr=False)

    @property
    def choice_index(self) -> int:
        """The choice that the call belongs to."""
        return self._text.choice_index

    @property
    def arguments(self) -> str:
        """The arguments so far: JSON text, cut off anywhere."""
        return self._text.after(self._count)

    @property
    def parsed_arguments(self) -> object:
        """The arguments so far, as dicts and lists; the last string may be unfinished. `None` if
        they are not the start of JSON.
        """
        return partial_json(self.arguments)


@frozen(kw_only=True, weakref_slot=False)
class FunctionToolCallArgumentsDoneEvent:
    """The arguments of a tool call are complete."""

    type: ClassVar[Literal["tool_calls.function.arguments.done"]] = (
        "tool_calls.function.arguments.done"
    )
    name: str
    index: int
    arguments: str
    """JSON text as the model wrote it; it may be invalid."""
    choice_index: int
    _decode: Callable[[str, str], object] = field(alias="decode", repr=False, eq=False)

    @cached_property
    def parsed_arguments(self) -> object:
        """The arguments as the tool's type, or as dicts and lists.

        Raises:
            APIResponseValidationError: they are not valid.
        """
        return self._decode(self.name, self.arguments)


@frozen(kw_only=True, weakref_slot=False)
class _LogprobsDeltaEvent:
    choice_index: int
    _tokens: list[dict[str, Any]] = field(repr=False, eq=False)
    _count: int = field(repr=False)

    @property
    def snapshot(self) -> list[ChatCompletionTokenLogprob]:
        """The tokens so far."""
        return _structured(self._tokens[: self._count])


@frozen(kw_only=True, weakref_slot=False)
class _LogprobsDoneEvent:
    choice_index: int
    _tokens: list[dict[str, Any]] = field(repr=False, eq=False)


@frozen(kw_only=True, weakref_slot=False)
class LogprobsContentDeltaEvent(_LogprobsDeltaEvent):
    """Log probabilities of new tokens of the content."""

    type: ClassVar[Literal["logprobs.content.delta"]] = "logprobs.content.delta"
    content: list[ChatCompletionTokenLogprob]


@frozen(kw_only=True, weakref_slot=False)
class LogprobsContentDoneEvent(_LogprobsDoneEvent):
    """The log probabilities of the content are complete."""

    type: ClassVar[Literal["logprobs.content.done"]] = "logprobs.content.done"

    @cached_property
    def content(self) -> list[ChatCompletionTokenLogprob]:
        """All tokens."""
        return _structured(self._tokens)


@frozen(kw_only=True, weakref_slot=False)
class LogprobsRefusalDeltaEvent(_LogprobsDeltaEvent):
    """Log probabilities of new tokens of the refusal."""

    type: ClassVar[Literal["logprobs.refusal.delta"]] = "logprobs.refusal.delta"
    refusal: list[ChatCompletionTokenLogprob]


@frozen(kw_only=True, weakref_slot=False)
class LogprobsRefusalDoneEvent(_LogprobsDoneEvent):
    """The log probabilities of the refusal are complete."""

    type: ClassVar[Literal["logprobs.refusal.done"]] = "logprobs.refusal.done"

    @cached_property
    def refusal(self) -> list[ChatCompletionTokenLogprob]:
        """All tokens."""
        return _structured(self._tokens)


def _structured(tokens: list[dict[str, Any]]) -> list[ChatCompletionTokenLogprob]:
    return structurer(list[ChatCompletionTokenLogprob])(tokens)


ChatCompletionStreamEvent: TypeAlias = (
    ChunkEvent
    | ReasoningDeltaEvent
    | ReasoningDoneEvent
    | ContentDeltaEvent
    | ContentDoneEvent[T]
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | FunctionToolCallArgumentsDeltaEvent
    | FunctionToolCallArgumentsDoneEvent
    | LogprobsContentDeltaEvent
    | LogprobsContentDoneEvent
    | LogprobsRefusalDeltaEvent
    | LogprobsRefusalDoneEvent
)
