"""`Halting`: who ends a call, and who else has cancelled it."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from openai_async import Request, Response
from openai_async.batch.halting import Halting, NotSentError


async def wait(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


async def begin(halting: Halting) -> asyncio.Task[Response]:
    """A call that waits for its turn."""
    request = Request(method="GET", url=URL("http://localhost/v1"))
    call = asyncio.create_task(halting(request, wait))
    await asyncio.sleep(0)
    return call


async def test_a_call_that_is_ended_is_not_cancelled() -> None:
    halting = Halting()
    call = await begin(halting)
    await halting.halt()
    with pytest.raises(NotSentError):
        await call
    assert call.cancelling() == 0


async def test_a_call_that_others_cancel_while_it_is_ended_stays_cancelled() -> None:
    halting = Halting()
    call = await begin(halting)
    ending = asyncio.create_task(halting.halt())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await ending
