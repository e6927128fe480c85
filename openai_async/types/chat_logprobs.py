"""Log probabilities of the tokens of a chat completion, if they were requested."""

from __future__ import annotations

from attrs import Factory, define

from .base import APIObject, note_change


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class TopLogprob(APIObject):
    """One of the most likely tokens at a position."""

    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionTokenLogprob(APIObject):
    """A token and how likely it was."""

    token: str = ""
    logprob: float = 0.0
    """Natural logarithm; -9999.0 stands for "very unlikely"."""
    bytes: list[int] | None = None
    """The token's UTF-8 bytes: a character may be spread over several tokens."""
    top_logprobs: list[TopLogprob] = Factory(list)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChoiceLogprobs(APIObject):
    """Log probabilities of the tokens of a choice."""

    content: list[ChatCompletionTokenLogprob] | None = None
    refusal: list[ChatCompletionTokenLogprob] | None = None
