"""One output file: locked, appended to in whole lines, replaced as a whole.

It knows lines of bytes, not what is in them. Blocking.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import IO

from ...errors import InvalidArgumentError
from ..input.input_file import CHUNK
from .errors import OutputError, output_errors, reason
from .file_lock import FLAGS, is_at, lock, open_locked, unlock
from .fsync import fsync_directory, full_fsync

# Suffixes of file formats that a run does not write, and what to do instead.
_PLAIN = "name it .jsonl, and compress it afterwards"
_OTHER_FILES = {
    **dict.fromkeys((".gz", ".gzip", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z"), _PLAIN),
    ".parquet": 'name it .jsonl, or pass parts="parquet" and a directory',
    **dict.fromkeys((".csv", ".tsv", ".xlsx"), "name it .jsonl"),
}


def check_output_name(path: Path) -> None:
    """Refuse an output file whose name promises a format that `run_batch` does not write.

    Raises:
        InvalidArgumentError: it ends in .csv or .gz, for example; the message says what to do.
    """
    if (advice := _OTHER_FILES.get(path.suffix.lower())) is not None:
        but = f"although its name ends in {path.suffix}"
        msg = f"The output {path.name} would hold plain JSON Lines, {but}: {advice}."
        raise InvalidArgumentError(msg)


class OutputFile:
    """A file of lines.

    Attributes:
        path: where it is; for a symbolic link, its target.
        results: how many whole lines are in it. Set by the reader of the file, updated by writes.
        remove_if_empty: whether `close` removes the file if it is empty; true if `open` has
            created it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._absolute = path.absolute()  # the program may change its directory
        self.results = 0
        self._fd: int | None = None
        self.remove_if_empty = False
        self._torn_at: int | None = None

    def open(self) -> None:
        """Open the file and lock it; created if it does not exist.

        Raises:
            OutputError: it cannot be opened, is not a regular file, or another run has it.
        """
        with output_errors(self.path, "opened"):
            if self.path.is_symlink():  # replacing the link would leave its target unchanged
                self.path = self._absolute = self.path.resolve()
            self._fd, self.remove_if_empty = open_locked(self.path)
            # Left by a run that was killed while replacing the file. We hold the lock, so that no
            # other run is using it.
            _temporary(self.path).unlink(missing_ok=True)
            if self.remove_if_empty:
                fsync_directory(self.path.parent)

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

    def append(self, lines: Sequence[bytes], *, in_other_files: int = 0) -> None:
        """Append lines, with their line ends, in one write.

        If it fails, whole lines that were written are kept, and the rest is cut off.

        Args:
            lines: each ends with a newline.
            in_other_files: how many results are in other files; for the message.

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
                with suppress(OSError):  # the next append or open cuts it off
                    self._cut_torn()
            said, safe = reason(error, "check the disk"), in_other_files + self.results
            msg = (
                f"{self.path} cannot be written{said}, and start again; {safe:,} results are safe."
            )
            raise OutputError(msg) from error
        self.results += len(lines)

    def truncate(self, size: int) -> None:
        """Keep only the first `size` bytes."""
        with output_errors(self.path, "repaired"):
            os.ftruncate(self._open_fd, size)

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace all lines of the file by these, with their line ends: all or nothing.

        At any moment the file at `path` is whole and locked.
        """
        with output_errors(self.path, "rewritten"):
            old, new = self._open_fd, -1
            try:
                mode = stat.S_IMODE(os.fstat(old).st_mode)
                with replacing(self.path, mode=mode) as file:
                    file.writelines(lines)
                    if sys.platform == "win32":  # an open file cannot be replaced there
                        self._fd = None
                        os.close(old)
                    else:
                        lock(file.fileno())  # the duplicate has the same lock
                        new = os.dup(file.fileno())
            except BaseException:
                if new >= 0:
                    os.close(new)
                raise
            self._torn_at = None
            if sys.platform == "win32":
                self._fd = open_locked(self.path)[0]
            else:
                self._fd = new
                os.close(old)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        fd = self._open_fd
        with output_errors(self.path, "written"):
            full_fsync(fd)
            in_place = is_at(fd, self._absolute)
        if not in_place:
            msg = (
                f"{self.path} was removed or replaced while it was written: leave it in its place."
            )
            raise OutputError(msg)

    def close(self) -> None:
        """Close and unlock the file. May be called twice."""
        if (fd := self._fd) is None:
            return
        self._fd = None
        with output_errors(self.path, "closed"):
            try:
                path = self._absolute
                empty = os.fstat(fd).st_size == 0 and self.remove_if_empty and is_at(fd, path)
                # While it is locked: a run that has opened it by now will see that it is gone.
                if empty and sys.platform != "win32":
                    path.unlink(missing_ok=True)
            finally:
                unlock(fd)
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
    """A file to write that replaces the one at `path` at the end of the `with` block.

    If the block raises, or the disk is full, it leaves nothing behind. `mode` are the permissions.
    """
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS
        with os.fdopen(os.open(temporary, flags, 0o666), "wb", buffering=CHUNK) as file:
            if mode is not None and sys.platform != "win32":
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            full_fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def _temporary(path: Path) -> Path:
    """Always the same name, so that the next run finds what a killed one has left."""
    return path.with_name(f".{path.name}.rewrite")
