"""How many retries the requests of a batch get: many, once the server has responded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from yarl import URL

from openai_async import APIStatusError, InternalServerError, NotFoundError, Request, Response
from openai_async.batch.retries import MAX_RETRIES, BatchRetries


def request(max_retries: int = 3) -> Request:
    return Request(method="GET", url=URL("http://localhost/v1"), max_retries=max_retries)


async def good(request: Request) -> Response:
    return Response(status=200, headers={})


def failing(kind: type[APIStatusError], status: int) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        raise kind("No.", status_code=status)

    return send


async def retries_after(send: Callable[[Request], Awaitable[Response]]) -> int:
    """The retries of a request that follows one sent with `send`."""
    retries, later = BatchRetries(), request()
    try:
        await retries(request(), send)
    except APIStatusError:
        pass
    await retries(later, good)
    return later.max_retries


async def test_before_the_first_response_a_request_keeps_its_own_number() -> None:
    first = request()
    await BatchRetries()(first, good)
    assert first.max_retries == 3


async def test_after_a_response_requests_have_many() -> None:
    assert await retries_after(good) == MAX_RETRIES
    assert await retries_after(failing(NotFoundError, 404)) == MAX_RETRIES
    assert await retries_after(failing(InternalServerError, 503)) == 3


@pytest.mark.parametrize("status", [200, 404])
async def test_a_request_in_flight_at_the_first_response_has_many_from_then_on(
    status: int,
) -> None:
    retries, slow, answered = BatchRetries(), request(), asyncio.Event()

    async def wait(request: Request) -> Response:
        await answered.wait()
        return await good(request)

    call = asyncio.create_task(retries(slow, wait))
    await asyncio.sleep(0)
    if status == 200:
        await retries(request(), good)
    else:
        with pytest.raises(NotFoundError):
            await retries(request(), failing(NotFoundError, status))
    assert slow.max_retries == MAX_RETRIES
    answered.set()
    await call


async def test_a_request_that_asks_for_more_keeps_them() -> None:
    retries, patient = BatchRetries(), request(max_retries=50)
    await retries(request(), good)
    await retries(patient, good)
    assert patient.max_retries == 50
