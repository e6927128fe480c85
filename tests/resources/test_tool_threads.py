"""The threads in which `run_tools` calls plain functions, in real time: a thread's is no other."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openai_async import AsyncClient, file_part
from openai_async.testing import LocalServer, Reply

from ..cli.cli_process import environment
from .test_tool_runs import call, calling, run, told

MANY = 40
"""Calls of one answer: more than `asyncio.to_thread` has threads."""


@contextmanager
def stuck() -> Iterator[threading.Event]:
    """What functions that never return wait for; they do at the end of the test."""
    end = threading.Event()
    try:
        yield end
    finally:
        end.set()


async def test_all_calls_of_an_answer_run_at_once(client: AsyncClient, server: LocalServer) -> None:
    together = threading.Barrier(MANY, timeout=30)

    def meet(number: int) -> int:
        together.wait()
        return number

    server.script(calling(*(call("meet", number=n) for n in range(MANY))), Reply("Done."))
    await run(client, meet)
    assert told(server) == [str(number) for number in range(MANY)]


async def test_functions_that_never_return_hold_up_nothing_else(
    client: AsyncClient, server: LocalServer
) -> None:
    begun = threading.Semaphore(0)
    with stuck() as end:

        def hang() -> None:
            begun.release()
            end.wait()

        server.script(calling(*[call("hang")] * MANY), Reply("Sorry."))
        await run(client, hang, tool_timeout=0.05, on_tool_error=lambda *_: None)
        assert told(server) == ["The tool hang did not finish within 0.05 s."] * MANY
        for _ in range(MANY):
            assert begun.acquire(timeout=30)  # each of them did run
        await asyncio.wait_for(file_part(b"%PDF-"), 30)


async def test_leaving_a_run_does_not_wait_for_its_threads(
    client: AsyncClient, server: LocalServer
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    with stuck() as end:

        def hang() -> None:
            loop.call_soon_threadsafe(begun.set)
            end.wait()

        server.script(calling(call("hang")))
        task = asyncio.ensure_future(run(client, hang))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.requests) == 1


PROGRAM = """
import asyncio, threading
from openai_async import AsyncClient
from openai_async.testing import LocalServer, Reply

def hang() -> None:
    threading.Event().wait()

async def main() -> None:
    async with LocalServer() as server, AsyncClient(base_url=server.url, api_key="k") as client:
        server.script(Reply(tool_calls=[{"name": "hang", "arguments": "{}"}]), Reply("Sorry."))
        run = client.chat.completions.run_tools(
            model="gpt-4o",
            messages=[{"role": "user", "content": "Hi"}],
            tools=[hang],
            tool_timeout=0.01,
            on_tool_error=lambda *_: None,
        )
        print((await run).text)

asyncio.run(main())
"""


async def test_a_program_ends_though_a_function_does_not() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM), env=environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert (output, process.returncode) == (b"Sorry.\n", 0)


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("grouped", [False, True], ids=["bare", "in a group"])
def test_what_ends_the_program_is_raised_as_it_is(ends: type[BaseException], grouped: bool) -> None:
    async def leave() -> None:
        raise BaseExceptionGroup("several", [ValueError(), ends()]) if grouped else ends()

    async def main() -> None:
        async with (
            LocalServer() as server,
            AsyncClient(base_url=server.url, api_key="local") as client,
        ):
            server.script(calling(call("leave")))
            await run(client, leave)

    with pytest.raises(ends):
        asyncio.run(main())
