"""`client.batches`"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openai_async import (
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncClient,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    OpenAIError,
)
from openai_async.testing import Failure, LocalServer, Reply
from openai_async.types.batches import Batch

pytestmark = pytest.mark.virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


def batch(status: str, **fields: Any) -> Reply:
    counts = {"total": 3, "completed": 2, "failed": 1}
    return Reply(
        json={"id": "batch_1", "object": "batch", "status": status, "request_counts": counts}
        | fields
    )


async def test_create(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("validating", metadata={"job": "7"}, created_at=5))
    created = await client.batches.create(
        input_file_id="file-1",
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"job": "7"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (created.id, created.status, created.metadata) == ("batch_1", "validating", {"job": "7"})
    assert created.request_counts is not None
    assert (created.request_counts.total, created.request_counts.failed) == (3, 1)
    assert created.output_file_id is None
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/batches")
    assert request.json == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"job": "7"},
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
    }


async def test_retrieve_and_cancel(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("in_progress"), batch("cancelling", cancelling_at=9))
    assert (await client.batches.retrieve("batch_1")).status == "in_progress"
    assert (await client.batches.cancel("batch_1")).cancelling_at == 9
    assert [(r.method, r.path, r.body) for r in server.requests] == [
        ("GET", "/v1/batches/batch_1", b""),
        ("POST", "/v1/batches/batch_1/cancel", b""),
    ]
    server.script(Failure(404, message="No batch 'batch_2'."))
    with pytest.raises(NotFoundError, match="'batch_2'"):
        await client.batches.retrieve("batch_2")


async def test_list(client: AsyncClient, server: LocalServer) -> None:
    server.script(
        Reply(json={"data": [{"id": "batch_2"}], "has_more": True, "last_id": "batch_2"}),
        Reply(json={"data": [{"id": "batch_1"}], "has_more": False}),
    )
    assert [one.id async for one in client.batches.list(limit=1)] == ["batch_2", "batch_1"]
    assert server.requests[1].query == {"limit": "1", "after": "batch_2"}


async def test_a_completed_batch_of_failed_requests_has_no_output_file(
    client: AsyncClient, server: LocalServer
) -> None:
    # https://github.com/ProjectTech4DevAI/kaapi-backend/issues/723
    server.script(batch("completed", output_file_id=None, error_file_id="file-2"))
    completed = await client.batches.poll("batch_1")
    assert (completed.output_file_id, completed.error_file_id) == (None, "file-2")


async def test_why_a_batch_failed(client: AsyncClient, server: LocalServer) -> None:
    # https://github.com/openai/openai-python/issues/1643
    data = [{"code": "invalid_json_line", "line": 2, "message": "Not JSON.", "param": None}]
    server.script(batch("failed", errors={"object": "list", "data": data}, failed_at=8))
    failed = await client.batches.retrieve("batch_1")
    assert failed.errors is not None
    (error,) = failed.errors.data
    assert (error.code, error.line, error.message) == ("invalid_json_line", 2, "Not JSON.")


async def test_an_error_object_with_status_200_is_an_error(
    client: AsyncClient, server: LocalServer
) -> None:
    # https://github.com/tensorzero/tensorzero/issues/1198
    server.script(Reply(json={"error": {"message": "The batch has disappeared."}}), times=2)
    with pytest.raises(APIError, match="has disappeared"):
        await client.batches.retrieve("batch_1")
    with pytest.raises(APIError, match="has disappeared"):
        await client.batches.poll("batch_1")


async def test_a_batch_of_a_careless_server(client: AsyncClient, server: LocalServer) -> None:
    server.script(
        Reply(
            json={
                "id": "b",
                "status": "completed",
                "request_counts": None,
                "errors": None,
                "error_file_id": "",  # https://github.com/tobert/kaibo/pull/93
                "created_at": 1.5e9,
                "usage": "none",
                "provider": "x",
            }
        ),
        Reply(json={"object": "batch"}),
    )
    one = await client.batches.retrieve("b")
    assert (one.request_counts, one.usage, one.created_at) == (None, None, 1_500_000_000)
    assert not one.error_file_id
    assert one.extra == {"usage": "none", "provider": "x"}
    with pytest.raises(APIResponseValidationError):
        await client.batches.retrieve("b")


async def test_a_batch_is_pickled_and_copied(client: AsyncClient) -> None:
    data = {"id": "b", "usage": {"total_tokens": 5}, "errors": {"data": [{"line": 1}]}}
    assert Batch.from_dict(data).to_dict() == data


# --- poll ---


async def test_poll_waits_until_the_batch_has_ended(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(*map(batch, ("validating", "in_progress", "finalizing", "completed")))
    began = now()
    done = await client.batches.poll("batch_1")
    assert (done.status, len(server.requests)) == ("completed", 4)
    assert now() - began == pytest.approx(1 + 1.5 + 2.25, abs=0.1)


async def test_polls_slow_down_to_one_a_minute(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("in_progress"), times=20)
    server.script(batch("completed"))
    began = now()
    await client.batches.poll("batch_1")
    assert 11 * 60 < now() - began < 13 * 60  # 20 times, the first ones sooner


async def test_poll_at_a_fixed_interval(client: AsyncClient, server: LocalServer) -> None:
    server.script(*map(batch, ("in_progress", "in_progress", "completed")))
    began = now()
    await client.batches.poll("batch_1", poll_interval_ms=500, extra_headers={"X-Job": "7"})
    assert now() - began == pytest.approx(1, abs=0.1)
    assert [request.headers["X-Job"] for request in server.requests] == ["7"] * 3


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled", "paused"])
async def test_poll_returns_at_every_final_status(
    client: AsyncClient, server: LocalServer, status: str
) -> None:
    server.script(batch("cancelling"), batch(status))
    assert (await client.batches.poll("batch_1")).status == status


async def test_poll_raises_when_the_time_is_up(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("in_progress"), times=20)
    began = now()
    with pytest.raises(APITimeoutError, match="batch_1 is 'in_progress' after 10 s: poll again"):
        await client.batches.poll("batch_1", max_wait_seconds=10)
    assert now() - began == pytest.approx(10, abs=0.1)


async def test_the_time_of_poll_includes_a_request_that_hangs(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(delay=500))
    began = now()
    with pytest.raises(APITimeoutError, match="not known yet after 2 s"):
        await client.batches.poll("batch_1", max_wait_seconds=2)
    assert now() - began == pytest.approx(2, abs=0.1)
    await server.requests[0].finished()
    assert server.requests[0].disconnected


async def test_poll_survives_an_outage(client: AsyncClient, server: LocalServer) -> None:
    # https://github.com/mistralai/client-python/issues/625
    server.script(batch("in_progress"))
    server.script(Failure(503), times=8)
    server.script(batch("completed"))
    assert (await client.batches.poll("batch_1")).status == "completed"


async def test_an_outage_that_does_not_end_is_raised(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(batch("in_progress"))
    server.script(Failure(503), times=20)
    with pytest.raises(InternalServerError) as caught:
        await client.batches.poll("batch_1", max_retries=3)
    assert caught.value.attempts == 4


async def test_an_error_that_is_not_retried_ends_poll_at_once(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Failure(404))
    with pytest.raises(NotFoundError):
        await client.batches.poll("batch_2")
    assert len(server.requests) == 1


async def test_cancelling_poll_ends_it_at_once(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("in_progress"), times=9)
    task = asyncio.create_task(client.batches.poll("batch_1", max_wait_seconds=1000))
    await server.received(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):  # of the caller, not an error of this package
        await asyncio.wait_for(client.batches.poll("batch_1", max_wait_seconds=1000), 5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"input_file_id": ""}, "input_file_id is ''"),
        ({"input_file_id": {"id": "file-1"}}, "input_file_id is {'id': 'file-1'}"),
    ],
)
async def test_an_input_file_that_is_not_an_id_is_refused(
    client: AsyncClient, server: LocalServer, params: Any, message: str
) -> None:
    params = {"endpoint": "/v1/embeddings", "completion_window": "24h"} | params
    with pytest.raises(InvalidArgumentError, match=message):
        await client.batches.create(**params)
    assert server.requests == []


async def test_wrong_arguments_are_refused(client: AsyncClient, server: LocalServer) -> None:
    with pytest.raises(TypeError, match="'completion_window'"):
        await client.batches.create(  # type: ignore[call-arg]
            input_file_id="file-1", endpoint="/v1/chat/completions"
        )
    with pytest.raises(InvalidArgumentError, match="batch_id is ''"):
        await client.batches.cancel("")
    for name in ("poll_interval_ms", "max_wait_seconds"):
        for wrong in (0, -1, "5", True, float("nan")):
            wrong_argument: Any = {name: wrong}
            with pytest.raises(InvalidArgumentError, match=f"{name} is "):
                await client.batches.poll("batch_1", **wrong_argument)
    with pytest.raises(TypeError, match="'poll_intervall'"):
        await client.batches.poll("batch_1", poll_intervall=5)  # type: ignore[call-arg]
    assert server.requests == []


async def test_closing_the_client_ends_the_wait(client: AsyncClient, server: LocalServer) -> None:
    server.script(batch("in_progress"))
    task = asyncio.create_task(client.batches.poll("batch_1", poll_interval_ms=3_600_000))
    await server.received(1)
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(10)
    begun = clock()
    await client.close()
    with pytest.raises(OpenAIError, match="closed"):
        await task
    assert clock() - begun < 1


async def test_a_batch_without_a_status_has_not_ended(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(Reply(json={"id": "batch_1", "status": None}), batch("completed"))
    assert (await client.batches.poll("batch_1", poll_interval_ms=1)).status == "completed"


async def test_a_client_that_retries_more_often_does_so_here_too(
    client: AsyncClient, server: LocalServer
) -> None:
    server.script(*[Failure(503)] * 15, batch("completed"))
    patient = client.with_options(max_retries=20)
    assert (await patient.batches.poll("batch_1")).status == "completed"
