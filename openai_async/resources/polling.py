"""Waiting for the end of something that the server works on: ask, wait, ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from math import inf
from typing import TypeVar

from ..errors import APITimeoutError, InvalidArgumentError
from ..http.waits import PendingWaits
from ..options import is_number

T = TypeVar("T")


def check_positive(**numbers: object) -> None:
    """Raise `InvalidArgumentError` for what is neither a positive, finite number nor `None`."""
    for name, value in numbers.items():
        if value is not None and not (is_number(value) and 0 < value < inf):
            msg = f"{name} is {value!r}: pass a number above 0."
            raise InvalidArgumentError(msg)


async def poll(
    retrieve: Callable[[], Awaitable[T]],
    *,
    ended: Callable[[T], bool],
    intervals: Iterator[float],
    longest: float | None,
    waits: PendingWaits,
    late: Callable[[T | None], str],
) -> T:
    """The first state that has `ended`.

    Args:
        retrieve: requests the present state.
        ended: whether it is the last one.
        intervals: seconds between two requests, without end.
        longest: seconds to wait in all; `None` for no limit.
        waits: those of the client, whose `close` ends the wait.
        late: the message of the `APITimeoutError`, made from the latest state, if any.
    """
    latest: T | None = None
    try:
        async with asyncio.timeout(longest) as limit:
            for interval in intervals:
                latest = await retrieve()
                if ended(latest):
                    return latest
                await waits.sleep(interval)
    except TimeoutError:
        if not limit.expired():
            raise
    raise APITimeoutError(late(latest))
