"""The options of `openai-async batch`, as `--help` shows them, and which of them go together."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from attrs import asdict, frozen
from cyclopts import Group, Parameter, validators

import openai_async

from .errors import UsageError, one_limit

_PER_MINUTE = validators.Number(gte=1, lte=10**9)
_AT_LEAST_ONE = validators.Number(gte=1)
# Characters of a path that is too long: enough to recognize it.
MAX_SHOWN = 80


@Parameter(name="*", group=Group("Options", sort_key=0))
@frozen(kw_only=True)
class BatchOptions:
    """How to run the batch."""

    concurrency: Annotated[
        int, Parameter(validator=_AT_LEAST_ONE, help="How many requests are in flight at once.")
    ] = 256
    rpm: Annotated[
        int | None,
        Parameter(
            validator=_PER_MINUTE,
            help="Send at most this many requests a minute. The server's own limit is learned.",
        ),
    ] = None
    tpm: Annotated[
        int | None,
        Parameter(validator=_PER_MINUTE, help="Send at most this many tokens a minute."),
    ] = None
    retry_failed: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Resend the requests that failed."),
    ] = False
    skip_bad_lines: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Write errors for invalid lines to the output, and send the others.",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Check and count only; send and write nothing.",
        ),
    ] = False
    parts: Annotated[
        Literal["jsonl", "parquet"] | None,
        Parameter(help="Make the output a directory of files in this format."),
    ] = None
    engine: Annotated[
        Literal["local", "ray"], Parameter(help="One process, or many on a Ray cluster.")
    ] = "local"
    workers: Annotated[
        int | None, Parameter(validator=_AT_LEAST_ONE, help="For Ray: how many processes.")
    ] = None
    columns: Annotated[
        str | None,
        Parameter(
            help="For Ray with Parquet input: the columns to use, as prompt=text,model=name."
        ),
    ] = None


@Parameter(name="*", group=Group("Prompts instead of requests", sort_key=1))
@frozen(kw_only=True)
class PromptOptions:
    """How to make requests from prompts."""

    from_prompts: Annotated[
        Path | None,
        Parameter(help="Prompts: one per line, or in a column of a CSV, TSV or Parquet file."),
    ] = None
    model: Annotated[str | None, Parameter(help="The model to ask.")] = None
    column: Annotated[str | None, Parameter(help="The column with the prompts.")] = None
    id_column: Annotated[
        str | None,
        Parameter(help="The column with the custom_id; otherwise prompt-1, prompt-2, ..."),
    ] = None
    system: Annotated[str | None, Parameter(help="Instructions for the model.")] = None
    max_completion_tokens: Annotated[
        int | None,
        Parameter(
            validator=_AT_LEAST_ONE,
            help="At most this many tokens in the answer, including reasoning.",
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        Parameter(
            validator=_AT_LEAST_ONE,
            help="The same, for models and servers that only know this name.",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        Parameter(
            validator=validators.Number(gte=0, lte=2), help="From 0 to 2; higher is more random."
        ),
    ] = None


def check_usage(
    source: Path | None, output: Path, options: BatchOptions, prompts: PromptOptions
) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: the first conflict, and what to do about it.
    """
    one_limit(prompts.max_completion_tokens, prompts.max_tokens)
    if source is None and prompts.from_prompts is None:
        msg = "There is no input: name a JSONL file of requests, or pass --from-prompts."
    elif source is not None and prompts.from_prompts is not None:
        msg = "There are two inputs: pass a file of requests or --from-prompts, not both."
    elif prompts.from_prompts is None and (unused := _first_given(prompts)):
        msg = f"{unused} is only for --from-prompts: in a file of requests, each line has its own."
    elif prompts.from_prompts is not None and prompts.model is None:
        msg = "--from-prompts needs --model: pass the model to ask."
    elif (problem := _unusable_path(source, output, options, prompts.from_prompts)) is not None:
        msg = problem
    elif options.engine == "local" and (options.workers or options.columns):
        msg = "--workers and --columns are only for --engine ray."
    elif options.engine == "local" and source is not None and source.suffix == ".parquet":
        msg = f"{source} is Parquet: pass it with --from-prompts, or to --engine ray."
    else:
        return
    raise UsageError(msg)


def requests_path(output: Path) -> Path:
    """Where the requests made from prompts are written: out.requests.jsonl beside out.jsonl."""
    return output.with_name(f"{output.stem}.requests.jsonl")


def _unusable_path(
    source: Path | None, output: Path, options: BatchOptions, prompts: Path | None
) -> str | None:
    """What is wrong with the paths themselves, before any is opened."""
    for path in (source, prompts, output):
        if path is not None and (problem := _path_problem(path)) is not None:
            return problem
    if _same_file(output, source) or _same_file(output, prompts):
        return "Input and output are the same file: write the results to another."
    if options.parts is None and (problem := _wrong_name(output)) is not None:
        return problem
    if prompts is None:
        return None
    if not output.name:
        return f"{output} has no file name: name a file; the requests go beside it."
    requests = requests_path(output)
    if _same_file(requests, prompts):
        return f"The requests would replace the prompts in {requests}: rename one of the files."
    return _path_problem(requests)


def _wrong_name(output: Path) -> str | None:
    """What is wrong with the name of an output file, as a format that a run does not write."""
    from ..batch import check_output_name  # here, as --help does not need it

    try:
        check_output_name(output)
    except openai_async.InvalidArgumentError as error:
        return str(error).replace('parts="parquet"', "--parts parquet")
    return None


def _path_problem(path: Path) -> str | None:
    """Why no file can have this path."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return f"The path {_shortened(path)} is too long: choose a shorter one."
    except ValueError:  # a NUL
        return f"{_shortened(path)!r} is not a valid path: name a file."
    return None


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _same_file(one: Path, other: Path | None) -> bool:
    if other is None or one == other:
        return other is not None
    try:
        return one.samefile(other)
    except OSError:  # one is not there
        return False


def column_mapping(columns: str | None) -> Mapping[str, str] | None:
    """`prompt=text,model=gpt-4o` as a mapping.

    Raises:
        UsageError: it is not written like that.
    """
    if columns is None:
        return None
    pairs = [part.strip().partition("=") for part in columns.split(",")]
    if not all(name and column for name, _, column in pairs):
        msg = f"--columns is {columns!r}: write it like prompt=text,model=gpt-4o."
        raise UsageError(msg)
    return {name: column for name, _, column in pairs}


def _first_given(prompts: PromptOptions) -> str | None:
    """The first option that was passed."""
    given = (name for name, value in asdict(prompts).items() if value is not None)
    return next((f"--{name.replace('_', '-')}" for name in given), None)
