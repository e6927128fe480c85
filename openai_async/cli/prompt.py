"""The prompt: what stands on the command line, and what comes through a pipe after it."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress

from .errors import UsageError
from .output import write_note

# No model takes as much text; the bound keeps `chat < /dev/zero` from filling the memory.
MAX_PIPED = 64 * 1024 * 1024
# What a pipe holds on Linux.
READ_SIZE = 64 * 1024
# Seconds of silence after which a person would like to know what is being waited for.
PATIENCE = 1.0


def read_prompt(prompt: str | None) -> str | None:
    """The whole prompt, or `None` if there is none and a person sits at the keyboard."""
    if sys.stdin is None or sys.stdin.isatty():
        return None if prompt is None else _checked(prompt)
    if prompt is not None:
        _say_if_it_waits()
    parts = [prompt or "", _read_piped()]
    return _checked("\n\n".join(part for part in parts if part.strip()))


def _say_if_it_waits() -> None:
    """Started by another program, standard input may be a pipe that nobody ever closes."""
    with suppress(OSError, ValueError):  # what select() does not know is no reason not to read
        if not select.select([sys.stdin.fileno()], [], [], PATIENCE)[0]:
            write_note("Waiting for the end of standard input, too: < /dev/null leaves it out.")


def _read_piped() -> str:
    # Read here, in the main thread and outside of any event loop, where Ctrl-C ends the wait; and
    # piece by piece, since Python looks for Ctrl-C between calls, not within one.
    data = bytearray()
    while piece := os.read(sys.stdin.fileno(), READ_SIZE):
        data += piece
        if len(data) > MAX_PIPED:
            msg = f"Standard input holds more than {MAX_PIPED // 2**20} MiB: no model takes that."
            raise UsageError(msg)
    try:
        return data.decode("utf-8-sig").rstrip("\n")
    except UnicodeDecodeError:
        msg = "Standard input is not UTF-8 text: pass pictures with --image."
        raise UsageError(msg) from None


def _checked(prompt: str) -> str:
    if not prompt.strip():
        msg = "The prompt is empty: pass it as an argument or through a pipe."
        raise UsageError(msg)
    try:
        prompt.encode()
    except UnicodeEncodeError:  # what Python makes of arguments it cannot decode
        msg = "The prompt is not UTF-8 text."
        raise UsageError(msg) from None
    return prompt
