"""After SIGTERM, an answer under way has the grace time of the app to end.

Each app is a program of its own, as in docs/web.md; it prints its URL when it listens. That stalled
answers and browsers do not delay its end is in test_examples.py.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ..raw_server import Exchange, RawServer, chunk, sse
from .browser import Browser

CLIENT = """
import socket, sys
from openai_async import AsyncClient
from openai_async.web import SSEResponse, sse_response

client = AsyncClient(base_url=sys.argv[1], api_key="local", max_retries=0)
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)

def ask():
    messages = [{"role": "user", "content": "Hi"}]
    return client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
"""
PROGRAMS = {
    "aiohttp": """
from aiohttp import web

async def page(request):
    return await sse_response(request, ask())

app = web.Application()
app.router.add_get("/", page)
app.cleanup_ctx.append(client.cleanup_ctx)
web.run_app(app, sock=listening, shutdown_timeout=1, print=None)
""",
    "uvicorn": """
import uvicorn
from fastapi import FastAPI

app = FastAPI(lifespan=client.lifespan)

@app.get("/")
async def page():
    return SSEResponse(ask())

uvicorn.run(app, fd=listening.fileno(), timeout_graceful_shutdown=1, log_level="critical")
""",
    "hypercorn": """
import asyncio, signal
from hypercorn import Config
from hypercorn.asyncio import serve
from starlette.applications import Starlette
from starlette.routing import Route

async def page(request):
    return SSEResponse(ask())

async def main():
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.graceful_timeout = 1
    app = Starlette(routes=[Route("/", page)], lifespan=client.lifespan)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(app, config, shutdown_trigger=stop.wait)

asyncio.run(main())
""",
}
# Seconds until a program that does not end by itself is killed. Its grace time is one second; the
# default of aiohttp is a minute, and that of uvicorn has no end.
PATIENCE = 40


@asynccontextmanager
async def running(
    kind: str, upstream: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    if kind != "aiohttp":
        pytest.importorskip(kind)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT + PROGRAMS[kind], upstream, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    try:
        yield program, (await program.stdout.readline()).decode().strip()
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_an_answer_that_ends_within_the_grace_time_is_whole(
    kind: str, raw: RawServer
) -> None:
    stopping = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.part(sse(chunk("Hel")))
        await stopping.wait()
        await exchange.part(sse(chunk("lo", finish="stop")) + b"data: [DONE]\n\n")
        await exchange.end()

    raw.answer = answer
    async with running(kind, raw.url) as (program, url), Browser(url) as browser:
        await browser.begin()
        await browser.part()
        program.send_signal(signal.SIGTERM)
        stopping.set()
        assert (await browser.rest()).endswith(b"data: [DONE]\n\n")
        async with asyncio.timeout(PATIENCE):
            await program.wait()
