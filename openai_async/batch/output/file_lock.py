"""Opening an output file with an exclusive lock, so that no two runs write to it.

The lock is on the file itself: it ends with the process, however that ends, and applies to every
name of the file.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from .errors import OutputError

# Far beyond the end of any file: Windows locks bytes, and locked bytes cannot be read.
_WINDOWS_LOCK_AT = 1 << 62
# How often a file is reopened because another run has replaced or removed it in the meantime.
_MAX_OPENS = 20


# Every write goes to the end, even if another process has changed the length of the file.
FLAGS = os.O_APPEND | getattr(os, "O_BINARY", 0)


def open_locked(path: Path) -> tuple[int, bool]:
    """Open the file at `path` and lock it; returns the descriptor, and whether it was created.

    Raises:
        OutputError: it is not a regular file, or another run holds the lock.
        OSError: it cannot be opened.
    """
    for _ in range(_MAX_OPENS):
        fd, created = _open(path)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                msg = f"{path} is not a regular file: choose another output."
                raise OutputError(msg)
            try:
                lock(fd)
            except (BlockingIOError, PermissionError):
                break
            if is_at(fd, path):
                keep, fd = fd, -1
                return keep, created
        finally:
            if fd >= 0:
                os.close(fd)
    msg = f"{path} is being written by another run: wait for it or choose another output."
    raise OutputError(msg)


def _open(path: Path) -> tuple[int, bool]:
    flags = os.O_RDWR | FLAGS
    try:
        return os.open(path, flags), False
    except FileNotFoundError:
        try:
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:  # another run has just created it
            return os.open(path, flags | os.O_CREAT, 0o666), False


def is_at(fd: int, path: Path) -> bool:
    """Whether this is still the file at `path`: another run may have replaced it."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def lock(fd: int) -> None:
    """Lock an open file.

    Raises:
        BlockingIOError, PermissionError: another run holds the lock; on Linux, and on Windows.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _WINDOWS_LOCK_AT, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock(fd: int) -> None:
    """Unlock an open file. Closing does too, unless a forked child has the file open as well."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)
