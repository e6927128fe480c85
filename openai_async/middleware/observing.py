"""Hooks as middlewares. They are the outermost, around the user's middlewares and the retries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from ..errors import APIError, InvalidArgumentError
from ..hooks import Hooks, RetryDetails
from ..http.request import Request, Response
from .chain import Middleware, Send

log = logging.getLogger("openai_async")


def _call(name: str, hook: Callable[..., object], *arguments: object) -> None:
    """Call a hook, which must be done when it returns."""
    result = hook(*arguments)
    if isinstance(result, Coroutine):
        result.close()
        msg = f"{name} returned a coroutine: pass a plain function, or write a middleware."
        raise InvalidArgumentError(msg)


def observers(hooks: Hooks | Sequence[Hooks] | None) -> list[Middleware]:
    """The middlewares that call these hooks; the first is the outermost.

    Raises:
        InvalidArgumentError: `hooks` is neither `Hooks` nor a sequence of them.
    """
    several = [hooks] if isinstance(hooks, Hooks) else hooks or ()
    if not isinstance(several, Sequence) or not all(isinstance(one, Hooks) for one in several):
        msg = "hooks is neither Hooks nor a list of them: pass hooks=Hooks(on_request=function)."
        raise InvalidArgumentError(msg)
    return [Observer(one) for one in several]


class Observer:
    """Calls the hooks of one `Hooks`."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def __call__(self, request: Request, send: Send) -> Response:
        hooks, state = self._hooks, request.state
        if hooks.on_request is not None:
            _call("on_request", hooks.on_request, request)
        others = state.on_retry
        if hooks.on_retry is not None:
            state.on_retry = (*others, partial(_told, hooks.on_retry, request))
        try:
            response = await send(request)
        except Exception as error:
            if hooks.on_error is not None:
                _call("on_error", hooks.on_error, request, error)
            raise
        except BaseException as error:  # a hook must not replace a cancellation
            if hooks.on_error is not None:
                try:
                    _call("on_error", hooks.on_error, request, error)
                except Exception:
                    log.exception("The hook on_error failed during a cancellation.")
            raise
        finally:
            state.on_retry = others  # a request may be sent again
        # Before `on_response`: if that raises, the stream is closed, and its end is reported.
        if hooks.on_stream_end is not None and response.stream is not None:
            told = partial(_call, "on_stream_end", hooks.on_stream_end, request)
            response.on_stream_end.append(told)
        if hooks.on_response is not None:
            _call("on_response", hooks.on_response, request, response)
        return response


def _told(
    hook: Callable[[Request, RetryDetails], object],
    request: Request,
    error: APIError,
    attempt: int,
    delay: float,
) -> None:
    _call("on_retry", hook, request, RetryDetails(error=error, attempt=attempt, delay=delay))
