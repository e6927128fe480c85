"""The body of a streamed answer, without I/O: bytes in, parsed events out, and one state.

    START ── the first bytes ──> OPEN ── all of the answer ──> DONE
      └──────────────────────────┴─── error or truncation ───> FAILED

An answer is complete on evidence (`_end`, `_body_ended`), never just because time has passed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from multidict import CIMultiDict

from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    StreamInterruptedError,
)
from ..types.base import ResponseMeta
from ..types.values import MalformedError, shown
from ..wire.codec import body_or_text, is_whole, loads, not_a_stream, split_event
from ..wire.failures import is_error, object_error, reports_failure
from ..wire.redaction import redacted
from ..wire.sse import ServerSentEvent, SSEDecoder, SSEError, is_done
from ..wire.template import Templates
from .answer import Answer, Received

log = logging.getLogger("openai_async")

# How a body that is not an event stream starts, whatever its content type.
_NOT_EVENTS = (b"{", b"[", b"<")


class State(Enum):
    """How much of an answer has been received."""

    START = "nothing but white space has arrived"
    OPEN = "events are arriving"
    DONE = "the answer is complete"
    FAILED = "the answer has failed, for the reason in `failure`"


# In Python 3.11, `State.OPEN` takes 0.1 us, and ten of these would be a tenth of a chunk's time.
_START, _OPEN, _DONE, _FAILED = State


class Receiver:
    """Receives the answer of one attempt.

    Attributes:
        answer: what the events add up to.
        meta: the metadata of the response, for errors.
        state: see `State`.
        over: whether the state is DONE or FAILED, after which nothing more is taken in.
        pending: events that have arrived but have not been taken in yet; see `resume`.
        templates: the template of the latest event, if it has one.
        failure: why it failed.
    """

    __slots__ = (
        *("_decoder", "_secret", "_suspect", "_taken"),
        *("answer", "failure", "meta", "over", "pending", "state", "templates"),
    )

    _taken: list[Received]

    def __init__(self, answer: Answer, meta: ResponseMeta, secret: str | None) -> None:
        self.answer = answer
        self.meta = meta
        self.state = _START
        self.over = False
        self.failure: APIError | None = None
        self._secret = secret
        self._decoder = SSEDecoder()
        self.templates = Templates()
        self.pending: Sequence[bytes | ServerSentEvent] = ()
        # An object that is not part of the answer but reports a failure: the reason, if the answer
        # remains incomplete.
        self._suspect: dict[str, Any] | None = None

    # --- what comes in ---

    def receive_data(self, data: bytes, *, first_only: bool = False) -> list[Received]:
        """Take in bytes, or b"" for the regular end of the body; returns the events in them.

        With `first_only`, the events after the first are left in `pending`: the user gets the first
        one sooner, and a stream that is not read any further keeps only their text. Call `resume`
        before anything else. What may be an error is taken in at once, to hang up at once.
        """
        if self.state is _START and data and not data.isspace():
            self.state = _OPEN
        decoder, template = self._decoder, self.templates.current
        taken: list[Received] = []
        try:
            events: list[Any]
            if template is None and (event := decoder.single(data)) is not None:
                events = [event]
            elif data:
                lines = decoder.lines(data)
                if template is not None and decoder.starts_event(lines):
                    matches, lines = template.match_all(lines)
                    if matches and not lines:  # nearly always
                        return matches
                    taken += matches
                events = decoder.cut(lines)
            else:
                events = [*decoder.flush()]
        except SSEError as error:
            msg = f"The stream cannot be read: {error}."
            self.fail(APIResponseValidationError(msg), error)
            return taken
        return self._take_all(
            events, taken, ended=not data, first_only=first_only and b"error" not in data
        )

    def resume(self) -> list[Received]:
        """Take in the pending events."""
        events, self.pending = self.pending, ()
        return self._take_all(events, [])

    def _take_all(
        self,
        events: Sequence[Any],
        taken: list[Received],
        *,
        ended: bool = False,
        first_only: bool = False,
    ) -> list[Received]:
        self._taken, at = taken, 0
        while at < len(events) and not self.over:
            template = self.templates.current
            if template is not None and (matches := template.match(events, at)):
                taken += matches
                at += len(matches)
            else:
                self._take(events[at], truncated=ended)
                at += 1
                if first_only and taken and at < len(events):
                    self.pending = events[at:]
                    break
        if not (self.over or self.pending):
            if self._decoder.new_stray:
                self._take_stray()
            if ended and not self.over:
                self._body_ended(None)
        del self._taken  # 1 kB for each event, if it is kept until the next read
        return taken

    def receive_break(self, error: APIConnectionError) -> None:
        """The connection broke, or was silent for too long."""
        self._body_ended(error)

    def is_other(self, data: bytes) -> bool:
        """Whether the first bytes are the start of something that is not an event stream."""
        if self.state is not _START:
            return False
        if data.startswith(b"data:"):
            return False
        start = data.lstrip()
        return start.startswith(_NOT_EVENTS) and not is_done(start)

    def receive_other(self, data: bytes) -> None:
        """Take in a body that is not an event stream."""
        value = redacted(body_or_text(data), self._secret)
        is_answer = isinstance(value, dict) and self.answer.has_part(value)
        if is_error(value) or (not is_answer and reports_failure(value)):
            self.fail(object_error(value, self.meta.headers))
        else:
            self.fail(not_a_stream(value, self._content_type, self.meta))

    def fail(self, failure: APIError, cause: BaseException | None = None) -> None:
        """The answer has failed: keep the reason, and the answer so far."""
        self.state, self.over = _FAILED, True
        with suppress(MalformedError):  # a stream that was malformed before it failed
            failure.partial = self.answer.partial()
            if failure.partial is not None:
                failure.partial.meta = self.meta
        failure.headers = CIMultiDict(self.meta.headers)
        failure.request_id = self.meta.request_id
        failure.attempts = self.meta.attempts
        failure.__cause__ = cause
        self.failure = failure

    # --- events ---

    def _take(self, event: bytes | ServerSentEvent, *, truncated: bool) -> None:
        """Take in an event; `truncated` if the bytes ended before its blank line."""
        if isinstance(event, bytes):
            kind, data = "message", event
        else:
            kind, data = event.event, event.data
        if is_done(data):
            self._end()
            return
        if not data:  # some gateways send these to keep the connection alive
            return
        try:
            value = loads(data)
        except ValueError as error:
            # An error behind an event that was cut off may also be outside of it.
            alone = ServerSentEvent(kind, data)
            behind = ServerSentEvent(kind, b"\n".join((data, *self._decoder.stray)))
            if parts := split_event(alone) or split_event(behind):
                for part in parts:
                    if not self.over:
                        self._take(part, truncated=truncated)
            elif not truncated:  # a truncated event is reported as the end of the body
                self._take_text(kind, data.decode("utf-8", "replace"), error)
            return
        self._take_value(kind, value, data)

    def _take_text(self, kind: str, text: str, error: ValueError) -> None:
        """An event that is not JSON."""
        text = redacted(text, self._secret)
        if kind == "error":
            self.fail(object_error(text, self.meta.headers))
        else:
            msg = f"The stream contains malformed JSON: {text[:80]!r}."
            self.fail(APIResponseValidationError(msg), error)

    def _take_value(self, kind: str, value: Any, data: bytes = b"") -> None:
        """Take in the JSON of an event; make a template of the event if others may be like it."""
        self.templates.drop()
        if kind == "error" or is_error(value):
            self.fail(self._reported_failure(value))
            return
        if not isinstance(value, dict):
            text = shown(redacted(value, self._secret))
            msg = f"The stream contains {text[:80]}, which is not an object."
            self.fail(APIResponseValidationError(msg))
            return
        if not self.answer.has_part(value) and reports_failure(value):
            self._suspect = value
            if not isinstance(value.get("choices"), list):
                return
        try:
            taken = self.answer.take(value, data)
        except MalformedError as error:
            body = redacted(error.value, self._secret)
            self.fail(APIResponseValidationError(str(error), body=body))
            return
        if self.answer.failed:
            self.fail(self._reported_failure(value))
        elif taken is not None:
            self._taken.append(taken)
            if data and self.templates.wanted and (pieces := self.answer.growing(taken)):
                self.templates.make(data, taken, pieces)

    def _take_stray(self) -> None:
        """Take in lines outside any event: often an error, sent as if there were no stream."""
        self._decoder.new_stray = False
        together = b"\n".join(self._decoder.stray)
        events = [line for line in self._decoder.stray if is_whole(line)]
        # All lines may be one object, or each line an object, perhaps followed by `[DONE]`.
        for text in [together] if is_whole(together) or not events else events:
            if is_done(text):
                self._end()
                return
            head, _, rest = text.rpartition(b"data:")
            try:  # a page, or incomplete: shown if nothing else arrives
                value = loads(head if is_done(rest.strip()) else text)
            except ValueError:
                continue
            if isinstance(value, dict):
                self._decoder.forget_stray()
                self._take_value("message", value)
            if self.state is _FAILED:
                return

    # --- the end ---

    def _end(self) -> None:
        """The server has sent `[DONE]`."""
        # Lines outside events that arrived in the same read come first.
        if self._decoder.new_stray and not self.answer.finished:
            self._take_stray()
            if self.over:
                return
        if self._suspect is not None and not self.answer.finished:
            self.fail(self._reported_failure(self._suspect))
        elif self.answer.empty:
            self.fail(self._no_answer())
        else:
            self._finish()

    def _finish(self) -> None:
        """The answer is complete."""
        self.state, self.over = _DONE, True
        if self.answer.expects_more:
            log.warning("The stream ended without the usage that was requested.")

    def _body_ended(self, error: APIConnectionError | None) -> None:
        """The body has ended: regularly, in silence or broken off. Is the answer complete?"""
        answer, silent = self.answer, isinstance(error, APITimeoutError)
        whole = answer.finished if error is None else answer.complete
        if whole and (error is None or silent or not answer.expects_more):
            self._finish()
        elif self._suspect is not None:
            self.fail(self._reported_failure(self._suspect), error)
        elif error is not None and silent:
            self.fail(error)
        elif error is None and answer.empty and self._is_something_else():
            self.fail(self._no_answer())
        else:
            reason = f" {error.message}" if error is not None else ""
            msg = f"The stream ended before the answer was complete{answer.progress}.{reason}"
            self.fail(StreamInterruptedError(msg), error)

    # --- errors ---

    @property
    def _content_type(self) -> str:
        """The media type, lower case, without parameters; "" if there is no such header."""
        header = self.meta.headers.get("Content-Type", "")
        return header.partition(";")[0].strip().lower()

    def _reported_failure(self, value: object) -> APIError:
        return object_error(redacted(value, self._secret), self.meta.headers)

    def _is_something_else(self) -> bool:
        """Whether a body without any event may not have been meant as an event stream."""
        return bool(self._decoder.stray) or self._content_type not in ("text/event-stream", "")

    def _no_answer(self) -> APIError:
        """The error for a stream that ended regularly but was empty."""
        if not self._is_something_else():
            return APIResponseValidationError("The stream ended without an answer.")
        text = b"\n".join(self._decoder.stray).decode("utf-8", "replace")
        return not_a_stream(redacted(text, self._secret), self._content_type, self.meta)
