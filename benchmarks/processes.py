"""The server and the workers as processes, which end with the script that starts them.

Ctrl-C is for that script alone: each of them has a session of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson

from certificate import certificate

_HERE = Path(__file__).parent


class WorkerError(Exception):
    """A process has ended before it answered; why, it has written on standard error."""


def run(main: Callable[[], None]) -> None:
    """A whole script: Ctrl-C ends it with one line."""
    try:
        main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        print("interrupted", file=sys.stderr)
        sys.exit(130)  # 128 + SIGINT, as a shell has it


@contextmanager
def running_server(*options: str, scheme: str = "http") -> Iterator[str]:
    """The canned server; gives its base URL."""
    with _process("server.py", *options) as process:
        yield f"{scheme}://127.0.0.1:{int(_line(process))}/v1"


@contextmanager
def _running_tls_server() -> Iterator[tuple[str, str]]:
    with (
        certificate() as (server, authority),
        running_server("--tls", str(server), scheme="https") as url,
    ):
        yield url, str(authority)


class Servers(ExitStack):
    """The canned servers, one for each kind: "plain", "no-limits" and "tls"."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, kind: str) -> tuple[str, ...]:
        """The arguments that a worker needs for a server, which is started on first use."""
        if kind not in self._running:
            self._running[kind] = self._start(kind)
        return self._running[kind]

    def _start(self, kind: str) -> tuple[str, ...]:
        if kind == "tls":
            return self.enter_context(_running_tls_server())
        options = () if kind == "plain" else (f"--{kind}",)
        return (self.enter_context(running_server(*options)),)


class Worker:
    """One peer, in its process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, **command: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(command) + b"\n")
        self._process.stdin.flush()
        return orjson.loads(_line(self._process))


@contextmanager
def running_worker(peer: str, server: tuple[str, ...]) -> Iterator[Worker]:
    with _process("worker.py", peer, *server) as process:
        yield Worker(process)


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    script, *arguments = command
    pipe = subprocess.PIPE
    line = [sys.executable, str(_HERE / script), *arguments]
    # Leaving closes its standard input, which is how it learns that it is over, and waits for it.
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        try:
            yield process
        except BaseException:
            process.kill()  # it may be in the midst of its work, for which nobody waits now
            process.wait()
            raise


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        msg = f"it has ended before its time: {process.args!r}"
        raise WorkerError(msg)
    return line
