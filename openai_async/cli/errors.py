"""From exceptions to exit codes: 1 failed, 2 wrong usage, 130 Ctrl-C, 141 a closed pipe.

The last two are the shell's: 128 plus the number of the signal that would end a C program.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from cyclopts import Argument, CycloptsError, MissingArgumentError, UnusedCliTokensError

import openai_async

from .output import (
    OutputClosedError,
    OutputError,
    discard_output,
    write_error,
    write_error_json,
)

FAILED = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


class UsageError(Exception):
    """The command line is wrong."""


class CommandError(Exception):
    """The command failed, but not because of the API."""


# What to do instead of passing `-` for a standard stream, by command.
_ADVICE_ON_DASH = {
    "chat": "leave it out (text from a pipe is read anyway), and name pictures by path or URL",
    "batch": "name files, because a run that is resumed reads its input and output again",
}


def refuse_dash(tokens: Sequence[str]) -> None:
    """Refuse `-`, which cyclopts would take for an option; after `--` it is an ordinary word.

    Raises:
        UsageError: `-` is among the tokens.
    """
    before = [*tokens[: tokens.index("--")]] if "--" in tokens else tokens
    if "-" in before:
        advice = _ADVICE_ON_DASH.get(tokens[0], "name a file")
        msg = f"`-` does not stand for standard input or output here: {advice}."
        raise UsageError(msg)


def one_limit(max_completion_tokens: int | None, max_tokens: int | None) -> None:
    """Refuse both names of the same limit, as OpenAI does once the request is sent.

    Raises:
        UsageError: both were passed.
    """
    if max_completion_tokens is not None and max_tokens is not None:
        msg = "--max-tokens and --max-completion-tokens are the same limit: pass one of them."
        raise UsageError(msg)


# `OpenAIError` is expected too, and named where these are caught: help should not import it.
EXPECTED = (UsageError, CommandError, CycloptsError, OutputError)


def report(error: BaseException, *, as_json: bool) -> int:
    """Report the error in one line, or one JSON object, on stderr; returns the exit code."""
    if isinstance(error, OutputError):
        # Python must not try to write it again at exit.
        discard_output()
    if isinstance(error, OutputClosedError):
        return BROKEN_PIPE
    with suppress(OutputError):  # stderr is closed too; the exit code remains
        if as_json:
            write_error_json({"error": _fields(error)})
        else:
            request_id = getattr(error, "request_id", None)
            write_error(_message(error) + (f" (request id: {request_id})" if request_id else ""))
    return USAGE if isinstance(error, UsageError | CycloptsError) else FAILED


def _message(error: BaseException) -> str:
    if isinstance(error, UnusedCliTokensError):
        unexpected = " ".join(error.unused_tokens or ())
        has_prompt = not {"chat", "image"}.isdisjoint(error.command_chain or ())
        advice = "put quotes around a prompt of several words" if has_prompt else "leave it out"
        return f"Unexpected argument {unexpected!r}: {advice}."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.keyword} needs a value." if error.keyword else _missing(error.argument)
    # Some of cyclopts' messages have several lines.
    return " ".join(str(error).split()) or type(error).__name__


def _missing(argument: Argument) -> str:
    """Which value is missing, and how to pass it."""
    what = " ".join((argument.parameter.help or "").split()).partition(". ")[0].rstrip(".")
    how = " or ".join(argument.names)
    return f"{how} is missing: {what[:1].lower()}{what[1:]}."


def _fields(error: BaseException) -> dict[str, Any]:
    known = error if isinstance(error, openai_async.APIError) else None
    return {
        "message": _message(error),
        "type": (known and known.type) or type(error).__name__,
        "code": known and known.code,
        "param": known and known.param,
        "status_code": known and known.status_code,
        "request_id": known and known.request_id,
    }
