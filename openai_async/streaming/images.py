"""Streamed pictures: partial ones, then the completed one."""

from __future__ import annotations

from typing import Any

from ..types.images import (
    Downloader,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImageGenStreamEvent,
)
from .answer import Answer, Received
from .base import AsyncStream
from .raw import Connect


class ImageAnswer(Answer):
    """Pictures that are being received: done when all that were requested are completed."""

    __slots__ = ("_missing", "_n")

    def __init__(self, n: int) -> None:
        self._n = self._missing = n

    def take(self, value: dict[str, Any], data: bytes = b"") -> dict[str, Any]:
        if value.get("type") == "image_generation.completed":
            self._missing -= 1
        return value

    def has_part(self, value: dict[str, Any]) -> bool:
        return bool(value.get("b64_json") or value.get("url"))

    @property
    def empty(self) -> bool:
        return self._missing == self._n

    @property
    def finished(self) -> bool:
        return self._missing <= 0


class ImageStream(AsyncStream[ImageGenStreamEvent]):
    """Streamed pictures: partial ones, then the completed one.

    It ends when `n` pictures are completed; this endpoint sends no `[DONE]`.
    """

    def __init__(self, connect: Connect, *, n: int, download: Downloader) -> None:
        super().__init__(connect)
        self._n = n
        self._download = download

    def _new_answer(self) -> Answer:
        return ImageAnswer(self._n)

    def _kind(self, value: Received) -> type[ImageGenStreamEvent]:
        if value.get("type") == "image_generation.partial_image":
            return ImageGenPartialImageEvent
        return ImageGenCompletedEvent

    def _structure(self, value: Received) -> ImageGenStreamEvent:
        event = super()._structure(value)
        event._download = self._download
        return event
