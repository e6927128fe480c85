"""fsync that survives a power cut, on macOS too."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

# What file systems without a kind of sync return, such as some network file systems.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOTTY})


def full_fsync(fd: int) -> None:
    """Wait until an open file or directory is on the disk. Blocking.

    On macOS `fsync` only passes the data to the disk, which may lose what is in its cache;
    `F_FULLFSYNC` waits for the disk (fsync(2) of macOS; SQLite, "PRAGMA fullfsync").

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
            except OSError as error:  # not every file system has it: fall back to fsync
                if error.errno not in _UNSUPPORTED:
                    raise
    os.fsync(fd)


def fsync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on the disk. Windows needs no such call."""
    if sys.platform != "win32":
        fd = os.open(directory, os.O_RDONLY)
        try:
            full_fsync(fd)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        finally:
            os.close(fd)
