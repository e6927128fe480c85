"""Parquet files: results stored in them, and columns of text read from them.

pyarrow is imported only here, and only when a function is called: JSONL does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..jsontext import loads
from .input.input_file import CHUNK
from .output.errors import OutputError, output_errors
from .output.jsonl import dump
from .output.output_file import replacing
from .output.scan import Entry
from .results import BAD_LINE, is_refusal

COLUMNS = (
    "id",
    "custom_id",
    "status_code",
    "request_id",
    "body",
    "error_code",
    "error_message",
)
# Bytes of JSON in a row group: a reader has one row group in memory at a time.
_GROUP_BYTES = 16 * 1024 * 1024
# How many rows are read at once, with their bodies and without.
_WHOLE_ROWS = 200
_ID_ROWS = 20_000


def require_pyarrow() -> Any:
    """The module `pyarrow`.

    Raises:
        InvalidArgumentError: it is not installed.
    """
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        msg = 'Parquet files need pyarrow: pip install "openai_async[ray]".'
        raise InvalidArgumentError(msg) from error


class ParquetPart:
    """A `Part` that is a finished Parquet file."""

    repaired = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = 0

    def entries(self) -> Iterator[Entry]:
        """As `Part.entries`; bodies are not read."""
        columns = {"custom_id": "string", "error_code": "string", "status_code": "int"}
        with _open(self.path) as file:
            schema = file.schema_arrow
            if not all(
                name in schema.names and str(schema.field(name).type).startswith(kind)
                for name, kind in columns.items()
            ):
                raise self._not_results()
            for batch in file.iter_batches(
                batch_size=_ID_ROWS, columns=list(columns), use_threads=False
            ):
                values = (batch.column(name).to_pylist() for name in columns)
                for id, code, status in zip(*values, strict=True):
                    if id is None:
                        raise self._not_results()
                    failed = code is not None
                    yield Entry(
                        id,
                        failed=failed,
                        refused=failed and is_refusal(status),
                        bad_line=code == BAD_LINE,
                    )

    def keep(self, mask: bytes | bytearray) -> None:
        """As `Part.keep`."""
        self.results = sum(mask)
        if 0 not in mask:
            return
        pa = require_pyarrow()
        with (
            output_errors(self.path, "rewritten"),
            _open(self.path) as old,
            _row_groups(self.path, old.schema_arrow) as add,
        ):
            at = 0
            for batch in old.iter_batches(batch_size=_WHOLE_ROWS, use_threads=False):
                kept = pa.array(map(bool, mask[at : at + len(batch)]), pa.bool_())
                add(batch.filter(kept))
                at += len(batch)

    def _not_results(self) -> OutputError:
        msg = f"{self.path} does not hold results of a batch: choose another output."
        return OutputError(msg)


def write_parquet(path: Path, entries: Iterator[Entry]) -> None:
    """Write the lines of entries as rows; the file appears once it is whole.

    Raises:
        OutputError: it cannot be written.
    """
    pa = require_pyarrow()
    schema = pa.schema(
        [(name, pa.int32() if name == "status_code" else pa.string()) for name in COLUMNS]
    )
    with output_errors(path, "written"), _row_groups(path, schema) as add:
        rows: list[dict[str, Any]] = []
        size = 0
        for entry in entries:
            rows.append(_row(loads(entry.line)))
            size += len(entry.line)
            if size >= CHUNK:
                add(pa.RecordBatch.from_pylist(rows, schema))
                rows, size = [], 0
        add(pa.RecordBatch.from_pylist(rows, schema))


@contextmanager
def _row_groups(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    """A function that adds record batches to a new file at `path`, grouped into row groups."""
    pa = require_pyarrow()
    batches: list[Any] = []

    def flush() -> None:
        if batches:
            writer.write_table(pa.Table.from_batches(batches, schema))
            batches.clear()

    def add(batch: Any) -> None:
        batches.append(batch)
        if sum(batch.nbytes for batch in batches) >= _GROUP_BYTES:
            flush()

    with (
        replacing(path) as file,
        # Only error codes repeat. Looking for repetitions in all columns takes a third of the time.
        pa.parquet.ParquetWriter(file, schema, use_dictionary=["error_code"]) as writer,
    ):
        yield add
        flush()


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows of some columns, numbered from 1.

    Raises:
        InvalidArgumentError: it is not a Parquet file, or pyarrow is not installed.
    """
    try:
        with _open(path) as file:
            number = 0
            batches = file.iter_batches(
                batch_size=_WHOLE_ROWS, columns=list(columns), use_threads=False
            )
            for batch in batches:
                values = (batch.column(name).to_pylist() for name in columns)
                for row in zip(*values, strict=True):
                    number += 1
                    yield number, row
    except OutputError as error:
        raise InvalidArgumentError(str(error)) from error


def column_names(path: Path) -> list[str]:
    """The names of the columns of a Parquet file.

    Raises:
        InvalidArgumentError: it is not a Parquet file, or pyarrow is not installed.
    """
    try:
        with _open(path) as file:
            return list(file.schema_arrow.names)
    except OutputError as error:
        raise InvalidArgumentError(str(error)) from error


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    pa = require_pyarrow()
    try:
        # Without buffer_size, and with pre_buffer, whole row groups are in memory: 50 MB more.
        with pa.parquet.ParquetFile(path, buffer_size=CHUNK, pre_buffer=False) as file:
            yield file
    except pa.ArrowException as error:
        msg = f"{path} is not a complete Parquet file: {str(error).splitlines()[0]}"
        raise OutputError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise OutputError(msg) from error


def _row(value: dict[str, Any]) -> dict[str, Any]:
    response, error = value["response"], value.get("error")
    row: dict[str, Any] = {name: _text(value.get(name)) for name in ("id", "custom_id")}
    if isinstance(response, dict):
        status = response.get("status_code")
        row["status_code"] = status if type(status) is int else None
        row["request_id"] = _text(response.get("request_id"))
        row["body"] = dump(response.get("body")).decode()
    if error is not None:
        said = error if isinstance(error, dict) else {"message": error}
        # An error without a code must be found by this column too.
        row["error_code"] = _text(said.get("code")) or "error"
        row["error_message"] = _text(said.get("message"))
    return row


def _text(value: object) -> str | None:
    """A string that UTF-8 can encode: lone surrogates become question marks."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()
