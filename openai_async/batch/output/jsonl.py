"""A JSONL file of results: read back after a crash, and the lines that are written to it.

A run that was killed leaves a half-written last line; a power cut leaves blocks of NULs. Both are
removed here, and their requests are sent again. Anything else that is not a result may be the
user's: it stops the run before anything is changed. Blocking; one thread at a time.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve
from msgspec.json import encode

from ...jsontext import loads, strict_loads
from ..input.input_file import CHUNK
from ..input.lines import bounded_lines
from ..results import BAD_LINE, BatchError, BatchResult, is_refusal
from .errors import OutputError, output_errors
from .output_file import OutputFile
from .scan import Entry

# Bytes. Any line that a run has written has been in memory before; this is a bound for files that
# are not an output at all.
MAX_RESULT = 1 << 30


class LinesPart:
    """A `Part` that is a JSONL file, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.file = OutputFile(path)
        self.repaired = 0
        self._has_nuls = False
        self._lacks_newline = False
        self._truncate_at: int | None = None

    def entries(self) -> Iterator[Entry]:
        """As `Part.entries`."""
        self.repaired, self._truncate_at = 0, None
        self._has_nuls = self._lacks_newline = False
        path, offset, found = self.file.path, 0, 0
        with output_errors(path, "read"), path.open("rb", buffering=CHUNK) as file:
            for number, line in enumerate(bounded_lines(file, MAX_RESULT), 1):
                if line is None:
                    raise self._not_a_result(number, f"it is longer than {MAX_RESULT >> 30} GiB")
                if (entry := _undamaged(line)) is not None:  # saves a third of the time
                    found += 1
                    offset += len(line)
                    yield entry
                    continue
                ended = line.endswith(b"\n")
                text = line.strip(b"\0 \t\r\n")
                if number == 1:
                    text = text.removeprefix(codecs.BOM_UTF8)
                has_nuls = b"\0" in line
                ours = text == b"{" or text.startswith(b'{"') or (found > 0 and has_nuls)
                damaged = ours and (has_nuls or not ended)
                entry = self._entry(number, text, damaged) if text else None
                if entry is not None:
                    found += 1
                    self._has_nuls |= has_nuls
                    self._lacks_newline = not ended
                    yield entry
                elif text or has_nuls:
                    self.repaired += 1
                    if ended:
                        self._has_nuls = True
                    else:
                        self._truncate_at = offset
                offset += len(line)

    @property
    def results(self) -> int:
        """As `Part.results`."""
        return self.file.results

    def _entry(self, number: int, text: bytes, damaged: bool) -> Entry | None:
        """The result in a line; `None` if a crash has `damaged` the line.

        Such a line has no line end, or NULs in it, and starts as our lines do: anything else may be
        a file of the user's, named as the output by mistake.
        """
        try:
            if b"\0" in text:  # the standard library would read it as UTF-16
                msg = "it contains NULs"
                raise ValueError(msg)
            value = loads(text)
        except ValueError as error:
            if damaged:
                return None
            raise self._not_a_result(number, f"it is not valid JSON ({error})") from error
        if type(value) is dict:
            id = value.get("custom_id")
            if type(id) is str and "response" in value:
                return _entry_of(id, value, text + b"\n")
        raise self._not_a_result(number, 'it has no "custom_id" and "response"')

    def _not_a_result(self, number: int, problem: str) -> OutputError:
        msg = (
            f"{self.file.path}, line {number} is not a result of a batch: {problem}. "
            "Choose another output, or remove that line."
        )
        return OutputError(msg)

    def keep(self, mask: bytes | bytearray) -> None:
        """As `Part.keep`."""
        file = self.file
        if self._has_nuls or 0 in mask:
            with file.opened():
                pairs = zip(self.entries(), mask, strict=True)
                file.replace(entry.line for entry, kept in pairs if kept)
        elif self._truncate_at is not None:
            with file.opened():
                file.truncate(self._truncate_at)
        elif self._lacks_newline:
            file.results = sum(mask) - 1  # without its line end, it is not a whole line
            with file.opened():
                file.append([b"\n"])
        file.results = sum(mask)


def _undamaged(line: bytes) -> Entry | None:
    """The result in a line, if it is well-formed JSON with a line end."""
    try:
        value = strict_loads(line)
    except ValueError:
        return None
    if type(value) is dict and line.endswith(b"\n") and "response" in value:
        id = value.get("custom_id")
        if type(id) is str:
            return _entry_of(id, value, line)
    return None


def _entry_of(id: str, value: dict[str, Any], line: bytes) -> Entry:
    error, response = value.get("error"), value["response"]
    if error is None:
        return Entry(id, line=line)
    refused = type(response) is dict and is_refusal(response.get("status_code"))
    bad_line = type(error) is dict and error.get("code") == BAD_LINE
    return Entry(id, failed=True, refused=refused, bad_line=bad_line, line=line)


_LINE_END = b'},"error":null}\n'
_LF, _CR = b"\n\r"  # integers: finding one takes a quarter of the time


def line_of(result: BatchResult) -> bytes:
    """The line of output, with its line end."""
    response = result.response
    if response is not None and result.error is None:
        text = response.text
        # A text with line breaks between its values has to be serialized again.
        if text is not None and _LF not in text and _CR not in text:
            # The keys of `BatchResult.to_dict`, in its order.
            head = b'{"id":', dump(result.id), b',"custom_id":', dump(result.custom_id)
            status = b',"response":{"status_code":', dump(response.status_code)
            request_id = b',"request_id":', dump(response.request_id)
            return b"".join((*head, *status, *request_id, b',"body":', text, _LINE_END))
    try:
        return dump(result.to_dict()) + b"\n"
    except RecursionError:
        # Not the answer of a model. It must not end the run, nor be requested again and again.
        error = BatchError(
            code="nested_too_deep", message="The answer is nested too deep to store."
        )
        response = result.response and evolve(result.response, body=None)
        return dump(evolve(result, response=response, error=error).to_dict()) + b"\n"


def dump(value: Any) -> bytes:
    """A parsed JSON value as strict JSON: NaN and infinite numbers become null."""
    try:
        return encode(value)
    except ValueError:  # lone surrogates
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
