"""A graceful stop: requests at the server are finished, and those still waiting are not sent.

A request may wait for a long time: for the rate limit, or between two attempts, up to an hour if
the server asks for that.
"""

from __future__ import annotations

import asyncio

from .. import Request, Response
from ..errors import OpenAIError
from ..middleware import Send


class NotSentError(OpenAIError):
    """The run was stopped while this request waited, and so it still has no result."""


class GracefulStop:
    """A middleware, the outermost, that knows the calls in progress and can end those that wait."""

    def __init__(self) -> None:
        # By the id of the request.
        self._calls: dict[int, tuple[Request, asyncio.Task[object]]] = {}
        self._ending: dict[int, asyncio.Future[None]] = {}  # cancelled by `stop`; done at their end
        self._stopping = False

    async def __call__(self, request: Request, send: Send) -> Response:
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            raise NotSentError
        call = id(request)
        self._calls[call] = (request, task)
        try:
            return await send(request)
        except asyncio.CancelledError:
            if call not in self._ending or task.uncancel():  # cancelled by someone else as well
                raise
        finally:
            del self._calls[call]
            if self._stopping and (ended := self._ending.pop(call, None)) is not None:
                ended.set_result(None)
        raise NotSentError

    async def stop(self) -> None:
        """End all calls that are not at the server, and wait until they have ended."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        ending = []
        for call, (request, task) in self._calls.items():
            request.state.no_retry = True
            if not request.state.in_flight and call not in self._ending:
                self._ending[call] = ended = loop.create_future()
                ending.append(ended)
                task.cancel()
        if ending:
            await asyncio.wait(ending)
