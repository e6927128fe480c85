"""Moderation of a chat completion, if it was requested."""

from __future__ import annotations

from attrs import Factory, define

from .base import APIObject, note_change


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModerationResult(APIObject):
    """What a moderation model found."""

    type: str = "moderation_result"
    model: str = ""
    flagged: bool = False
    categories: dict[str, bool] = Factory(dict)
    category_scores: dict[str, float] = Factory(dict)
    category_applied_input_types: dict[str, list[str]] = Factory(dict)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModerationOutcome(APIObject):
    """Results (`type` "moderation_results") or, with `type` "error", why there are none."""

    type: str = "moderation_results"
    model: str | None = None
    results: list[ModerationResult] | None = None
    code: str | None = None
    message: str | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ChatCompletionModeration(APIObject):
    """Moderation of the input and the output, if it was requested."""

    input: ModerationOutcome | None = None
    output: ModerationOutcome | None = None
