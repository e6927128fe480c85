"""Writes to a terminal or a pipe; the only module that knows which, and that writes with rich.

A terminal gets colours, tables and lines that end at words; a pipe gets plain text, with tabs
between columns. Everything is flushed at once: a pipe gets each token as it comes, and nothing is
left to write at exit.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from .wrapping import WordWrapper

# Control characters except line feed and tab: neither a model nor a server may send commands to the
# terminal.
_CONTROL_CHARACTERS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])
# Erases the line that the cursor is in: a progress bar or a spinner, which is drawn again.
_ERASE = "\r\x1b[J"
# Characters that would break a row of tab-separated columns.
_SEPARATORS = str.maketrans("\t\r\n", "   ")
# The last character on the terminal, which tells whether the cursor is within a line.
_last_written: dict[str, str] = {}


class OutputError(Exception):
    """stdout cannot be written to."""


class OutputClosedError(OutputError):
    """The reader of stdout has closed it."""


class Output:
    """The output of a command. With `as_json` only `json()` writes anything."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty()
        self._rich: Console | None = None

    @property
    def _console(self) -> Console:
        if self._rich is None:
            self._rich = _console(sys.stdout)
        return self._rich

    def text(self, text: str) -> None:
        """A piece of text, without a line break."""
        if not self.as_json:
            _write(sys.stdout, _printable(text) if self.terminal else text)

    def line(self, text: str = "", style: str | None = None) -> None:
        """A whole line; `style` is one of rich's, for terminals."""
        if self.as_json:
            return
        if self.terminal and style is not None:
            from rich.text import Text

            _print_at_words(self._console, Text(_printable(text), style))
        else:
            self.text(f"{text}\n")

    def heading(self, title: str, detail: str) -> None:
        """The heading of a section: its title, and a detail in a less prominent style."""
        if self.as_json:
            return
        self.line()
        if self.terminal:
            from rich.text import Text

            line = Text.assemble((title, "bold cyan"), "  ", (detail, "dim"))
            self._console.print(line, soft_wrap=True)
        else:
            self.line(f"{title}  {detail}")

    def answer(self) -> Answer:
        """What writes an answer, as it comes."""
        return Answer(self)

    def document(self, text: str) -> None:
        """An answer in JSON: indented on a terminal, on one line for a pipe."""
        if self.as_json:
            return
        from msgspec.json import format as formatted

        if self.terminal:
            self.line(formatted(text, indent=2))
        else:
            self.json(formatted(text, indent=0))

    def json(self, value: str | Mapping[str, Any]) -> None:
        """One JSON value on one line, in UTF-8 whatever the locale says (RFC 8259, section 8.1)."""
        data = value.encode() if isinstance(value, str) else _dumps(value)
        with _output_errors():
            sys.stdout.flush()
            sys.stdout.buffer.write(data + b"\n")
            sys.stdout.buffer.flush()

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        numbers: Sequence[str] = (),
        piped_header: bool = False,
    ) -> None:
        """A table; the columns named in `numbers` are aligned right.

        A pipe gets the names of the columns with `piped_header`: for people, not for `cut`.
        """
        if self.as_json:
            return
        if not self.terminal:
            for row in [columns, *rows] if piped_header else rows:
                self.line("\t".join(cell.translate(_SEPARATORS) for cell in row))
            return
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(column, justify="right" if column in numbers else "left")
        for row in rows:
            table.add_row(*(_printable(cell) for cell in row))
        self._console.print(table)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A spinner while waiting for an answer; on terminals only."""
        if self.as_json or not self.terminal:
            yield
            return
        with self._console.status(what):
            yield


class Answer:
    """An answer, piece by piece; a terminal gets it wrapped at words."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = "\n"
        self._wrapper: WordWrapper | None = None
        if output.terminal:
            from .wrapping import WordWrapper

            self._wrapper = WordWrapper(terminal_width)

    def text(self, text: str) -> None:
        if not text:
            return
        self._last = text[-1]
        if self._wrapper is None:
            self._output.text(text)
        elif not self._output.as_json:
            # What it returns may erase a word, which nothing in the text may do.
            _write(sys.stdout, self._wrapper.feed(_printable(text)))

    def end(self) -> None:
        """End the line, if the text has not."""
        if self._last != "\n":
            self._output.line()


def write_error(message: str) -> None:
    """`error: message` on stderr."""
    _write_labelled("error", "bold red", message)


def write_note(message: str) -> None:
    """`note: message` on stderr: worth knowing, but not part of the answer."""
    _write_labelled("note", "yellow", message)


def write_log(line: str) -> None:
    """A line of the log on stderr: on a terminal, below the text that is being written."""
    start = ""
    if sys.stderr.isatty():
        start = _ERASE if _last_written.get("stdout", "\n") == "\n" else "\n"
        line = _printable(line)
    _write(sys.stderr, f"{start}{line}\n")


def write_error_json(value: Mapping[str, Any]) -> None:
    """An error as JSON on stderr."""
    _write(sys.stderr, _dumps(value).decode() + "\n")


def prepare_streams() -> None:
    """Make sure that stdout and stderr exist and accept every character."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process, as with `>&-`
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def discard_output() -> None:
    """Discard what is still buffered: Python would write it at exit, and complain if it cannot.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _write_labelled(label: str, style: str, message: str) -> None:
    if not sys.stderr.isatty():
        _write(sys.stderr, f"{label}: {message}\n")
        return
    from rich.text import Text

    line = Text.assemble((f"{label}:", style), " ", _printable(message))
    _print_at_words(_console(sys.stderr), line)


def _print_at_words(console: Console, text: Text) -> None:
    """Print with lines that end at words; a longer path or URL stays whole, to be copied."""
    text.overflow = "ignore"  # rather than cut or break such a word
    for line in text.wrap(console, console.width):
        line.rstrip()
        console.print(line, soft_wrap=True)


def _write(stream: TextIO, text: str) -> None:
    with _output_errors():
        stream.write(text)
        stream.flush()
    if text and stream is sys.stdout and stream.isatty():
        _last_written["stdout"] = text[-1]


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosedError from error
    except OSError as error:
        msg = f"Cannot write the output: {error.strerror or error}."
        raise OutputError(msg) from error


def _dumps(value: Mapping[str, Any]) -> bytes:
    from msgspec.json import encode  # imported here, as `--help` does not need it

    return encode(value)


def terminal_width() -> int:
    """The width in cells; 0 if it is unknown."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:  # the terminal is gone
        return 0


def _printable(text: str) -> str:
    return text.translate(_CONTROL_CHARACTERS)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # The text comes from servers and users: none of it is markup.
    return Console(file=stream, markup=False, highlight=False, emoji=False)
