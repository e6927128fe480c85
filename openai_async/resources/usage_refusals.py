"""Which servers refuse to be asked for the usage of a stream, as far as their answers have shown.

Most refusals name `stream_options`. Some do not: "Extra inputs are not permitted", or a gateway's
page that only says "400 Bad Request". Whether that was about our asking shows when the request is
sent again without it. So that a server whose errors are about something else does not get each of
them twice, such errors count as refusals only until the server has taken the question; and while
that is open, one that was asked in vain is not asked again before another request has succeeded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

from attrs import evolve, frozen

from ..errors import APIError
from ..types.chat_params import ChatCompletionParams

Place: TypeAlias = tuple[str, str]
"""A server and a model: a gateway may take the question for some of its models only."""

# At least this many places are remembered, the latest ones.
MAX_PLACES = 256
# After this many requests that failed with the question and without, a server is not asked again.
MAX_DOUBTS = 8


@frozen
class Standing:
    """What is known of a place.

    Attributes:
        asks: whether the next request asks.
        takes: whether it has taken the question.
        doubts: how many requests have failed both with it and without it.
    """

    asks: bool = True
    takes: bool = False
    doubts: int = 0


_UNKNOWN_PLACE = Standing()
_TAKES = Standing(takes=True)
_REFUSES = Standing(asks=False, doubts=MAX_DOUBTS)


class UsageRefusals:
    """What a client and its copies have learned. May be used by several threads.

    Args:
        places: all that is known; changed here.
    """

    __slots__ = ("_places",)

    def __init__(self, places: dict[Place, Standing]) -> None:
        self._places = places

    def __getitem__(self, place: Place) -> Standing:
        return self._places.get(place, _UNKNOWN_PLACE)

    def taken(self, place: Place, before: Standing) -> None:
        """A request that asked has succeeded."""
        if not before.takes:
            self._keep(place, _TAKES)

    def refused(self, place: Place) -> None:
        """A request that failed when it asked has succeeded without asking."""
        self._keep(place, _REFUSES)

    def doubted(self, place: Place, before: Standing) -> None:
        """A request has failed both ways: of several at once, the first counts."""
        if self[place] is before:
            self._keep(place, Standing(asks=False, doubts=before.doubts + 1))

    def succeeded(self, place: Place, before: Standing) -> None:
        """A request that did not ask has succeeded."""
        if before.doubts < MAX_DOUBTS and self[place] is before:
            self._keep(place, evolve(before, asks=True))

    def _keep(self, place: Place, standing: Standing) -> None:
        if place not in self._places and len(self._places) >= MAX_PLACES:
            oldest, *_ = self._places
            self._places.pop(oldest, None)  # unless another thread has
        self._places[place] = standing


# --- is it a refusal? ---------------------------------------------------------------------------

_NAMES = ("stream_options", "include_usage")
# The question itself, in an error that quotes the request.
_QUOTED = re.compile(r"""["']?stream_options["']?\s*:\s*\{[^}]*\}""")
# What servers say about a parameter that they do not know, if they do not name it.
_UNKNOWN = re.compile(
    r"extra(neous)?[ _](forbidden|inputs|fields|key)|additional propert"
    r"|(unknown|unrecogni[sz]ed|unexpected) (\w+ )?(field|param|arg|propert|key|option|input)",
    re.IGNORECASE,
)


def may_refuse(error: APIError, standing: Standing) -> bool:
    """Whether an error may be due to our asking for the usage."""
    text = _QUOTED.sub("", f"{error.message} {error.body}")
    if error.status_code not in (401, 403, 408, 409, 429) and any(map(text.__contains__, _NAMES)):
        return True
    if standing.takes or error.status_code not in (400, 422):
        return False
    if _UNKNOWN.search(text) is not None:
        return True
    return not (error.param or _is_openais(error.body) or _names_another().search(text))


def _is_openais(body: object) -> bool:
    """Whether an error is in OpenAI's own format, and so would name what it is about."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping) or error.get("type") != "invalid_request_error":
        return False
    return "param" in error and "code" in error


@cache
def _names_another() -> re.Pattern[str]:
    """Finds other parameters in an error that is about them, not just words that are spelled like
    them, as `model` and `user` are.
    """
    names = [*({"stream", *ChatCompletionParams.__annotations__} - {*_NAMES})]
    any_name = "|".join(names)
    long = "|".join(name for name in names if "_" in name)
    return re.compile(
        rf"""\b({long})\b|["'`]({any_name})["'`](?!\s*:)"""
        rf"|\b(invalid|unknown|unsupported|missing|no such) ({any_name})\b"
        rf"|\b({any_name}) (is|are|not|must|does|do|should|cannot)\b",
        re.IGNORECASE,
    )
