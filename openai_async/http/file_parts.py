"""A part of a file, which is hashed while it is read."""

from __future__ import annotations

import hashlib
from contextlib import closing

from .file_sources import Reader, Source, readable


class Window(Source):
    """A part of another source, of a known size."""

    def __init__(self, source: Source, start: int, length: int) -> None:
        self.name = source.name
        self._source, self._start, self._length = source, start, length
        self._latest: _Hashing | None = None

    def __repr__(self) -> str:
        return repr(self._source)

    def size(self) -> int:
        return self._length

    def open(self, start: int = 0) -> Reader:
        reader = self._source.open(self._start + start)
        self._latest = _Hashing(reader, self._length - start)
        return self._latest

    def sent_hash(self) -> str | None:
        """The SHA-256 of what the latest reader has read; `None` if it did not read it all."""
        latest = self._latest
        return None if latest is None or latest.left else latest.hash.hexdigest()

    def read_hash(self) -> str | None:
        """Read it all for its SHA-256. Blocks."""
        with closing(self.open()) as reader, readable(self):
            while reader.read(1024 * 1024):
                pass
        return self.sent_hash()


class _Hashing:
    """Reads a limited number of bytes, and hashes them."""

    blocks = True  # hashing does, even if reading does not

    def __init__(self, reader: Reader, left: int) -> None:
        self._reader, self.left = reader, left
        self.hash = hashlib.sha256(usedforsecurity=False)

    def read(self, size: int, /) -> bytes:
        data = self._reader.read(min(size, self.left))
        self.hash.update(data)
        self.left -= len(data)
        return data

    def close(self) -> None:
        self._reader.close()
