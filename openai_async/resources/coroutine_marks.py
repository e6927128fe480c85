"""Marks plain functions that return an awaitable, so that libraries treat them like `async def`.

`create(...)` checks its parameters when it is called, and with `stream=True` returns a stream, so
it is a plain function. Libraries that wrap it ask `iscoroutinefunction` whether to await.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

if sys.version_info >= (3, 12):

    def coroutine_function(function: F) -> F:
        """Mark a function for `inspect.iscoroutinefunction`; asyncio's respects the mark too."""
        return inspect.markcoroutinefunction(function)

else:

    def coroutine_function(function: F) -> F:
        """Mark a function for `asyncio.iscoroutinefunction`; `inspect` has no marks yet."""
        function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return function
