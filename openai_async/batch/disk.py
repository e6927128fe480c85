"""Having the disk keep what was written, whatever happens to the power."""

from __future__ import annotations

import errno
import os
import sys

# How file systems say that they do not know a kind of sync, as some of the network do.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOTTY})


def to_disk(fd: int) -> None:
    """Wait until a file or directory is on the disk itself. Blocking.

    macOS's `fsync` only hands it to the disk, which may keep it in its cache and lose it: there
    `F_FULLFSYNC` is what waits (fsync(2) of macOS; SQLite, "PRAGMA fullfsync").

    Raises:
        OSError: it could not be written.
    """
    if sys.platform != "win32":
        import fcntl

        # Looked for by name: only Python for macOS has it.
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            try:
                fcntl.fcntl(fd, full)
                return
            except OSError as error:  # not every file system has it: then fsync does what it can
                if error.errno not in UNSUPPORTED:
                    raise
    os.fsync(fd)
