"""Whether a stream of events was whole, without parsing it.

httpx and the official SDK take the end of the body for the end of the answer. But a proxy or a
server that dies often ends the body properly, in the middle of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import StreamInterruptedError

_DONE = b"[DONE]"
# By the end of the path: what says, in an event or its name, that an answer is complete. In a text
# of the model, the quotes would have backslashes before them.
_ENDS: dict[str, tuple[bytes, ...]] = {
    "/completions": (b'"finish_reason":"', b'"finish_reason": "', b'"error"'),
    "/responses": (
        *(b'"response.completed"', b'"response.incomplete"', b'"response.failed"'),
        b'"error"',
    ),
    "/messages": (b'"message_stop"', b'"error"'),
}
_LONGEST = max(len(end) for ends in _ENDS.values() for end in ends)


class EndOfStream:
    """Looks for the end of an answer in its bytes; `complete` once it was there."""

    def __init__(self, ends: tuple[bytes, ...]) -> None:
        self._ends = (_DONE, *ends)
        self._tail = b""
        self.complete = False

    @classmethod
    def of(cls, path: str, headers: Mapping[str, str]) -> EndOfStream | None:
        """`None` if it is not known how an answer of this kind ends."""
        if not headers.get("Content-Type", "").startswith("text/event-stream"):
            return None
        found = (ends for end, ends in _ENDS.items() if path.endswith(end))
        return cls(ends) if (ends := next(found, None)) is not None else None

    def feed(self, data: bytes) -> None:
        if not self.complete:
            data = self._tail + data
            self.complete = any(end in data for end in self._ends)
            self._tail = data[-_LONGEST:]

    def error(self) -> StreamInterruptedError:
        return StreamInterruptedError("The stream ended before the answer was complete.")
