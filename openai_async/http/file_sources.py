"""Where the bytes of an upload come from: memory, a path, or a file that the user has opened.

Reading blocks, so it is done in a thread.
"""

from __future__ import annotations

import inspect
import io
import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol

from ..errors import InvalidArgumentError, OpenAIError

# Reading the user's file moves its position, and several uploads may share the same file. One lock
# serves all such files, since a read takes only a fraction of a millisecond.
_SEEKING = threading.Lock()
_ADVICE = "pass a pathlib.Path, bytes, or a file opened in binary mode"


class Reader(Protocol):
    """The bytes of a source, once, from their beginning."""

    blocks: bool
    """Whether `read` has to be called in a thread."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Source(ABC):
    """What the user has passed as a file."""

    name: str
    """The name of the file; "" if it is not known."""

    @abstractmethod
    def size(self) -> int | None:
        """The number of bytes; `None` for what can be read only once, such as a pipe."""

    @abstractmethod
    def open(self, start: int = 0) -> Reader:
        """A reader that begins at byte `start`."""
        ...


class Memory(Source):
    """Bytes."""

    name = ""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes):
            with readable("The memory of the file"):
                view = memoryview(data)
                data = view.cast("B") if view.contiguous else bytes(view)
        self._data = data

    def size(self) -> int:
        return len(self._data)

    def open(self, start: int = 0) -> Reader:
        return _MemoryReader(memoryview(self._data)[start:])


class _MemoryReader:
    blocks = False

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        data, self._data = bytes(self._data[:size]), self._data[size:]
        return data

    def close(self) -> None:
        """There is nothing to close."""


class PathSource(Source):
    """A path. The file is opened again for each attempt."""

    def __init__(self, path: os.PathLike[str]) -> None:
        text = os.fspath(path)
        self._path = os.fsdecode(text)
        self.name = os.path.basename(self._path)  # noqa: PTH119 - a `Path` drops a final dot

    def __repr__(self) -> str:
        return repr(self._path)

    def size(self) -> int:
        try:
            found = os.stat(self._path)  # noqa: PTH116
        except FileNotFoundError as error:
            msg = f"There is no file {self!r}: check the path."
            raise InvalidArgumentError(msg) from error
        except (OSError, ValueError) as error:
            raise _unreadable(self, error) from error
        if stat.S_ISDIR(found.st_mode):
            msg = f"{self!r} is a directory: pass the path of a file."
            raise InvalidArgumentError(msg)
        if not stat.S_ISREG(found.st_mode):
            # Opening a pipe waits for its other end, in a thread that nothing can interrupt.
            msg = f"{self!r} is a device or pipe: open it, and pass the open file."
            raise InvalidArgumentError(msg)
        return found.st_size

    def open(self, start: int = 0) -> Reader:
        return _PathReader(self._path, start)


class _PathReader:
    """Opens the file at the first read.

    If it is closed while a thread is still reading, that thread closes the file.
    """

    blocks = True

    def __init__(self, path: str, start: int) -> None:
        self._path, self._start = path, start
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self, size: int, /) -> bytes:
        try:
            with self._lock:
                if self._closed:  # before this thread began
                    return b""
                if self._file is None:
                    self._file = open(self._path, "rb")  # noqa: PTH123, SIM115
                    if self._start:
                        self._file.seek(self._start)
                return self._file.read(size)
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
            finally:
                self._lock.release()


class OpenFile(Source):
    """A file that the user has opened: read from its current position, and never closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        name = getattr(file, "name", "")  # a number, if it was opened from a descriptor
        named = isinstance(name, str) and not name.startswith("<")  # like "<stdin>"
        self.name = os.path.basename(name) if named else ""  # noqa: PTH119
        self._start: int | None = None
        with (
            readable(self),
            suppress(OSError),
        ):  # as raised by a terminal that claims to be seekable
            seekable = file.seekable() if hasattr(file, "seekable") else hasattr(file, "seek")
            self._start = file.tell() if seekable else None
        # A thread of a cancelled attempt may still be reading when the next attempt begins.
        self._lock = threading.Lock() if self._start is None else _SEEKING

    def __repr__(self) -> str:
        return repr(self.name) if self.name else "The file"

    def size(self) -> int | None:
        if self._start is None:
            return None
        with readable(self), self._lock:
            self._file.seek(0, os.SEEK_END)  # which does not return the position for every file
            size = self._file.tell()
        if self._start and self._start >= size:
            msg = f"{self!r} has been read to its end: call seek(0) on it first."
            raise InvalidArgumentError(msg)
        return size - self._start

    def open(self, start: int = 0) -> Reader:
        position = None if self._start is None else self._start + start
        return _Positioned(self, self._file, position, self._lock)


class _Positioned:
    """Keeps its own position, so that others may read and seek the same file."""

    blocks = True

    def __init__(
        self, source: OpenFile, file: IO[bytes], position: int | None, lock: threading.Lock
    ) -> None:
        self._source, self._file, self._lock = source, file, lock
        self._position = position

    def read(self, size: int, /) -> bytes:
        with self._lock:
            if self._position is not None:
                self._file.seek(self._position)
            data = self._file.read(size)
            if not isinstance(data, bytes):
                msg = f"{self._source!r} returns {type(data).__name__} instead of bytes: {_ADVICE}."
                raise InvalidArgumentError(msg)
            if self._position is not None:
                self._position += len(data)
            return data

    def close(self) -> None:
        """The user's file stays open."""


def source_of(field: str, content: object) -> Source:
    """The source for what the user has passed as a file.

    Raises:
        InvalidArgumentError: it is something else, or closed.
    """
    if isinstance(content, Source):
        return content
    if isinstance(content, bytes | bytearray | memoryview):
        return Memory(content)
    if isinstance(content, os.PathLike):
        return PathSource(content)
    if isinstance(content, str):
        msg = f"{field} is a str, which could be a path or the content: {_ADVICE}."
        raise InvalidArgumentError(msg)
    read: Any = getattr(content, "read", None)
    if not callable(read):
        msg = f"{field} has type {type(content).__name__}: {_ADVICE}."
        raise InvalidArgumentError(msg)
    if isinstance(content, io.TextIOBase) or hasattr(content, "encoding"):
        msg = f'{field} is a file opened in text mode: open it with "rb".'
        raise InvalidArgumentError(msg)
    if inspect.iscoroutinefunction(read):
        msg = f"{field} is an async file: {_ADVICE} (for an UploadFile, its .file)."
        raise InvalidArgumentError(msg)
    if getattr(content, "closed", False):
        msg = f"{field} is a closed file: pass its path, or keep it open until the call returns."
        raise InvalidArgumentError(msg)
    return OpenFile(content)  # type: ignore[arg-type] # checked above


@contextmanager
def readable(source: object) -> Iterator[None]:
    """Turn whatever a file raises into our error: it is the user's, and may raise anything."""
    try:
        yield
    except OpenAIError:
        raise
    except Exception as error:
        raise _unreadable(source, error) from error


def _unreadable(source: object, error: Exception) -> InvalidArgumentError:
    reason = getattr(error, "strerror", None) or str(error).rstrip(".")
    if not reason or isinstance(error, LookupError | TypeError | AttributeError):
        reason = f"{type(error).__name__} {reason}".rstrip()
    if isinstance(error, io.UnsupportedOperation):
        reason += ', open it with "rb"'
    return InvalidArgumentError(f"{source!r} cannot be read: {reason}.")
