"""Server-sent events: bytes in, events out, no I/O.

The algorithm is that of the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream"
(https://html.spec.whatwg.org/multipage/server-sent-events.html), however the bytes are split. Three
things differ, because this is a client for one answer and not a browser's EventSource: `data` stays
bytes, for the JSON parser; an event after the last blank line is not dropped but returned by
`flush()`, since some servers end without a blank line; and lines to be ignored are kept in `stray`,
since they are often all that a failing server says about its failure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# The limit for one event. A base64 picture of 4096 x 4096 pixels is about 30 MB, and no server
# sends larger events; without a limit, an endless line would fill the memory.
MAX_EVENT_SIZE = 64 * 1024 * 1024

# How many bytes of stray lines to keep: enough for an error object, or the start of a page.
MAX_STRAY = 64 * 1024

_BOM = b"\xef\xbb\xbf"
# llama.cpp has sent its errors in a field named "error".
_FIELDS = frozenset({b"data", b"event", b"id", b"retry", b"error"})


def is_done(data: bytes) -> bool:
    """Whether data marks the end of the stream: `[DONE]`, or what gateways turn it into."""
    return data.startswith(b"[DONE]") or (
        len(data) <= 16 and data.strip(b" \t\r\n\"'[]").lower() == b"done"
    )


def is_event_stream(body: bytes) -> bool:
    """Whether a body starts like an event stream, whatever its content type."""
    return body.lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def events_in(body: bytes) -> list[ServerSentEvent]:
    """The events of a whole body.

    Raises:
        SSEError: one of them is too large.
    """
    decoder = SSEDecoder()
    return [*decoder.feed(body.lstrip()), *decoder.flush()]


class SSEError(ValueError):
    """An event is larger than the decoder's limit."""


