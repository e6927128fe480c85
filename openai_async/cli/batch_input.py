"""What `openai-async batch` does before anything is sent: prompts to requests, and `--dry-run`.

Blocking, outside of any event loop: Ctrl-C ends it at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import orjson
from attrs import define, field

from .. import AsyncClient
from ..batch.engines import make_engine
from ..batch.ids import IdSet
from ..batch.input.checking import InputCheck, check_input, requests_of
from ..batch.input.lines import Line
from ..batch.input.prompts import requests_from_prompts
from ..batch.output.journal import Entry, LinesPart
from ..batch.output.output_file import OutputFile, output_errors
from ..batch.parquet import ParquetPart
from ..batch.report import duration
from ..middleware.pacing.token_estimate import estimate_tokens
from .batch_options import BatchOptions, PromptOptions, column_mapping, requests_file
from .errors import FAILED, CommandError
from .options import LOCAL_KEY
from .output import Output, write_error

Reader: TypeAlias = Callable[[Path], Iterable[Line]]

# Names that are counted, and their length. More than that is something else in that field.
MAX_NAMES = 20
MAX_NAME = 60


@contextmanager
def requests_to_send(
    source: Path | None, target: Path, options: BatchOptions, prompts: PromptOptions
) -> Iterator[Path]:
    """The file of requests: `source`, or one made of prompts, ours alone until the end.

    Another run with prompts for this output finds the file locked, from before it is written until
    nothing more is sent. A run without prompts locks the output, which is ours while we write.

    Raises:
        CommandError: there are results, and they belong to other requests.
        InvalidArgumentError: the prompts cannot be read.
        OutputError: a file cannot be written, or another run has it.
    """
    if source is not None:
        yield source
        return
    path = requests_file(target)
    file = OutputFile(path)
    try:
        file.open()
        with _locked(target, options):
            _write_requests(prompts, target, options, file)
        yield path
    finally:
        file.close()


def _write_requests(
    prompts: PromptOptions, output: Path, options: BatchOptions, file: OutputFile
) -> None:
    """Make a file of requests of prompts: as a whole or not at all.

    Results belong to requests by their ids alone. So once there are results, there may be more
    requests than before, but no others: results would be taken for answers to other prompts.
    Errors that are about to be dropped do not count: whoever mistyped the model can correct it.
    """
    lines: Iterator[bytes] = (orjson.dumps(request) + b"\n" for request in _requests(prompts))
    if any(not (options.retry_failed and entry.failed) for entry in _entries(output)):
        lines = _continued(lines, output)
    file.replace(lines)


@contextmanager
def _locked(output: Path, options: BatchOptions) -> Iterator[None]:
    """The output's lock, as a run takes it; what is created for it is gone afterwards."""
    created = False
    if options.parts is not None:
        with output_errors(output, "created"):
            created = not output.exists()
            output.mkdir(exist_ok=True)
    lock = OutputFile(output if options.parts is None else output / ".lock")
    try:
        lock.open()
        lock.remove_if_empty |= options.parts is not None  # as a run has it
        yield
    finally:
        lock.close()
        if created:
            with suppress(OSError):  # another run has gone in, whose directory it is then
                output.rmdir()


def _requests(prompts: PromptOptions) -> Iterator[dict[str, Any]]:
    assert prompts.from_prompts is not None
    assert prompts.model is not None
    params = {
        "max_completion_tokens": prompts.max_completion_tokens,
        "max_tokens": prompts.max_tokens,
        "temperature": prompts.temperature,
    }
    return requests_from_prompts(
        prompts.from_prompts,
        model=prompts.model,
        column=prompts.column,
        id_column=prompts.id_column,
        system=prompts.system,
        params={name: value for name, value in params.items() if value is not None},
    )


def _continued(lines: Iterable[bytes], output: Path) -> Iterator[bytes]:
    """The lines, if they begin with those that the output belongs to."""
    path = requests_file(output)
    other = (
        f"The results in {output} belong to {path}, and other prompts or options make other "
        "requests: choose another output, or remove both."
    )
    with output_errors(path, "read"):
        if not path.exists() or path.stat().st_size == 0:
            msg = (
                f"There are results in {output}, and no {path} to tell whether they belong to "
                "these prompts: choose another output."
            )
            raise CommandError(msg)
        with path.open("rb") as file:
            for line in lines:
                if file.readline() not in (b"", line):
                    raise CommandError(other)
                yield line
            if file.readline():
                raise CommandError(other)


# --- dry run ---


@define(kw_only=True)
class Preview:
    """What a run would do. `tokens` is an estimate, answers included."""

    check: InputCheck
    done: int = 0
    to_do: int = 0
    tokens: float = 0
    models: Counter[str] = field(factory=Counter)
    urls: Counter[str] = field(factory=Counter)


