"""Our client and the official one over it, side by side: in one process, pickled, in two loops."""

import asyncio
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from openai_async import AsyncClient, RateLimit
from openai_async.adapters import http_client
from openai_async.testing import LocalServer

Both = tuple[AsyncClient, openai.AsyncOpenAI]

# Run in another process, in two loops, one after the other.
PROGRAM = """
import asyncio, pickle, sys
from tests.adapters.test_both_forms import ask_both

both = pickle.load(sys.stdin.buffer)

async def main(last):
    # A slow step only means that the machine is busy.
    asyncio.get_running_loop().slow_callback_duration = float("inf")
    print(len(set(await ask_both(both))))
    if last:
        await both[0].close()

asyncio.run(main(False))
asyncio.run(main(True))
"""


def both_of(server: LocalServer) -> Both:
    limit = RateLimit(requests_per_minute=60_000)
    ours = AsyncClient(base_url=server.url, api_key="ours", rate_limit=limit)
    sender = http_client(ours)
    return ours, openai.AsyncOpenAI(base_url=server.url, api_key="theirs", http_client=sender)


async def ask_both(both: Both) -> list[str]:
    """The same question, plain and streamed, from each of them at once."""
    return await asyncio.gather(*[ask(one, plain) for one in both for plain in (True, False)])


async def ask(client: AsyncClient | openai.AsyncOpenAI, plain: bool) -> str:
    create: Any = client.chat.completions.create
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
    if plain:
        return str((await create(**asked)).choices[0].message.content)
    chunks = [chunk async for chunk in await create(**asked, stream=True)]
    return "".join([chunk.choices[0].delta.content or "" for chunk in chunks])


async def test_both_give_the_same_answers_with_their_own_keys(server: LocalServer) -> None:
    both = both_of(server)
    async with both[0]:
        answers = await ask_both(both)
    assert len(answers) == 4
    assert len(set(answers)) == 1
    keys = [request.headers["Authorization"] for request in server.requests]
    assert sorted(keys) == ["Bearer ours"] * 2 + ["Bearer theirs"] * 2


async def test_both_share_connections(server: LocalServer) -> None:
    ours, official = both_of(server)
    async with ours:
        for client in (ours, official, ours, official):
            await ask(client, plain=True)
        assert server.connections == 1


def test_both_serve_two_loops_at_once() -> None:
    async def serve() -> None:
        async with LocalServer() as server:
            both = both_of(server)
            with ThreadPoolExecutor(2) as threads:
                loop = asyncio.get_running_loop()
                runs = [
                    loop.run_in_executor(threads, asyncio.run, ask_both(both)) for _ in range(2)
                ]
                answers = [answer for run in await asyncio.gather(*runs) for answer in run]
            assert len(answers) == 8
            assert len(set(answers)) == 1
            await both[0].close()

    asyncio.run(serve())


async def test_pickled_together_they_still_share_a_client(server: LocalServer) -> None:
    both = both_of(server)
    ours, official = pickle.loads(pickle.dumps(both))
    async with ours, both[0]:
        await ask_both((ours, official))
        assert list(ours.rate_limits) == ["gpt-4o"]
        assert not both[0].rate_limits
    with pytest.raises(openai.APIConnectionError, match="closed"):
        await ask(official, plain=True)


async def test_another_process_uses_them_without_a_warning(server: LocalServer) -> None:
    both = both_of(server)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(pickle.dumps(both))
    assert (out.split(), err.decode()) == ([b"1", b"1"], "")
    assert len(server.requests) == 8
    await both[0].close()
