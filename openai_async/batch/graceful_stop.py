"""A graceful stop: requests at the server are finished, and those still waiting are not sent.

A request may wait for a long time: for the rate limit, or between two attempts, up to an hour if
the server asks for that.
"""

from __future__ import annotations

import asyncio

from attrs import define

from .. import Request, Response
from ..errors import OpenAIError
from ..middleware import Send


class NotSentError(OpenAIError):
    """The run was stopped while this request waited, and so it still has no result."""


@define(eq=False)
class _Call:
    request: Request
    task: asyncio.Task[object]
    cancelled: asyncio.Future[None] | None = None
    """Set once `stop` cancels the call; done when the call has ended."""


class GracefulStop:
    """A middleware, the outermost, that knows the calls in progress and can end those that wait."""

    def __init__(self) -> None:
        self._calls: dict[_Call, None] = {}
        self._stopping = False

    async def __call__(self, request: Request, send: Send) -> Response:
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            raise NotSentError
        call = _Call(request, task)
        self._calls[call] = None
        try:
            return await send(request)
        except asyncio.CancelledError:
            if call.cancelled is None or task.uncancel():  # cancelled by someone else as well
                raise
        finally:
            del self._calls[call]
            if call.cancelled is not None:
                call.cancelled.set_result(None)
        raise NotSentError

    async def stop(self) -> None:
        """End all calls that are not at the server, and wait until they have ended."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        ending = []
        for call in [*self._calls]:
            call.request.state.no_retry = True
            if not call.request.state.in_flight and call.cancelled is None:
                call.cancelled = loop.create_future()
                ending.append(call.cancelled)
                call.task.cancel()
        if ending:
            await asyncio.wait(ending)
