"""Real web servers, each with one page that relays a stream to whoever asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from openai_async.web import SSEResponse, sse_response

Streams = Callable[[], Any]
Serve = Callable[..., AbstractAsyncContextManager[str]]


@asynccontextmanager
async def aiohttp_server(streams: Streams, **options: Any) -> AsyncIterator[str]:
    async def page(request: web.Request) -> web.StreamResponse:
        return await sse_response(request, streams(), **options)

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        listening = listener()
        await web.SockSite(runner, listening).start()
        yield address(listening)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def starlette_server(streams: Streams, **options: Any) -> AsyncIterator[str]:
    applications = pytest.importorskip("starlette.applications")
    routing = pytest.importorskip("starlette.routing")

    async def page(request: object) -> SSEResponse:
        return SSEResponse(streams(), **options)

    async with uvicorn_server(applications.Starlette(routes=[routing.Route("/", page)])) as url:
        yield url


@asynccontextmanager
async def fastapi_server(streams: Streams, **options: Any) -> AsyncIterator[str]:
    app = pytest.importorskip("fastapi").FastAPI()

    async def page() -> SSEResponse:
        return SSEResponse(streams(), **options)

    app.get("/", response_class=SSEResponse)(page)
    async with uvicorn_server(app) as url:
        yield url


@asynccontextmanager
async def uvicorn_server(app: Any) -> AsyncIterator[str]:
    uvicorn: Any = pytest.importorskip("uvicorn")
    config = uvicorn.Config(
        app, log_config=None, ws="none", lifespan="off", timeout_graceful_shutdown=1
    )
    started = asyncio.Event()

    class Server(uvicorn.Server):  # type: ignore[misc]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(config)
    listening = listener()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listening]))
        await started.wait()
        try:
            yield address(listening)
        finally:
            server.should_exit = True


@asynccontextmanager
async def hypercorn_server(streams: Streams, **options: Any) -> AsyncIterator[str]:
    """Without any framework: the response is the application."""
    hypercorn = pytest.importorskip("hypercorn")
    serve = pytest.importorskip("hypercorn.asyncio").serve

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await SSEResponse(streams(), **options)(scope, receive, send)

    listening = listener()
    config = hypercorn.Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = 1
    config.accesslog = config.errorlog = None
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(app, config, shutdown_trigger=stop.wait, mode="asgi"))
        try:
            with socket.socket(fileno=int(config.bind[0][5:])) as again:
                url = address(again)
                again.detach()
            yield url
        finally:
            stop.set()


def listener() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setblocking(False)
    return listening


def address(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/"


SERVERS: dict[str, Serve] = {
    "aiohttp": aiohttp_server,
    "starlette": starlette_server,
    "fastapi": fastapi_server,
    "hypercorn": hypercorn_server,
}
