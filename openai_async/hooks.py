"""`Hooks`: functions that are called as requests begin, are retried, and end.

    client = AsyncClient(hooks=Hooks(on_response=count))

Hooks observe what happens; a middleware can also change it. docs/hooks.md has examples of both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from .errors import APIError, InvalidArgumentError
from .http.request import Request, Response
from .types.stream_end import StreamEnd

__all__ = ["Hooks", "RetryDetails", "StreamEnd"]


@frozen(kw_only=True)
class RetryDetails:
    """A retry that is about to be made.

    Attributes:
        error: why the attempt failed.
        attempt: the number of that attempt, from 1.
        delay: seconds until the next one.
    """

    error: APIError
    attempt: int
    delay: float


def _plain_function(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A validator: `None`, or a function that is not async."""
    if value is None:
        return
    name = attribute.name
    if not callable(value):
        msg = f"{name} has type {type(value).__name__}: pass a function."
        raise InvalidArgumentError(msg)
    function = inspect.unwrap(value)
    for called in (function, getattr(function, "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            msg = f"{name} is async: pass a plain function, or write a middleware."
            raise InvalidArgumentError(msg)
        if inspect.isgeneratorfunction(called):  # calling it runs none of its code
            msg = f"{name} is a generator function: pass a plain one, or write a middleware."
            raise InvalidArgumentError(msg)


@frozen(kw_only=True)
class Hooks:
    """Plain functions, called on the event loop: they must not block.

    Each call begins with `on_request`, and ends with `on_error` or `on_response`; if the answer is
    a stream, `on_stream_end` follows when it ends. An exception in a hook reaches the caller, so
    `on_request` can refuse a request. In two cases it is logged instead: in `on_stream_end`, which
    may run in a destructor, and in `on_error` during a cancellation.

    Attributes:
        on_request: called with the request before anything is sent.
        on_response: called with the request and its response: a whole answer, or a stream that has
            opened.
        on_error: called with the request and the exception, when the call has failed for good or
            was cancelled.
        on_retry: called with the request and `RetryDetails`, before the wait for the next
            attempt.
        on_stream_end: called with the request and a `StreamEnd`, exactly once for each stream that
            has opened, however it ends: read whole, left, dropped, cancelled or broken.
    """

    on_request: Callable[[Request], object] | None = field(default=None, validator=_plain_function)
    on_response: Callable[[Request, Response], object] | None = field(
        default=None, validator=_plain_function
    )
    on_error: Callable[[Request, BaseException], object] | None = field(
        default=None, validator=_plain_function
    )
    on_retry: Callable[[Request, RetryDetails], object] | None = field(
        default=None, validator=_plain_function
    )
    on_stream_end: Callable[[Request, StreamEnd], object] | None = field(
        default=None, validator=_plain_function
    )
