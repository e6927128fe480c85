"""The events of a streamed chat completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, setters

from .._submodules import LazyModule
from .base import APIObject, note_change
from .chat_common import FINISH_REASON, CompletionUsage, FinishReason
from .normalize import content_text

if TYPE_CHECKING:
    from . import chat_logprobs, chat_moderation
else:
    chat_logprobs = LazyModule(f"{__package__}.chat_logprobs")
    chat_moderation = LazyModule(f"{__package__}.chat_moderation")


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaFunction(APIObject):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaCustom(APIObject):
    """A piece of a custom tool call."""

    name: str | None = None
    input: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDeltaToolCall(APIObject):
    """A piece of a tool call; pieces of one call share its `index`."""

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: ChoiceDeltaFunction | None = None
    custom: ChoiceDeltaCustom | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceDelta(APIObject):
    """What a chunk adds to the message."""

    content: str | None = field(default=None, metadata={"read": content_text, "as_is": str})
    role: str | None = None
    refusal: str | None = None
    tool_calls: list[ChoiceDeltaToolCall] | None = None
    function_call: ChoiceDeltaFunction | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChunkChoice(APIObject):
    """What a chunk adds to one choice."""

    index: int = 0
    delta: ChoiceDelta = field(factory=ChoiceDelta, metadata={"essential": True})
    finish_reason: FinishReason | None = field(default=None, metadata=FINISH_REASON)
    logprobs: chat_logprobs.ChoiceLogprobs | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionChunk(APIObject):
    """One event of a streamed answer."""

    id: str = ""
    object: str = "chat.completion.chunk"
    created: int = 0
    model: str = ""
    choices: list[ChunkChoice] = field(factory=list, metadata={"essential": True})
    usage: CompletionUsage | None = None
    """Only in the last chunk, with `stream_options={"include_usage": True}`."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    """Padding that hides the length of the text from anyone watching the network."""
    moderation: chat_moderation.ChatCompletionModeration | None = None
    _text: str | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )

    @property
    def text(self) -> str:
        """The text this chunk adds to choice 0; "" if none."""
        if self._text is not None:  # the text is not in a delta
            return self._text
        return "".join(c.delta.content or "" for c in self.choices if c.index == 0)
