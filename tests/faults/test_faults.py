"""The client under every fault of the table in `faults.py`, each on a server of its own.

Whatever came, afterwards: no slot is taken, no stream is open, no task is left, nothing was warned
of or logged by the loop, and the next call on the same client gets its answer.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import pytest
from attrs import evolve

from openai_async import (
    APIError,
    AsyncClient,
    ChatCompletionStream,
    OpenAIError,
    StreamInterruptedError,
)
from openai_async.types.chat import ChatCompletion
from openai_async.wire.sse import SSEDecoder

from ..raw_server import RawServer
from .fault import Fault
from .faults import FAULTS
from .parts import good

pytestmark = pytest.mark.virtual_time

KEY = "sk-test-0123456789abcdef"
# What a person reads on a line or two of a terminal.
MAX_MESSAGE = 350


# --- the world ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host names without a network, and shorter waits for misbehaving servers."""
    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    monkeypatch.setattr("openai_async.http.answers.ERROR_BODY_TIMEOUT", 0.2)
    monkeypatch.setattr("openai_async.streaming.base.ERROR_BODY_TIMEOUT", 0.2)
    monkeypatch.setattr("openai_async.http.body.LINGER_TIMEOUT", 0.2)
    # The limit is 64 MiB; reaching it costs a second, so the table's is smaller.
    decoder = partial(SSEDecoder, 12 * 2**20)
    monkeypatch.setattr("openai_async.streaming.receiver.SSEDecoder", decoder)


async def resolve(
    self: object, host: str, port: int = 0, family: int = socket.AF_INET
) -> list[dict[str, Any]]:
    if host == "nowhere.test":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if host == "hangs.test":
        await asyncio.Event().wait()
    if host == "local.test":
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "proto": 0, "flags": 0}
        return [{**found, "family": socket.AF_INET}]
    return []


# --- the calls ----------------------------------------------------------------------------------

Result: TypeAlias = tuple[str, ChatCompletion | None]
HI: Any = [{"role": "user", "content": "Hi"}]


def ask(client: AsyncClient, n: int = 1) -> ChatCompletionStream:
    return client.chat.completions.create(model="m", messages=HI, n=n, stream=True)


async def plain_list(client: AsyncClient, n: int = 1) -> Result:
    return ",".join(model.id for model in await client.models.list()), None


async def plain_chat(client: AsyncClient, n: int = 1) -> Result:
    result = await client.chat.completions.create(model="m", messages=HI, n=n)
    return result.text or "", result


async def stream_completion(client: AsyncClient, n: int = 1) -> Result:
    result = await ask(client, n).completion()
    return result.text or "", result


async def stream_text(client: AsyncClient, n: int = 1) -> Result:
    return "".join([text async for text in ask(client, n).text()]), None


async def stream_iterate(client: AsyncClient, n: int = 1) -> Result:
    return "".join([chunk.text or "" async for chunk in ask(client, n)]), None


async def stream_break(client: AsyncClient, n: int = 1) -> Result:
    async for text in ask(client, n).text():
        return text, None
    return "", None


async def stream_raise(client: AsyncClient, n: int = 1) -> Result:
    said = ""
    try:
        async for text in ask(client, n).text():
            said = text
            raise LookupError
    except LookupError:
        pass
    return said, None


async def stream_close(client: AsyncClient, n: int = 1) -> Result:
    async with ask(client, n) as stream:
        said = (await anext(stream)).text or ""
    return said, None


async def stream_cancel(client: AsyncClient, n: int = 1) -> Result:
    said, read = "", asyncio.Event()

    async def reader() -> None:
        nonlocal said
        async for text in ask(client, n).text():
            said = said or text
            read.set()

    task = asyncio.create_task(reader())
    await read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return said, None


CALLS: dict[str, Callable[[AsyncClient, int], Awaitable[Result]]] = {
    "list": plain_list,
    "chat": plain_chat,
    "completion": stream_completion,
    "text": stream_text,
    "iterate": stream_iterate,
    "break": stream_break,
    "raise": stream_raise,
    "close": stream_close,
    "cancel": stream_cancel,
}
PLAIN = ("list", "chat")
STREAM = ("completion", "text", "iterate")
LEAVING = ("break", "raise", "close", "cancel")


def calls(fault: Fault) -> tuple[str, ...]:
    """The calls it makes sense for."""
    usual = (*(PLAIN if fault.plain else ()), *(STREAM if fault.stream else ()))
    return fault.calls or usual


# --- the tests ----------------------------------------------------------------------------------


CASES = [(fault, is_open) for fault in FAULTS for is_open in (False, True)[: 1 + fault.connects]]


def named(case: tuple[Fault, bool]) -> str:
    fault, is_open = case
    return f"{fault.group}-{fault.name}{', open connection' if is_open else ''}"


