"""The apps of docs/examples, each a process of its own, run by the command in its docstring."""

from __future__ import annotations

import ast
import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from attrs import define

from .servers import address, listener

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
# What each of them needs, and the package may be used without.
APPS = {
    "aiohttp_app": ("aiohttp",),
    "fastapi_app": ("fastapi", "uvicorn"),
    "django_app": ("django", "uvicorn"),
    "quart_app": ("quart", "hypercorn"),
}
BY_HAND = {"by_hand_aiohttp": "aiohttp_app", "by_hand_fastapi": "fastapi_app"}
# Seconds until a program that does not end by itself is killed. Without a grace time, aiohttp waits
# for a minute, and uvicorn for ever.
PATIENCE = 40

# `web.run_app` is given the socket, and one of the five seconds of grace.
RUN_AIOHTTP = """
import runpy, socket, sys
from aiohttp import web

run_app = web.run_app
listening = socket.socket(fileno=int(sys.argv[2]))
web.run_app = lambda app, *, shutdown_timeout, **options: run_app(
    app, sock=listening, shutdown_timeout=shutdown_timeout / 5, **options
)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@define
class Program:
    """A running app."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    async def ended(self) -> None:
        """Wait for its end; it must not take forever."""
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def running(name: str, upstream: str, log: Path, **more: str) -> AsyncIterator[Program]:
    """The app, asking the server at the URL `upstream`; with more environment variables."""
    for module in APPS.get(BY_HAND.get(name, name), ()):
        pytest.importorskip(module)
    listening = listener()
    environment = {
        **os.environ,
        "PYTHONPATH": str(EXAMPLES.parents[1]),
        "OPENAI_API_KEY": "local",
        "OPENAI_BASE_URL": upstream,
        **more,
    }
    with listening, log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *_command(name, listening.fileno()),
            cwd=EXAMPLES,
            env=environment,
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        url = address(listening)
    try:
        yield Program(url, process, log)
    finally:
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _command(name: str, fd: int) -> list[str]:
    """The last line of the docstring, with a socket that listens already, and less grace."""
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(text))
    assert doc is not None
    program, *arguments = shlex.split(doc.splitlines()[-1])
    if name == "bot":
        return [sys.executable, *arguments]
    if program == "python":
        return [sys.executable, "-c", RUN_AIOHTTP, *arguments, str(fd)]
    assert arguments[-1] == "5"  # seconds of grace
    where = {"uvicorn": ["--fd", str(fd)], "hypercorn": ["--bind", f"fd://{fd}"]}[program]
    return [sys.executable, "-m", program, *arguments[:-1], "1", *where]
