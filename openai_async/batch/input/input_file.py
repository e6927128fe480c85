"""Opening an input file: plain or gzip, detected from its first bytes. Others are rejected.

Blocking, in bounded memory.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from io import BufferedReader
from pathlib import Path
from typing import Any

from ...errors import InvalidArgumentError
from ...vision import image_format

# Bytes per read. With the default of 8 KiB, a million short lines take a third longer.
CHUNK = 1024 * 1024
# How many bytes of a file identify its format (WHATWG MIME Sniffing, section 7: resource header).
HEAD_SIZE = 1445

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_UNPACK = "unpack it first, or use gzip, which is read as it is"
_UTF8 = "save the file as UTF-8"
_SHEET = "save it as CSV, and pass that with --from-prompts"
_TEXT = "pass a text file: requests as JSON Lines, or prompts with --from-prompts"
# How to recognize other files that are often passed as input: an offset and the bytes there, what
# the file is, and what to do. Each is taken from the specification of its format.
_OTHERS = (
    *((0, b"BZh%d1AY&SY" % level, "bzip2-compressed", _UNPACK) for level in range(1, 10)),
    (0, b"\xfd7zXZ\0", "xz-compressed", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "lz4-compressed", _UNPACK),
    # The name of the first file in a zip archive, as ECMA-376 and OpenDocument have it.
    (30, b"[Content_Types].xml", "an Office file, such as Excel's", _SHEET),
    (30, b"mimetypeapplication/vnd.oasis", "an OpenDocument file", _SHEET),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office file, such as Excel's", _SHEET),
    (0, b"PK\x03\x04", "a zip archive", _UNPACK),
    (0, b"PK\x05\x06", "a zip archive with nothing in it", "name the file of requests"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, _GZIP, "gzip-compressed twice", "unpack it once"),
    (0, b"PAR1", "Parquet", 'name it .parquet, and pass it with --from-prompts or to engine="ray"'),
    (0, b"\xff\xfe", "UTF-16, from line 1 on", _UTF8),
    (0, b"\xfe\xff", "UTF-16, from line 1 on", _UTF8),
    (0, b"%PDF-", "a PDF", _TEXT),
    (257, b"ustar", "a tar archive", "unpack it first"),  # POSIX.1-2017, pax, ustar
)
# Bytes that do not occur in text (WHATWG MIME Sniffing, section 3).
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


@contextmanager
def open_input(path: Path) -> Iterator[BufferedReader[Any]]:
    """The file, open for reading; decompressed if its first bytes say that it is gzip.

    Raises:
        InvalidArgumentError: it cannot be read, is damaged, or does not hold lines of text; also
            raised for errors while the `with` block reads it.
    """
    try:
        with path.open("rb", buffering=0) as raw, BufferedReader(raw, CHUNK) as file:
            if not file.peek().startswith(_GZIP):
                _refuse_other_formats(path, file.peek())
                yield file
                return
            with BufferedReader(GzipFile(fileobj=file), CHUNK) as unpacked:
                _refuse_other_formats(path, unpacked.peek())
                yield unpacked
    except (EOFError, zlib.error, BadGzipFile) as error:
        msg = f"{path} is gzip-compressed and damaged: fetch or compress it again ({error})."
        raise InvalidArgumentError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidArgumentError(msg) from error


def is_gzip(path: Path) -> bool:
    """Whether `path` is gzip-compressed, so that it can only be read from the start.

    Raises:
        InvalidArgumentError: as `open_input`.
    """
    with open_input(path) as file:
        return isinstance(file.raw, GzipFile)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    found = [(what, advice) for at, mark, what, advice in _OTHERS if head.startswith(mark, at)]
    if not found and _is_binary(head[:HEAD_SIZE], whole=len(head) <= HEAD_SIZE):
        kind = image_format(head)
        found.append(("binary, not text" if kind is None else f"a {kind.upper()} picture", _TEXT))
    if found:
        what, advice = found[0]
        msg = f"{path} is {what}: {advice}."
        raise InvalidArgumentError(msg)


def _is_binary(head: bytes, *, whole: bool) -> bool:
    """Whether a file that starts like this is not text: it has a NUL, or is not UTF-8 and has other
    bytes that do not occur in text. UTF-8 text may have those, such as a log with backspaces.
    """
    if b"\0" in head:
        return True
    try:  # the head may end inside a character
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return _BINARY.search(head) is not None
    return False
