"""The command line in a thread of this process: what it prints, its exit code and its files.

A process of its own takes most of a second of CPU time, nearly all of it for imports. What needs
one is not for this module, but for `cli_process`: signals, terminals, encodings, what has been
imported, and how Python exits.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import IO
from unittest import mock

from openai_async.cli import main

from .cli_process import PATIENCE, environment


def run_cli(
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `cli_process.run_process` does."""
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        with _surroundings(arguments, stdin, stdout, stderr, env, cwd):
            code = _start().result(PATIENCE)
        return subprocess.CompletedProcess([*arguments], code, _text(stdout), _text(stderr))


async def run_beside(
    *arguments: str, stdin: bytes = b"", key: str = "local"
) -> tuple[int, str, str]:
    """Run a command beside a server of this loop; exit code, stdout and stderr."""
    env = environment(OPENAI_API_KEY=key)
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        with _surroundings(arguments, stdin, stdout, stderr, env):
            async with asyncio.timeout(PATIENCE):
                code = await asyncio.wrap_future(_start())
        return code, _text(stdout), _text(stderr)


@contextmanager
def _surroundings(
    arguments: Sequence[str],
    stdin: bytes,
    stdout: IO[bytes],
    stderr: IO[bytes],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[None]:
    """What a command sees of its process, in place of our own for a while."""
    with ExitStack() as stack:
        # Descriptors of their own: commands may close them, or send them elsewhere.
        for name, mode, descriptor in (
            ("stdin", "r", _pipe(stdin)),
            ("stdout", "w", os.dup(stdout.fileno())),
            ("stderr", "w", os.dup(stderr.fileno())),
        ):
            stream = stack.enter_context(open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123
            stack.enter_context(mock.patch.object(sys, name, stream))
        stack.enter_context(mock.patch.object(sys, "argv", ["openai-async", *arguments]))
        env = environment() if env is None else env
        stack.enter_context(mock.patch.dict(os.environ, env, clear=True))
        # Warnings that are logged go to stderr, as where nobody has set up logging.
        stack.enter_context(mock.patch.object(logging.root, "handlers", []))
        if cwd is not None:
            stack.enter_context(chdir(cwd))
        yield


def _start() -> Future[int]:
    """Run `main()` in a thread: it starts its own loop. If it hangs, the tests do not."""
    done: Future[int] = Future()

    def run() -> None:
        try:
            done.set_result(main())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="openai-async", daemon=True).start()
    return done


def _pipe(data: bytes) -> int:
    """Where `data` can be read, as much as a pipe holds."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
