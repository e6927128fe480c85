"""Opening an input: plain or gzip, told by its first bytes; other kinds are refused by name.

Blocking, in bounded memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from io import BufferedReader
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError

# Bytes per read. With the usual 8 KiB, a million short lines take a third longer.
CHUNK = 1024 * 1024

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_UNPACK = "unpack it first, or use gzip, which is read as it is"
_UTF8 = "save the file as UTF-8"
# First bytes of other files that are often passed as an input, what they are, and what to do. Each
# is taken from the specification of its format.
_OTHERS = (
    *((b"BZh%d1AY&SY" % level, "bzip2-compressed", _UNPACK) for level in range(1, 10)),
    (b"\xfd7zXZ\0", "xz-compressed", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", _UNPACK),
    (b"\x04\x22\x4d\x18", "lz4-compressed", _UNPACK),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "a zip archive with nothing in it", "name the file of requests"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (_GZIP, "gzip-compressed twice", "unpack it once"),
    (b"PAR1", "Parquet", 'name it .parquet, and pass it with --from-prompts or to engine="ray"'),
    (b"\xff\xfe", "UTF-16, from line 1 on", _UTF8),
    (b"\xfe\xff", "UTF-16, from line 1 on", _UTF8),
)
# The offset where a tar archive says that it is one (POSIX.1-2017, pax, ustar interchange format).
_TAR_AT, _TAR = 257, b"ustar"


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader[Any]]:
    """The file, open for reading; decompressed if its first bytes say that it is gzip.

    Raises:
        InvalidArgumentError: it cannot be read, is damaged, or holds no lines of text. This covers
            errors raised while the body of the `with` reads it.
    """
    try:
        with path.open("rb", buffering=0) as raw, BufferedReader(raw, CHUNK) as file:
            if not file.peek().startswith(_GZIP):
                _refuse_others(path, file.peek())
                yield file
                return
            with BufferedReader(GzipFile(fileobj=file), CHUNK) as unpacked:
                _refuse_others(path, unpacked.peek())
                yield unpacked
    except (EOFError, zlib.error, BadGzipFile) as error:
        msg = f"{path} is gzip-compressed and damaged: fetch or compress it again ({error})."
        raise InvalidArgumentError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidArgumentError(msg) from error


def is_gzip(path: Path) -> bool:
    """Whether `path` is gzip-compressed, and so can only be read from its beginning.

    Raises:
        InvalidArgumentError: as `opened`.
    """
    with opened(path) as file:
        return isinstance(file.raw, GzipFile)


def _refuse_others(path: Path, head: bytes) -> None:
    found = [(what, advice) for begins, what, advice in _OTHERS if head.startswith(begins)]
    if head[_TAR_AT:].startswith(_TAR):
        found.append(("a tar archive", "unpack it first"))
    if found:
        what, advice = found[0]
        msg = f"{path} is {what}: {advice}."
        raise InvalidArgumentError(msg)
