"""What an `async for` over a stream holds: it reads on, and hangs up when the loop is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..errors import APIResponseValidationError

if TYPE_CHECKING:
    from .base import AsyncStream

T = TypeVar("T")


class Reader(Generic[T]):
    """The iterator of one `async for`.

    Python does not tell an iterator that its loop was left by `break` or an exception. But nothing
    else holds this object, so that it is deleted at that moment, and hangs up.
    """

    __slots__ = ("_begun", "_convert", "_stream")

    def __init__(
        self, stream: AsyncStream[Any], convert: Callable[[dict[str, Any]], T | None]
    ) -> None:
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
            except APIResponseValidationError:
                break
            if converted is not None:
                return converted
        # Out here, where that error, which may quote the API key, is no context of this one.
        raise stream._misread(value)

    def __del__(self) -> None:
        if self._begun:  # who has read nothing (another task is reading) ends nothing
            self._stream._leave()
