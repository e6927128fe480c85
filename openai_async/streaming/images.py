"""Streamed pictures, generated or edited: partial ones, then the completed one."""

from __future__ import annotations

from typing import Any, TypeVar

from ..types.images import Downloader, Picture
from .answer import Answer, Received
from .base import AsyncStream
from .raw import Connect

Event = TypeVar("Event", bound=Picture)


class ImageAnswer(Answer):
    """Pictures that are being received: done when all that were requested are completed."""

    __slots__ = ("_missing", "_n")

    def __init__(self, n: int) -> None:
        self._n = self._missing = n

    def take(self, value: dict[str, Any], data: bytes = b"") -> dict[str, Any]:
        if str(value.get("type")).endswith(".completed"):
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


class ImageStream(AsyncStream[Event]):
    """Streamed pictures: partial ones, then the completed one.

    It ends when `n` pictures are completed; these endpoints send no `[DONE]`.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        events: tuple[type[Event], type[Event]],
        n: int,
        download: Downloader,
    ) -> None:
        super().__init__(connect)
        self._partial, self._completed = events
        self._n = n
        self._download = download

    def _new_answer(self) -> Answer:
        return ImageAnswer(self._n)

    def _kind(self, value: Received) -> type[Event]:
        partial = str(value.get("type")).endswith(".partial_image")
        return self._partial if partial else self._completed

    def _structure(self, value: Received) -> Event:
        event = super()._structure(value)
        event._download = self._download
        return event
