"""Ending a run early: what is at the server is finished; what waits for its turn is not sent.

A request may wait for long: for the pace, or between two attempts, an hour if the server says so.
"""

from __future__ import annotations

import asyncio

from attrs import define

from ..errors import OpenAIError
from ..http.request import Request, Response
from ..middleware import Send


class NotSentError(OpenAIError):
    """The run was ended while this request waited: it is as if it had never been taken."""


@define(eq=False)
class _Call:
    request: Request
    task: asyncio.Task[object]
    ended: asyncio.Future[None] | None = None
    """There once the call is to end without having been sent."""


class Halting:
    """A middleware, the outermost, that knows the calls under way, and ends those that wait."""

    def __init__(self) -> None:
        self._calls: dict[_Call, None] = {}
        self._halted = False

    async def __call__(self, request: Request, send: Send) -> Response:
        task = asyncio.current_task()
        assert task is not None
        if self._halted:
            raise NotSentError
        call = _Call(request, task)
        self._calls[call] = None
        try:
            return await send(request)
        except asyncio.CancelledError:
            if call.ended is None or task.uncancel():  # somebody else has cancelled it too
                raise
        finally:
            del self._calls[call]
            if call.ended is not None:
                call.ended.set_result(None)
        raise NotSentError

    async def halt(self) -> None:
        """End all calls that are not at the server, and wait until they have ended."""
        self._halted = True
        loop = asyncio.get_running_loop()
        ending = []
        for call in [*self._calls]:
            call.request.state.no_retry = True
            if not call.request.state.in_flight and call.ended is None:
                call.ended = loop.create_future()
                ending.append(call.ended)
                call.task.cancel()
        if ending:
            await asyncio.wait(ending)
