"""The event loop of a command, which Ctrl-C ends at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .errors import INTERRUPTED

T = TypeVar("T")


@contextmanager
def event_loop() -> Iterator[asyncio.Runner]:
    """A runner for one task after the other. Ctrl-C cancels the task and exits with 130.

    By then the task has hung up. What may be left is a thread that nothing can stop (a host name
    being looked up, a file that is a pipe), and both the end of an `asyncio.Runner` and the
    exit of Python wait for threads. So this is no ordinary exit; nothing waits in a buffer.
    """
    runner = asyncio.Runner()
    try:
        yield runner
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        runner.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for commands."""
    with event_loop() as runner:
        return runner.run(main)
