"""`GracefulStop`: calls it ends, and calls that someone else has cancelled too."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from openai_async import Request, Response
from openai_async.batch.graceful_stop import GracefulStop, NotSentError


async def wait(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


async def begin(stop: GracefulStop) -> asyncio.Task[Response]:
    """A call that waits for its turn."""
    request = Request(method="GET", url=URL("http://localhost/v1"))
    call = asyncio.create_task(stop(request, wait))
    await asyncio.sleep(0)
    return call


async def test_a_call_that_is_ended_is_not_cancelled() -> None:
    stop = GracefulStop()
    call = await begin(stop)
    await stop.stop()
    with pytest.raises(NotSentError):
        await call
    assert call.cancelling() == 0


async def test_a_call_that_others_cancel_while_it_is_ended_stays_cancelled() -> None:
    stop = GracefulStop()
    call = await begin(stop)
    ending = asyncio.create_task(stop.stop())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await ending


async def test_stopping_twice_at_the_same_time_is_fine() -> None:
    stop = GracefulStop()
    call = await begin(stop)
    async with asyncio.timeout(5):
        await asyncio.gather(stop.stop(), stop.stop())
    with pytest.raises(NotSentError):
        await call
