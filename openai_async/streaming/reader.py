"""What an `async for` over a stream holds: it reads on, and hangs up when the loop is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar

from ..errors import APIError
from ..types.values import MalformedError

T = TypeVar("T")


class Source(Protocol):
    """What a reader needs of a stream."""

    _ready: list[dict[str, Any]]
    """Events that nobody has asked for yet, the next one last."""

    async def _more(self) -> None:
        """See to it that an event is ready; `StopAsyncIteration` at the end."""

    def _misread(self, value: dict[str, Any]) -> APIError:
        """The failure of an event whose parts have the wrong shape."""

    def _leave(self) -> None:
        """Hang up without waiting."""


class Reader(Generic[T]):
    """The iterator of one `async for`.

    Python does not tell an iterator that its loop was left by `break` or an exception. But nothing
    else holds this object, so that it is deleted at that moment, and hangs up.
    """

    __slots__ = ("_begun", "_convert", "_stream")

    def __init__(self, stream: Source, convert: Callable[[dict[str, Any]], T | None]) -> None:
        self._stream = stream
        self._convert = convert
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next event that `convert` makes something of."""
        stream = self._stream
        ready = stream._ready
        while True:
            if not ready:
                await stream._more()
                continue
            self._begun = True
            value = ready.pop()
            try:
                converted = self._convert(value)
            except MalformedError:
                break
            if converted is not None:
                return converted
        # Out here, where that error, which may quote the API key, is no context of this one.
        raise stream._misread(value)

    def __del__(self) -> None:
        if self._begun:  # who has read nothing (another task is reading) ends nothing
            self._stream._leave()
