"""One output file: ours alone by a lock, made longer by whole lines, replaced as a whole.

It knows lines of bytes, not what is in them. Blocking. The lock is on the file itself, so that it
goes with the process whatever ends it, and is seen by whoever opens the same file by another name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import IO

from ...errors import OpenAIError
from ..input.opening import CHUNK
from .disk import UNSUPPORTED, to_disk

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
# Far behind the end of any file: Windows locks bytes, and nobody could read what is locked.
_WINDOWS_LOCK_AT = 1 << 62
# How often a file is opened anew because another run has replaced or removed it in between.
_MAX_OPENS = 20


# Suffixes of files that a run does not write, and what to do instead.
_PLAIN = "name it .jsonl, and compress it afterwards"
_OTHER_FILES = {
    **dict.fromkeys((".gz", ".gzip", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z"), _PLAIN),
    ".parquet": 'name it .jsonl, or pass parts="parquet" and a directory',
    **dict.fromkeys((".csv", ".tsv", ".xlsx"), "name it .jsonl"),
}


def misnamed(path: Path) -> str | None:
    """The error if the name of an output promises a kind of file that a run does not write."""
    if (advice := _OTHER_FILES.get(path.suffix.lower())) is None:
        return None
    but = f"although its name ends in {path.suffix}"
    return f"The output {path.name} would hold plain JSON Lines, {but}: {advice}."


class OutputError(OpenAIError):
    """The output cannot be written, locked or read; the message says what to do."""


@contextmanager
def output_errors(path: Path, done: str) -> Iterator[None]:
    """What the system says, as an `OutputError`: `path` cannot be `done`."""
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be {done}: {_reason(error)}."
        raise OutputError(msg) from error


def _reason(error: OSError, otherwise: str = "") -> str:
    hint = _HINTS.get(error.errno or 0, otherwise)
    said = error.strerror or str(error)
    return f"{said}: {hint}" if hint else said


class OutputFile:
    """A file of lines.

    Attributes:
        path: where it is; of a symbolic link, what it points to.
        results: how many lines are safe in it. Set by who has read the file; then kept.
        remove_if_empty: whether `close` removes a file with nothing in it; true if `open` has
            created it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._absolute = path.absolute()  # the program may go to another directory
        self.results = 0
        self._fd: int | None = None
        self.remove_if_empty = False
        self._torn_at: int | None = None

    def open(self) -> None:
        """Open the file and lock it; created if it is not there.

        Raises:
            OutputError: it cannot be opened, is no regular file, or another run has it.
        """
        with output_errors(self.path, "opened"):
            if self.path.is_symlink():  # replacing it would leave what it points to as it was
                self.path = self._absolute = self.path.resolve()
            self._fd, self.remove_if_empty = _open_locked(self.path)
            # Who has died while replacing the file has left this; nobody else can be at it.
            _temporary(self.path).unlink(missing_ok=True)
            if self.remove_if_empty:
                _sync_directory(self.path.parent)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open for the body of a `with`, unless it is open already."""
        if self._fd is not None:
            yield
            return
        self.open()
        try:
            yield
        finally:
            self.close()

    def append(self, lines: Sequence[bytes], *, elsewhere: int = 0) -> None:
        """Write lines, with their line ends, in one go.

        Of a write that fails, the lines that are whole stay, and nothing else.

        Args:
            lines: each ends with a newline.
            elsewhere: how many results are safe in other files; for the message.

        Raises:
            OutputError: they could not all be written.
        """
        fd = self._open_fd
        start = written = 0
        try:
            if self._torn_at is not None:
                self._cut_torn()
            start = os.fstat(fd).st_size
            left = memoryview(b"".join(lines))
            while left:
                count = os.write(fd, left)
                written += count
                left = left[count:]
        except OSError as error:
            whole = [end for end in accumulate(map(len, lines)) if end <= written]
            self.results += len(whole)
            if written > (keep := whole[-1] if whole else 0):
                self._torn_at = start + keep
                with suppress(OSError):  # then the next append cuts it off, or the next open
                    self._cut_torn()
            said, safe = _reason(error, "check the disk"), elsewhere + self.results
            msg = f"{self.path}: {said}, and start again; {safe:,} results are safe."
            raise OutputError(msg) from error
        self.results += len(lines)

    def cut(self, size: int) -> None:
        """Leave only the first `size` bytes."""
        with output_errors(self.path, "repaired"):
            os.ftruncate(self._open_fd, size)

    def replace(self, lines: Iterable[bytes]) -> None:
        """Put these lines, with their line ends, in place of all there are: all or nothing.

        At every moment there is a whole file at `path`, and it is locked.
        """
        with output_errors(self.path, "rewritten"):
            old, new = self._open_fd, -1
            try:
                mode = stat.S_IMODE(os.fstat(old).st_mode)
                with replacing(self.path, mode=mode) as file:
                    file.writelines(lines)
                    if sys.platform == "win32":  # where no file is replaced while it is open
                        self._fd = None
                        os.close(old)
                    else:
                        _lock(file.fileno())  # which is the copy's, too
                        new = os.dup(file.fileno())
            except BaseException:
                if new >= 0:
                    os.close(new)
                raise
            self._torn_at = None
            if sys.platform == "win32":
                self._fd = _open_locked(self.path)[0]
            else:
                self._fd = new
                os.close(old)

    def sync(self) -> None:
        """Have the disk keep what was written, whatever happens to the power."""
        fd = self._open_fd
        with output_errors(self.path, "written"):
            to_disk(fd)
            there = _is_at(fd, self._absolute)
        if not there:
            msg = (
                f"{self.path} was removed or replaced while it was written: leave it in its place."
            )
            raise OutputError(msg)

    def close(self) -> None:
        """Let go of the file, and of the lock. May be called twice."""
        if (fd := self._fd) is None:
            return
        self._fd = None
        with output_errors(self.path, "closed"):
            try:
                path = self._absolute
                empty = os.fstat(fd).st_size == 0 and self.remove_if_empty and _is_at(fd, path)
                # Before the lock is given up: whoever has opened it meanwhile will see it is gone.
                if empty and sys.platform != "win32":
                    path.unlink(missing_ok=True)
            finally:
                _unlock(fd)
                os.close(fd)
            if empty and sys.platform == "win32":
                path.unlink(missing_ok=True)

    @property
    def _open_fd(self) -> int:
        if self._fd is None:
            msg = f"{self.path} is not open: call open() first."
            raise OutputError(msg)
        return self._fd

    def _cut_torn(self) -> None:
        if self._torn_at is not None:
            os.ftruncate(self._open_fd, self._torn_at)
            self._torn_at = None


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of the one at `path` when the body has ended.

    If it does not end, or the disk is full, there is no trace of it. `mode` are the permissions.
    """
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS
        with os.fdopen(os.open(temporary, flags, 0o666), "wb", buffering=CHUNK) as file:
            if mode is not None and sys.platform != "win32":
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            to_disk(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _temporary(path: Path) -> Path:
    """Always the same, so that what a killed run has left is found by the next."""
    return path.with_name(f".{path.name}.rewrite")


# Every write goes to the end, whoever else has made the file longer or shorter.
_FLAGS = os.O_APPEND | getattr(os, "O_BINARY", 0)


def _open_locked(path: Path) -> tuple[int, bool]:
    """A descriptor of the file that is at `path`, locked; and whether it was created."""
    for _ in range(_MAX_OPENS):
        fd, created = _open(path)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                msg = f"{path} is no regular file: choose another output."
                raise OutputError(msg)
            try:
                _lock(fd)
            except (BlockingIOError, PermissionError):  # on Linux; on Windows
                break
            if _is_at(fd, path):
                keep, fd = fd, -1
                return keep, created
        finally:
            if fd >= 0:
                os.close(fd)
    msg = f"{path} is being written by another run: wait for it or choose another output."
    raise OutputError(msg)


def _open(path: Path) -> tuple[int, bool]:
    flags = os.O_RDWR | _FLAGS
    try:
        return os.open(path, flags), False
    except FileNotFoundError:
        try:
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:  # another run was faster by a hair
            return os.open(path, flags | os.O_CREAT, 0o666), False


def _is_at(fd: int, path: Path) -> bool:
    """Whether this is still the file at `path`: its last holder may have replaced it."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _lock(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _WINDOWS_LOCK_AT, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(fd: int) -> None:
    """What closing does, except where a forked child has the file open too."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)


def _sync_directory(directory: Path) -> None:
    """Have the disk keep the names in it; Windows does by itself."""
    if sys.platform != "win32":
        fd = os.open(directory, os.O_RDONLY)
        try:
            to_disk(fd)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        finally:
            os.close(fd)
