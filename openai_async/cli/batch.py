"""`openai-async batch`: a file of requests, each done once, however often it is started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, evolve, field

from .. import InvalidArgumentError, RateLimit
from ..batch import BatchReport, BatchStoppedError, run_batch
from .batch_input import dry_run, requests_to_send
from .batch_options import BatchOptions, PromptOptions, check_usage, column_mapping
from .errors import FAILED
from .options import Connection, check, connect
from .output import Output, OutputError, write_error, write_note
from .running import event_loop

# Has what follows stand where the progress bar is; the bar goes on below.
CLEAR = "\r\x1b[J"
# A client's own default. It is the concurrency that is to bound a run.
CONNECTIONS = 1000
GO_ON = "Start the same command again to go on."


def batch(
    source: Path | None,
    target: Path,
    options: BatchOptions,
    prompts: PromptOptions,
    connection: Connection,
    output: Output,
) -> int:
    """Carry out the command; returns the exit code."""
    check_usage(source, target, options, prompts)
    columns = column_mapping(options.columns)
    try:
        if options.dry_run:
            return dry_run(source, target, options, prompts, output)
        check(connection)
        with requests_to_send(source, target, options, prompts) as path, event_loop() as runner:
            interrupts = Interrupts(stop=asyncio.Event())
            run = _run(path, target, options, columns, connection, interrupts, output)
            code = runner.run(run)
            if interrupts.at_once:
                os._exit(code)  # as `event_loop` does: a thread that is held up may be left
        return code
    except InvalidArgumentError as error:
        if output.as_json or "\n" not in str(error):
            raise
        # Bad lines, each on a line of its own.
        write_error(str(error).replace("skip_bad_lines", "--skip-bad-lines"))
        return FAILED


async def _run(
    source: Path,
    target: Path,
    options: BatchOptions,
    columns: Mapping[str, str] | None,
    connection: Connection,
    interrupts: Interrupts,
    output: Output,
) -> int:
    limit = RateLimit(requests_per_minute=options.rpm, tokens_per_minute=options.tpm)
    try:
        connections = max(options.concurrency, CONNECTIONS)
        async with connect(connection, rate_limit=limit, max_connections=connections) as client:
            with _checking(), interrupts.caught():
                result = await run_batch(
                    client,
                    source,
                    target,
                    concurrency=options.concurrency,
                    progress=True,
                    engine=options.engine,
                    retry_failed=options.retry_failed,
                    skip_bad_lines=options.skip_bad_lines,
                    parts=options.parts,
                    workers=options.workers,
                    columns=columns,
                    stop=interrupts.stop,
                )
    except BatchStoppedError as error:
        # The error says why; on a terminal it stands right below.
        seen = evolve(error.report, stopped=None) if output.terminal else error.report
        _show(error.report if output.as_json else seen, output)
        raise
    except asyncio.CancelledError:
        if not interrupts.at_once:  # where there are no signal handlers, as on Windows
            raise
        write_note(f"Ended. {GO_ON}")
        return interrupts.exit_code
    _show(result, output)
    if result.stopped is not None:
        write_note(GO_ON)
        return interrupts.exit_code
    if failed := result.failed + result.failed_before:
        write_note(_what_to_do(failed, result.refused, target))
        return FAILED
    return 0


def _what_to_do(failed: int, refused: int, target: Path) -> str:
    """What to do about failures: sending them again does not help if the server refused them."""
    fix = f"fix the cause given in {target}"
    if failed == refused:
        return f"{failed:,} failed and would fail again: {fix}, then add --retry-failed."
    retry = f"{failed:,} failed: --retry-failed does them again"
    return f"{retry}, but for {refused:,} of them {fix} first." if refused else f"{retry}."


def _show(result: BatchReport, output: Output) -> None:
    if output.as_json:
        output.json(result.to_dict())
    else:
        output.line(str(result))


@contextmanager
def _checking() -> Iterator[None]:
    """Say why nothing is seen yet: a long file takes its time. The progress bar takes its place."""
    _show_passing("Checking the input ...")
    try:
        yield
    finally:
        _show_passing(CLEAR)


def _show_passing(text: str) -> None:
    """At one go, lest the bar be drawn in between; for terminals only."""
    if sys.stderr.isatty():
        with suppress(OSError):  # then there is nobody to see it
            sys.stderr.write(text)
            sys.stderr.flush()


@define(kw_only=True)
class Interrupts:
    """Ctrl-C and SIGTERM: the first ends the run when all in flight has come, the second at once.

    Attributes:
        stop: set by the first.
        at_once: whether there was a second.
    """

    stop: asyncio.Event
    at_once: bool = field(default=False, init=False)
    _signal: int = field(default=signal.SIGINT, init=False)

    @property
    def exit_code(self) -> int:
        """The shell's: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self._signal

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Signals mean this, and the task that is asking is the one to cancel."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        numbers = (signal.SIGINT, signal.SIGTERM)
        # Windows has no such handlers: the first Ctrl-C takes effect at once there. Threads other
        # than the main one, which no signal reaches, have none either.
        with suppress(NotImplementedError, RuntimeError):
            for number in numbers:
                loop.add_signal_handler(number, self._take, number, task)
        try:
            yield
        finally:
            with suppress(NotImplementedError):
                for number in numbers:
                    loop.remove_signal_handler(number)

    def _take(self, number: int, task: asyncio.Task[int]) -> None:
        if self.at_once:  # even the end takes too long: what is not on the disk is lost
            os._exit(self.exit_code)
        self._signal = number
        if self.stop.is_set():
            self.at_once = True
            task.cancel()
            return
        self.stop.set()
        text = "Finishing what is in flight. Ctrl-C again ends at once."
        if sys.stderr.isatty():
            _show_passing(f"{CLEAR}note: {text}\n")
            return
        with suppress(OutputError):  # as there
            write_note(text)
