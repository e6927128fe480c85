"""What whole and streamed chat completions share: finish reasons and usage."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

from .base import APIObject, note_change
from .normalize import finish_reason

FinishReason: TypeAlias = (
    Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | str
)

FINISH_REASON = {
    "read": finish_reason,
    "as_is": frozenset(("stop", "length", "tool_calls", "content_filter", "function_call")),
}


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CompletionTokensDetails(APIObject):
    """What the completion tokens were used for."""

    accepted_prediction_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class PromptTokensDetails(APIObject):
    """What the prompt tokens were used for."""

    audio_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    image_tokens: int | None = None
    text_tokens: int | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CompletionUsage(APIObject):
    """Tokens used by a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_tokens_details: PromptTokensDetails | None = None

    @property
    def estimated(self) -> bool:
        """Whether these are not the server's numbers, but an estimate; see
        `ChatCompletionStream.usage`.
        """
        return False


class EstimatedUsage(CompletionUsage):
    """Tokens as estimated from the length of the texts: `.estimated` is True."""

    __slots__ = ()

    @property
    def estimated(self) -> bool:
        return True
