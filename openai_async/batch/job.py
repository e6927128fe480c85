"""`run_batch`: a file of requests, each done once, however often the run is started.

    check the input -> open the output -> an engine over what is missing -> output, tally, report

What is done is what stands in the output. So a run that was killed is taken up again by starting it
again, with nothing to clean up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Literal

from attrs import define, field

from ..client import AsyncClient
from ..errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    InsufficientQuotaError,
    InvalidArgumentError,
    OpenAIError,
)
from ..middleware import is_retryable
from .engines import Engine, make_engine
from .fan_out import check_concurrency
from .ids import IdSet
from .input.checking import BadLine, check_input, describe, requests_of
from .input.lines import Line
from .output.journal import FileJournal, Journal, OutputError
from .output.output_file import misnamed
from .output.parts import PartsJournal
from .output.writer import Writer
from .progress import Progress, show_progress
from .report import BatchReport, BatchStoppedError, Tally
from .requests import BatchRequest
from .results import BAD_LINE, BatchError, BatchResult

# Failures that may pass, in a row and with no good answer among them, after which the server is
# taken for gone: as many as are in flight at once, and not fewer than this.
FEWEST_FAILURES = 20
# Bad lines that are written together.
BAD_AT_ONCE = 256


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
) -> BatchReport:
    """Send all requests of a file, and write each result to another as it comes.

    Started again with the same files, it does what is missing. The lines are those of the OpenAI
    Batch API, in and out. A request that fails for good, or after all its retries, is a line with
    an `error`.

    Args:
        client: what to send with; see `run_requests` for the pace and the retries it gets.
        input: a JSONL file of `{"custom_id", "method", "url", "body"}`.
        output: a JSONL file, made or made longer; with `parts` a directory.
        concurrency: how many requests are in flight at once, 1 or more.
        progress: show on stderr how far it is: a bar on a terminal, else a line now and then.
        engine: "local", or "ray" for several processes and machines.
        retry_failed: do those again whose result in the output is an error.
        skip_bad_lines: lines that are no requests become errors in the output. Else nothing is
            sent while there are any.
        parts: what the files in the output directory are; `None` for one JSONL file.
        workers: for ray: how many processes; one for each CPU if left out.
        columns: for ray, and an input that is Parquet: which columns hold what.
        stop: set it to end the run early: nothing more is sent, and what is in flight finished.

    Returns:
        The report. Its `stopped` is set if `stop` was.

    Raises:
        InvalidArgumentError: an argument, or a line of the input; nothing was sent.
        OutputError: the output cannot be written, or another run is writing it; nothing was sent.
        BatchStoppedError: it makes no sense to go on: the key is wrong, the quota used up, the
            server gone, the disk full. What came until then is in the output.

    Example::

        report = await run_batch(client, "in.jsonl", "out.jsonl", progress=True)
        print(report)
    """
    check_concurrency(concurrency)
    if stop is not None and not isinstance(stop, asyncio.Event):
        msg = f"stop has type {type(stop).__name__}: pass an asyncio.Event."
        raise InvalidArgumentError(msg)
    source, target = _paths(input, output)
    if parts is None and (problem := misnamed(target)) is not None:
        raise InvalidArgumentError(problem)
    journal = FileJournal(target) if parts is None else PartsJournal(target, format=parts)
    worker = make_engine(engine, client, concurrency=concurrency, workers=workers, columns=columns)
    job = Job(
        source=source,
        journal=journal,
        engine=worker,
        patience=max(concurrency, FEWEST_FAILURES),
        stop=stop or asyncio.Event(),
    )
    try:
        return await job.carry_out(progress, retry_failed, skip_bad_lines)
    finally:
        try:
            await worker.close()
        finally:
            await to_its_end(journal.close)


def _paths(input: str | os.PathLike[str], output: str | os.PathLike[str]) -> tuple[Path, Path]:
    for name, path in (("input", input), ("output", output)):
        if not isinstance(path, str | os.PathLike):
            msg = f"{name} has type {type(path).__name__}: pass a path (run_requests takes lists)."
            raise InvalidArgumentError(msg)
    source, target = Path(input), Path(output)
    if "\0" in f"{source}{target}":
        msg = "Input or output is no path that can be used: there is a NUL in it."
        raise InvalidArgumentError(msg)
    try:
        same = target.exists() and source.exists() and target.samefile(source)
    except OSError as error:  # too long
        msg = f"Input or output is no path that can be used: {error.strerror}."
        raise InvalidArgumentError(msg) from error
    if same:
        msg = "Input and output are the same file: write the results to another."
        raise InvalidArgumentError(msg)
    return source, target


@define(kw_only=True)
class Job:
    """One run: what is known of it, and what it decides."""

    source: Path
    journal: Journal
    engine: Engine
    patience: int
    """After how many failures in a row the server is taken for gone."""
    stop: asyncio.Event
    started: float = field(factory=time.monotonic)
    tally: Tally = field(factory=Tally)
    total: int = 0
    bad: int = 0
    resumed: int = 0
    held_back: list[BatchResult] = field(factory=list)
    """Failures that may pass, since the last answer. If the server is gone, or the run is ended,
    they are not written: the next run sends them without being asked to retry."""
    ended: str | None = None
    """Why nothing more is sent."""
    fatal: OpenAIError | None = None
    heard: bool = False
    """Whether the server is known to be there: it has answered, now or in an earlier run."""
    gave_up: asyncio.Event = field(factory=asyncio.Event)
    abandoned: bool = False
    """Whether the run was cancelled, so that nobody needs what a thread still reads."""

    async def carry_out(self, show: bool, retry_failed: bool, skip_bad_lines: bool) -> BatchReport:
        """All of it, but for closing what was opened."""
        await self.check(skip_bad_lines=skip_bad_lines)
        if self.halted():
            return self.report()
        await to_its_end(partial(self.journal.open, retry_failed=retry_failed))
        await to_its_end(self.write_bad_lines)
        return await self.run(show=show)

    async def check(self, *, skip_bad_lines: bool) -> None:
        """Read the input once, before anything is sent or written."""
        try:
            with self.abandoning():
                found = await asyncio.to_thread(partial(check_input, self.source, read=self.lines))
        except InvalidArgumentError:
            if self.halted():  # with no line read, it seemed to be empty
                return
            raise
        if found.bad_count and not skip_bad_lines and not self.halted():
            raise InvalidArgumentError(describe(found, self.source))
        self.total, self.bad = found.requests, found.bad_count

    def lines(self, path: Path) -> Iterator[Line]:
        """The requests of the input, until the run is cancelled. Iterated in a thread."""
        for line in self.engine.read(path):
            if self.stop.is_set() or self.abandoned:
                return
            yield line

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """Stop the reading thread of a cancelled run: nothing else does, and exit waits for it."""
        try:
            yield
        except asyncio.CancelledError:
            self.abandoned = True
            raise

    async def run(self, *, show: bool) -> BatchReport:
        """Send what is missing."""
        self.heard = self.journal.kept > 0
        writer = Writer(self.journal)
        writer.start()
        view = Progress(
            total=self.total,
            resumed=self.known_before(),
            tally=self.tally,
            pace=lambda: self.engine.pace,
        )
        watcher = asyncio.create_task(self.watch())
        try:
            async with show_progress(view) if show else nullcontext():
                with self.abandoning():
                    await self.send(writer)
                self.look_at_held_back()
                await self.write_held_back(writer)
        except OpenAIError as error:  # the disk, the client, the input: it cannot go on
            self.fatal, self.ended = error, str(error)
        finally:
            watcher.cancel()
            try:
                await asyncio.wait([watcher])
            finally:  # whatever happens, what was paid for goes to the disk
                try:
                    await writer.finish()
                except OutputError as error:
                    self.fatal, self.ended = error, str(error)
        if not watcher.cancelled():
            watcher.result()
        self.see_if_all_is_done()
        report = self.report()
        if self.fatal is not None:
            msg = f"{self.ended} Start it again to go on: what is done is not done twice."
            raise BatchStoppedError(msg, report) from self.fatal
        return report

    async def send(self, writer: Writer) -> None:
        """Send every request that still has no result, and put each result where it belongs."""
        async with aclosing(self.engine.results(self.missing(), self.halted)) as results:
            async for result in results:
                await self.take(result, writer)

    def report(self) -> BatchReport:
        """As of now."""
        return self.tally.report(
            total=self.total,
            wall_time=time.monotonic() - self.started,
            skipped=self.bad,
            # The end of the input was not come to: what is in the output is the best that is known.
            resumed=self.resumed if self.ended is None else self.known_before(),
            failed_before=self.journal.failed - self.journal.bad_lines,
            refused_before=self.journal.refused,
            stopped=self.ended,
        )

    def known_before(self) -> int:
        """How many were done before this run, results of other inputs not told apart."""
        return min(self.journal.kept - self.journal.bad_lines, self.total)

    def write_bad_lines(self) -> None:
        """Each becomes an error in the output, once. Blocking; holds a few of them at a time."""
        if not self.bad:
            return
        results: list[BatchResult] = []

        def skip(line: BadLine) -> None:
            # In brackets, so that it is nobody's own id.
            custom_id = line.custom_id or f"(line {line.number})"
            if custom_id not in self.journal.done:
                error = BatchError(code=BAD_LINE, message=f"line {line.number}: {line.problem}")
                results.append(BatchResult(custom_id=custom_id, id=custom_id, error=error))
            if len(results) >= BAD_AT_ONCE:
                self.journal.append(results)
                results.clear()

        deque(requests_of(self.source, IdSet(), on_bad=skip, read=self.engine.read), maxlen=0)
        self.journal.append(results)

    def missing(self) -> Iterator[BatchRequest]:
        """What is still to be sent; iterated in a thread of the engine's."""
        done = self.journal.done
        anything = len(done) > 0  # a first run does without 1 us for each request
        on_bad = (lambda line: None) if self.bad else None
        for request in requests_of(self.source, IdSet(), on_bad=on_bad, read=self.lines):
            if anything and request.custom_id in done:
                self.resumed += 1
            else:
                yield request

    async def watch(self) -> None:
        """Wait for a reason to end, and have the engine give up what waits."""
        stopped = asyncio.create_task(self.stop.wait())
        gave_up = asyncio.create_task(self.gave_up.wait())
        try:
            await asyncio.wait([stopped, gave_up], return_when=asyncio.FIRST_COMPLETED)
            self.halted()
            await self.engine.halt()
        finally:
            stopped.cancel()
            gave_up.cancel()

    def halted(self) -> bool:
        """Asked before each request: whether no more are to be sent."""
        if self.ended is None and self.stop.is_set():
            self.ended = "it was interrupted."
        return self.ended is not None

    async def take(self, result: BatchResult, writer: Writer) -> None:
        """One result: to the output, unless all the others would end in the same way."""
        error = result.exception
        if isinstance(error, AuthenticationError | InsufficientQuotaError):
            self.tally.attempts += result.attempts
            self.give_up(error, error.message)
            return
        if error is None or not is_retryable(error):
            self.heard = True
            await self.write_held_back(writer)
            await self.write(result, writer)
            return
        self.heard |= not isinstance(error, APIConnectionError)
        self.held_back.append(result)
        if len(self.held_back) >= self.patience and self.ended is None:
            why = f"The last {len(self.held_back)} requests have failed: {error.message}"
            if not _unreachable(error):  # they have had their retries: else none would ever end
                await self.write_held_back(writer)
            self.give_up(error, why)

    def give_up(self, error: APIError, why: str) -> None:
        """Send nothing more; what is in flight may still come to good."""
        if self.ended is None:
            self.fatal, self.ended = error, why
        self.gave_up.set()

    def look_at_held_back(self) -> None:
        """At the end: whether the last of them failed each by itself, or the server is gone."""
        number = len(self.held_back)
        last = self.held_back[-1].exception if number else None
        if (
            last is not None
            and _unreachable(last)
            and (not self.heard or number >= FEWEST_FAILURES)
        ):
            self.give_up(last, f"The last {number} requests have failed: {last.message}")

    def see_if_all_is_done(self) -> None:
        """A reason to end that came when there was nothing left to be sent is none."""
        done = self.tally.completed + self.tally.failed + self.resumed
        if self.fatal is None and done == self.total:
            self.ended = None

    async def write_held_back(self, writer: Writer) -> None:
        """What failed while others did not has failed by itself."""
        if self.ended is not None:
            return
        held_back, self.held_back = self.held_back, []
        for result in held_back:
            await self.write(result, writer)

    async def write(self, result: BatchResult, writer: Writer) -> None:
        """This result stands."""
        self.tally.add(result)
        await writer.put(result)


def _unreachable(error: APIError) -> bool:
    """Whether the server is not there at all, as against one that answers with failures."""
    return isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)


async def to_its_end(work: Callable[[], object]) -> None:
    """Blocking work in a thread, which a cancellation does not leave alone with the files."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    finally:
        while not task.done():
            with suppress(asyncio.CancelledError):  # the first one goes on when the work is done
                await asyncio.wait([task])
        task.exception()  # seen, should a cancellation be what is raised
