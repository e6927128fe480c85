"""Whether a stream of events was whole, without parsing it.

httpx and the official SDK take the end of the body for the end of the answer. But a proxy or a
server that dies often ends the body properly, in the middle of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import StreamInterruptedError

# In JSON, a line cannot begin within a text, ...
_DONE = re.compile(rb"\ndata: ?\[DONE\]")
# ... and the quotes of a text have backslashes before them, so these are keys and values of events.
# Some gateways send `"error": null` in every chunk.
_ERROR = rb'"error"\s*:\s*["{]|"type"\s*:\s*"error"'
# By the end of the path: what says that an answer is complete.
_ENDS = {
    "/completions": rb'"finish_reason"\s*:\s*"[^"]',  # "" is what some send for "not yet"
    "/responses": rb'"response\.(completed|incomplete|failed)"',
    "/messages": rb'"message_stop"',
}
_PATTERNS = {path: re.compile(end + b"|" + _ERROR) for path, end in _ENDS.items()}
# No match is longer: what may be the first part of one is looked at again with the next bytes.
_LONGEST = 64


class EndOfStream:
    """Looks for the end of an answer in its bytes.

    Attributes:
        complete: the answer may end here.
        done: `[DONE]` has arrived: nothing that is worth reading follows.
    """

    def __init__(self, end: re.Pattern[bytes]) -> None:
        self._end = end
        self._tail = b"\n"
        self.complete = self.done = False

    @classmethod
    def of(cls, path: str, headers: Mapping[str, str]) -> EndOfStream | None:
        """`None` if it is not known how an answer of this kind ends."""
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