def dry_run(
    source: Path | None,
    target: Path,
    options: BatchOptions,
    prompts: PromptOptions,
    output: Output,
) -> int:
    """Say what a run would do; returns the exit code, 1 for an input that it would not take.

    Raises:
        InvalidArgumentError: the input cannot be read.
        OutputError: the output cannot be read, or is something else.
    """
    with _source(source, target, options, prompts) as path, _reader(options) as read:
        preview = _preview(path, target, options, read)
    bad = preview.check.bad_count > 0 and not options.skip_bad_lines
    if output.as_json:
        output.json(_as_json(preview))
    for name, text in _rows(preview, options):
        output.line(f"{name:<9}  {text}")
    if bad and not output.as_json:
        what = str(source or f"the requests made of {prompts.from_prompts}")
        write_error("\n".join(_bad_lines(preview.check, what)))
    return FAILED if bad else 0


def _preview(path: Path, target: Path, options: BatchOptions, read: Reader) -> Preview:
    done = IdSet()
    for entry in _entries(target):
        if not (options.retry_failed and entry.failed):
            done.add(entry.id)
    preview = Preview(check=check_input(path, read=read))
    # In a second pass, as a run has it: of bad lines there may be many, and none is to be sent.
    on_bad = (lambda line: None) if preview.check.bad_count else None
    for request in requests_of(path, done, on_bad=on_bad, read=read):
        preview.to_do += 1
        preview.tokens += estimate_tokens(request.body)
        _count(preview.urls, request.url)
        _count(preview.models, request.body.get("model"))
    preview.done = preview.check.requests - preview.to_do
    return preview


def _count(counter: Counter[str], name: object) -> None:
    if name is not None:
        shown = str(name)[:MAX_NAME]
        counter[shown if shown in counter or len(counter) < MAX_NAMES else "(other)"] += 1


def _rows(preview: Preview, options: BatchOptions) -> Iterator[tuple[str, str]]:
    check = preview.check
    yield "requests", f"{check.requests:,}"
    if check.bad_count:
        yield "bad lines", f"{check.bad_count:,}"
    if preview.done:
        yield "done", f"{preview.done:,}"
    yield "to do", f"{preview.to_do:,}"
    yield "tokens", f"{preview.tokens:,.0f} (estimated, answers included)"
    for name, counter in (("models", preview.models), ("urls", preview.urls)):
        if counter:
            yield name, ", ".join(f"{key} {count:,}" for key, count in counter.most_common())
    limited = [
        (amount / limit, f"--{name} {limit}")
        for amount, limit, name in (
            (preview.to_do, options.rpm, "rpm"),
            (preview.tokens, options.tpm, "tpm"),
        )
        if limit is not None
    ]
    if limited:
        minutes, option = max(limited)
        yield "time", f"{duration(minutes * 60)} or more with {option}"


def _as_json(preview: Preview) -> dict[str, Any]:
    check = preview.check
    return {
        "requests": check.requests,
        "done": preview.done,
        "to_do": preview.to_do,
        "tokens": round(preview.tokens),
        "models": dict(preview.models.most_common()),
        "urls": dict(preview.urls.most_common()),
        "bad_lines": check.bad_count,
        "bad": [
            {"line": line.number, "custom_id": line.custom_id, "problem": line.problem}
            for line in check.bad
        ],
    }


def _bad_lines(check: InputCheck, what: str) -> Iterator[str]:
    """All of them; with the thousands that the check does not keep, there is one mistake."""
    if check.shape is not None:
        yield check.shape
        return
    yield f"There are bad lines in {what}. Fix them, or pass --skip-bad-lines:"
    for line in check.bad:
        yield f"  line {line.number}: {line.problem}"
    if check.bad_count > len(check.bad):
        yield f"  and {check.bad_count - len(check.bad):,} more."


@contextmanager
def _source(
    source: Path | None, target: Path, options: BatchOptions, prompts: PromptOptions
) -> Iterator[Path]:
    """The file of requests; one made of prompts is gone afterwards."""
    if source is not None:
        yield source
        return
    with TemporaryDirectory(prefix="openai-async-") as directory:
        file = OutputFile(Path(directory, "requests.jsonl"))
        with file.opened():
            _write_requests(prompts, target, options, file)
        yield file.path


@contextmanager
def _reader(options: BatchOptions) -> Iterator[Reader]:
    """How the engine reads. Nothing is sent: any key will do."""
    engine = make_engine(
        options.engine,
        AsyncClient(api_key=LOCAL_KEY),
        concurrency=options.concurrency,
        workers=options.workers,
        columns=column_mapping(options.columns),
    )
    try:
        yield engine.read
    finally:
        asyncio.run(engine.close())


# --- the output, read only ---


def _entries(output: Path) -> Iterator[Entry]:
    """What is in the output, be it a file or a directory of parts; nothing if it is not there."""
    with output_errors(output, "read"):
        if not output.is_dir():
            parts = [output] if output.exists() else []
        else:
            parts = [path for path in sorted(output.glob("part-*")) if path.suffix in _PARTS]
    for path in parts:
        yield from (ParquetPart if path.suffix == ".parquet" else LinesPart)(path).entries()


_PARTS = (".jsonl", ".parquet")
