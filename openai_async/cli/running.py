"""Runs the event loop of a command; Ctrl-C ends it at once."""

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
    """A runner for one task after another. Ctrl-C cancels the task and exits with 130.

    By then the task has closed its connections. A thread that cannot be stopped may be left (a DNS
    lookup, a read from a pipe), and both `asyncio.Runner.close` and the exit of Python would wait
    for it: hence `os._exit`, which is safe because nothing is left in a buffer.
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
