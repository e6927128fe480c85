"""A row of the table of faults: what a server does, which call meets it, the required outcome.

`plain` is the outcome of a plain call (`list`, `chat`), `stream` the one of a streamed call
(`completion`, `text`, `iterate`): the text that must arrive, the exact class of the exception, or
several of these where the standards leave the choice to the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from attrs import frozen

from openai_async import APIConnectionError, APIError, StreamInterruptedError, Timeout
from openai_async.types.chat import ChatCompletion

from ..raw_server import Answer, RawServer

Group: TypeAlias = Literal["connections", "answers", "time", "streams", "servers"]


Outcome: TypeAlias = str | type[APIError] | tuple[str | type[APIError], ...] | None


Options: TypeAlias = Callable[[RawServer], dict[str, Any]]


# Long enough for a busy machine: a fault that only a timeout finds fails by its class.
PATIENT = Timeout(total=4, connect=4, idle=3)


SHORT = Timeout(total=0.5, connect=0.4, idle=0.3)


def _no_options(server: RawServer) -> dict[str, Any]:
    return {}


@frozen(kw_only=True)
class Fault:
    """One row.

    Attributes:
        does: what the server does with each request in turn; the last answers all that follow.
        plain, stream: the expected outcome of a plain and of a streamed call; `None`: not tried.
        calls: the names of the calls, if not all of the kind make sense.
        n: how many choices are asked for.
        times: how often the call is made. All but the last must give "hi".
        pause: seconds between these calls.
        whole: a check of the `ChatCompletion` that came.
        match: a pattern that the exception's message holds.
        partial: the text that `StreamInterruptedError.partial` holds.
        requests, connections: how many the server must have seen.
        least: seconds the call must have lasted at least; `within`: at most.
        client: options of the client that are not the usual ones.
        resent: how many more on an open connection, which may have been closed as idle.
        recovers: whether the client is asked for one more answer, a good one, at the end.
    """

    name: str
    group: Group
    does: tuple[Answer, ...]
    plain: Outcome = None
    stream: Outcome = None
    calls: tuple[str, ...] = ()
    n: int = 1
    times: int = 1
    pause: float = 0
    whole: Callable[[ChatCompletion], bool] | None = None
    match: str = ""
    partial: str | None = None
    requests: int | None = None
    resent: int = 0
    connections: int | None = None
    least: float = 0
    within: float = 1.1
    timeout: Timeout = PATIENT
    retries: int = 0
    client: Options = _no_options
    server: type[RawServer] = RawServer
    recovers: bool = True

    @property
    def connects(self) -> bool:
        """Whether the client can connect, and so can already have an open connection."""
        return self.recovers


def row(name: str, group: Group, *does: Answer, **rest: Any) -> Fault:
    return Fault(name=name, group=group, does=does, **rest)


# --- 1. connections -----------------------------------------------------------------------------

LOST: dict[str, Any] = {"plain": APIConnectionError, "stream": APIConnectionError}


CUT: dict[str, Any] = {
    "plain": APIConnectionError,
    "stream": StreamInterruptedError,
    "partial": "hi",
}


RIGHT: dict[str, Any] = {"plain": "hi", "stream": "hi"}


EITHER: dict[str, Any] = {
    "plain": ("hi", APIConnectionError),
    "stream": ("hi", APIConnectionError),
}


ELSEWHERE: dict[str, Any] = {**LOST, "recovers": False, "requests": 0}
