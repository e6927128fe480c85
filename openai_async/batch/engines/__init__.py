"""What carries out a batch: an `Engine`, in one process (`local`) or on a cluster (`ray`).

An engine reads lines and sends requests. Which lines are good, which requests are still to be done,
and where their results go, is the job's: it is the same for all engines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from ...client import AsyncClient
from ...errors import InvalidArgumentError
from ...types.rate_limits import ModelPace
from ..input.lines import Line
from ..requests import BatchRequest
from ..results import BatchResult

NAMES = ("local", "ray")


class Engine(Protocol):
    """One run of a batch. Used for one input and one output, then closed."""

    def read(self, path: Path) -> Iterable[Line]:
        """The lines of the input, as often as it is asked. Blocking: called in a thread.

        Raises:
            InvalidArgumentError: it cannot be read.
        """

    def results(
        self, requests: Iterable[BatchRequest], halted: Callable[[], bool]
    ) -> AsyncGenerator[BatchResult, None]:
        """Send them all; each result as it comes, and each request's once.

        `requests` is iterated in a thread, no further ahead than there is work for. `halted` is
        asked, on the loop, before any are handed out; once it says so no more are, and what is in
        flight is finished. Closing the generator cancels that too.
        """

    async def halt(self) -> None:
        """`halted` has begun to say so: give up what waits for its turn, here or between attempts.

        What is at the server is finished, and not sent again.
        """

    @property
    def pace(self) -> Mapping[str, ModelPace]:
        """What is known of the limits of each model, at most a moment ago."""

    async def close(self) -> None:
        """Free what the engine has taken. May be called twice."""


def make_engine(
    name: str,
    client: AsyncClient,
    *,
    concurrency: int,
    workers: int | None = None,
    columns: Mapping[str, str] | None = None,
) -> Engine:
    """The engine of that name.

    Raises:
        InvalidArgumentError: there is none, it is not installed, or an option is not for it.
    """
    if name == "local":
        if workers is not None or columns is not None:
            msg = 'workers and columns are for engine="ray": leave them out.'
            raise InvalidArgumentError(msg)
        from .local import LocalEngine

        return LocalEngine(client, concurrency=concurrency)
    if name == "ray":
        from .ray.engine import RayEngine

        return RayEngine(client, concurrency=concurrency, workers=workers, columns=columns)
    msg = f'engine is {name!r}: pass "local" or "ray".'
    raise InvalidArgumentError(msg)
