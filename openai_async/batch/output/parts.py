"""The output as a directory of parts, for runs too large for one file.

Results are appended to the last part, a JSONL file. A full part is finished: synced, and
converted if the format is Parquet. A directory may hold parts of both formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ...errors import InvalidArgumentError
from ..ids import IdSet
from ..parquet import ParquetPart, require_pyarrow, write_parquet
from .errors import output_errors
from .journal import Journal
from .jsonl import LinesPart
from .output_file import OutputFile
from .scan import Entry, scan_output

_NAME = re.compile(r"part-(\d{5,})\.(jsonl|parquet)")
_LEFTOVER = re.compile(r"\.part-\d{5,}\.(jsonl|parquet)\.rewrite")


class PartsJournal(Journal):
    """A `Journal` in a directory, which is created if it does not exist; its parent must.

    Args:
        directory: of the files `part-00000.jsonl`, `part-00001.jsonl` ...
        format: of finished parts: "jsonl", or "parquet" with the columns `COLUMNS`.
        part_size: how many results make a part full.

    Raises:
        InvalidArgumentError: the format is unknown, or part_size is below 1.
    """

    def __init__(
        self,
        directory: Path,
        *,
        format: Literal["jsonl", "parquet"] = "jsonl",
        part_size: int = 10_000,
    ) -> None:
        if format not in ("jsonl", "parquet"):
            msg = f'format is {format!r}: pass "jsonl" or "parquet".'
            raise InvalidArgumentError(msg)
        if part_size < 1:
            msg = f"part_size is {part_size}: pass 1 or more."
            raise InvalidArgumentError(msg)
        self.done = IdSet()
        self.kept = self.failed = self.refused = self.bad_lines = self.repaired = 0
        self._directory = directory.absolute()  # the program may change its directory
        self._lock = OutputFile(self._directory / ".lock")
        self._parquet = format == "parquet"
        self._part_size = part_size
        self._created = self._broken = False
        self._finished = 0  # results in finished parts
        self._next = 0
        self._last: LinesPart | None = None

    def open(self, *, retry_failed: bool = False) -> None:
        """As `Journal.open`.

        Raises:
            OutputError: as there.
            InvalidArgumentError: Parquet is requested, or found, and pyarrow is not installed.
        """
        if self._parquet:
            require_pyarrow()
        try:
            self._open_directory()
            parts = self._find_parts()
            scan = scan_output(parts, retry_failed=retry_failed)
            self._resume(parts)
        except BaseException:
            self._broken = True
            self.close()
            raise
        self.done, self.kept, self.failed = scan.done, scan.kept, scan.failed
        self.refused, self.bad_lines = scan.refused, scan.bad_lines
        self.repaired = scan.repaired

    def append_lines(self, lines: Sequence[bytes]) -> None:
        """As `Journal.append_lines`."""
        try:
            while lines:
                part = self._last or self._new_part()
                room = self._part_size - part.results
                part.file.append(lines[:room], in_other_files=self._finished)
                lines = lines[room:]
                if part.results >= self._part_size:
                    self._finish(part)
                    self._last = None
        except BaseException:
            self._broken = True
            raise

    def sync(self) -> None:
        """As `Journal.sync`."""
        if self._last is not None:
            self._last.file.sync()

    def close(self) -> None:
        """As `Journal.close`; the last part is finished, unless something has failed.

        The next run finishes what is left unfinished.

        Raises:
            OutputError: the last part could not be converted to Parquet. Its results are safe.
        """
        last, self._last = self._last, None
        try:
            if last is not None and last.results and self._parquet and not self._broken:
                self._finish(last)
        finally:
            if last is not None:
                last.file.close()
            self._lock.close()
            self._remove_if_empty()

    def _open_directory(self) -> None:
        with output_errors(self._directory, "opened"):
            try:
                self._directory.mkdir()
                self._created = True
            except FileExistsError:
                if not self._directory.is_dir():
                    raise
        self._lock.open()
        self._lock.remove_if_empty = True  # it is always empty, even if another run has created it

    def _find_parts(self) -> list[LinesPart | ParquetPart]:
        found: dict[int, LinesPart | ParquetPart] = {}
        with output_errors(self._directory, "read"):
            # "jsonl" comes before "parquet": if a run was killed after converting a part and before
            # removing the JSONL file, the Parquet file is whole.
            for path in sorted(self._directory.iterdir()):
                if _LEFTOVER.fullmatch(path.name):
                    path.unlink()
                elif name := _NAME.fullmatch(path.name):
                    number = int(name[1])
                    is_lines = name[2] == "jsonl"
                    if isinstance(twin := found.get(number), LinesPart):
                        twin.file.path.unlink()
                    found[number] = LinesPart(path) if is_lines else ParquetPart(path)
        self._next = max(found, default=-1) + 1
        return [found[number] for number in sorted(found)]

    def _resume(self, parts: Sequence[LinesPart | ParquetPart]) -> None:
        """Finish full parts, remove empty ones, and continue with the last one."""
        if parts and isinstance(last := parts[-1], LinesPart) and last.results < self._part_size:
            self._open_last(last)
            parts = parts[:-1]
        for part in parts:
            if part.results == 0:
                path = part.path if isinstance(part, ParquetPart) else part.file.path
                with output_errors(path, "removed"):
                    path.unlink()
            elif isinstance(part, LinesPart) and self._parquet:
                self._finish(part)
            else:
                self._finished += part.results

    def _new_part(self) -> LinesPart:
        part = LinesPart(self._directory / f"part-{self._next:05}.jsonl")
        self._open_last(part)
        self._next += 1
        return part

    def _open_last(self, part: LinesPart) -> None:
        part.file.open()
        part.file.remove_if_empty = True
        self._last = part

    def _finish(self, part: LinesPart) -> None:
        path = part.file.path
        with part.file.opened():
            part.file.sync()
        if self._parquet:
            write_parquet(path.with_suffix(".parquet"), part.entries())
        part.file.close()
        if self._parquet:
            with output_errors(path, "removed"):
                path.unlink()
        self._finished += part.results

    def _remove_if_empty(self) -> None:
        with output_errors(self._directory, "closed"):
            if self._created and not any(self._directory.iterdir()):
                self._directory.rmdir()
                self._created = False


def read_entries(output: Path) -> Iterator[Entry]:
    """The results in an output that is a file or a directory of parts; none if it does not exist.

    Nothing is locked, repaired or written.

    Raises:
        OutputError: it cannot be read, or holds something else.
        InvalidArgumentError: there is Parquet in it, and pyarrow is not installed.
    """
    with output_errors(output, "read"):
        if not output.is_dir():
            paths = [output] if output.exists() else []
        else:
            paths = [path for path in sorted(output.iterdir()) if _NAME.fullmatch(path.name)]
    for path in paths:
        yield from (ParquetPart if path.suffix == ".parquet" else LinesPart)(path).entries()