class ServerSentEvent(NamedTuple):
    """One event. (A tuple: there is one for each token, and a frozen attrs class takes three times
    as long to create.)

    Attributes:
        event: its type; "message" if none was given.
        data: the data lines, joined with line feeds.
        id: the last event id that the stream has set so far.
        retry: reconnection time in milliseconds, if this event set one.
    """

    event: str
    data: bytes
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Feed it bytes as they arrive; it returns the events that they complete.

    >>> SSEDecoder().feed(b"data: hi\\n\\n")
    [ServerSentEvent(event='message', data=b'hi', id='', retry=None)]
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_data_size",
        "_event",
        "_held",
        "_id",
        "_max_size",
        "_parts",
        "_retry",
        "_stray_size",
        "_too_large",
        "new_stray",
        "stray",
    )

    def __init__(self, max_size: int = MAX_EVENT_SIZE) -> None:
        self._max_size = max_size
        self.stray: list[bytes] = []
        """Lines without a known field, up to a limit."""
        self.new_stray = False
        """Whether any were added since this was last set to False."""
        self._stray_size = 0
        # The pieces of an unfinished line, joined once to stay linear, and their size.
        self._parts: list[bytes] = []
        self._held = 0
        self._at_start = True
        self._after_cr = False  # a CR ended the last line: an LF right after it belongs to it
        self._too_large = False
        # The unfinished event.
        self._event = ""
        self._data: list[bytes] = []
        self._data_size = 0
        self._id = ""  # kept from event to event
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes.

        Raises:
            SSEError: an event is too large. The events before it have been returned.
        """
        events = self.cut(self.lines(chunk))
        return [
            e if isinstance(e, ServerSentEvent) else ServerSentEvent("message", e) for e in events
        ]

    def single(self, chunk: bytes) -> bytes | None:
        """The data of `chunk`, if it is one event of one line and nothing else, as most reads are.

        Otherwise `None`, and the chunk is not taken in.
        """
        if chunk[:6] != b"data: " or chunk[-2:] != b"\n\n" or chunk.count(b"\n") != 2:
            return None
        begun = self._held or self._after_cr or self._id or (self._at_start and self._parts)
        if begun or b"\r" in chunk or not self.starts_event(chunk):
            return None
        self._at_start = False
        return chunk[6:-2]

    def lines(self, chunk: bytes) -> bytes:
        """The unfinished line followed by `chunk`, with line feeds as line ends.

        Returns b"" until that line ends; meanwhile the decoder keeps the pieces.
        """
        if self._at_start:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:  # joined when the line ends: linear time for a long line
            self._parts.append(chunk)
            self._held += len(chunk)
            return b""
        if self._held:
            chunk = b"".join((*self._parts, chunk))
            self._parts = []
            self._held = 0
        return chunk

    def starts_event(self, lines: bytes) -> bool:
        """Whether `lines` begins a new event, and no event in it can exceed the limit."""
        fresh = not (self._data or self._event or self._too_large) and self._retry is None
        return fresh and len(lines) <= self._max_size

    def cut(self, lines: bytes) -> list[bytes | ServerSentEvent]:
        """The events that `lines` completes; an event that is only data is returned as bytes.

        Raises:
            SSEError: an event is too large. The events before it have been returned.
        """
        events: list[bytes | ServerSentEvent] = []
        if lines:
            self._blocks(lines, events)
        if self._held + self._data_size > self._max_size:
            self._too_large = True
        if self._too_large and not events:
            msg = f"an event is larger than {self._max_size} bytes"
            raise SSEError(msg)
        return events  # complete events first; if one is too large, the next call raises

    def forget_stray(self) -> None:
        """Drop the stray lines, once they have been handled."""
        self.stray, self._stray_size = [], 0

    def _blocks(self, lines: bytes, events: list[Any]) -> None:
        """Take in bytes that contain a line end, split at the blank lines."""
        *blocks, rest = lines.split(b"\n\n")
        fresh = not (self._data or self._event or self._too_large) and self._retry is None
        for block in blocks:
            # Nearly every event is one line, "data: {...}".
            one_line = fresh and block.startswith(b"data: ") and b"\n" not in block
            if one_line and len(block) <= self._max_size and not self._id:
                events.append(block[6:])
                continue
            for line in block.split(b"\n"):
                self._line(line, events)
            self._line(b"", events)
            fresh = not self._too_large
        if rest:
            *whole, last = rest.split(b"\n")
            for line in whole:
                self._line(line, events)
            self._parts = [last]
            self._held = len(last)

    def flush(self) -> list[ServerSentEvent]:
        """The last event, if the stream ended without the blank line after it."""
        events: list[ServerSentEvent] = []
        if line := b"".join(self._parts):
            self._line(line, events)
        self._line(b"", events)
        self._parts = []
        self._held = 0
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        """ "Strip one leading U+FEFF BYTE ORDER MARK": it may be split, like everything else."""
        if self._parts:
            chunk = b"".join(self._parts) + chunk
            self._parts = []
            self._held = 0
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._parts = [chunk]
            return b""
        self._at_start = False
        return chunk.removeprefix(_BOM)

    def _line(self, line: bytes, events: list[Any]) -> None:
        # Most lines are data, with one space.
        if line.startswith(b"data: "):
            self._data.append(line[6:])
            self._data_size += len(line)
        elif not line:
            if self._data_size > self._max_size:
                self._too_large = True
            if self._data and not self._too_large:
                # "If the data buffer is an empty string, return". A lone `data:` line makes the
                # buffer a line feed, so an event with empty data is still an event.
                events.append(
                    ServerSentEvent(
                        self._event or "message", b"\n".join(self._data), self._id, self._retry
                    )
                )
            self._reset()
        elif not line.startswith(b":"):  # a line that starts with a colon is a comment
            name, _, value = line.partition(b":")
            if name in _FIELDS:
                self._field(name, value.removeprefix(b" "))
            # "Otherwise: the field is ignored."
            elif self._stray_size + len(line) < MAX_STRAY:
                self.stray.append(line)
                self._stray_size += len(line) + 1
                self.new_stray = True

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data.append(value)
            self._data_size += len(value) + 1
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:  # "if the field value does not contain U+0000 NULL"
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= 18:
            self._retry = int(value)
        elif name == b"error":
            self._field(b"event", b"error")
            self._field(b"data", value)

    def _reset(self) -> None:
        self._event = ""
        self._data = []
        self._data_size = 0
        self._retry = None
