"""The events of a streamed chat completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, setters

from .._submodules import LazyModule
from .base import APIObject, note_change
from .chat_common import FINISH_REASON, CompletionUsage, FinishReason
from .normalize import content_text
from .reasoning import reasoning_text

if TYPE_CHECKING:
    from . import chat_logprobs, chat_message_parts, chat_moderation
else:
    chat_logprobs = LazyModule(f"{__package__}.chat_logprobs")
    chat_message_parts = LazyModule(f"{__package__}.chat_message_parts")
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
    audio: chat_message_parts.ChoiceDeltaAudio | None = None

    @property
    def reasoning(self) -> str | None:
        """The reasoning in this delta, whatever the vendor calls it."""
        return reasoning_text(self._raw)


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
    """Only in the last chunk, and there only with `stream_options={"include_usage": True}`, for
    nearly all servers; see `ChatCompletionStream.usage`."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    """Padding that hides the length of the text from anyone watching the network."""
    moderation: chat_moderation.ChatCompletionModeration | None = None
    _added: tuple[str, str] | None = field(
        default=None, init=False, repr=False, eq=False, on_setattr=setters.NO_OP
    )

    @property
    def text(self) -> str:
        """The text this chunk adds to choice 0, without any reasoning; "" if none."""
        if self._added is not None:  # not just what is in a delta
            return self._added[0]
        return "".join(c.delta.content or "" for c in self.choices if c.index == 0)

    @property
    def reasoning(self) -> str:
        """The reasoning this chunk adds to choice 0, whatever the vendor calls it; "" if none."""
        if self._added is not None:
            return self._added[1]
        return "".join(c.delta.reasoning or "" for c in self.choices if c.index == 0)
