"""The output of a batch, as a run uses it: what is done, and results appended.

Blocking; one thread at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..ids import IdSet
from ..results import BatchResult
from .jsonl import LinesPart, line_of
from .scan import scan_output


class Journal(Protocol):
    """An output that can be resumed.

    Attributes:
        done: the ids whose results `open` has found in the output.
        kept: how many there are.
        failed: how many of them are errors.
        refused: how many of these errors would recur, because the server refused the request.
        bad_lines: how many of these errors are for lines that are not valid requests.
        repaired: how many lines `open` has dropped: half-written, NULs, a second one for an id.
    """

    done: IdSet
    kept: int
    failed: int
    refused: int
    bad_lines: int
    repaired: int

    def open(self, *, retry_failed: bool = False) -> None:
        """Lock the output, repair it, and read what is done.

        Args:
            retry_failed: drop the errors, so that their requests are sent again.

        Raises:
            OutputError: another run has locked it, it holds something else, or the disk fails.
        """

    def append(self, results: Sequence[BatchResult]) -> None:
        """Write results, none of which is in the output already.

        Raises:
            OutputError: they could not all be written. Whole lines that were written are kept.
        """
        self.append_lines([line_of(result) for result in results])

    def append_lines(self, lines: Sequence[bytes]) -> None:
        """As `append`, for results that `line_of` has turned into lines."""

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""

    def close(self) -> None:
        """Close and unlock the output. May be called twice."""


class FileJournal(Journal):
    """A `Journal` in one JSONL file, which is created if it does not exist."""

    def __init__(self, path: Path) -> None:
        self.done = IdSet()
        self.kept = self.failed = self.refused = self.bad_lines = self.repaired = 0
        self._part = LinesPart(path)

    def open(self, *, retry_failed: bool = False) -> None:
        """As `Journal.open`."""
        try:
            self._part.file.open()
            scan = scan_output([self._part], retry_failed=retry_failed)
        except BaseException:
            self.close()
            raise
        self.done, self.kept, self.failed = scan.done, scan.kept, scan.failed
        self.refused, self.bad_lines = scan.refused, scan.bad_lines
        self.repaired = scan.repaired

    def append_lines(self, lines: Sequence[bytes]) -> None:
        """As `Journal.append_lines`."""
        self._part.file.append(lines)

    def sync(self) -> None:
        """As `Journal.sync`."""
        self._part.file.sync()

    def close(self) -> None:
        """As `Journal.close`. An empty file is removed if `open` has created it."""
        self._part.file.close()
