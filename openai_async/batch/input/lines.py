"""A JSONL file line by line, in bounded memory whatever it contains.

Blocking: a run reads in a thread. What makes a line a valid request is in `requests`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from attrs import define

from ...errors import InvalidArgumentError
from ...jsontext import strict_loads
from .input_file import CHUNK, open_input

# Bytes. OpenAI accepts pictures of 20 MB, which are 27 MB in base64. A longer line is a mistake
# (such as a file without line ends), and must not fill the memory.
MAX_LINE = 32 * 1024 * 1024

# Other escapes, then pairs of surrogates, then lone ones (RFC 8259, section 7).
_SURROGATES = re.compile(
    rb"\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>\\u[dD][89a-fA-F]..)", re.DOTALL
)


@define  # not frozen, as one is made for every line
class Line:
    """A line of a file that is not blank.

    Attributes:
        number: of the line in the file; the first is 1.
        data: its bytes, without the line end; b"" if there is a problem.
        problem: why it could not be read, as one short sentence.
    """

    number: int
    data: bytes
    problem: str | None = None


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of `path` that are not blank, without a byte order mark and CRLF.

    A gzip-compressed file is decompressed while it is read.

    Raises:
        InvalidArgumentError: the file cannot be read, or is not text; the message says why.
    """
    with open_input(path) as file:
        yield from numbered(bounded_lines(file, MAX_LINE))


def numbered(lines: Iterable[bytes | None]) -> Iterator[Line]:
    """Number all lines of a file (`None` for one that is too long), and leave out blank ones."""
    for number, data in enumerate(lines, 1):
        if data is None:
            yield Line(number=number, data=b"", problem=_TOO_LONG)
            continue
        if number == 1:
            data = data.removeprefix(codecs.BOM_UTF8)
        if data and not data.isspace():
            yield Line(number, data.rstrip(b"\r\n"))


_TOO_LONG = (
    f"the line is longer than {MAX_LINE >> 20} MiB: "
    "pass pictures by URL, and put each request on its own line."
)


def bounded_lines(file: IO[bytes], limit: int) -> Iterator[bytes | None]:
    """Every line of `file`, with its line end if it has one; `None` for one over `limit` bytes."""
    while line := file.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        del line  # free it before the rest is read, and while the caller works
        while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
            pass
        yield None


def parse_json(line: Line) -> Any:
    """The JSON value in a line.

    Raises:
        InvalidArgumentError: it is too long, not UTF-8 or not JSON; without the line's number.
    """
    if line.problem is not None:
        raise InvalidArgumentError(line.problem)
    try:
        return strict_loads(line.data)
    except ValueError as error:
        raise InvalidArgumentError(_what_is_wrong(line.data, error)) from error


def _what_is_wrong(data: bytes, error: ValueError) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        return f"not UTF-8: byte 0x{data[bad.start]:02x} at {bad.start}: save the file as UTF-8."
    if (half := _lone_surrogate(data)) is not None:
        return f"not valid JSON: {half} is half a character (a lone surrogate): remove it."
    return f"not valid JSON: {error}."


def _lone_surrogate(data: bytes) -> str | None:
    """The first escape of a lone surrogate; `None` if there is none, or if more is wrong."""
    try:
        json.loads(data, parse_constant=_refuse)  # accepts lone surrogates
    except (ValueError, RecursionError):
        return None
    for escapes in _SURROGATES.finditer(data):
        if escapes["lone"] is not None:
            return escapes["lone"].decode()
    return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN or Infinity
