"""`openai-async batch`: a file of requests, each sent once, however often it is started."""

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

# Erases the progress bar, so that what follows takes its place; the bar is drawn again below it.
CLEAR = "\r\x1b[J"
# The default of a client. A run is limited by its concurrency, not by connections.
CONNECTIONS = 1000
RESUME = "Run the same command again to resume."


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
                os._exit(code)  # as `event_loop` does: a blocked thread may be left
        return code
    except InvalidArgumentError as error:
        if output.as_json or "\n" not in str(error):
            raise
        # A list of bad lines, which has to stay a list.
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
            with _checking_note(), interrupts.handled():
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
        # The error says why; on a terminal it is shown right below.
        text = evolve(error.report, stopped=None) if output.terminal else error.report
        _show(error.report if output.as_json else text, output)
        raise
    except asyncio.CancelledError:
        if not interrupts.at_once:  # without signal handlers, as on Windows
            raise
        write_note(f"Stopped. {RESUME}")
        return interrupts.exit_code
    _show(result, output)
    if result.stopped is not None:
        write_note(RESUME)
        return interrupts.exit_code
    if failed := result.failed + result.failed_before:
        write_note(_advice(failed, result.refused, target))
        return FAILED
    return 0


def _advice(failed: int, refused: int, target: Path) -> str:
    """What to do about failures: sending them again does not help if the server refused them."""
    fix = f"fix the cause given in {target}"
    if failed == refused:
        return f"{failed:,} failed and would fail again: {fix}, then add --retry-failed."
    retry = f"{failed:,} failed: --retry-failed sends them again"
    return f"{retry}, but for {refused:,} of them {fix} first." if refused else f"{retry}."


def _show(result: BatchReport, output: Output) -> None:
    if output.as_json:
        output.json(result.to_dict())
    else:
        output.line(str(result))


@contextmanager
def _checking_note() -> Iterator[None]:
    """A note while a long file is checked, until the progress bar takes its place."""
    _show_transient("Checking the input ...")
    try:
        yield
    finally:
        _show_transient(CLEAR)


def _show_transient(text: str) -> None:
    """Written at once, so that the bar is not drawn in between; for terminals only."""
    if sys.stderr.isatty():
        with suppress(OSError):  # the terminal is gone
            sys.stderr.write(text)
            sys.stderr.flush()


@define(kw_only=True)
class Interrupts:
    """Ctrl-C and SIGTERM: the first lets requests in flight finish, the second ends at once.

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
    def handled(self) -> Iterator[None]:
        """Handle the signals in the `with` block; the second cancels the current task."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        numbers = (signal.SIGINT, signal.SIGTERM)
        # Windows has no such handlers: the first Ctrl-C ends at once there. They cannot be set in
        # threads other than the main one, where signals do not arrive anyway.
        with suppress(NotImplementedError, RuntimeError):
            for number in numbers:
                loop.add_signal_handler(number, self._handle, number, task)
        try:
            yield
        finally:
            with suppress(NotImplementedError):
                for number in numbers:
                    loop.remove_signal_handler(number)

    def _handle(self, number: int, task: asyncio.Task[int]) -> None:
        if self.at_once:  # ending takes too long as well: what is not on the disk is lost
            os._exit(self.exit_code)
        self._signal = number
        if self.stop.is_set():
            self.at_once = True
            task.cancel()
            return
        self.stop.set()
        text = "Finishing the requests in flight. Press Ctrl-C again to stop at once."
        if sys.stderr.isatty():
            _show_transient(f"{CLEAR}note: {text}\n")
            return
        with suppress(OutputError):  # stderr is closed
            write_note(text)
