"""What both kinds of response do: choose the form, begin, and answer an early error."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from attrs import frozen
from multidict import CIMultiDict

from ..errors import InvalidArgumentError, OpenAIError
from ..options import is_number
from ..relay.failures import error_body, error_headers, status_of
from ..relay.form import checked_headers
from ..relay.relay import Relay
from ..types.think_tags import ThinkTagsOption
from .broadcast import JoinedBroadcast

log = logging.getLogger("openai_async")

FIRST_EVENT = 3.0
"""Seconds to wait for the answer to begin before the response starts without it."""


class Relayed(Protocol):
    """A stream that can be relayed."""

    def sse(self, *, keep_alive: float | None) -> Relay: ...


class Plan:
    """How a stream is to be relayed: checked when it is made, before anything is sent.

    Raises:
        InvalidArgumentError: an argument is wrong.
    """

    def __init__(
        self,
        stream: object,
        form: str | None,
        first_event: float,
        keep_alive: float | None,
        headers: Mapping[str, str] | None,
        think_tags: ThinkTagsOption,
    ) -> None:
        if isinstance(stream, Coroutine):
            stream.close()
            msg = "stream is a coroutine: call create(..., stream=True), without await."
            raise InvalidArgumentError(msg)
        self.headers = checked_headers(headers or {})
        self._sse: Any = getattr(stream, "sse", None)
        if self._sse is None:
            msg = (
                f"stream has type {type(stream).__name__}: pass what create(..., stream=True) or "
                "run_tools returns, client.stream(...), Conversation.stream(...) or a Broadcast."
            )
            raise InvalidArgumentError(msg)
        if not (is_number(first_event) and first_event >= 0):
            msg = f"first_event is {first_event!r}: pass a number of seconds, 0 or more."
            raise InvalidArgumentError(msg)
        self.first_event = first_event
        self._options: dict[str, Any] = {"keep_alive": keep_alive}
        if form is not None:
            self._options["form"] = form
        if think_tags:
            self._options["think_tags"] = think_tags
        self._relay: Relay | None = self._sse(**self._options)
        self._resumes = isinstance(stream, JoinedBroadcast)

    def beside(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        """The headers of a response, with the app's own, which prevail."""
        both = CIMultiDict(headers)
        both.update(self.headers)
        return both

    def relay(self, last_event_id: str | None) -> Relay | None:
        """The relay for a browser; `None` if the browser must not reconnect.

        An EventSource that lost its connection reconnects with the id of the last event. Only a
        `Broadcast` still has what follows that; any other stream would be a new answer.

        Raises:
            InvalidArgumentError: another browser has had it, so nothing is left.
        """
        if not last_event_id:
            relay, self._relay = self._relay, None
            if relay is None:
                msg = "This response has been sent before: make one for each request."
                raise InvalidArgumentError(msg)
            return relay
        if not self._resumes:
            return None
        resumed: Relay = self._sse(**self._options, last_event_id=last_event_id)
        return resumed


@frozen
class Refusal:
    """A response without a stream: to an early error, or with nothing new."""

    status: int
    headers: Mapping[str, str]
    body: bytes


NOTHING_NEW = Refusal(204, {}, b"")
"""Stops an EventSource, which would otherwise keep reconnecting."""


async def begin(relay: Relay, within: float) -> Refusal | None:
    """Wait for the answer to begin. If it fails, or has nothing new, returns the response."""
    try:
        begun = await relay.begin(within)
    except InvalidArgumentError:
        raise  # a bug in the app: for the framework to report
    except OpenAIError as error:
        log.warning("Not relayed: %s", error)
        body = error_body(error, passed_on=relay.passes_errors_on)
        return Refusal(status_of(error), error_headers(error), body)
    return None if begun else NOTHING_NEW
