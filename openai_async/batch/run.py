"""One run of a batch: what it knows, and what it decides.

It finds out which requests have no result yet, has an engine send them, writes their results, and
gives up when the others would fail in the same way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field

from ..errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    InsufficientQuotaError,
    InvalidArgumentError,
    OpenAIError,
)
from ..middleware import is_retryable
from .engines import Engine
from .ids import IdSet
from .input.lines import Line
from .input.validation import BadLine, ProblemWith, check_input, describe, requests_of
from .output.errors import OutputError
from .output.journal import Journal
from .output.writer import Writer
from .progress import Progress, show_progress
from .report import BatchReport, BatchStoppedError, Tally
from .requests import BatchRequest
from .results import BAD_LINE, BatchError, BatchResult
from .retries import is_unreachable
from .threads import run_in_thread_uncancelled

# The run gives up after as many retryable failures in a row, with no good answer among them, as
# requests are in flight at once, but not after fewer than this.
MIN_FAILURES = 20
# How many bad lines are written to the output at once.
BAD_LINES_BLOCK = 256


@define(kw_only=True)
class BatchRun:
    """One run, from the check of the input to the report."""

    source: Path
    journal: Journal
    engine: Engine
    max_failures: int
    """After how many retryable failures in a row the run gives up."""
    stop: asyncio.Event
    problem_with: ProblemWith | None = None
    """What else is wrong with a line of the input."""
    started: float = field(factory=time.monotonic)
    tally: Tally = field(factory=Tally)
    total: int = 0
    bad: int = 0
    resumed: int = 0
    unwritten_failures: list[BatchResult] = field(factory=list)
    """Retryable failures since the last answer. If the server turns out to be gone, or the run is
    stopped, they are not written: the next run sends these requests without `retry_failed`."""
    stop_reason: str | None = None
    """Why nothing more is sent."""
    stop_error: OpenAIError | None = None
    server_responded: bool = False
    """Whether the server is known to exist: it has responded, in this run or an earlier one."""
    gave_up: asyncio.Event = field(factory=asyncio.Event)
    cancelled: bool = False
    """Whether the run was cancelled, so that its reading thread is to end."""

    async def carry_out(self, show: bool, retry_failed: bool, skip_bad_lines: bool) -> BatchReport:
        """All of it, except for closing the engine and the journal."""
        await self.validate(skip_bad_lines=skip_bad_lines)
        if self.stopping():
            return self.report()
        await run_in_thread_uncancelled(partial(self.journal.open, retry_failed=retry_failed))
        await run_in_thread_uncancelled(self.write_bad_lines)
        return await self.send_remaining(show=show)

    async def validate(self, *, skip_bad_lines: bool) -> None:
        """Read the input once, before anything is sent or written."""
        try:
            with self.reading():
                found = await asyncio.to_thread(
                    check_input, self.source, read=self.lines, problem_with=self.problem_with
                )
        except InvalidArgumentError:
            if self.stopping():  # before the first line, so that it seemed to be empty
                return
            raise
        if found.bad_count and not skip_bad_lines and not self.stopping():
            raise InvalidArgumentError(describe(found, self.source))
        self.total, self.bad = found.requests, found.bad_count

    def lines(self, path: Path) -> Iterator[Line]:
        """The lines of the input, until the run is stopped or cancelled. Iterated in a thread."""
        for line in self.engine.read(path):
            if self.stop.is_set() or self.cancelled:
                return
            yield line

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have the reading thread end if the run is cancelled: Python waits for it at exit."""
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def send_remaining(self, *, show: bool) -> BatchReport:
        """Send all requests that have no result yet."""
        self.server_responded = self.journal.kept > 0
        writer = Writer(self.journal)
        writer.start()
        view = Progress(
            total=self.total,
            resumed=self.done_before(),
            tally=self.tally,
            pace=lambda: self.engine.pace,
        )
        watcher = asyncio.create_task(self.stop_engine_early())
        try:
            async with show_progress(view) if show else nullcontext():
                with self.reading():
                    await self.send(writer)
                self.give_up_ifis_unreachable()
                await self.write_failures(writer)
        except OpenAIError as error:  # the disk, the client, the input
            self.stop_error, self.stop_reason = error, str(error)
        finally:
            watcher.cancel()
            try:
                await asyncio.wait([watcher])
            finally:  # whatever happens, the results so far are written
                try:
                    await writer.finish()
                except OutputError as error:
                    self.stop_error, self.stop_reason = error, str(error)
        if not watcher.cancelled():
            watcher.result()
        self.clear_stop_reason_if_done()
        report = self.report()
        if self.stop_error is not None:
            msg = f"{self.stop_reason} Start it again to resume: nothing finished is sent again."
            raise BatchStoppedError(msg, report) from self.stop_error
        return report

    async def send(self, writer: Writer) -> None:
        """Send the requests, and handle each result."""
        async with aclosing(self.engine.results(self.remaining(), self.stopping)) as results:
            async for result in results:
                if result.exception is not None or self.unwritten_failures:
                    await self.handle(result, writer)
                    continue
                self.server_responded = True
                self.tally.add(result)
                if not writer.put_nowait(result):  # there is nearly always room: saves a coroutine
                    await writer.room()

    def report(self) -> BatchReport:
        """The report as of now."""
        return self.tally.report(
            total=self.total,
            wall_time=time.monotonic() - self.started,
            skipped=self.bad,
            # If not all of the input was read, the output's count is the best estimate.
            resumed=self.resumed if self.stop_reason is None else self.done_before(),
            failed_before=self.journal.failed - self.journal.bad_lines,
            refused_before=self.journal.refused,
            stopped=self.stop_reason,
        )

    def done_before(self) -> int:
        """How many were done before this run; results of other inputs are counted too."""
        return min(self.journal.kept - self.journal.bad_lines, self.total)

    def write_bad_lines(self) -> None:
        """Write an error for each bad line that has none yet. Blocking, in bounded memory."""
        if not self.bad:
            return
        results: list[BatchResult] = []

        def skip(line: BadLine) -> None:
            # In brackets, so that it does not collide with an id of the input.
            custom_id = line.custom_id or f"(line {line.number})"
            if custom_id not in self.journal.done:
                error = BatchError(code=BAD_LINE, message=f"line {line.number}: {line.problem}")
                results.append(BatchResult(custom_id=custom_id, id=custom_id, error=error))
            if len(results) >= BAD_LINES_BLOCK:
                self.journal.append(results)
                results.clear()

        deque(self.all_requests(on_bad=skip, read=self.engine.read), maxlen=0)
        self.journal.append(results)

    def all_requests(self, **how: Any) -> Iterator[BatchRequest]:
        """The requests of the input; see `requests_of`."""
        return requests_of(self.source, IdSet(), problem_with=self.problem_with, **how)

    def remaining(self) -> Iterator[BatchRequest]:
        """The requests without a result. Iterated in a thread of the engine."""
        done = self.journal.done or ()  # none in a first run, which then makes no digest of each id
        on_bad = (lambda line: None) if self.bad else None
        for request in self.all_requests(on_bad=on_bad, read=self.lines):
            if request.custom_id in done:
                self.resumed += 1
            else:
                yield request

    async def stop_engine_early(self) -> None:
        """Wait until the run is stopped or gives up; then have the engine drop what waits."""
        stopped = asyncio.create_task(self.stop.wait())
        gave_up = asyncio.create_task(self.gave_up.wait())
        try:
            await asyncio.wait([stopped, gave_up], return_when=asyncio.FIRST_COMPLETED)
            self.stopping()
            await self.engine.stop()
        finally:
            stopped.cancel()
            gave_up.cancel()

    def stopping(self) -> bool:
        """Whether no more requests are to be sent; called before each."""
        if self.stop_reason is None and self.stop.is_set():
            self.stop_reason = "it was interrupted."
        return self.stop_reason is not None

    async def handle(self, result: BatchResult, writer: Writer) -> None:
        """Write a result, unless all the others would fail in the same way."""
        error = result.exception
        if isinstance(error, AuthenticationError | InsufficientQuotaError):
            self.tally.attempts += result.attempts
            self.give_up(error, error.message)
            return
        if not isinstance(error, APIError) or not is_retryable(error):
            self.server_responded = True
            await self.write_failures(writer)
            await self.write(result, writer)
            return
        self.server_responded |= not isinstance(error, APIConnectionError)
        self.unwritten_failures.append(result)
        if len(self.unwritten_failures) >= self.max_failures and self.stop_reason is None:
            why = f"The last {len(self.unwritten_failures)} requests have failed: {error.message}"
            if not is_unreachable(
                error
            ):  # they have used up their retries: not sent again by every run
                await self.write_failures(writer)
            self.give_up(error, why)

    def give_up(self, error: APIError, why: str) -> None:
        """Send nothing more; requests in flight may still succeed."""
        if self.stop_reason is None:
            self.stop_error, self.stop_reason = error, why
        self.gave_up.set()

    def give_up_ifis_unreachable(self) -> None:
        """At the end: give up if the last failures mean that the server is gone."""
        number = len(self.unwritten_failures)
        last = self.unwritten_failures[-1].exception if number else None
        if (
            isinstance(last, APIError)
            and is_unreachable(last)
            and (not self.server_responded or number >= MIN_FAILURES)
        ):
            self.give_up(last, f"The last {number} requests have failed: {last.message}")

    def clear_stop_reason_if_done(self) -> None:
        """A run that was stopped when nothing was left to send was not stopped."""
        done = self.tally.completed + self.tally.failed + self.resumed
        if self.stop_error is None and done == self.total:
            self.stop_reason = None

    async def write_failures(self, writer: Writer) -> None:
        """Write the failures since the last answer: the server is up, so they are final."""
        if self.stop_reason is not None:
            return
        failures, self.unwritten_failures = self.unwritten_failures, []
        for result in failures:
            await self.write(result, writer)

    async def write(self, result: BatchResult, writer: Writer) -> None:
        """Count a result and write it to the output."""
        self.tally.add(result)
        await writer.put(result)
