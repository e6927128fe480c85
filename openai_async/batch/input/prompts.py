"""Requests made from prompts: the lines of a text, or a column of a CSV, TSV or Parquet file.

Blocking, in bounded memory, as `lines`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ...errors import InvalidArgumentError
from ..parquet import column_names, read_columns
from .lines import MAX_LINE, read_lines
from .opening import opened

_OURS = ("model", "messages", "stream")


def prompts_of(path: Path, *, column: str | None = None) -> Iterator[tuple[int, str]]:
    """The prompts in a file, with their numbers, which begin with 1.

    Args:
        path: `.csv`, `.tsv` or `.parquet`, where each row has a prompt; any other file has one on
            each line, not counting blank lines. All but Parquet may be gzip-compressed. A CSV may
            have semicolons, tabs or bars instead of commas; the header shows which.
        column: which one has the prompts. Needed where there is more than one.

    Raises:
        InvalidArgumentError: there is no such column (raised at once); the file cannot be read,
            has no prompts, or a row has none (raised when that point is reached).
    """
    rows = _rows(path, column, None)
    return ((number, prompt) for number, prompt, _ in rows)


def requests_from_prompts(
    path: Path,
    *,
    model: str,
    column: str | None = None,
    id_column: str | None = None,
    system: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """A chat request for each prompt in a file, as a line of a batch's input.

    Args:
        path, column: as for `prompts_of`.
        model: which is asked.
        id_column: which column has the `custom_id`; else it is "prompt-1" for the first.
        system: a system message before each prompt.
        params: more parameters of the call, such as `{"temperature": 0}`.

    Raises:
        InvalidArgumentError: as `prompts_of`; or `params` has what is set here.
    """
    for name in _OURS:
        if name in (params or {}):
            msg = f"params has {name!r}, which is no parameter to set: leave it out."
            raise InvalidArgumentError(msg)
    rows = _rows(path, column, id_column)
    before = [] if system is None else [{"role": "system", "content": system}]
    return (
        {
            "custom_id": f"prompt-{number}" if custom_id is None else custom_id,
            "method": "POST",
            "url": "/v1/chat/completions",
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
    """Number, prompt and id of each row. What can be known before reading is raised at once."""
    kind = _kind(path)
    if kind is None:
        if (asked := column or id_column) is not None:
            msg = f"{path} has no columns, and so no {asked!r}: columns are read of {_TABLES}."
            raise InvalidArgumentError(msg)
        return _some(_text_rows(path), f"{path} has no prompts: write one on each line.")
    names = column_names(path) if kind == ".parquet" else _csv_names(path)
    if not names:
        msg = f"{path} is empty: write the names of the columns first, then a prompt in each row."
        raise InvalidArgumentError(msg)
    wanted = [_the_column(path, names, column)]
    if id_column is not None:
        wanted.append(_the_column(path, names, id_column))
    read = read_columns if kind == ".parquet" else _csv_columns
    rows = _checked_rows(path, wanted, read(path, wanted))
    return _some(rows, f"{path} has no rows: write a prompt in each row below the header.")


def _some(rows: Iterator[_Row], otherwise: str) -> Iterator[_Row]:
    """The rows; it is an error if there are none."""
    first = next(rows, None)
    if first is None:
        raise InvalidArgumentError(otherwise)
    yield first
    yield from rows


# The delimiters that a kind of table may have, the most likely first. Spreadsheets write semicolons
# into a .csv where the decimal separator is a comma.
_SEPARATORS = {".csv": ",;\t|", ".tsv": "\t,;|"}
_TABLES = ".csv, .tsv, .parquet"


def _kind(path: Path) -> str | None:
    """The kind of table, by its name (`prompts.csv.gz` is a .csv); `None` for plain text."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
        return suffix if suffix in _SEPARATORS else None
    return suffix if suffix == ".parquet" or suffix in _SEPARATORS else None


def _the_column(path: Path, names: Sequence[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name is not None and name in names:
        return name
    listed = ", ".join(map(repr, names))
    if name is None:
        msg = f"{path} has more than one column: say which has the prompts, of {listed}."
    else:
        msg = f"{path} has no column {name!r}: there are {listed}."
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
        if _REQUEST.match(text):  # as a prompt it would be answered, paid for and never noticed
            msg = (
                f"{path}, line {line.number} is a request, not a prompt: "
                "pass the file as the input, without --from-prompts."
            )
            raise InvalidArgumentError(msg)
        yield line.number, text, None


_REQUEST = re.compile(r'\s*\{\s*"custom_id"\s*:')


def _csv_names(path: Path) -> list[str]:
    with _csv_reader(path, _separator(path)) as rows:
        return _header(rows)


def _csv_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    with _csv_reader(path, _separator(path)) as rows:
        names = _header(rows)
        at = [names.index(name) for name in columns]
        filled = (row for row in rows if row)  # a blank line is no row
        for number, row in enumerate(filled, 1):
            if any(row[len(names) :]):  # most likely the rest of a prompt
                where = f"{path}, row {number}"
                msg = f"{where} has more columns than the header: put quotes around each text."
                raise InvalidArgumentError(msg)
            yield number, tuple(row[i] if i < len(row) else None for i in at)


def _header(rows: Iterator[list[str]]) -> list[str]:
    """The first row that is not blank; an empty list if there is none."""
    return next((row for row in rows if row), [])


def _separator(path: Path) -> str:
    """The first delimiter of this kind of file that splits the header into several columns.

    If none does, there is only one column, and any delimiter will do.
    """
    likely = _SEPARATORS[_kind(path) or ".csv"]
    for separator in likely:
        # Not strict: with a wrong delimiter the quotes are in odd places.
        with _csv_reader(path, separator, strict=False) as rows:
            if len(_header(rows)) > 1:
                return separator
    return likely[0]


@contextmanager
def _csv_reader(
    path: Path, separator: str, *, strict: bool = True
) -> Iterator[Iterator[list[str]]]:
    # A bound of the whole process, only ever raised: its 128 KiB are no more than a long prompt.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    try:
        with opened(path) as file, TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=strict, delimiter=separator)
            try:
                yield rows
            except csv.Error as error:
                msg = f"{path}, line {rows.line_num} is no CSV: {error}."
                raise InvalidArgumentError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8: save the file as UTF-8."
        raise InvalidArgumentError(msg) from error
