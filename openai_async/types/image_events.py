"""The events of streamed pictures, generated or edited: partial ones, then the completed one.

https://platform.openai.com/docs/api-reference/images-streaming
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

from .base import note_change
from .images import ImagesUsage, Picture


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class _ImageEvent(Picture):
    created_at: int = 0
    """Unix time, in seconds."""
    size: str = ""
    quality: str = ""
    background: str = ""
    output_format: str = ""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class _PartialImageEvent(_ImageEvent):
    partial_image_index: int = 0


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class _CompletedEvent(_ImageEvent):
    safety_identifier: str | None = None
    usage: ImagesUsage | None = None


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageGenPartialImageEvent(_PartialImageEvent):
    """A partial picture."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageGenCompletedEvent(_CompletedEvent):
    """The finished picture."""

    type: Literal["image_generation.completed"] = "image_generation.completed"


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageEditPartialImageEvent(_PartialImageEvent):
    """A partial edited picture."""

    type: Literal["image_edit.partial_image"] = "image_edit.partial_image"


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ImageEditCompletedEvent(_CompletedEvent):
    """The finished edited picture."""

    type: Literal["image_edit.completed"] = "image_edit.completed"


ImageGenStreamEvent: TypeAlias = ImageGenPartialImageEvent | ImageGenCompletedEvent
ImageEditStreamEvent: TypeAlias = ImageEditPartialImageEvent | ImageEditCompletedEvent
