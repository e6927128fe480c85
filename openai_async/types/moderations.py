"""The Moderations API: https://platform.openai.com/docs/api-reference/moderations"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

from attrs import define, field
from typing_extensions import TypedDict

from ..options import BaseRequestOptions
from .base import APIObject, APIResponse, note_change
from .chat_message_params import ImageURL


class ModerationTextInputParam(TypedDict):
    type: Literal["text"]
    text: str


class ModerationImageURLInputParam(TypedDict):
    """What `image_part()` returns."""

    type: Literal["image_url"]
    image_url: ImageURL


ModerationMultiModalInputParam: TypeAlias = ModerationTextInputParam | ModerationImageURLInputParam


class _Required(TypedDict):
    # A separate class, so that `__required_keys__` lists it: see `chat_params`.
    # A text, several texts (one result each), or the parts of one input (one result): texts and
    # pictures. One sequence type covers both lists: given two, type checkers cannot tell which of
    # them a list of dicts belongs to.
    input: str | Sequence[str | ModerationMultiModalInputParam]


class ModerationCreateParams(_Required, BaseRequestOptions, total=False, closed=True):
    """The parameters of `moderations.create`. Those left out are not sent."""

    # Default: "omni-moderation-latest".
    model: Literal["omni-moderation-latest", "omni-moderation-2024-09-26"] | str


_KEYS = {
    "harassment_threatening": "harassment/threatening",
    "hate_threatening": "hate/threatening",
    "illicit_violent": "illicit/violent",
    "self_harm": "self-harm",
    "self_harm_instructions": "self-harm/instructions",
    "self_harm_intent": "self-harm/intent",
    "sexual_minors": "sexual/minors",
    "violence_graphic": "violence/graphic",
}


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Categories(APIObject):
    """Whether an input falls into each category; other servers' categories are in `.extra`."""

    _keys: ClassVar[Mapping[str, str]] = _KEYS

    harassment: bool = False
    harassment_threatening: bool = False
    hate: bool = False
    hate_threatening: bool = False
    illicit: bool | None = None
    illicit_violent: bool | None = None
    self_harm: bool = False
    self_harm_instructions: bool = False
    self_harm_intent: bool = False
    sexual: bool = False
    sexual_minors: bool = False
    violence: bool = False
    violence_graphic: bool = False


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CategoryScores(APIObject):
    """How sure the model is of each category, from 0 to 1."""

    _keys: ClassVar[Mapping[str, str]] = _KEYS

    harassment: float = 0.0
    harassment_threatening: float = 0.0
    hate: float = 0.0
    hate_threatening: float = 0.0
    illicit: float = 0.0
    illicit_violent: float = 0.0
    self_harm: float = 0.0
    self_harm_instructions: float = 0.0
    self_harm_intent: float = 0.0
    sexual: float = 0.0
    sexual_minors: float = 0.0
    violence: float = 0.0
    violence_graphic: float = 0.0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class CategoryAppliedInputTypes(APIObject):
    """Which kinds of input each score is based on: "text", "image", or both."""

    _keys: ClassVar[Mapping[str, str]] = _KEYS

    harassment: list[str] = field(factory=list)
    harassment_threatening: list[str] = field(factory=list)
    hate: list[str] = field(factory=list)
    hate_threatening: list[str] = field(factory=list)
    illicit: list[str] = field(factory=list)
    illicit_violent: list[str] = field(factory=list)
    self_harm: list[str] = field(factory=list)
    self_harm_instructions: list[str] = field(factory=list)
    self_harm_intent: list[str] = field(factory=list)
    sexual: list[str] = field(factory=list)
    sexual_minors: list[str] = field(factory=list)
    violence: list[str] = field(factory=list)
    violence_graphic: list[str] = field(factory=list)


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Moderation(APIObject):
    """What the model found in one input."""

    flagged: bool = field(default=False, metadata={"essential": True})
    categories: Categories = field(factory=Categories)
    category_scores: CategoryScores = field(factory=CategoryScores)
    category_applied_input_types: CategoryAppliedInputTypes = field(
        factory=CategoryAppliedInputTypes
    )


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModerationCreateResponse(APIResponse):
    """The results, in the order of the inputs."""

    _requires: ClassVar[str] = "results"

    id: str = ""
    model: str = ""
    results: list[Moderation] = field(factory=list, metadata={"essential": True})
