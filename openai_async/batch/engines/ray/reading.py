"""Reading the input with Ray Data: JSONL by ranges of bytes, Parquet by rows.

Ray's `read_json` is not used, since Arrow gives all bodies one schema, with nulls for what they
leave out. Nor is `read_text`, which reads a whole file into memory, and splits lines at all of
Unicode's line breaks, some of which may be unescaped in JSON strings.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from ....errors import InvalidArgumentError, OpenAIError
from ...input.input_file import CHUNK, is_gzip
from ...input.lines import MAX_LINE, Line, bounded_lines, numbered, read_lines
from ...parquet import require_pyarrow
from .cluster import require_ray
from .columns import RowMapping

# Bytes of a range. Each is one block of Ray Data, of which a few are in memory at once.
RANGE_SIZE = 16 * 1024 * 1024
# Rows of Parquet that are converted at a time.
ROWS_PER_BATCH = 200
_LINE = "line"


class LineReader:
    """The lines of one input, which may be closed from another thread than the one that reads.

    If an unfinished one were left to the garbage collector, it would start Ray again to clean up.
    """

    def __init__(self, lines: Generator[Line, None, None]) -> None:
        self._lines = lines
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        with self._lock:
            if self._closed:
                msg = "The engine was closed while its input was being read."
                raise OpenAIError(msg)
            return next(self._lines)

    def close(self) -> None:
        """Stop reading. Blocking: waits until the current line has been read."""
        with self._lock:
            self._closed = True
            self._lines.close()


def read_jsonl(path: Path) -> Generator[Line, None, None]:
    """The lines of `path`, in order, as `lines.read_lines` gives them. Ray must be running.

    Raises:
        InvalidArgumentError: the file cannot be read, here or by a worker.
    """
    ray = require_ray()
    if is_gzip(path):  # no range can be decompressed without those before it
        yield from read_lines(path)
        return
    try:
        size = path.stat().st_size
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidArgumentError(msg) from error
    dataset = ray.data.read_datasource(_datasource(path.resolve(), size), num_cpus=0)
    tables = _tables(dataset, path)
    # Closed with this generator: reading must end before Ray does.
    with closing(tables):
        yield from numbered(data.as_py() for table in tables for data in table.column(_LINE))


def read_parquet(path: Path, columns: Mapping[str, str] | None) -> Generator[Line, None, None]:
    """The rows of `path`, in order, as lines of requests. Ray must be running.

    Raises:
        InvalidArgumentError: the file cannot be read, or does not have these columns.
    """
    ray = require_ray()
    arrow_error = require_pyarrow().ArrowException
    try:
        dataset = ray.data.read_parquet(str(path.resolve()), num_cpus=0)
        schema = dataset.schema()
    except (OSError, arrow_error, ray.exceptions.RayError) as error:
        msg = f"{path} is not a Parquet file: {_last_line(error)}."
        raise InvalidArgumentError(msg) from error
    mapping = RowMapping.of(columns, [] if schema is None else schema.names)
    number = 0
    wanted = dataset.select_columns([*mapping.columns.values()])
    for table in _tables(wanted, path):
        rows = (
            row
            for batch in table.to_batches(max_chunksize=ROWS_PER_BATCH)
            for row in batch.to_pylist()
        )
        for number, row in enumerate(rows, number + 1):  # noqa: B020 - continues across tables
            try:
                yield Line(number=number, data=mapping.line(number, row))
            except InvalidArgumentError as error:
                yield Line(number=number, data=b"", problem=str(error))


def _tables(dataset: Any, path: Path) -> Generator[Any, None, None]:
    """The dataset's Arrow tables, in the order of the input, so that rows can be numbered.

    `iter_batches` is not used: its threads continue for a while after it is closed, and a thread
    that calls a Ray that was shut down crashes the process.
    """
    ray = require_ray()
    dataset.context.execution_options.preserve_order = True
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    try:
        for bundle in dataset.iter_internal_ref_bundles():
            for block in bundle.block_refs:
                yield ray.get(block)
    except (OSError, ray.exceptions.RayError) as error:
        msg = f"{path} cannot be read by Ray's workers: {_last_line(error)}."
        raise InvalidArgumentError(msg) from error


def _datasource(path: Path, size: int) -> Any:
    """The file as a data source with a read task for each range.

    The tasks ask for no CPU, as the workers may hold all of them.
    """
    data = require_ray().data
    metadata = import_module("ray.data.block").BlockMetadata

    class Ranges(data.Datasource):  # type: ignore[misc,name-defined]  # needs Ray
        def estimate_inmemory_data_size(self) -> int:
            return size

        def get_read_tasks(
            self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
        ) -> list[Any]:
            return [task(start) for start in range(0, max(size, 1), RANGE_SIZE)]

    def task(start: int) -> Any:
        end = start + RANGE_SIZE

        def read() -> Iterator[Any]:
            yield lines_of_range(path, start, end)

        about = metadata(
            num_rows=None,
            size_bytes=min(RANGE_SIZE, size - start),
            exec_stats=None,
            input_files=None,
        )
        return data.ReadTask(read, about)

    return Ranges()


def lines_of_range(path: Path, start: int, end: int) -> Any:
    """An Arrow table of the lines that begin in this range; null for a line that is too long."""
    pyarrow = require_pyarrow()
    lines: list[bytes | None] = []
    with path.open("rb", buffering=CHUNK) as file:
        if start > 0:  # skip the line that begins in an earlier range
            file.seek(start - 1)
            while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
                pass
        begins = file.tell()
        if begins < end:
            for line in bounded_lines(file, MAX_LINE):
                lines.append(line)
                if file.tell() >= end:
                    break
    return pyarrow.table({_LINE: pyarrow.array(lines, pyarrow.large_binary())})


def _last_line(error: Exception) -> str:
    """The last line of an error, as Ray's messages contain whole tracebacks."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
