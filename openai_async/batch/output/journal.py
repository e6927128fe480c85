"""The output of a batch: what is in it, put right after a crash, and made longer.

A run that was killed leaves a half-written last line; one that lost its power, pages of NULs. Both
go away here, and their requests are missing again. Whatever else is no result is not ours to
remove: it stops the run before anything is changed. Blocking; one thread at a time.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson
from attrs import Factory, define, evolve

from ...jsontext import loads
from ..ids import IdSet
from ..input.lines import bounded_lines
from ..input.opening import CHUNK
from ..results import BAD_LINE, BatchError, BatchResult, is_refusal
from .output_file import OutputError as OutputError
from .output_file import OutputFile, output_errors

# Bytes. What was written has been in memory once, whatever its length; this bounds what a file
# that is no output at all can do.
MAX_RESULT = 1 << 30


class Journal(Protocol):
    """An output that can be taken up again.

    Attributes:
        done: the ids whose results are in the output, as `open` has found them.
        kept: how many they are.
        failed: how many of them are errors.
        refused: how many of these errors would recur, because the server refused the request.
        bad_lines: how many of the errors stand for lines that are not requests.
        repaired: lines that `open` has dropped: half-written, NULs, second ones of an id.
    """

    done: IdSet
    kept: int
    failed: int
    refused: int
    bad_lines: int
    repaired: int

    def open(self, *, retry_failed: bool = False) -> None:
        """Lock the output, put it right, and see what is done.

        Args:
            retry_failed: drop the errors, so that they are not done.

        Raises:
            OutputError: another run has it, it is something else, or the disk says no.
        """

    def append(self, results: Sequence[BatchResult]) -> None:
        """Write results; none is in the output already.

        Raises:
            OutputError: they could not all be written. Those that are whole stay.
        """

    def sync(self) -> None:
        """Have the disk keep what was written, whatever happens to the power."""

    def close(self) -> None:
        """Let go of the output. May be called twice."""


class FileJournal:
    """A `Journal` in one JSONL file, which is created if it is not there."""

    def __init__(self, path: Path) -> None:
        self.done = IdSet()
        self.kept = self.failed = self.refused = self.bad_lines = self.repaired = 0
        self._part = LinesPart(path)

    def open(self, *, retry_failed: bool = False) -> None:
        """As `Journal.open`."""
        try:
            self._part.file.open()
            stock = take_stock([self._part], retry_failed=retry_failed)
        except BaseException:
            self.close()
            raise
        self.done, self.kept, self.failed = stock.done, stock.kept, stock.failed
        self.refused, self.bad_lines = stock.refused, stock.bad_lines
        self.repaired = stock.repaired

    def append(self, results: Sequence[BatchResult]) -> None:
        """As `Journal.append`."""
        self._part.file.append([line_of(result) for result in results])

    def sync(self) -> None:
        """As `Journal.sync`."""
        self._part.file.sync()

    def close(self) -> None:
        """As `Journal.close`. A file that was created and has nothing in it is removed."""
        self._part.file.close()


class Entry(NamedTuple):
    """A result in the output, as far as it matters here; `line` is with its end."""

    id: str
    failed: bool = False
    refused: bool = False
    bad_line: bool = False
    line: bytes = b""


def _entry_of(id: str, value: dict[str, Any], line: bytes) -> Entry:
    error, response = value.get("error"), value["response"]
    if error is None:
        return Entry(id, line=line)
    refused = type(response) is dict and is_refusal(response.get("status_code"))
    bad_line = type(error) is dict and error.get("code") == BAD_LINE
    return Entry(id, failed=True, refused=refused, bad_line=bad_line, line=line)


class Part(Protocol):
    """A file of results."""

    repaired: int
    """Lines that the last reading of all entries has found to be none."""

    @property
    def results(self) -> int:
        """How many are in it, since `settle`."""

    def entries(self) -> Iterator[Entry]:
        """The results, read from the disk anew; the same ones until `settle`."""

    def settle(self, verdicts: bytes | bytearray) -> None:
        """Keep, of the entries, those with a verdict of 1; put right what else is wrong."""


@define(kw_only=True)
class Stock:
    """What is in an output. `verdicts` says, for each part, which of its entries are to stay."""

    done: IdSet = Factory(IdSet)
    kept: int = 0
    failed: int = 0
    refused: int = 0
    bad_lines: int = 0
    repaired: int = 0
    verdicts: list[bytearray] = Factory(list)


def take_stock(parts: Sequence[Part], *, retry_failed: bool) -> Stock:
    """Read the parts; then, if they are all ours, leave one result for each id.

    Of results with the same id, the first good one stays; without one, the first.
    """
    stock = _judged(parts, lambda entry: retry_failed and entry.failed)
    if stock.failed and stock.repaired:  # a good result may stand behind an error
        del stock  # it may be large
        good = IdSet()
        for part in parts:
            for entry in part.entries():
                if not entry.failed:
                    good.add(entry.id)
        stock = _judged(parts, lambda entry: entry.failed and entry.id in good)
        stock.repaired = sum(map(len, stock.verdicts)) - stock.kept
    for part, verdicts in zip(parts, stock.verdicts, strict=True):
        part.settle(verdicts)
        stock.repaired += part.repaired
    return stock


def _judged(parts: Sequence[Part], unwanted: Callable[[Entry], bool]) -> Stock:
    stock = Stock()
    add = stock.done.add
    for part in parts:
        verdicts = bytearray()
        for entry in part.entries():
            stays = False
            if not unwanted(entry):
                stays = add(entry.id)
                stock.repaired += not stays
                stock.failed += stays and entry.failed
                stock.refused += stays and entry.refused
                stock.bad_lines += stays and entry.bad_line
            verdicts.append(stays)
        stock.kept += sum(verdicts)
        stock.verdicts.append(verdicts)
    return stock


class LinesPart:
    """A `Part` that is a JSONL file. It need not be there."""

    def __init__(self, path: Path) -> None:
        self.file = OutputFile(path)
        self.repaired = 0
        self._holes = False
        self._unended = False
        self._cut: int | None = None

    def entries(self) -> Iterator[Entry]:
        """As `Part.entries`."""
        self.repaired, self._holes, self._unended, self._cut = 0, False, False, None
        path, offset, found = self.file.path, 0, 0
        with output_errors(path, "read"), path.open("rb", buffering=CHUNK) as file:
            for number, line in enumerate(bounded_lines(file, MAX_RESULT), 1):
                if line is None:
                    raise self._no_result(number, f"it is longer than {MAX_RESULT >> 30} GiB")
                if (entry := _ordinary(line)) is not None:  # saves a third of the time
                    found += 1
                    offset += len(line)
                    yield entry
                    continue
                ended = line.endswith(b"\n")
                text = line.strip(b"\0 \t\r\n")
                if number == 1:
                    text = text.removeprefix(codecs.BOM_UTF8)
                holes = b"\0" in line
                ours = text == b"{" or text.startswith(b'{"') or (found > 0 and holes)
                spoilt = ours and (holes or not ended)
                entry = self._entry(number, text, spoilt) if text else None
                if entry is not None:
                    found += 1
                    self._holes |= holes
                    self._unended = not ended
                    yield entry
                elif text or holes:
                    self.repaired += 1
                    if ended:
                        self._holes = True
                    else:
                        self._cut = offset
                offset += len(line)

    @property
    def results(self) -> int:
        """As `Part.results`."""
        return self.file.results

    def _entry(self, number: int, text: bytes, spoilt: bool) -> Entry | None:
        """The result in a line; `None` if there is none because a crash has `spoilt` it.

        Such a line has no end, or NULs in it, and begins as ours do: everything else may be
        someone's file, named as the output by mistake.
        """
        try:
            if b"\0" in text:  # which the standard library would take for UTF-16
                msg = "there are NULs in it"
                raise ValueError(msg)
            value = loads(text)
        except ValueError as error:
            if spoilt:
                return None
            raise self._no_result(number, f"it is broken JSON ({error})") from error
        if type(value) is dict:
            id = value.get("custom_id")
            if type(id) is str and "response" in value:
                return _entry_of(id, value, text + b"\n")
        raise self._no_result(number, 'it has no "custom_id" and "response"')

    def _no_result(self, number: int, problem: str) -> OutputError:
        msg = (
            f"{self.file.path}, line {number} is no result of a batch: {problem}. "
            "Choose another output, or remove that line."
        )
        return OutputError(msg)

    def settle(self, verdicts: bytes | bytearray) -> None:
        """As `Part.settle`."""
        file = self.file
        if self._holes or 0 in verdicts:
            with file.opened():
                pairs = zip(self.entries(), verdicts, strict=True)
                file.replace(entry.line for entry, stays in pairs if stays)
        elif self._cut is not None:
            with file.opened():
                file.cut(self._cut)
        elif self._unended:
            file.results = sum(verdicts) - 1  # what has no end is no line yet
            with file.opened():
                file.append([b"\n"])
        file.results = sum(verdicts)


def _ordinary(line: bytes) -> Entry | None:
    """The result in a line, if nothing about it is out of the ordinary."""
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    if type(value) is dict and line.endswith(b"\n") and "response" in value:
        id = value.get("custom_id")
        if type(id) is str:
            return _entry_of(id, value, line)
    return None


def line_of(result: BatchResult) -> bytes:
    """The line of output, with its end."""
    try:
        return dump(result.to_dict()) + b"\n"
    except RecursionError:
        # No answer of a model. The run shall not end for it, nor ask for it again and again.
        error = BatchError(code="nested_too_deep", message="The answer is nested too deep to keep.")
        response = result.response and evolve(result.response, body=None)
        return dump(evolve(result, response=response, error=error).to_dict()) + b"\n"


def dump(value: Any) -> bytes:
    """A parsed JSON value as strict JSON: numbers that it has not, such as NaN, become null."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Whole numbers above 64 bits, half of an emoji, lists in lists in lists: the standard
        # library writes them all, at a tenth of the speed.
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
