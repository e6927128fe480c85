"""Requests made from prompts: the lines of a text file, or a column of CSV, TSV or Parquet.

Blocking, in bounded memory, as `lines`.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ...errors import InvalidArgumentError
from ..parquet import column_names, read_columns
from ..requests import CHAT_URL
from .input_file import open_input
from .lines import MAX_LINE, read_lines

_RESERVED = ("model", "messages", "stream")


def prompts_of(path: Path, *, column: str | None = None) -> Iterator[tuple[int, str]]:
    """The prompts in a file, numbered from 1.

    Args:
        path: `.csv`, `.tsv` or `.parquet` with a prompt in each row; any other file has one on each
            line, not counting blank lines. All but Parquet may be gzip-compressed. The delimiter
            of a CSV may be a semicolon, tab or bar; it is detected from the header.
        column: the one with the prompts. Required if there are several.

    Raises:
        InvalidArgumentError: there is no such column (raised at once); the file cannot be read or
            has no prompts, or a row has none (raised when the iteration gets there).
    """
    rows = _rows(path, column, None)
    return ((number, prompt) for number, prompt, _ in rows)


def requests_from_prompts(
    path: str | os.PathLike[str],
    *,
    model: str,
    column: str | None = None,
    id_column: str | None = None,
    system: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """A chat request for each prompt in a file, as lines for `run_requests` or a batch file.

    Args:
        path: `.csv`, `.tsv` or `.parquet` with a prompt in each row; any other file has one on each
            line, not counting blank lines. All but Parquet may be gzip-compressed. The delimiter
            of a CSV may be a semicolon, tab or bar; it is detected from the header.
        model: the model to ask.
        column: the one with the prompts. Required if there are several.
        id_column: the one with the `custom_id`; without it, ids are "prompt-1", "prompt-2" ...
        system: a system message before each prompt.
        params: more parameters of each call, such as `{"temperature": 0}`.

    Raises:
        InvalidArgumentError: there is no such column, or `params` has a parameter that is set here
            (raised at once); the file cannot be read or has no prompts, or a row has none (raised
            when the iteration gets there).

    Example::

        requests = requests_from_prompts(Path("prompts.csv"), model="gpt-4o", column="question")
        async for result in run_requests(client, requests):
            print(result.custom_id, result.error or result.completion.text)
    """
    if not isinstance(path, str | os.PathLike):
        msg = f"path has type {type(path).__name__}: pass the path of a file with prompts."
        raise InvalidArgumentError(msg)
    for name in _RESERVED:
        if name in (params or {}):
            msg = f"params has {name!r}, which cannot be set: leave it out."
            raise InvalidArgumentError(msg)
    rows = _rows(Path(path), column, id_column)
    before = [] if system is None else [{"role": "system", "content": system}]
    return (
        {
            "custom_id": f"prompt-{number}" if custom_id is None else custom_id,
            "method": "POST",
            "url": CHAT_URL,
            "body": {
                "model": model,
                "messages": [*before, {"role": "user", "content": prompt}],
                **(params or {}),
            },
        }
        for number, prompt, custom_id in rows
    )


_Row = tuple[int, str, str | None]


def _rows(path: Path, column: str | None, id_column: str | None) -> Iterator[_Row]:
    """Number, prompt and id of each row. Errors known before reading are raised at once."""
    kind = _kind(path)
    if kind is None:
        if (name := column or id_column) is not None:
            msg = f"{path} has no columns, and so no {name!r}: only {_TABLES} have columns."
            raise InvalidArgumentError(msg)
        return _not_empty(_text_rows(path), f"{path} has no prompts: write one on each line.")
    names = column_names(path) if kind == ".parquet" else _csv_names(path)
    if not names:
        msg = f"{path} is empty: write the names of the columns first, then a prompt in each row."
        raise InvalidArgumentError(msg)
    wanted = [_find_column(path, names, column)]
    if id_column is not None:
        wanted.append(_find_column(path, names, id_column))
    read = read_columns if kind == ".parquet" else _csv_columns
    rows = _checked_rows(path, wanted, read(path, wanted))
    return _not_empty(rows, f"{path} has no rows: write a prompt in each row below the header.")


def _not_empty(rows: Iterator[_Row], message: str) -> Iterator[_Row]:
    """The rows; raises if there are none."""
    first = next(rows, None)
    if first is None:
        raise InvalidArgumentError(message)
    yield first
    yield from rows


# The delimiters that a format may have, the most likely first. Spreadsheets write semicolons into a
# .csv where the decimal separator is a comma.
_DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|"}
_TABLES = ".csv, .tsv, .parquet"


def _kind(path: Path) -> str | None:
    """The format, by the name (`prompts.csv.gz` is a .csv); `None` for plain text."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
        return suffix if suffix in _DELIMITERS else None
    return suffix if suffix == ".parquet" or suffix in _DELIMITERS else None


