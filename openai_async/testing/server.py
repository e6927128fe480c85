"""`LocalServer`: its options, its start and its end. `pipeline` handles the requests."""

import asyncio
import logging
import math
from collections.abc import Iterable
from typing import Self

from aiohttp import web

from ..options import is_number, is_whole
from .exchange import ServerState
from .limits import Limiter, ServerLimits
from .models import DEFAULT_MODELS, ModelStore
from .picture_store import BASE_PATH
from .pipeline import Pipeline, make_application
from .recording import RecordedRequest
from .script import Chooser, Failure, Reply, Script
from .thread import ServerThread

_HOST = "127.0.0.1"
# aiohttp logs a traceback for every request that is not HTTP: the client's fault, reported to the
# client in a 400, and noise in a test. To see it, give this logger a handler.
_http_logger = logging.getLogger("openai_async.testing.http")
_http_logger.addHandler(logging.NullHandler())
# The largest part of an upload, and the form around it. Pictures travel as base64 within the body;
# OpenAI takes up to 50 MB of them.
_MAX_BODY = 64 * 2**20 + 64 * 2**10
# Clients that fan out connect all at once; a full backlog costs each a second.
_BACKLOG = 4096
# How many iterations of the loop closed connections get to end; they need a handful.
_ITERATIONS_TO_END = 100
# A connection that was only just accepted appears some iterations later, in a task of asyncio's.
_ITERATIONS_TO_APPEAR = 5


class LocalServer:
    """An OpenAI-compatible server on 127.0.0.1 for tests, demos and offline work.

    `port=0` takes any free port, and keeps it when the server is stopped and started again.
    `tokens_per_second` paces streams and batches. With `api_key=None` any non-empty key is
    accepted.
    `limits` apply to each model; requests beyond them are answered with 429. None means no limit.
    `models` are listed. Requests for other models are answered as well, unless `strict_models` is
    set: then they are refused with 404, as OpenAI does.

    `async with LocalServer() as server:` runs it in the test's event loop. A plain `with`, for
    tests that are not async, runs it in a thread: all methods work from the test's thread, and the
    async ones in any loop.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tokens_per_second: float | None = None,
        models: Iterable[str] = DEFAULT_MODELS,
        api_key: str | None = None,
        limits: ServerLimits | None = None,
        strict_models: bool = False,
    ) -> None:
        if not (is_whole(port, 0) and port <= 65535):
            msg = f"port must be a number from 0 to 65535, not {port!r}."
            raise ValueError(msg)
        if tokens_per_second is not None and not (
            is_number(tokens_per_second) and 0 < tokens_per_second < math.inf
        ):
            msg = f"tokens_per_second must be a number above 0 or None, not {tokens_per_second!r}."
            raise ValueError(msg)
        if api_key is not None and (not isinstance(api_key, str) or not api_key):
            msg = "api_key must be a non-empty string; None accepts any key."
            raise ValueError(msg)
        if limits is not None and not isinstance(limits, ServerLimits):
            msg = f"limits must be ServerLimits(...) or None, not {limits!r}."
            raise ValueError(msg)
        self._port = port
        self._limiter = None if limits is None else Limiter(limits)
        store = ModelStore(models, strict=strict_models)
        self._state = ServerState(store, tokens_per_second, limiter=self._limiter)
        self._script = Script()
        self._pipeline = Pipeline(self._state, self._script, api_key)
        self._connections = 0
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._thread: ServerThread | None = None

    def __repr__(self) -> str:
        running = "running" if self._runner is not None else "stopped"
        return f"<LocalServer {running} port={self._port} requests={len(self.requests)}>"

    @property
    def url(self) -> str:
        """What a client takes as its `base_url`."""
        if not self._state.origin:
            msg = "LocalServer has no address yet: use `with`, `async with` or `server.start()`."
            raise RuntimeError(msg)
        return f"{self._state.origin}{BASE_PATH}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests in order of arrival; at most the latest 10,000."""
        # Copied in one step, which no other thread interrupts.
        return list(self._pipeline.requests)

    @property
    def connections(self) -> int:
        """How many TCP connections the server has accepted so far."""
        return self._connections

    @property
    def rejections(self) -> int:
        """How many requests the limits have answered with 429, not counting those of the script."""
        return 0 if self._limiter is None else self._limiter.rejections

    @property
    def pending(self) -> int:
        """How many steps of the script are not yet used."""
        return len(self._script)

    def script(self, *steps: Reply | Failure | Chooser, times: int = 1) -> None:
        """Append steps; each API request takes the next one, whatever its route.

        A function is not a step: until `reset()`, it is asked about every API request. It gets the
        `RecordedRequest` and returns its `Reply` or `Failure`, or None to leave the request to the
        other functions, then to the steps. It may be async.
        """
        if self._thread is None:
            self._script.add(steps, times)
        else:
            self._thread.call(self._script.add, steps, times)

    def reset(self) -> None:
        """Clear the requests, the script, and the usage counted towards the limits."""
        if self._thread is None:
            self._clear()
        else:
            self._thread.call(self._clear)

    def _clear(self) -> None:
        self._pipeline.clear()
        if self._limiter is not None:
            self._limiter.clear()
        self._script.clear()

    async def received(self, count: int = 1) -> RecordedRequest:
        """Wait until `count` requests in all have arrived since `reset()`; returns the latest."""
        return await self._pipeline.received(count)

    async def start(self) -> None:
        if self._thread is None:
            await self._start()
        else:
            await self._thread.run(self._start)

    async def stop(self) -> None:
        """Close all connections, whatever they are waiting for, and end all handlers."""
        if self._thread is None:
            await self._stop()
        else:
            await self._thread.run(self._stop)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        if self._runner is not None or self._thread is not None:
            msg = "LocalServer is running already: use it without `with`."
            raise RuntimeError(msg)
        self._thread = ServerThread(self._start, self._stop)
        return self

    def __exit__(self, *exc: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    async def _start(self) -> None:
        if self._runner is not None:
            return
        runner = self._runner = web.AppRunner(
            make_application(self._pipeline, _MAX_BODY),
            handler_cancellation=True,  # a client that hangs up ends its handler at once
            access_log=None,
            logger=_http_logger,
            shutdown_timeout=1.0,
        )
        self._state.stopping = False
        try:
            await runner.setup()
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(
                self._accept, _HOST, self._port, backlog=_BACKLOG
            )
        except BaseException:
            await self._stop()
            raise
        self._port = self._listener.sockets[0].getsockname()[1]
        self._state.origin = f"http://{_HOST}:{self._port}"

    async def _stop(self) -> None:
        runner, listener = self._runner, self._listener
        if runner is None:
            return
        self._runner = self._listener = None
        self._state.stopping = True
        if listener is not None:
            listener.close()
        if (web_server := runner.server) is not None:
            for iteration in range(_ITERATIONS_TO_END):
                for connection in web_server.connections:
                    if connection.transport is not None:
                        connection.transport.abort()
                if iteration > _ITERATIONS_TO_APPEAR and not web_server.connections:
                    break
                await asyncio.sleep(0)
            await self._pipeline.idle()
        await self._state.batches.stop()
        await runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        """Counts a new connection; the list of live ones does not have those that have ended."""
        self._connections += 1
        assert self._runner is not None
        assert self._runner.server is not None
        return self._runner.server()
