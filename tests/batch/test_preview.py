"""`preview_batch` and `requests_file`: what happens before `run_batch` sends anything."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from openai_async import AsyncClient, InvalidArgumentError, OpenAIError, RateLimit
from openai_async.batch import (
    OutputError,
    preview_batch,
    requests_file,
    requests_from_prompts,
    run_batch,
)
from openai_async.batch.input.lines import Line
from openai_async.batch.preview import OTHER_NAMES
from openai_async.testing import LocalServer

from .outputs import bad, good, line


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three requests."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One?\nTwo?\nThree?\n")
    path = tmp_path / "in.jsonl"
    requests = requests_from_prompts(prompts, model="gpt-4o")
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


async def test_a_preview_counts_what_is_done_and_to_do(source: Path, target: Path) -> None:
    target.write_bytes(line(good("prompt-1")) + line(bad("prompt-2")))
    preview = await preview_batch(source, target)
    assert (preview.requests, preview.done, preview.to_do) == (3, 2, 1)
    assert (preview.models, preview.urls) == ({"gpt-4o": 1}, {"/v1/chat/completions": 1})
    assert preview.tokens > 0
    retrying = await preview_batch(source, target, retry_failed=True)
    assert (retrying.done, retrying.to_do) == (1, 2)


async def test_a_preview_checks_the_estimates_as_a_run_does(source: Path, target: Path) -> None:
    wrong = RateLimit(estimate_tokens=lambda body: -1)
    with pytest.raises(InvalidArgumentError, match="estimate_tokens returned -1"):
        await preview_batch(source, target, rate_limit=wrong)
    failing = RateLimit(estimate_tokens=lambda body: 1 / 0)
    with pytest.raises(OpenAIError, match="estimate_tokens function failed with ZeroDivisionError"):
        await preview_batch(source, target, rate_limit=failing)


async def test_a_preview_says_how_long_a_rate_limit_makes_the_run(
    source: Path, target: Path
) -> None:
    slow = RateLimit(requests_per_minute=60, tokens_per_minute=60, estimate_tokens=lambda body: 40)
    preview = await preview_batch(source, target, rate_limit=slow)
    assert (preview.tokens, preview.min_seconds) == (120, 120)
    assert str(preview).endswith("time       2 min 00 s or more (limit 60 tokens/min)")
    assert (await preview_batch(source, target)).min_seconds == 0


async def test_a_preview_lists_bad_lines_and_counts_the_others(source: Path, target: Path) -> None:
    with source.open("a") as file:
        file.write("{broken\n")
    preview = await preview_batch(source, target)
    assert (preview.requests, preview.bad_lines, preview.bad[0].number) == (3, 1, 4)
    assert json.loads(json.dumps(preview.to_dict()))["bad"][0]["line"] == 4


async def test_a_cancelled_preview_reads_no_further(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, cancelled, ended = asyncio.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def endless(path: Path) -> Iterator[Line]:
        try:
            loop.call_soon_threadsafe(reading.set)
            cancelled.wait()
            for number in count(1):
                yield Line(number=number, data=b"{}")
        finally:
            loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr("openai_async.batch.engines.local.read_lines", endless)
    task = asyncio.create_task(preview_batch(source, target))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cancelled.set()
    async with asyncio.timeout(20):
        await ended.wait()


async def test_the_file_of_requests_is_the_input_of_a_run_and_locked_meanwhile(
    client: AsyncClient, server: LocalServer, source: Path, target: Path
) -> None:
    path = source.with_name("requests.jsonl")
    requests = [json.loads(text) for text in source.read_text().splitlines()]
    with requests_file(path, requests, target) as written:
        with (
            pytest.raises(OutputError, match="being written by another run"),
            requests_file(path, requests, target),
        ):
            pass
        report = await run_batch(client, written, target)
    assert (written, report.completed, len(server.requests)) == (path, 3, 3)


def test_requests_that_do_not_begin_with_those_of_the_results_are_refused(
    source: Path, target: Path
) -> None:
    path = source.with_name("requests.jsonl")
    requests = [json.loads(text) for text in source.read_text().splitlines()]
    with requests_file(path, requests[:2], target):
        target.write_bytes(line(good("prompt-1")))
    with requests_file(path, requests, target):
        before = path.read_bytes()
    with (
        pytest.raises(OutputError, match="belong to"),
        requests_file(path, requests[1:], target),
    ):
        pass
    assert path.read_bytes() == before


def test_a_dry_run_writes_requests_to_a_temporary_file(source: Path, target: Path) -> None:
    path = source.with_name("requests.jsonl")
    with requests_file(path, [{"custom_id": "a"}], target, dry_run=True) as written:
        assert written.read_bytes() == b'{"custom_id":"a"}\n'
    assert not written.exists()
    assert not path.exists()


async def test_of_many_models_the_first_are_counted_by_name(tmp_path: Path, target: Path) -> None:
    names = [*(f"m{number}" for number in range(25)), "m0"]
    path = tmp_path / "in.jsonl"
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    path.write_text(
        "".join(
            json.dumps(
                {
                    "custom_id": f"r{number}",
                    "url": "/v1/chat/completions",
                    "body": {**body, "model": name},
                }
            )
            + "\n"
            for number, name in enumerate(names)
        )
    )
    models = (await preview_batch(path, target)).models
    assert models["m0"] == 2
    assert models[OTHER_NAMES] == 5
