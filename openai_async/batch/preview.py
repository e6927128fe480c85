"""`preview_batch`: what `run_batch` would do with an input and an output. A dry run."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar

from attrs import Factory, define

from ..client import AsyncClient
from ..middleware.pacing import estimator
from ..options import RateLimit
from .engines import make_engine
from .ids import IdSet
from .input.lines import Line
from .input.validation import BadLine, check_input, requests_of
from .output.parts import read_entries
from .report import duration

# How many models and urls are counted by name, and the length of a name. Anything beyond that is
# not a name of a model.
MAX_NAMES = 20
MAX_NAME = 60
OTHER_NAMES = "(other)"

T = TypeVar("T")


@define(kw_only=True)
class BatchPreview:
    """What a run would do. `str(preview)` is for people, `to_dict()` for programs.

    Attributes:
        requests: how many lines of the input are valid requests.
        bad_lines: how many lines are not.
        bad: the first 1000 of those.
        wrong_format: one sentence on what the input is, if no line is valid and its format is
            known.
        done: requests whose result is in the output.
        to_do: requests that would be sent.
        tokens: an estimate for those, answers included.
        models, urls: how many of those go to each, at most 20 names, the others as "(other)".
        rate_limit: the limit that `min_seconds` is for.
    """

    requests: int
    bad_lines: int = 0
    bad: list[BadLine] = Factory(list)
    wrong_format: str | None = None
    done: int = 0
    to_do: int = 0
    tokens: float = 0.0
    models: Counter[str] = Factory(Counter)
    urls: Counter[str] = Factory(Counter)
    rate_limit: RateLimit = Factory(RateLimit)

    @property
    def min_seconds(self) -> float:
        """The time that the `rate_limit` alone makes a run take; 0.0 without one."""
        return max((seconds for seconds, _ in self._limited()), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, always the same keys in the same order."""
        return {
            "requests": self.requests,
            "done": self.done,
            "to_do": self.to_do,
            "tokens": round(self.tokens),
            "models": dict(self.models.most_common()),
            "urls": dict(self.urls.most_common()),
            "bad_lines": self.bad_lines,
            "bad": [
                {"line": line.number, "custom_id": line.custom_id, "problem": line.problem}
                for line in self.bad
            ],
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:<9}  {text}" for name, text in self._rows())

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "requests", f"{self.requests:,}"
        if self.bad_lines:
            yield "bad lines", f"{self.bad_lines:,}"
        if self.done:
            yield "done", f"{self.done:,}"
        yield "to do", f"{self.to_do:,}"
        yield "tokens", f"{self.tokens:,.0f} (estimated, answers included)"
        for name, counter in (("models", self.models), ("urls", self.urls)):
            if counter:
                yield name, ", ".join(f"{key} {count:,}" for key, count in counter.most_common())
        if limited := self._limited():
            seconds, limit = max(limited)
            yield "time", f"{duration(seconds)} or more (limit {limit}/min)"

    def _limited(self) -> list[tuple[float, str]]:
        """Seconds that each limit makes a run take, and the limit in words."""
        requests = self.rate_limit.requests_per_minute
        tokens = self.rate_limit.tokens_per_minute
        limited = []
        if requests is not None:
            limited.append((self.to_do / requests * 60, f"{requests:,}"))
        if tokens is not None:
            limited.append((self.tokens / tokens * 60, f"{tokens:,} tokens"))
        return limited


async def preview_batch(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    engine: Literal["local", "ray"] = "local",
    retry_failed: bool = False,
    workers: int | None = None,
    columns: Mapping[str, str] | None = None,
    rate_limit: RateLimit | None = None,
) -> BatchPreview:
    """What `run_batch` would do with these arguments. Nothing is sent or written.

    Args:
        input, output, engine, retry_failed, workers, columns: as for `run_batch`.
        rate_limit: how long a run takes is estimated for this limit, and tokens with its function.

    Raises:
        InvalidArgumentError: an argument is invalid, or the input cannot be read.
        OutputError: the output cannot be read, or is something else.
        OpenAIError: the `estimate_tokens` of the `rate_limit` has failed.

    Example::

        print(await preview_batch("in.jsonl", "out.jsonl"))
    """
    # The engine only reads; any key will do.
    reader = make_engine(
        engine, AsyncClient(api_key="unused"), concurrency=1, workers=workers, columns=columns
    )
    limit = rate_limit or RateLimit()
    cancelled = Event()

    def read(path: Path) -> Iterator[Line]:
        return _until(cancelled, reader.read(path))

    def preview() -> BatchPreview:
        done = IdSet()
        for entry in _until(cancelled, read_entries(Path(output))):
            if not (retry_failed and entry.failed):
                done.add(entry.id)
        return _preview(Path(input), done, read, limit)

    try:
        return await asyncio.to_thread(preview)
    except asyncio.CancelledError:
        cancelled.set()
        raise
    finally:
        await reader.close()


def _until(event: Event, values: Iterable[T]) -> Iterator[T]:
    """The values, until the event is set in another thread."""
    for value in values:
        if event.is_set():
            return
        yield value


def _preview(
    path: Path, done: IdSet, read: Callable[[Path], Iterable[Line]], limit: RateLimit
) -> BatchPreview:
    check = check_input(path, read=read)
    preview = BatchPreview(
        requests=check.requests,
        bad_lines=check.bad_count,
        bad=check.bad,
        wrong_format=check.wrong_format,
        rate_limit=limit,
    )
    tokens_of = estimator(limit)
    on_bad = (lambda line: None) if check.bad_count else None
    # A second pass, as in a run: which lines are valid is only known after the first.
    for request in requests_of(path, done, on_bad=on_bad, read=read):
        preview.to_do += 1
        preview.tokens += tokens_of(request.body)
        _count(preview.urls, request.url)
        _count(preview.models, request.body.get("model"))
    preview.done = preview.requests - preview.to_do
    return preview


def _count(counter: Counter[str], name: object) -> None:
    if name is not None:
        shown = str(name)[:MAX_NAME]
        counter[shown if shown in counter or len(counter) < MAX_NAMES else OTHER_NAMES] += 1
