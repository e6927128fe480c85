"""What can go wrong with an output: the system's errors, with advice."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import OpenAIError

_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have your quota raised",
    errno.EFBIG: "write to where files may be larger (see `ulimit -f`)",
    errno.EACCES: "choose an output that you may write to",
    errno.EPERM: "choose an output that you may write to",
    errno.EROFS: "choose an output that you may write to",
    errno.ENOENT: "create the directory first",
    errno.ENOTDIR: "create the directory first",
    errno.EISDIR: "name a file in it",
    errno.EEXIST: "choose another output",
}


class OutputError(OpenAIError):
    """The output cannot be written, locked or read, or is not ours; the message says what to do."""


@contextmanager
def output_errors(path: Path, done: str) -> Iterator[None]:
    """Turn an OSError into an `OutputError`: `path` cannot be `done`."""
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be {done}{reason(error)}."
        raise OutputError(msg) from error


def reason(error: OSError, otherwise: str = "") -> str:
    """The end of a message: what the system says, and what to do (`otherwise`, if unknown)."""
    hint = _HINTS.get(error.errno or 0, otherwise)
    said = error.strerror or str(error)
    return f" ({said}): {hint}" if hint else f": {said}"