def _find_column(path: Path, names: Sequence[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name is not None and name in names:
        return name
    listed = ", ".join(map(repr, names))
    if name is None:
        msg = f"{path} has several columns: name the one with the prompts, of {listed}."
    else:
        msg = f"{path} has no column {name!r}: its columns are {listed}."
    raise InvalidArgumentError(msg)


def _checked_rows(
    path: Path, columns: Sequence[str], rows: Iterator[tuple[int, tuple[Any, ...]]]
) -> Iterator[_Row]:
    for number, values in rows:
        for name, value in zip(columns, values, strict=True):
            if value is None or value == "":
                msg = f"{path}, row {number} has no {name!r}: fill it in, or remove the row."
                raise InvalidArgumentError(msg)
        prompt, *custom_id = values
        if not isinstance(prompt, str):
            kind = type(prompt).__name__
            msg = f"{path}, row {number}: {columns[0]!r} is of type {kind}: name a column of text."
            raise InvalidArgumentError(msg)
        yield number, prompt, str(custom_id[0]) if custom_id else None


def _text_rows(path: Path) -> Iterator[_Row]:
    for line in read_lines(path):
        try:
            text = line.data.decode()
        except UnicodeDecodeError as error:
            msg = f"{path}, line {line.number} is not UTF-8: save the file as UTF-8."
            raise InvalidArgumentError(msg) from error
        if line.problem is not None:
            msg = f"{path}, line {line.number}: {line.problem}"
            raise InvalidArgumentError(msg)
        if _REQUEST.match(text):  # as a prompt it would be answered and paid for, unnoticed
            msg = (
                f"{path}, line {line.number} is a request, not a prompt: "
                "pass the file as the input, without --from-prompts."
            )
            raise InvalidArgumentError(msg)
        yield line.number, text, None


_REQUEST = re.compile(r'\s*\{\s*"custom_id"\s*:')


def _csv_names(path: Path) -> list[str]:
    with _csv_reader(path, _delimiter(path)) as rows:
        return _header(rows)


def _csv_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    with _csv_reader(path, _delimiter(path)) as rows:
        names = _header(rows)
        at = [names.index(name) for name in columns]
        filled = (row for row in rows if row)  # blank lines are not rows
        for number, row in enumerate(filled, 1):
            if any(row[len(names) :]):  # most likely the rest of a prompt with commas
                where = f"{path}, row {number}"
                msg = f"{where} has more columns than the header: put quotes around each text."
                raise InvalidArgumentError(msg)
            yield number, tuple(row[i] if i < len(row) else None for i in at)


def _header(rows: Iterator[list[str]]) -> list[str]:
    """The first row that is not blank; empty if there is none."""
    return next((row for row in rows if row), [])


def _delimiter(path: Path) -> str:
    """The first delimiter of this format that splits the header into several columns.

    If none does, there is only one column, and any delimiter works.
    """
    likely = _DELIMITERS[_kind(path) or ".csv"]
    for delimiter in likely:
        # Not strict: with a wrong delimiter, quotes appear in unexpected places.
        with _csv_reader(path, delimiter, strict=False) as rows:
            if len(_header(rows)) > 1:
                return delimiter
    return likely[0]


@contextmanager
def _csv_reader(
    path: Path, delimiter: str, *, strict: bool = True
) -> Iterator[Iterator[list[str]]]:
    # A limit of the whole process, only ever raised: a long prompt exceeds the default of 128 KiB.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    try:
        with (
            open_input(path) as file,
            TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        ):
            rows = csv.reader(text, strict=strict, delimiter=delimiter)
            try:
                yield rows
            except csv.Error as error:
                msg = f"{path}, line {rows.line_num} is not valid CSV: {error}."
                raise InvalidArgumentError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8: save the file as UTF-8."
        raise InvalidArgumentError(msg) from error
