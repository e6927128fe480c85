"""Functions that return the API key: plain ones run in a thread, async ones on the event loop."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from unittest.mock import AsyncMock

import pytest

from openai_async import APITimeoutError, AsyncClient, OpenAIError, Request, Response, Send, Timeout
from openai_async.testing import Failure, LocalServer

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


def client_of(server: LocalServer, key: Callable[[], Any], **options: Any) -> AsyncClient:
    return AsyncClient(base_url=server.url, api_key=key, max_retries=0, **options)


def sent_key(server: LocalServer) -> str:
    return server.requests[-1].headers["Authorization"].removeprefix("Bearer ")


async def test_a_plain_function_does_not_block_the_event_loop(server: LocalServer) -> None:
    loop, may_return = asyncio.get_running_loop(), threading.Event()
    started = asyncio.Event()

    def key() -> str:
        loop.call_soon_threadsafe(started.set)
        may_return.wait(5)
        return f"from {threading.current_thread() is threading.main_thread()}"

    async with client_of(server, key) as client:
        call = asyncio.create_task(client.models.list())
        await started.wait()  # the loop runs while the function waits
        may_return.set()
        await call
    assert sent_key(server) == "from False"


async def test_a_plain_function_sees_the_context_of_the_call(server: LocalServer) -> None:
    async with client_of(server, lambda: tenant.get()) as client:
        tenant.set("acme")
        await client.models.list()
    assert sent_key(server) == "acme"


class Vault:
    async def __call__(self) -> str:
        return await on_loop()

    async def key(self) -> str:
        return await on_loop()


async def on_loop() -> str:
    return str(threading.current_thread() is threading.main_thread())


@functools.wraps(on_loop)
def decorated() -> Awaitable[str]:
    # Only the thread of a loop can create a task.
    return asyncio.create_task(on_loop())


@pytest.mark.parametrize(
    "key",
    [
        on_loop,
        decorated,
        Vault(),
        Vault().key,
        functools.partial(Vault.key, Vault()),
        AsyncMock(return_value="True"),
        lambda: on_loop(),
    ],
    ids=["async", "decorated", "object", "method", "partial", "mock", "returns a coroutine"],
)
async def test_an_async_function_runs_on_the_event_loop(
    server: LocalServer, key: Callable[[], Any]
) -> None:
    async with client_of(server, key) as client:
        await client.models.list()
    assert sent_key(server) == "True"


async def test_an_exhausted_iterator_of_keys_is_an_error(server: LocalServer) -> None:
    keys = iter(["first"])
    async with client_of(server, keys.__next__) as client:
        await client.models.list()
        with pytest.raises(OpenAIError, match="api_key function failed"):
            await client.models.list()
    assert len(server.requests) == 1


async def slow_key() -> str:
    await asyncio.sleep(60)
    return "slow"


@pytest.mark.virtual_time
async def test_the_time_of_an_async_function_counts_towards_the_timeout(
    server: LocalServer,
) -> None:
    async with client_of(server, slow_key, timeout=Timeout(total=30)) as client:
        with pytest.raises(APITimeoutError, match="key from the api_key function within 30 s"):
            await client.models.list()


async def test_the_time_of_a_plain_function_counts_towards_the_timeout(
    server: LocalServer,
) -> None:
    may_return = threading.Event()

    def key() -> str:
        may_return.wait(5)
        return "k"

    async with client_of(server, key, timeout=Timeout(total=0.05)) as client:
        with pytest.raises(APITimeoutError, match=r"from the api_key function within 0\.05 s"):
            await client.models.list()
        may_return.set()
    assert server.requests == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("second", ["k", AsyncMock(return_value="k")], ids=["text", "function"])
async def test_a_slow_server_is_not_mistaken_for_a_slow_function(
    server: LocalServer, second: Any
) -> None:
    """Not even if the function was too slow for the attempt before."""

    async def with_another_key(request: Request, send: Send) -> Response:
        with pytest.raises(APITimeoutError, match="api_key function"):
            await send(request)
        request.api_key = second
        return await send(request)

    server.script(Failure(delay=60))
    options: Any = {"timeout": Timeout(total=30), "middlewares": [with_another_key]}
    async with client_of(server, slow_key, **options) as client:
        with pytest.raises(APITimeoutError, match="No complete answer within 30 s"):
            await client.models.list()


@pytest.mark.parametrize("late", ["key", "coroutine", "error"])
async def test_a_cancelled_call_discards_what_the_function_returns_later(
    server: LocalServer, late: str
) -> None:
    loop, may_return = asyncio.get_running_loop(), threading.Event()
    started = asyncio.Event()

    def key() -> Any:
        loop.call_soon_threadsafe(started.set)
        may_return.wait(5)
        if late == "error":
            raise LookupError
        return "k" if late == "key" else on_loop()

    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    async with client_of(server, key) as client:
        call = asyncio.create_task(client.models.list())
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        may_return.set()
        await loop.shutdown_default_executor()
        gc.collect()  # a coroutine that was never awaited would warn now
    assert server.requests == []
    assert unhandled == []
