"""Threads for the plain functions of `run_tools`: one for each call.

Those of `asyncio.to_thread` are few (six, with two cores), and the whole program shares them to
read files and look up host names. Calls would wait for each other there, while their time runs
out; and functions that never return would take all of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_own_thread(function: Callable[[], R]) -> R:
    """What a function returns that is called in a new thread, in the context of the caller."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, lambda: context.run(_without_stop, function))


class _Threads(Executor):
    """An executor that starts a thread for each call.

    They are daemons: at its end, the program does not wait for those that were given up.
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        future.set_running_or_notify_cancel()  # it cannot be cancelled: the thread begins at once
        call = partial(fn, *args, **kwargs)
        name = "openai_async tool"
        threading.Thread(target=_work, args=(future, call), name=name, daemon=True).start()
        return future


_THREADS = _Threads()


def _work(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _without_stop(function: Callable[[], R]) -> R:
    try:
        return function()
    except StopIteration as error:  # which a future cannot hold: it would never be done
        msg = "the tool raised StopIteration"
        raise RuntimeError(msg) from error
