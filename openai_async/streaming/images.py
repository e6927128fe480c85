"""Pictures as they are drawn: partial ones, then the completed one."""

from __future__ import annotations

from typing import Any

from ..http.request import Response
from ..types.images import (
    Downloader,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImageGenStreamEvent,
)
from .base import AsyncStream, Connect


class ImageStream(AsyncStream[ImageGenStreamEvent]):
    """Pictures as they are drawn: partial ones, then the completed one.

    Done when `n` pictures are completed; this endpoint sends no `[DONE]`.
    """

    def __init__(self, connect: Connect, *, n: int, download: Downloader) -> None:
        super().__init__(connect)
        self._n = self._missing = n
        self._download = download

    def _kind(self, value: dict[str, Any]) -> type[ImageGenStreamEvent]:
        if value.get("type") == "image_generation.partial_image":
            return ImageGenPartialImageEvent
        return ImageGenCompletedEvent

    def _structure(self, value: dict[str, Any]) -> ImageGenStreamEvent:
        event = super()._structure(value)
        event._download = self._download
        return event

    def _taken(self, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type") == "image_generation.completed":
            self._missing -= 1
        return value

    def _is_answer(self, value: Any) -> bool:
        return isinstance(value, dict) and bool(value.get("b64_json") or value.get("url"))

    @property
    def _empty(self) -> bool:
        return self._missing == self._n

    async def _begin(self, response: Response) -> None:
        self._missing = self._n
        await super()._begin(response)

    @property
    def _finished(self) -> bool:
        return self._missing <= 0
