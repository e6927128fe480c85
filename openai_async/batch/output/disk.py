"""Making sure that what was written survives a power cut."""

from __future__ import annotations

import errno
import os
import sys

# How file systems say that they do not support a kind of sync, as some network ones do.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOTTY})


def to_disk(fd: int) -> None:
    """Wait until a file or directory is on the disk itself. Blocking.

    On macOS `fsync` only hands the data to the disk, which may keep it in its cache and lose it;
    `F_FULLFSYNC` is what waits there (fsync(2) of macOS; SQLite, "PRAGMA fullfsync").

    Raises:
        OSError: it could not be written.
    """
    if sys.platform != "win32":
        import fcntl

        # Looked up by name: only Python on macOS has it.
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            try:
                fcntl.fcntl(fd, full)
                return
            except OSError as error:  # not every file system has it: fsync does what it can
                if error.errno not in UNSUPPORTED:
                    raise
    os.fsync(fd)
