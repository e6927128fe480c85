"""LocalServer runs batches: each line is answered by the handler of the batch's endpoint."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openai_async import AsyncClient, BadRequestError, ConflictError
from openai_async.testing import LocalServer
from openai_async.types.batches import Batch

pytestmark = pytest.mark.virtual_time

CHAT = "/v1/chat/completions"


def line(custom_id: str, content: str = "Hi", **changes: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | changes


async def upload(client: AsyncClient, *lines: Any) -> str:
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    data = "".join(f"{text}\n" for text in texts).encode()
    file = await client.files.create(file=("in.jsonl", data), purpose="batch")
    return file.id


async def start(client: AsyncClient, *lines: Any, endpoint: str = CHAT) -> Batch:
    return await client.batches.create(
        input_file_id=await upload(client, *lines), endpoint=endpoint, completion_window="24h"
    )


async def results(client: AsyncClient, file_id: str | None) -> dict[str, Any]:
    """The lines of an output file, by their custom_id."""
    assert file_id is not None
    data = await (await client.files.content(file_id)).read()
    return {one["custom_id"]: one for one in map(json.loads, data.splitlines())}


def codes(batch: Batch) -> list[tuple[str | None, int | None]]:
    return [] if batch.errors is None else [(e.code, e.line) for e in batch.errors.data]


async def test_a_batch_runs_and_writes_its_output(client: AsyncClient) -> None:
    created = await start(client, line("a", "Why?"), line("b"))
    assert (created.status, created.output_file_id) == ("validating", None)
    done = await client.batches.poll(created.id)
    assert (done.status, done.model, done.error_file_id) == ("completed", "gpt-4o-mini", None)
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 2, "completed": 2, "failed": 0}
    assert done.completed_at
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens > 0
    outputs = await results(client, done.output_file_id)
    assert list(outputs) == ["a", "b"]
    answer = outputs["a"]
    assert (answer["response"]["status_code"], answer["error"]) == (200, None)
    assert answer["id"].startswith("batch_req_")
    assert answer["response"]["request_id"].startswith("req_")
    assert "Why?" in answer["response"]["body"]["choices"][0]["message"]["content"]


async def test_the_output_is_listed_among_the_files(client: AsyncClient) -> None:
    done = await client.batches.poll((await start(client, line("a"))).id)
    assert done.output_file_id is not None
    file = await client.files.retrieve(done.output_file_id)
    assert (file.purpose, file.filename) == ("batch_output", f"{done.id}_output.jsonl")


async def test_requests_that_fail_are_in_a_file_of_their_own(client: AsyncClient) -> None:
    wrong = line("b", body={"model": "gpt-4o-mini", "messages": []})
    done = await client.batches.poll((await start(client, line("a"), wrong)).id)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    assert list(await results(client, done.output_file_id)) == ["a"]
    failed = (await results(client, done.error_file_id))["b"]
    assert failed["response"]["status_code"] == 400
    assert "messages" in failed["response"]["body"]["error"]["message"]


async def test_a_batch_with_nothing_but_failures_has_no_output(client: AsyncClient) -> None:
    wrong = line("a", body={"model": "gpt-0", "messages": [{"role": "user", "content": "Hi"}]})
    done = await client.batches.poll((await start(client, wrong)).id)
    assert (done.status, done.output_file_id) == ("completed", None)
    assert (await results(client, done.error_file_id))["a"]["response"]["status_code"] == 404


async def test_a_single_request_whose_text_has_a_line_separator(client: AsyncClient) -> None:
    # https://github.com/sgl-project/sglang/pull/6170
    # https://github.com/volcengine/OpenViking/pull/3988
    text = json.dumps(line("a", "one\u2028two\x85three"), ensure_ascii=False)
    done = await client.batches.poll((await start(client, text)).id)
    answer = (await results(client, done.output_file_id))["a"]["response"]["body"]
    assert "one two three" in answer["choices"][0]["message"]["content"]


async def test_pictures_in_a_batch(client: AsyncClient) -> None:
    endpoint = "/v1/images/generations"
    body = {"model": "dall-e-2", "prompt": "A cat", "size": "256x256"}
    done = await client.batches.poll(
        (await start(client, line("a", url=endpoint, body=body), endpoint=endpoint)).id
    )
    assert list(await results(client, done.output_file_id)) == ["a"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], [("empty_file", None)]),
        ([line("a"), "{"], [("invalid_json_line", 2)]),
        (["[]"], [("invalid_json_line", 1)]),
        ([line("a"), "", line("a")], [("duplicate_custom_id", 3)]),
        ([line("")], [("missing_required_parameter", 1)]),
        (
            [line("a", url="/v1/embeddings", method="GET")],
            [("invalid_method", 1), ("url_mismatch", 1)],
        ),
        ([line("a", body=None)], [("invalid_type", 1)]),
        ([line("a", body={"stream": True})], [("invalid_value", 1)]),
        ([line("a"), line("b", body={"model": "gpt-4o"})], [("model_mismatch", None)]),
    ],
    ids=lambda value: value[0][0] if value and isinstance(value[0], tuple) else "",
)
async def test_an_invalid_line_fails_the_batch(
    client: AsyncClient, lines: list[Any], found: list[tuple[str, int | None]]
) -> None:
    failed = await client.batches.poll((await start(client, *lines)).id)
    assert (failed.status, codes(failed)) == ("failed", found)
    assert failed.failed_at
    assert failed.output_file_id is None


async def test_a_batch_is_paced_like_a_stream_and_can_be_cancelled() -> None:
    async with (
        LocalServer(tokens_per_second=1) as server,
        AsyncClient(base_url=server.url, api_key="local") as client,
    ):
        created = await start(client, line("a"), line("b"), line("c"))
        await asyncio.sleep(0.5)
        assert (await client.batches.retrieve(created.id)).status == "in_progress"
        while True:
            batch = await client.batches.retrieve(created.id)
            assert batch.request_counts is not None
            if batch.request_counts.completed:
                break
            await asyncio.sleep(1)
        cancelling = await client.batches.cancel(created.id)
        assert (cancelling.status, cancelling.cancelled_at) == ("cancelling", None)
        cancelled = await client.batches.poll(created.id)
        assert cancelled.status == "cancelled"
        # https://github.com/BerriAI/litellm/pull/36048
        assert list(await results(client, cancelled.output_file_id)) == ["a"]
        with pytest.raises(ConflictError, match="'cancelled'"):
            await client.batches.cancel(created.id)


async def test_stopping_the_server_cancels_its_batches() -> None:
    server = LocalServer(tokens_per_second=0.001)
    await server.start()
    async with AsyncClient(base_url=server.url, api_key="local") as client:
        created = await start(client, line("a"))
        await server.stop()
        await server.start()
        assert (await client.batches.retrieve(created.id)).status == "cancelled"
    await server.stop()


async def test_the_newest_batch_is_listed_first(client: AsyncClient) -> None:
    ids = [(await start(client, line("a"))).id for _ in range(3)]
    assert [one.id async for one in client.batches.list(limit=2)] == ids[::-1]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/nothing"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-0"}, "input_file_id"),
        ({"metadata": {"n": 1}}, "metadata.n"),
        ({"output_expires_after": {"anchor": "now"}}, "output_expires_after"),
    ],
)
async def test_an_invalid_batch_is_refused(
    client: AsyncClient, changes: dict[str, Any], param: str
) -> None:
    params: Any = {
        "input_file_id": await upload(client, line("a")),
        "endpoint": CHAT,
        "completion_window": "24h",
    }
    with pytest.raises(BadRequestError) as caught:
        await client.batches.create(**params | changes)
    assert caught.value.param == param


async def test_a_file_with_another_purpose_is_refused(client: AsyncClient) -> None:
    file = await client.files.create(file=("in.jsonl", b"{}"), purpose="evals")
    with pytest.raises(BadRequestError, match="'batch', not 'evals'"):
        await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")


async def test_the_files_of_a_batch_expire_as_requested(client: AsyncClient) -> None:
    created = await client.batches.create(
        input_file_id=await upload(client, line("a")),
        endpoint=CHAT,
        completion_window="24h",
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    done = await client.batches.poll(created.id)
    assert done.output_file_id is not None
    file = await client.files.retrieve(done.output_file_id)
    assert file.expires_at == file.created_at + 3600


async def test_the_limit_of_a_page_is_checked(client: AsyncClient) -> None:
    for limit in (0, 101):
        with pytest.raises(BadRequestError, match="'limit'"):
            await client.batches.list(limit=limit)
    with pytest.raises(BadRequestError, match="batch_0"):
        await client.batches.list(after="batch_0")
