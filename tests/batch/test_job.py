"""`run_batch`: a file in, a file out, each request once, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from openai_async import (
    AsyncClient,
    InvalidArgumentError,
    RateLimit,
    Request,
    Response,
    RetryPolicy,
    Send,
)
from openai_async.batch import BatchReport, BatchStoppedError, OutputError, run_batch
from openai_async.batch.input.lines import Line
from openai_async.batch.threads import run_in_thread_uncancelled
from openai_async.testing import Failure, LocalServer, Reply, ServerLimits

ROOT = Path(__file__).parents[2]


def line(custom_id: str, model: str = "gpt-4o") -> dict[str, Any]:
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": [{"role": "user", "content": custom_id}]},
    }


def write(path: Path, lines: Iterable[dict[str, Any] | bytes]) -> Path:
    path.write_bytes(
        b"".join((ln if isinstance(ln, bytes) else msgspec.json.encode(ln)) + b"\n" for ln in lines)
    )
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(ln) for ln in path.read_bytes().splitlines()]


def ids(path: Path) -> list[str]:
    return sorted(result["custom_id"] for result in read(path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", (line(f"r{n}") for n in range(50)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def quick(client: AsyncClient) -> AsyncClient:
    """Without pacing by what the server says, and with retries that wait a millisecond at most."""
    policy = RetryPolicy(initial_delay=1e-6, budget=100_000)
    return client.with_options(rate_limit=RateLimit(adaptive=False), retry=policy)


# --- a run ---


async def test_each_request_has_its_result_in_the_output(
    client: AsyncClient, source: Path, target: Path
) -> None:
    report = await run_batch(client, source, target)
    assert ids(target) == sorted(f"r{n}" for n in range(50))
    result = read(target)[0]
    assert set(result) == {"id", "custom_id", "response", "error"}
    assert result["error"] is None
    assert result["response"]["status_code"] == 200
    assert result["response"]["request_id"].startswith("req_")
    assert result["response"]["body"]["object"] == "chat.completion"
    assert (report.total, report.completed, report.failed, report.resumed) == (50, 50, 0, 0)
    assert report.tokens == sum(
        r["response"]["body"]["usage"]["total_tokens"] for r in read(target)
    )
    assert report.stopped is None


async def test_any_endpoint_may_be_asked(
    client: AsyncClient, server: LocalServer, tmp_path: Path, target: Path
) -> None:
    server.script(Reply(json={"object": "list", "data": [{"embedding": [1.0]}]}))
    models = {"custom_id": "models", "method": "GET", "url": "/v1/models"}
    image = {
        "custom_id": "image",
        "url": "/v1/images/generations",
        "body": {"model": "dall-e-2", "prompt": "An otter", "size": "256x256"},
    }
    embedding = {
        "custom_id": "embedding",
        "method": "POST",
        "url": "/v1/embeddings",
        "body": {"model": "text-embedding-3-small", "input": "Hi"},
    }
    source = write(tmp_path / "in.jsonl", [embedding, models, image])
    await run_batch(client, source, target, concurrency=1)
    bodies = {r["custom_id"]: r["response"]["body"] for r in read(target)}
    assert bodies["embedding"]["data"] == [{"embedding": [1.0]}]
    assert bodies["models"]["object"] == "list"
    assert "url" in bodies["image"]["data"][0]


async def test_a_permanent_failure_is_an_error_line(
    client: AsyncClient, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", [line("good"), line("bad", model="no-such-model")])
    report = await run_batch(client, source, target)
    results = {r["custom_id"]: r for r in read(target)}
    assert results["bad"]["error"]["code"] == "model_not_found"
    assert results["bad"]["response"]["status_code"] == 404
    assert results["bad"]["response"]["body"]["error"]["code"] == "model_not_found"
    assert report.errors == {"model_not_found": 1}
    assert (report.completed, report.failed) == (1, 1)


@pytest.mark.virtual_time
async def test_a_rate_limit_is_learned_without_configuration(tmp_path: Path, target: Path) -> None:
    source = write(tmp_path / "in.jsonl", (line(f"r{n}") for n in range(250)))
    limits = ServerLimits(requests_per_minute=12_000)
    async with (
        LocalServer(limits=limits) as server,
        AsyncClient(base_url=server.url, api_key="local") as client,
    ):
        report = await run_batch(client, source, target)
        assert (report.completed, report.rejections, server.rejections) == (250, 0, 0)


# --- again ---


async def test_a_second_run_sends_what_is_missing(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    await run_batch(client, source, target)
    kept = target.read_bytes().splitlines(keepends=True)[:20]
    target.write_bytes(b"".join(kept) + b'{"custom_id": "r4')
    server.reset()
    report = await run_batch(client, source, target)
    assert (report.resumed, report.completed) == (20, 30)
    assert len(server.requests) == 30
    assert ids(target) == sorted(f"r{n}" for n in range(50))


async def test_a_third_run_has_nothing_to_do(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    await run_batch(client, source, target)
    before = target.read_bytes()
    server.reset()
    report = await run_batch(client, source, target)
    assert (report.resumed, report.completed, len(server.requests)) == (50, 0, 0)
    assert target.read_bytes() == before


async def test_failed_requests_are_sent_again_on_demand(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Failure(400), times=5)
    report = await run_batch(client, source, target)
    assert report.failed == 5
    again = await run_batch(client, source, target)
    assert (again.resumed, again.completed, again.failed) == (50, 0, 0)
    again = await run_batch(client, source, target, retry_failed=True)
    assert (again.resumed, again.completed, again.failed) == (45, 5, 0)
    assert ids(target) == sorted(f"r{n}" for n in range(50))


async def test_the_second_of_two_runs_is_refused(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Failure(stall_after=0))
    first = asyncio.create_task(run_batch(client, source, target, concurrency=1))
    await server.received()
    with pytest.raises(OutputError, match="another run"):
        await run_batch(client, source, target)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_stopped_run_finishes_what_is_in_flight(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    server.script(Failure(delay=0.2), times=4)
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=4, stop=stop))
    await server.received(4)
    stop.set()
    report = await run
    assert report.stopped == "it was interrupted."
    assert report.failed == 0
    assert 4 <= report.completed < 50
    assert len(read(target)) == report.completed
    await run_batch(client, source, target)
    assert ids(target) == sorted(f"r{n}" for n in range(50))


async def test_a_cancelled_run_keeps_what_has_come(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 10, Failure(stall_after=0))
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=1))
    await server.received(11)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(read(target)) == 10


# --- reasons to stop ---


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (Failure(401), "Incorrect API key"),
        (Failure(429, code="insufficient_quota", message="No credit."), "No credit"),
    ],
)
async def test_a_failure_of_all_requests_stops_the_run_and_is_not_written(
    client: AsyncClient,
    server: LocalServer,
    source: Path,
    target: Path,
    failure: Failure,
    message: str,
) -> None:
    server.script(*[Reply("fine")] * 10, *[failure] * 40)
    with pytest.raises(BatchStoppedError, match=message) as raised:
        await run_batch(quick(client), source, target, concurrency=2)
    assert "Start it again" in str(raised.value)
    assert raised.value.report.completed == 10
    assert len(read(target)) == 10
    assert raised.value.report.attempts == len(server.requests) < 20
    server.reset()
    await run_batch(client, source, target)
    assert ids(target) == sorted(f"r{n}" for n in range(50))


@pytest.mark.virtual_time
async def test_a_server_that_becomes_unreachable_stops_the_run_and_leaves_no_error_lines(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 10)
    server.script(Failure(stall_after=0), times=2)
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=2))
    await server.received(12)
    await server.stop()
    with pytest.raises(BatchStoppedError, match="last 20 requests have failed") as raised:
        await run
    assert raised.value.report.failed == 0
    assert len(read(target)) == 10


@pytest.mark.virtual_time
async def test_a_server_that_answers_everything_with_failures_stops_the_run(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 10)
    server.script(Failure(503), times=1000)
    with pytest.raises(BatchStoppedError, match="last 20 requests have failed") as raised:
        await run_batch(quick(client), source, target, concurrency=2)
    # They have had their retries: if these requests are at fault, the next run gets past them.
    assert raised.value.report.failed == 20
    assert len(read(target)) == 30


@pytest.mark.virtual_time
async def test_a_batch_whose_last_requests_always_fail_ends(
    client: AsyncClient, server: LocalServer, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", (line(f"r{n}") for n in range(45)))
    server.script(*[Reply("fine")] * 20, *[Failure(500)] * (25 * 11))
    report = await run_batch(quick(client), source, target, concurrency=64)
    assert (report.completed, report.failed, report.stopped) == (20, 25, None)


async def test_a_server_that_answers_with_failures_counts_as_reachable(
    client: AsyncClient, server: LocalServer, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", [line("a"), line("b")])
    server.script(*[Failure(503)] * 4, *[Failure(cut_after=0)] * 4)
    report = await run_batch(quick(client), source, target, concurrency=1)
    assert (report.failed, report.stopped) == (2, None)
    assert ids(target) == ["a", "b"]


async def test_blocking_work_finishes_however_often_it_is_cancelled() -> None:
    go_on = threading.Event()
    work = asyncio.create_task(run_in_thread_uncancelled(go_on.wait))
    try:
        for _ in range(3):
            await asyncio.sleep(0)
            work.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            assert not work.done()
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_request_that_drops_the_connection_is_an_error_line(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    await run_batch(client, source, target)
    source = write(source, [line("one-more")])
    server.script(Failure(cut_after=0), times=20)
    report = await run_batch(quick(client), source, target)
    assert (report.completed, report.failed) == (0, 1)


async def test_a_stop_with_nothing_left_to_send_is_not_a_stop(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    server.script(*[Failure(delay=0.2)] * 50)
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=64, stop=stop))
    await server.received(50)
    stop.set()
    report = await run
    assert (report.completed, report.stopped) == (50, None)


async def test_answers_are_kept_whatever_middlewares_do_afterwards(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    came, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, send: Send) -> Response:
        response = await send(attrs.evolve(request))  # a copy
        came.set()
        await go_on.wait()
        return response

    stop = asyncio.Event()
    logged = quick(client).with_options(middlewares=[slow])
    run = asyncio.create_task(run_batch(logged, source, target, concurrency=4, stop=stop))
    await came.wait()
    await server.received(4)
    for request in server.requests:
        await request.finished()
    stop.set()
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    report = await run
    assert report.completed == len(read(target)) == len(server.requests) == 4


async def test_two_cancellations_lose_no_result_that_has_come(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 10, Failure(stall_after=0))
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=1))
    await server.received(11)
    run.cancel()
    for _ in range(4):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(read(target)) == 10


async def test_failures_among_good_answers_are_written(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    # It fails after ten retries.
    server.script(Reply("fine"), *[Failure(503)] * 11)
    report = await run_batch(quick(client), source, target, concurrency=1)
    assert (report.completed, report.failed) == (49, 1)
    assert len(read(target)) == 50


async def test_a_run_survives_an_outage(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 5, *[Failure(503)] * 40)
    report = await run_batch(quick(client), source, target, concurrency=8)
    assert (report.completed, report.failed) == (50, 0)


async def test_an_output_that_is_removed_stops_the_run(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(*[Reply("fine")] * 10, Failure(delay=0.2))
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=1))
    await server.received(11)
    target.unlink()
    with pytest.raises(BatchStoppedError, match="was removed or replaced"):
        await run


async def test_the_report_says_why_requests_have_failed(
    client: AsyncClient, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", [line("bad", model="no-such-model")])
    report = await run_batch(client, source, target)
    assert "no-such-model" in report.examples["model_not_found"]
    assert "no-such-model" in str(report)


async def test_an_output_that_cannot_be_written_stops_the_run(
    client: AsyncClient, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="create the directory first"):
        await run_batch(client, source, tmp_path / "missing" / "out.jsonl")


async def test_a_full_disk_keeps_what_was_paid_for(server: LocalServer, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", (line(f"r{n}") for n in range(200)))
    target = tmp_path / "out.jsonl"
    code, _, errors = await in_a_process(server, source, target, "--limit", "20000")
    assert code == 3
    assert b"Start it again" in errors
    before = read(target)
    assert 0 < len(before) < 200
    code, _, _ = await in_a_process(server, source, target)
    assert code == 0
    assert read(target)[: len(before)] == before
    assert ids(target) == sorted(f"r{n}" for n in range(200))


# --- bad input ---

BAD: list[dict[str, Any] | bytes] = [
    line("a"),
    b'{"custom_id": "b", "broken',
    {**line("c"), "custom_id": None},
    {**line("d"), "url": "/v1/chat/completion"},
    line("a"),
    b"\xff\xfe",
    line("g"),
]


async def test_bad_lines_are_named_before_anything_is_sent(
    client: AsyncClient, server: LocalServer, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", BAD)
    with pytest.raises(InvalidArgumentError) as raised:
        await run_batch(client, source, target)
    message = str(raised.value)
    for number in (2, 3, 4, 5, 6):
        assert f"line {number}:" in message
    assert "did you mean" in message or "/v1/chat/completions" in message
    assert server.requests == []
    assert not target.exists()


async def test_bad_lines_may_be_skipped_into_the_output(
    client: AsyncClient, server: LocalServer, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", BAD)
    report = await run_batch(client, source, target, skip_bad_lines=True)
    assert (report.total, report.completed, report.skipped) == (2, 2, 5)
    results = {r["custom_id"]: r for r in read(target)}
    assert set(results) == {"a", "g", "(line 2)", "(line 3)", "d", "(line 5)", "(line 6)"}
    assert results["d"]["error"]["code"] == "bad_line"
    assert results["d"]["error"]["message"].startswith("line 4: url")
    before = target.read_bytes()
    await run_batch(client, source, target, skip_bad_lines=True)
    assert target.read_bytes() == before


async def test_many_bad_lines_are_written_a_few_at_a_time(
    client: AsyncClient, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_async.batch.run.BAD_LINES_BLOCK", 2)
    source = write(tmp_path / "in.jsonl", BAD)
    await run_batch(client, source, target, skip_bad_lines=True)
    assert ids(target) == sorted(["(line 2)", "(line 3)", "d", "(line 5)", "(line 6)", "a", "g"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"concurrency": "5"}, "concurrency is '5'"),
        ({"stop": True}, "stop has type bool"),
        ({"engine": "spark"}, "engine is 'spark'"),
        ({"workers": 3}, "for engine="),
        ({"parts": "csv"}, "format is 'csv'"),
    ],
)
async def test_wrong_options_are_refused(
    client: AsyncClient, source: Path, target: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        await run_batch(client, source, target, **options)
    assert not target.exists()


async def test_an_empty_input_is_refused(client: AsyncClient, tmp_path: Path, target: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="empty"):
        await run_batch(client, write(tmp_path / "in.jsonl", []), target)


async def test_input_and_output_are_two_files(client: AsyncClient, source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(InvalidArgumentError, match="same file"):
        await run_batch(client, source, source)
    assert source.read_bytes() == before


# --- parts ---


async def test_the_output_may_be_a_directory_of_parts(
    client: AsyncClient, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    await run_batch(client, source, target, parts="jsonl")
    assert ids(target / "part-00000.jsonl") == sorted(f"r{n}" for n in range(50))
    report = await run_batch(client, source, target, parts="jsonl")
    assert (report.resumed, report.completed) == (50, 0)


# --- kill -9 ---


async def in_a_process(
    server: LocalServer, source: Path, target: Path, *options: str
) -> tuple[int, bytes, bytes]:
    process = await start(server, source, target, *options)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output, errors


async def start(
    server: LocalServer, source: Path, target: Path, *options: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.batch.job_process"),
        *(server.url, str(source), str(target), *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_killed_twenty_times_and_still_each_request_once(
    server: LocalServer, tmp_path: Path
) -> None:
    number = 1500
    source = write(tmp_path / "in.jsonl", (line(f"r{n}") for n in range(number)))
    target = tmp_path / "out.jsonl"
    moments = random.Random(5)
    sent = 0
    for _ in range(20):
        server.reset()
        process = await start(server, source, target)
        await server.received(moments.randint(1, 40))
        await asyncio.sleep(moments.random() / 100)  # between two requests, or in a write
        process.kill()
        await process.communicate()
        sent += len(server.requests)
    server.reset()
    code, output, errors = await in_a_process(server, source, target)
    assert (code, errors) == (0, b"")
    counted = Counter(ids(target))
    assert counted == Counter(f"r{n}" for n in range(number))
    assert all(result["error"] is None for result in read(target))
    # Sent twice were at most those that were in flight, or on their way to the disk, at a kill.
    assert sent + len(server.requests) <= number + 20 * 60
    report = BatchReport(**msgspec.json.decode(output))
    assert report.resumed + report.completed == number


async def test_a_run_may_be_stopped_while_its_input_is_checked(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    stop.set()
    report = await run_batch(client, source, target, stop=stop)
    assert (report.completed, report.stopped) == (0, "it was interrupted.")
    assert server.requests == []
    assert not target.exists()


async def test_the_report_counts_failures_of_earlier_runs(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    server.script(Failure(400), times=5)
    await run_batch(client, source, target)
    report = await run_batch(client, source, target)
    assert (report.resumed, report.failed, report.failed_before) == (50, 0, 5)
    assert "5 of them failed" in str(report)


async def test_an_unreachable_server_leaves_no_error_lines(
    source: Path, target: Path, server: LocalServer
) -> None:
    url = server.url
    await server.stop()
    async with AsyncClient(base_url=url, api_key="local") as client:
        with pytest.raises(BatchStoppedError, match="requests have failed"):
            await run_batch(quick(client), source, target)
    assert not target.exists()


async def test_a_stopped_run_sends_no_requests_that_wait_for_their_turn(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    slow = client.with_options(rate_limit=RateLimit(requests_per_minute=1, adaptive=False))
    run = asyncio.create_task(run_batch(slow, source, target, stop=stop))
    await server.received(1)
    stop.set()
    report = await run
    assert (report.completed, report.stopped) == (1, "it was interrupted.")
    assert len(server.requests) == 1


async def test_a_stopped_run_does_not_wait_for_retries(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    server.script(Failure(429, headers={"retry-after": "1800"}), times=4)
    unpaced = client.with_options(rate_limit=RateLimit(adaptive=False))
    run = asyncio.create_task(run_batch(unpaced, source, target, concurrency=4, stop=stop))
    await server.received(4)
    for request in server.requests:
        await request.finished()
    while unpaced.rate_limits["gpt-4o"].rejections < 4:  # noqa: ASYNC110 - they are on their way
        await asyncio.sleep(0)
    stop.set()
    report = await run
    assert (report.completed, report.failed) == (0, 0)
    assert not target.exists()


async def test_failures_of_a_run_that_was_stopped_are_not_written(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    stop = asyncio.Event()
    server.script(Failure(503, delay=0.2), times=100)
    run = asyncio.create_task(run_batch(quick(client), source, target, concurrency=8, stop=stop))
    await server.received(8)
    stop.set()
    report = await run
    assert (report.failed, len(server.requests)) == (0, 8)
    assert not target.exists()


async def test_skipped_bad_lines_are_not_failures_of_the_next_run(
    client: AsyncClient, tmp_path: Path, target: Path
) -> None:
    source = write(tmp_path / "in.jsonl", BAD)
    await run_batch(client, source, target, skip_bad_lines=True)
    report = await run_batch(client, source, target, skip_bad_lines=True)
    assert (report.failed_before, report.skipped, report.resumed) == (0, 5, 2)


async def test_an_unavailable_api_key_stops_the_run(
    server: LocalServer, source: Path, target: Path
) -> None:
    calls = 0

    def key() -> str:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise OSError("the vault is closed")
        return "local"

    async with AsyncClient(base_url=server.url, api_key=key) as client:
        with pytest.raises(BatchStoppedError, match="api_key function failed") as raised:
            await run_batch(quick(client), source, target, concurrency=2)
    assert raised.value.report.completed == len(read(target)) > 0


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
async def test_an_invalid_path_is_refused(
    client: AsyncClient, path: str, source: Path, target: Path
) -> None:
    with pytest.raises(InvalidArgumentError):
        await run_batch(client, path, target)
    with pytest.raises(InvalidArgumentError, match="is not a valid path"):
        await run_batch(client, source, path)


@pytest.mark.parametrize("pass_", [1, 2], ids=["checked", "searched for what is missing"])
async def test_a_cancelled_run_reads_its_input_no_further(
    client: AsyncClient,
    source: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    pass_: int,
) -> None:
    await run_batch(client, source, target)
    reading, ended, given_up = threading.Event(), threading.Event(), threading.Event()
    passes = 0

    def read_lines(path: Path) -> Iterator[Line]:
        nonlocal passes
        passes += 1
        if passes < pass_:
            yield Line(number=1, data=msgspec.json.encode(line("r0")))
            return
        reading.set()
        try:
            while not given_up.is_set():  # an endless input, all of it done
                yield Line(number=1, data=msgspec.json.encode(line("r0")))
        finally:
            ended.set()

    monkeypatch.setattr("openai_async.batch.engines.local.read_lines", read_lines)
    run = asyncio.create_task(run_batch(client, source, target))
    assert await asyncio.to_thread(reading.wait, 30)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    try:
        assert await asyncio.to_thread(ended.wait, 30)
    finally:
        given_up.set()


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.zip", "out.parquet", "out.csv"])
async def test_an_output_named_for_another_kind_of_file_is_refused(
    client: AsyncClient, server: LocalServer, source: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"The output {name} would hold plain JSON Lines"
    ):
        await run_batch(client, source, tmp_path / name)
    assert server.requests == []
    assert not (tmp_path / name).exists()


async def test_a_directory_of_parts_may_have_any_name(
    client: AsyncClient, source: Path, tmp_path: Path
) -> None:
    report = await run_batch(client, source, tmp_path / "out.parquet", parts="jsonl")
    assert report.completed == report.total
