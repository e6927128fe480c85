"""`run_batch`: a file of requests, each sent once, however often the run is started.

    validate the input -> open the output -> an engine sends what is missing -> output, report

A request is done once its result is in the output. So a run that was killed is resumed by starting
it again, with nothing to clean up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..client import AsyncClient
from ..errors import InvalidArgumentError
from ..options import check_whole
from .engines import make_engine
from .fan_out import parsing_of
from .output.journal import FileJournal
from .output.output_file import check_output_name
from .output.parts import PartsJournal
from .report import BatchReport
from .run import MIN_FAILURES, BatchRun
from .threads import run_in_thread_uncancelled


async def run_batch(
    client: AsyncClient,
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    concurrency: int = 256,
    progress: bool = False,
    engine: Literal["local", "ray"] = "local",
    retry_failed: bool = False,
    skip_bad_lines: bool = False,
    parts: Literal["jsonl", "parquet"] | None = None,
    workers: int | None = None,
    columns: Mapping[str, str] | None = None,
    stop: asyncio.Event | None = None,
    parse: Any = None,
    reask: int = 0,
) -> BatchReport:
    """Send all requests of a file, and write each result to another file as it comes.

    Started again with the same files, it resumes: requests without a result are sent. Both files
    have the format of the OpenAI Batch API. A request that fails for good, or after all its
    retries, becomes a line with an `error`.

    Args:
        client: what to send with; see `run_requests` for the pace and the retries it gets.
        input: a JSONL file of `{"custom_id", "method", "url", "body"}`.
        output: a JSONL file, created or appended to; with `parts` a directory.
        concurrency: how many requests are in flight at once, 1 or more.
        progress: show progress on stderr: a bar on a terminal, else a line now and then.
        engine: "local", or "ray" for several processes and machines.
        retry_failed: send requests again whose result in the output is an error.
        skip_bad_lines: lines that are not valid requests become errors in the output. Without it,
            nothing is sent while there are any.
        parts: the format of the files in the output directory; `None` for one JSONL file.
        workers: for ray: how many processes; one for each CPU if omitted.
        columns: for ray with Parquet input: which columns hold what.
        stop: set it to end the run early: nothing more is sent, and requests in flight finish.
        parse: the type that the answers must fit, as for `run_requests`. One that does not becomes
            a line with its response and an `error` with the code "misfit" ("length" or
            "content_filter" if it was cut off), and `retry_failed` sends its request again. Lines
            that are not chat requests are invalid then.
        reask: how many times to ask again, with the error, if an answer does not fit.

    Returns:
        The report. Its `stopped` is set if `stop` was.

    Raises:
        InvalidArgumentError: an argument or a line of the input is invalid; nothing was sent.
        OutputError: the output cannot be written, or another run is writing it; nothing was sent.
        BatchStoppedError: there is no point in continuing: the key is wrong, the quota is used up,
            the server is unreachable, or the disk is full. All results so far are in the output.

    Example::

        report = await run_batch(client, "in.jsonl", "out.jsonl", progress=True)
        print(report)
    """
    check_whole("concurrency", concurrency)
    if stop is not None and not isinstance(stop, asyncio.Event):
        msg = f"stop has type {type(stop).__name__}: pass an asyncio.Event."
        raise InvalidArgumentError(msg)
    source, target = _paths(input, output)
    if parts is None:
        check_output_name(target)
    journal = FileJournal(target) if parts is None else PartsJournal(target, format=parts)
    parsing = parsing_of(parse, reask)
    sender = make_engine(
        engine,
        client,
        concurrency=concurrency,
        workers=workers,
        columns=columns,
        parsing=parsing,
    )
    run = BatchRun(
        source=source,
        journal=journal,
        engine=sender,
        max_failures=max(concurrency, MIN_FAILURES),
        stop=stop or asyncio.Event(),
        problem_with=None if parsing is None else parsing.problem_with,
    )
    try:
        return await run.carry_out(progress, retry_failed, skip_bad_lines)
    finally:
        try:
            await sender.close()
        finally:
            await run_in_thread_uncancelled(journal.close)


def _paths(input: str | os.PathLike[str], output: str | os.PathLike[str]) -> tuple[Path, Path]:
    for name, path in (("input", input), ("output", output)):
        if not isinstance(path, str | os.PathLike):
            msg = f"{name} has type {type(path).__name__}: pass a path (run_requests takes lists)."
            raise InvalidArgumentError(msg)
    source, target = Path(input), Path(output)
    if "\0" in f"{source}{target}":
        msg = "Input or output is not a valid path: it contains a NUL."
        raise InvalidArgumentError(msg)
    try:
        same = target.exists() and source.exists() and target.samefile(source)
    except OSError as error:  # too long
        msg = f"Input or output is not a valid path: {error.strerror}."
        raise InvalidArgumentError(msg) from error
    if same:
        msg = "Input and output are the same file: write the results to another."
        raise InvalidArgumentError(msg)
    return source, target
