"""`requests_file`: requests made by a program, as the input file of a batch that can be resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from ..jsontext import dumps
from .output.errors import OutputError, output_errors
from .output.output_file import OutputFile
from .output.parts import read_entries


@contextmanager
def requests_file(
    path: Path,
    requests: Iterable[Mapping[str, Any]],
    output: Path,
    *,
    parts: Literal["jsonl", "parquet"] | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
) -> Iterator[Path]:
    """Write requests to a file, as a whole or not at all, and keep it locked for the `with` block.

    Results belong to requests by their ids alone. So if the output has results, the requests must
    begin with those already in the file: otherwise the results of other requests would be taken
    for theirs. Results that `retry_failed` drops do not count. Blocking.

    Args:
        path: the file to write.
        requests: lines of a batch file, such as those of `requests_from_prompts`.
        output, parts, retry_failed: as for `run_batch`.
        dry_run: write to a temporary file instead, for `preview_batch`.

    Yields:
        The path of the file, the input for `run_batch`.

    Raises:
        OutputError: the output has results of other requests, a file cannot be written, or another
            run is using it.

    Example::

        requests = requests_from_prompts(Path("prompts.txt"), model="gpt-4o")
        with requests_file(Path("in.jsonl"), requests, Path("out.jsonl")) as source:
            report = asyncio.run(run_batch(client, source, "out.jsonl"))
    """
    lines: Iterator[bytes] = (dumps(request) + b"\n" for request in requests)
    if dry_run:
        with TemporaryDirectory(prefix="openai-async-") as directory:
            file = OutputFile(Path(directory, "requests.jsonl"))
            with file.opened():
                file.replace(_continued(lines, path, output, retry_failed))
            yield file.path
        return
    # Another run that writes requests for this output finds the file locked until this one has
    # ended. A run that does not write any only locks the output, so that is locked meanwhile.
    file = OutputFile(path)
    with file.opened():
        with _locked(output, parts):
            file.replace(_continued(lines, path, output, retry_failed))
        yield path


@contextmanager
def _locked(output: Path, parts: str | None) -> Iterator[None]:
    """The lock of an output, as a run holds it; anything created for it is removed again."""
    created = False
    if parts is not None:
        with output_errors(output, "created"):
            created = not output.exists()
            output.mkdir(exist_ok=True)
    lock = OutputFile(output if parts is None else output / ".lock")
    try:
        lock.open()
        lock.remove_if_empty |= parts is not None  # as in a run
        yield
    finally:
        lock.close()
        if created:
            with suppress(OSError):  # another run is using the directory by now
                output.rmdir()


def _continued(
    lines: Iterator[bytes], path: Path, output: Path, retry_failed: bool
) -> Iterator[bytes]:
    """The lines; if the output has results, only if they begin with those in the file."""
    if all(retry_failed and entry.failed for entry in read_entries(output)):
        yield from lines
        return
    other = (
        f"The results in {output} belong to {path}, whose requests differ from the "
        "present ones: choose another output, or remove both."
    )
    with output_errors(path, "read"):
        if not path.exists() or path.stat().st_size == 0:
            msg = (
                f"There are results in {output}, and no {path} to tell whether they belong to "
                "these prompts: choose another output."
            )
            raise OutputError(msg)
        with path.open("rb") as file:
            for line in lines:
                if file.readline() not in (b"", line):
                    raise OutputError(other)
                yield line
            if file.readline():
                raise OutputError(other)