@pytest.mark.parametrize(("fault", "is_open"), CASES, ids=map(named, CASES))
async def test_fault(
    fault: Fault, is_open: bool, record_property: Callable[[str, object], None]
) -> None:
    """One row, with all its calls at once: each has a server and a client of its own.

    On a new connection, or on one that is already open; in that case, the request does not go
    through `ClientSession.request`.
    """
    before = asyncio.all_tasks()
    with no_complaints():
        outcomes = await all_held(fault, is_open)
        async with asyncio.timeout(1):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left, timeout=0.05)
    failed = [why for why in outcomes if why]
    # For the score at the end of the run (tests/conftest.py).
    record_property("faults", (fault.group, len(outcomes) - len(failed), len(outcomes)))
    assert not failed, "\n".join(failed)


async def all_held(fault: Fault, is_open: bool) -> list[str]:
    """For each call of a row: what failed, or ""."""

    async def one(call: str) -> str:
        try:
            await hold(fault, call, is_open)
        except (AssertionError, TimeoutError) as error:
            return f"{fault.group}: {fault.name} ({call}): {str(error) or repr(error)}"
        return ""

    return await asyncio.gather(*(one(call) for call in calls(fault)))


# --- what a row must hold -----------------------------------------------------------------------


async def hold(fault: Fault, call: str, is_open: bool) -> None:
    """One row with one call, on a server and a client of its own."""
    async with fault.server() as server:
        options = {"base_url": server.url, "timeout": fault.timeout, "max_retries": fault.retries}
        client = AsyncClient(api_key=KEY, **{**options, **fault.client(server)})
        async with client:
            if is_open:
                server.answer = good
                await plain_chat(client)
                server.exchanges.clear()
            server.answer = lambda e: fault.does[min(len(server.exchanges), len(fault.does)) - 1](e)
            for _ in range(fault.times - 1):
                await check_call(evolve(fault, plain="hi", stream="hi"), call, client)
                await asyncio.sleep(fault.pause)
            await check_call(fault, call, client)
            check_counts(fault, server, resent=fault.resent if is_open else 0)
            if call in LEAVING:
                async with asyncio.timeout(1):
                    await server.hung_up.wait()
            await check_clean(client)
            if fault.recovers:
                server.answer = good
                again = client.with_options(max_retries=2, timeout=5)
                assert await plain_chat(again)
                await check_clean(client)


async def check_call(fault: Fault, call: str, client: AsyncClient) -> None:
    """The one call that counts: what came of it, and when."""
    expected = fault.plain if call in PLAIN else fault.stream
    allowed = expected if isinstance(expected, tuple) else (expected,)
    clock = asyncio.get_running_loop().time
    started = clock()
    failure: Exception | None = None
    text, whole = "", None
    try:
        async with asyncio.timeout(fault.within + fault.least + 4):
            text, whole = await CALLS[call](client, fault.n)
    except Exception as error:
        failure = error
    took = clock() - started
    if failure is not None:
        assert type(failure) in allowed, f"{failure!r} came, not {expected}"
        check_error(fault, failure)
    else:
        assert text in allowed, f"{text[:80]!r} came, not {expected}"
        assert fault.whole is None or whole is None or fault.whole(whole)
    most = fault.least + fault.within
    assert fault.least - 1e-6 <= took <= most, f"it took {took:.2f} s"


def check_error(fault: Fault, error: Exception) -> None:
    assert isinstance(error, OpenAIError)
    message = str(error)
    assert len(message) < MAX_MESSAGE, message
    assert KEY not in f"{error!r} {error.__dict__!r} {error.__cause__!r}"
    assert "\n" not in message
    assert re.search(fault.match, message), message
    begun = isinstance(error, StreamInterruptedError) or fault.group == "servers"
    if begun and fault.partial is not None:
        assert isinstance(error, APIError)
        assert error.partial is not None
        assert (error.partial.text or "") == fault.partial


def check_counts(fault: Fault, server: RawServer, resent: int) -> None:
    if fault.requests is not None:
        expected = fault.requests + resent
        assert len(server.exchanges) == expected, f"{len(server.exchanges)} requests"
    if fault.connections is not None:
        assert server.connections == fault.connections, f"{server.connections} connections"


async def check_clean(client: AsyncClient) -> None:
    """No slot is taken; after `LINGER_TIMEOUT` no stream is open and no connection in use."""
    (pool,) = client._transport._pools._pools.values()
    assert pool.slots.free == client._transport._pools._max_connections, "a slot is taken"
    connector: Any = pool.session.connector
    async with asyncio.timeout(1):
        while pool.streams or connector._acquired:  # noqa: ASYNC110 - aiohttp has no event
            await asyncio.sleep(0.02)


@contextmanager
def no_complaints() -> Iterator[None]:
    """No warning, and nothing that the loop had to log."""
    logged: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        # Rightly said of the rows with a proxy; only https has no such warning.
        warnings.filterwarnings("ignore", message="The API key goes to http://x.test")
        yield
        gc.collect(1)
    loop.set_exception_handler(None)
    assert not warned, [str(warning.message) for warning in warned]
    assert not logged, logged
