"""What carries out a batch: an `Engine`, in one process (`local`) or on a cluster (`ray`).

An engine reads lines and sends requests. Which lines are valid, which requests are pending,
and where their results go, is up to the job: it is the same for all engines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...client import AsyncClient
from ...errors import InvalidArgumentError
from ...types.rate_limits import ModelPace
from ..input.lines import Line
from ..requests import BatchRequest
from ..results import BatchResult

if TYPE_CHECKING:
    from ..parsing import Parsing


class Engine(Protocol):
    """One run of a batch. Used for one input and one output, then closed."""

    def read(self, path: Path) -> Iterable[Line]:
        """The lines of the input; may be called more than once. Blocking: called in a thread.

        Raises:
            InvalidArgumentError: the input cannot be read.
        """
        ...

    def results(
        self, requests: Iterable[BatchRequest], stopping: Callable[[], bool]
    ) -> AsyncGenerator[BatchResult, None]:
        """Send all requests; yields each result as it comes, exactly one for each request.

        `requests` is iterated in a thread, no further ahead than there are workers to send them.
        `stopping` is called on the loop before any are handed out: once it returns true, no more
        are, and those in flight are finished. Closing the generator cancels those too.
        """
        ...

    async def stop(self) -> None:
        """Drop the requests that wait for their turn or for a retry; `stopping` is true by now.

        Requests at the server are finished, and not sent again.
        """

    @property
    def pace(self) -> Mapping[str, ModelPace]:
        """What is known about the limits of each model, as of a moment ago."""
        ...

    async def close(self) -> None:
        """Release what the engine has acquired. May be called twice."""


def make_engine(
    name: str,
    client: AsyncClient,
    *,
    concurrency: int,
    workers: int | None = None,
    columns: Mapping[str, str] | None = None,
    parsing: Parsing | None = None,
) -> Engine:
    """The engine of that name.

    Raises:
        InvalidArgumentError: the name is unknown, the engine is not installed, or an option is
            not for this engine.
    """
    if name == "local":
        if workers is not None or columns is not None:
            msg = 'workers and columns are for engine="ray": leave them out.'
            raise InvalidArgumentError(msg)
        from .local import LocalEngine

        return LocalEngine(client, concurrency=concurrency, parsing=parsing)
    if name == "ray":
        from .ray.engine import RayEngine

        return RayEngine(
            client, concurrency=concurrency, workers=workers, columns=columns, parsing=parsing
        )
    msg = f'engine is {name!r}: pass "local" or "ray".'
    raise InvalidArgumentError(msg)
