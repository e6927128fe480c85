"""Ctrl-C: at once, exit code 130, no traceback, and the server sees the hang-up."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from openai_async.testing import Failure, LocalServer

from .cli_process import arrival, outcome, start_cli

# In seconds: shorter than any wait in these tests, longer than a busy machine takes to exit.
SOON = 20.0


async def interrupt(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(SOON):
        return await outcome(process)


async def seen(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        await process.stdout.readuntil(text.encode())


async def test_a_stalled_stream_stops() -> None:
    async with LocalServer() as server:
        server.script(Failure(stall_after=3))
        process = await start_cli("chat", "--base-url", server.url, "Hi")
        await seen(process, "Happy to help")
        # The answer so far gets its line end; that was all.
        assert await interrupt(process) == (130, "\n", "")
        await server.requests[-1].finished()
        assert server.requests[-1].disconnected


async def test_a_running_stream_stops() -> None:
    async with LocalServer(tokens_per_second=4) as server:
        process = await start_cli("chat", "--base-url", server.url, "--json", "Hi")
        await seen(process, '"Happy"')
        code, _, stderr = await interrupt(process)
        assert (code, stderr) == (130, "")


@pytest.mark.parametrize(
    "command",
    [("models",), ("chat", "--no-stream", "Hi"), ("image", "an otter", "-o", "never.png")],
)
async def test_waiting_for_a_plain_answer_stops(command: tuple[str, ...]) -> None:
    async with LocalServer() as server:
        server.script(Failure(stall_after=0))
        process = await start_cli(*command, "--base-url", server.url)
        await arrival(server)
        assert await interrupt(process) == (130, "", "")


async def test_waiting_for_a_retry_stops() -> None:
    async with LocalServer() as server:
        server.script(Failure(503, headers={"retry-after": "30"}))
        process = await start_cli("models", "--base-url", server.url)
        await (await arrival(server)).finished()
        assert await interrupt(process) == (130, "", "")


async def test_waiting_for_standard_input_stops() -> None:
    process = await start_cli("chat", "--local", stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    # A pipe holds 64 KiB: when more than that is gone, the command is reading.
    process.stdin.transport.set_write_buffer_limits(0)
    process.stdin.write(b"x" * 1_000_000)
    async with asyncio.timeout(20):
        await process.stdin.drain()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(SOON):
        code = await process.wait()
    assert process.stderr is not None
    assert (code, await process.stderr.read()) == (130, b"")
    process.stdin.close()


async def test_a_thread_that_waits_for_a_pipe_does_not_delay_the_exit(tmp_path: Path) -> None:
    fifo = tmp_path / "picture"
    os.mkfifo(fifo)
    process = await start_cli("chat", "--local", "Hi", "--image", str(fifo))
    # Opening the other end waits until the command reads, in a thread of its own.
    async with asyncio.timeout(20):
        writing = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
    try:
        assert await interrupt(process) == (130, "", "")
    finally:
        os.close(writing)


async def test_the_demo_stops(tmp_path: Path) -> None:
    process = await start_cli("demo", "--output", str(tmp_path))
    await seen(process, "5. Draw a picture")
    process.send_signal(signal.SIGINT)
    code, _, stderr = await outcome(process)
    # On a fast machine it may have come to its end first.
    assert code in (130, 0)
    assert stderr == ""
