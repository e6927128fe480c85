"""The iterator of an `async for` over a stream: it reads, and hangs up when the loop is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from ..errors import APIError
from ..types.values import MalformedError
from .answer import Received

T = TypeVar("T")


class Source(Protocol):
    """What a reader needs from a stream."""

    _ready: list[Received]
    """Events that have not been requested yet, the next one last."""

    async def _more(self) -> None:
        """Wait until an event is ready; `StopAsyncIteration` at the end."""

    def _misread(self, value: Received) -> APIError:
        """The failure for an event with parts of the wrong shape."""
        ...

    def _leave(self) -> None:
        """Close without waiting."""


class Reader(Generic[T]):
    """The iterator of one `async for`.

    Python does not notify an iterator when its loop is left by `break` or an exception. But nothing
    else refers to this object, so it is deleted at that moment, and leaves the stream.
    """

    __slots__ = ("_begun", "_convert", "_stream")

    def __init__(self, stream: Source, convert: Callable[[Received], T | None]) -> None:
        self._stream = stream
        self._convert = convert
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next event that `convert` does not turn into `None`."""
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
        # Outside the `except`: that error may quote the API key, so it must not be the context.
        raise stream._misread(value)

    def __del__(self) -> None:
        if self._begun:  # if not, another task may be reading the stream
            self._stream._leave()
