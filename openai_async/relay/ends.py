"""Whether a stream of events is complete, without parsing it.

httpx and the official SDK take the end of the body for the end of the answer. But a server or proxy
that dies in the middle of an answer often still ends the body properly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import StreamInterruptedError

# In JSON, a string cannot contain a line break, ...
_DONE = re.compile(rb"\ndata: ?\[DONE\]")
# ... and quotes inside a string are escaped, so these are keys and values of events.
# Some gateways send `"error": null` in every chunk.
_ERROR = rb'"error"\s*:\s*["{]|"type"\s*:\s*"error"'
# What marks a complete answer, by the last part of the request's path.
_ENDS = {
    "/completions": rb'"finish_reason"\s*:\s*"[^"]',  # some send "" for "not yet"
    "/responses": rb'"response\.(completed|incomplete|failed)"',
    "/messages": rb'"message_stop"',
}
_PATTERNS = {path: re.compile(end + b"|" + _ERROR) for path, end in _ENDS.items()}
# No match is longer. The last bytes may be the start of one: they are searched again with the next.
_LONGEST = 64


class EndOfStream:
    """Looks for the end of an answer in its bytes.

    Attributes:
        complete: the answer may end here.
        done: `[DONE]` has arrived; nothing worth reading follows.
    """

    def __init__(self, end: re.Pattern[bytes]) -> None:
        self._end = end
        self._tail = b"\n"
        self.complete = self.done = False

    @classmethod
    def of(cls, path: str, headers: Mapping[str, str]) -> EndOfStream | None:
        """`None` if it is not known how such an answer ends."""
        if not headers.get("Content-Type", "").lower().startswith("text/event-stream"):
            return None
        return next((cls(end) for tail, end in _PATTERNS.items() if path.endswith(tail)), None)

    def feed(self, data: bytes) -> None:
        if self.done:
            return
        data = self._tail + data
        self._tail = data[-_LONGEST:]
        self.done = _DONE.search(data) is not None
        self.complete = self.complete or self.done or self._end.search(data) is not None

    def error(self) -> StreamInterruptedError:
        return StreamInterruptedError("The stream ended before the answer was complete.")
