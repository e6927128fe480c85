"""Writing a file completely or not at all. Blocking: called in a thread."""

from __future__ import annotations

import io
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidArgumentError, OpenAIError


def check_target(path: object) -> Path:
    """The file that `path` points to, if it can be written."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        msg = f"path is {path!r}: pass the path of the file to write."
        raise InvalidArgumentError(msg)
    try:
        target = Path(path).resolve()  # follow symbolic links: they must not be replaced
        if target.is_dir():
            msg = f"{str(path)!r} is a directory: pass the path of a file."
            raise InvalidArgumentError(msg)
        if target.exists() and not target.is_file():
            msg = f"{str(path)!r} is a device or pipe: write the bytes from .read() to it."
            raise InvalidArgumentError(msg)
        if not target.parent.is_dir():
            msg = f"There is no directory {str(target.parent)!r}: create it first."
            raise InvalidArgumentError(msg)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        msg = f"{path!r} is not a valid path: {getattr(error, 'strerror', None) or error}."
        raise InvalidArgumentError(msg) from error
    return target


def check_directory(directory: object, stem: object) -> Path:
    """The directory, if files whose names begin with `stem` can be written to it."""
    if not isinstance(stem, str) or not stem or Path(stem).name != stem:
        msg = f"stem is {stem!r}: pass the beginning of a file name, without a directory."
        raise InvalidArgumentError(msg)
    text = os.fspath(directory) if isinstance(directory, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        msg = f"directory is {directory!r}: pass the path of the directory to write to."
        raise InvalidArgumentError(msg)
    return check_target(Path(text) / f"{stem}-1").parent


class NewFile:
    """A temporary file that replaces `target` once it is complete.

    So readers see either the old file or the new one. If it is discarded while a thread is still
    writing, that thread deletes it.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        # The name is shortened, so that even the longest file name leaves room for the suffix.
        self._path = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
        self._file: io.BufferedWriter | None = None
        self._lock = threading.Lock()
        self._discarded = False

    def write(self, data: bytes) -> None:
        """Append to it; the first call creates it."""
        self._run(self._append, data)

    def replace(self) -> None:
        """Replace the target, keeping its mode."""
        self._run(self._finish)

    def discard(self) -> None:
        """Delete it, unless it has replaced the target."""
        self._discarded = True
        if self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    # The disk may be full; what is left in the buffer is no longer needed.
                    with suppress(OSError):
                        self._file.close()
                    self._path.unlink(missing_ok=True)
            finally:
                self._lock.release()

    def _run(self, step: Callable[..., None], *args: bytes) -> None:
        """Run one step at a time, and none once the file has been discarded."""
        try:
            with self._lock:
                if not self._discarded:
                    step(*args)
        except OSError as error:
            msg = f"Cannot write {str(self._target)!r}: {error.strerror or error}."
            raise OpenAIError(msg) from error
        finally:
            if self._discarded:
                self.discard()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("xb")
        self._file.write(data)

    def _finish(self) -> None:
        assert self._file is not None
        self._file.close()
        if self._target.exists():
            self._path.chmod(self._target.stat().st_mode)
        if not self._discarded:
            self._path.replace(self._target)
