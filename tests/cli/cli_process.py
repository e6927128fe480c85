"""The command line as its users meet it: a process with pipes, or one on a terminal."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from openai_async.testing import LocalServer, RecordedRequest

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-W", "error", "-m", "openai_async")
# Far more than any command takes; a hang must fail, not wait for CI.
PATIENCE = 30.0
# With which readline asks a terminal to mark pastes, and no longer to; neither is shown.
_PASTE_MODES = re.compile(r"\x1b\[\?2004(h|l\r)")


def environment(**changes: str) -> dict[str, str]:
    """The environment without variables that would affect the commands by accident."""
    unwanted = ("OPENAI_", "NO_COLOR", "FORCE_COLOR", "TTY_", "COLUMNS", "LINES", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color", **changes}


def run_process(
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with pipes."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=environment() if env is None else env,
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


async def start_cli(
    *arguments: str, stdin: int = asyncio.subprocess.DEVNULL, key: str = "local"
) -> asyncio.subprocess.Process:
    """Start a command beside a server that runs in this process."""
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(OPENAI_API_KEY=key),
    )


async def arrival(server: LocalServer) -> RecordedRequest:
    """The first request, once it has arrived."""
    async with asyncio.timeout(20):
        return await server.received()


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr."""
    async with asyncio.timeout(PATIENCE):
        stdout, stderr = await process.communicate()
    return process.returncode, stdout.decode(), stderr.decode()


class Terminal:
    """A command on a terminal of 40 lines."""

    def __init__(
        self, *arguments: str, env: Mapping[str, str] | None = None, columns: int = 100
    ) -> None:
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", 40, columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment() if env is None else env,
            start_new_session=True,
        )
        os.close(slave)
        self.screen = ""
        self._seen = 0
        self._marks_pastes = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def paste(self, text: str) -> None:
        """Paste, with marks around the text if the command has asked for them."""
        self.send(f"\x1b[200~{text}\x1b[201~" if self._marks_pastes else text)

    def expect(self, text: str) -> None:
        """Read until `text` follows what was expected before."""
        parts = self._parts()
        while (place := self.screen.find(text, self._seen)) < 0:
            part = next(parts, None)
            assert part is not None, f"{text!r} never came; the screen is {self.screen!r}"
            self._show(part)
        self._seen = place + len(text)

    def plain(self) -> str:
        """What has been read so far, without styles."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.screen)

    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def interrupt(self) -> None:
        """Press Ctrl-C as people do: once more if nothing happens.

        CPython's readline looks for signals, then waits for a key: one that comes in between is
        seen with the next (`readline_until_enter_or_signal`).
        """
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on; the screen is {self.screen!r}"
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)

    def exit_code(self) -> int:
        """Read to the end."""
        for part in self._parts():
            self._show(part)
        return self.process.wait(PATIENCE)

    def _show(self, part: str) -> None:
        self.screen += part
        for mode in _PASTE_MODES.findall(self.screen):
            self._marks_pastes = mode == "h"
        self.screen = _PASTE_MODES.sub("", self.screen)

    def _parts(self) -> Iterator[str]:
        deadline = time.monotonic() + PATIENCE
        while select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # how Linux tells that the other end of a terminal is closed
                return
            if not data:
                return
            yield data.decode(errors="replace")
