"""The prompt: from the command line, followed by what comes through a pipe."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress

from .errors import UsageError
from .output import write_note

# No model takes this much text; the limit keeps `chat < /dev/zero` from filling the memory.
MAX_PIPED = 64 * 1024 * 1024
# Of a pipe on Linux, in bytes.
PIPE_CAPACITY = 64 * 1024
# Seconds to wait before saying what is being waited for.
SILENCE_BEFORE_NOTE = 1.0


def read_prompt(prompt: str | None) -> str | None:
    """The whole prompt, or `None` if there is none and standard input is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return None if prompt is None else _checked(prompt)
    if prompt is not None:
        _note_if_waiting()
    parts = [prompt or "", _read_piped()]
    return _checked("\n\n".join(part for part in parts if part.strip()))


def _note_if_waiting() -> None:
    """When started by another program, standard input may be a pipe that is never closed."""
    with suppress(OSError, ValueError):  # read even what select() does not support
        if not select.select([sys.stdin.fileno()], [], [], SILENCE_BEFORE_NOTE)[0]:
            write_note("Waiting for standard input to end: add < /dev/null to ignore it.")


def _read_piped() -> str:
    # In the main thread and outside any event loop, so that Ctrl-C ends the wait; and in pieces,
    # since Python checks for Ctrl-C between calls, not within one.
    data = bytearray()
    while piece := os.read(sys.stdin.fileno(), PIPE_CAPACITY):
        data += piece
        if len(data) > MAX_PIPED:
            msg = f"Standard input has more than {MAX_PIPED // 2**20} MiB: no model takes that."
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
    except UnicodeEncodeError:  # Python decodes other bytes to lone surrogates
        msg = "The prompt is not UTF-8 text."
        raise UsageError(msg) from None
    return prompt
