"""The iterator of an `async for` over a stream: it reads, and hangs up when the loop is left.

After a `break`, another loop over the same stream may follow, so the stream is only paused. In all
other cases (an exception, cancellation, `del`), it is closed at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from opcode import opmap
from typing import Generic, Protocol, Self, TypeVar

from ..errors import APIError
from ..types.values import MalformedError
from .answer import Received

# The bytecode instructions with which `break` and `return` drop the iterator of their loop; the
# second is new in Python 3.14.
_DROP = {opmap[name] for name in ("POP_TOP", "POP_ITER") if name in opmap}

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

    def _pause(self) -> None:
        """Close soon, unless it is read again."""

    def _leave(self) -> None:
        """Close without waiting."""


class Reader(Generic[T]):
    """The iterator of one `async for`.

    Python does not notify an iterator when its loop is left by `break` or an exception. But nothing
    else refers to this object, so it is deleted at that moment, and pauses or leaves the stream. If
    nothing else refers to the stream, it is deleted as well, and closed.
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
                try:
                    await stream._more()
                except StopAsyncIteration:
                    self._begun = False  # there is nothing to leave any more
                    if (rest := self._rest()) is not None:
                        return rest
                    raise
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

    def _rest(self) -> T | None:
        """What is still to be delivered at the end of the stream."""
        return None

    def __del__(self) -> None:
        if not self._begun:  # another task may be reading the stream
            return
        if _after_break():
            self._stream._pause()
        else:
            self._stream._leave()


def _after_break() -> bool:
    """Whether the calling `__del__` runs because of a `break` or a `return`."""
    loop = sys._getframe(1).f_back
    return loop is not None and loop.f_code.co_code[loop.f_lasti] in _DROP
