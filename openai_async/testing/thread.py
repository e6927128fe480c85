"""Runs a server in a thread with an event loop, for tests that are not async."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class ServerThread:
    """Starts the server in a new thread, and raises what `start` raises."""

    def __init__(
        self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        self._start, self._stop = start, stop
        self._started: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        # A program that Ctrl-C ends before it has closed this must not wait for the thread at exit.
        self._thread = threading.Thread(target=self._run, name="LocalServer", daemon=True)
        try:
            self._thread.start()
            self._started.result()
        except BaseException as error:  # the server could not start, or Ctrl-C
            if self._thread.ident is None and isinstance(error, RuntimeError):
                self._loop.close()  # the system has no more threads
            else:
                self._end()
            raise

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function in the server's loop, where it may change the server's state."""
        if threading.current_thread() is self._thread:
            return function(*args)

        async def call() -> T:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    async def run(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Await an async function of the server, from any loop."""
        if threading.current_thread() is self._thread:
            await function()
        else:
            future = asyncio.run_coroutine_threadsafe(function(), self._loop)
            await asyncio.wrap_future(future)

    def close(self) -> None:
        """Stop the server and end the thread; raises what `stop` raises."""
        self._end()
        self._ended.result()

    def _end(self) -> None:
        with suppress(RuntimeError):  # a SystemExit may have closed the loop
            self._loop.call_soon_threadsafe(self._closing.set)
        wait([self._ended])  # `join` refuses to wait for a thread that is just starting
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        try:
            await self._start()
        except BaseException as error:  # whatever it is, the other thread is waiting for it
            self._started.set_exception(error)
        else:
            self._started.set_result(None)
        try:
            await self._closing.wait()
        finally:
            await self._stop()
