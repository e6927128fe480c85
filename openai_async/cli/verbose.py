"""`--verbose`: the package's log on stderr, a line for each request."""

from __future__ import annotations

import logging
from contextlib import suppress

from .output import OutputError, write_log


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OutputError):  # stderr is closed; the command goes on
            write_log(self.format(record))


def show_requests(wanted: bool, name: str = "openai_async") -> None:
    """If wanted, show the requests that a logger reports."""
    if not wanted:
        return
    log = logging.getLogger(name)
    log.propagate = False
    log.handlers = [_Lines()]  # instead of the one that OPENAI_LOG has added
    if log.level != logging.DEBUG:  # as OPENAI_LOG=debug sets it
        log.setLevel(logging.INFO)
