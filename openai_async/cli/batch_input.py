"""What `openai-async batch` does before anything is sent: prompts to requests, and `--dry-run`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import RateLimit
from ..batch import BatchPreview, preview_batch, requests_file, requests_from_prompts
from .batch_options import BatchOptions, PromptOptions, column_mapping, requests_path
from .errors import FAILED
from .output import Output, write_error


@contextmanager
def requests_to_send(
    source: Path | None, target: Path, options: BatchOptions, prompts: PromptOptions
) -> Iterator[Path]:
    """The file of requests: `source`, or one made of prompts, locked for the `with` block.

    Raises:
        InvalidArgumentError: the prompts cannot be read.
        OutputError: a file cannot be written, another run is using it, or the output has results
            of other requests.
    """
    if source is not None:
        yield source
        return
    assert prompts.from_prompts is not None
    assert prompts.model is not None
    params = {
        "max_completion_tokens": prompts.max_completion_tokens,
        "max_tokens": prompts.max_tokens,
        "temperature": prompts.temperature,
    }
    requests = requests_from_prompts(
        prompts.from_prompts,
        model=prompts.model,
        column=prompts.column,
        id_column=prompts.id_column,
        system=prompts.system,
        params={name: value for name, value in params.items() if value is not None},
    )
    with requests_file(
        requests_path(target),
        requests,
        target,
        parts=options.parts,
        retry_failed=options.retry_failed,
        dry_run=options.dry_run,
    ) as path:
        yield path


def dry_run(
    source: Path | None,
    target: Path,
    options: BatchOptions,
    prompts: PromptOptions,
    output: Output,
) -> int:
    """Show what a run would do; returns the exit code, 1 if it would refuse the input.

    Raises:
        InvalidArgumentError: the input cannot be read.
        OutputError: the output cannot be read, or is something else.
    """
    with requests_to_send(source, target, options, prompts) as path:
        # Not `running.run`: its exit on Ctrl-C would leave a temporary file behind.
        preview = asyncio.run(
            preview_batch(
                path,
                target,
                engine=options.engine,
                retry_failed=options.retry_failed,
                workers=options.workers,
                columns=column_mapping(options.columns),
                rate_limit=RateLimit(
                    requests_per_minute=options.rpm, tokens_per_minute=options.tpm
                ),
            )
        )
    bad = preview.bad_lines > 0 and not options.skip_bad_lines
    if output.as_json:
        output.json(preview.to_dict())
    else:
        output.line(str(preview))
    if bad and not output.as_json:
        what = str(source or f"the requests made of {prompts.from_prompts}")
        write_error("\n".join(_bad_lines(preview, what)))
    return FAILED if bad else 0


def _bad_lines(preview: BatchPreview, what: str) -> Iterator[str]:
    """All that the preview lists; a file with more repeats one mistake."""
    if preview.wrong_format is not None:
        yield preview.wrong_format
        return
    yield f"There are bad lines in {what}. Fix them, or pass --skip-bad-lines:"
    for line in preview.bad:
        yield f"  line {line.number}: {line.problem}"
    if preview.bad_lines > len(preview.bad):
        yield f"  and {preview.bad_lines - len(preview.bad):,} more."
