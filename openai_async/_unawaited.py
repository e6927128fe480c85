"""Finds coroutines in a request, where the `await` before a call was forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping

from .errors import InvalidArgumentError


def refuse_unawaited(value: object) -> None:
    """Refuse a value that contains a coroutine. All are closed, so that Python does not warn too.

    Raises:
        InvalidArgumentError: the message says where it is, and what to write there.
    """
    found = list(_found(value))
    for _, awaitable in found:
        if inspect.iscoroutine(awaitable):
            awaitable.close()
    if found:
        place, awaitable = found[0]
        kind, call = type(awaitable).__name__, getattr(awaitable, "__name__", None)
        advice = f"write `await {call}(...)`" if call else "await it first"
        msg = f"{place or 'The request'} is a {kind}: {advice}."
        raise InvalidArgumentError(msg)


def _found(value: object) -> Iterator[tuple[str, object]]:
    """Every awaitable, with its path; a value that contains itself is visited once."""
    stack, seen = [("", value)], set()
    while stack:
        place, item = stack.pop()
        if inspect.isawaitable(item):
            yield place, item
        elif id(item) not in seen and (inside := _inside(item)):
            seen.add(id(item))
            stack += [(place + step if place else step.lstrip("."), x) for step, x in inside][::-1]


def _inside(value: object) -> list[tuple[str, object]]:
    items: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        items = ((f".{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        items = ((f"[{index}]", item) for index, item in enumerate(value))
    return list(items)
