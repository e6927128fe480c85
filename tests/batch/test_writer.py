"""From the loop to the disk: in order, with backpressure and errors from the disk."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from openai_async.batch.ids import IdSet
from openai_async.batch.output import writer as module
from openai_async.batch.output.errors import OutputError
from openai_async.batch.output.journal import Journal
from openai_async.batch.output.writer import MAX_QUEUED, Writer
from openai_async.batch.results import BatchResult

# Far more than anything here takes.
PATIENCE = 30.0


class Disk(Journal):
    """A `Journal` in memory, which writes when it is allowed to."""

    def __init__(self) -> None:
        self.done = IdSet()
        self.kept = self.failed = self.refused = self.bad_lines = self.repaired = 0
        self.written: list[str] = []
        self.log: list[str] = []
        self.failure: OutputError | None = None
        self.sync_failure: OutputError | None = None
        self.asked = threading.Event()
        self.synced = threading.Event()
        self.meanwhile: Callable[[], None] = lambda: None
        """Called while something is written, in the writer's thread."""
        self._free = threading.Event()
        self._free.set()

    def open(self, *, retry_failed: bool = False) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def append_lines(self, lines: Sequence[bytes]) -> None:
        self.asked.set()
        assert self._free.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        self.written += [json.loads(line)["custom_id"] for line in lines]
        self.log.append("append")
        self.meanwhile()

    def sync(self) -> None:
        if self.sync_failure is not None:
            raise self.sync_failure
        self.log.append("sync")
        self.synced.set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()


def result(number: int) -> BatchResult:
    return BatchResult(custom_id=str(number), id=f"id-{number}")


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


async def seen(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def some_turns() -> None:
    """Of the loop: every task that can run has run."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def test_all_is_written_in_order_and_then_synced(disk: Disk) -> None:
    writer = Writer(disk)
    writer.start()
    for number in range(3 * MAX_QUEUED):
        await writer.put(result(number))
    await writer.finish()
    assert disk.written == names(3 * MAX_QUEUED)
    assert disk.log[-1] == "sync"


async def test_results_already_written_are_synced_at_the_end(disk: Disk) -> None:
    writer = Writer(disk)
    writer.start()
    await writer.finish()
    assert disk.log == ["sync"]


async def test_results_that_come_during_a_write_are_written_together(disk: Disk) -> None:
    writer = Writer(disk)
    writer.start()
    with disk.busy():
        await writer.put(result(0))
        await seen(disk.asked)
        for number in range(1, 100):
            await writer.put(result(number))
    await writer.finish()
    assert disk.log.count("append") == 2


async def test_a_slow_disk_exerts_backpressure_on_put(disk: Disk) -> None:
    writer = Writer(disk)
    writer.start()
    with disk.busy():
        await writer.put(result(0))
        await seen(disk.asked)
        for number in range(1, MAX_QUEUED):
            await writer.put(result(number))
        more = asyncio.create_task(writer.put(result(MAX_QUEUED)))
        await some_turns()
        assert not more.done()
    async with asyncio.timeout(PATIENCE):
        await more
    await writer.finish()
    assert disk.written == names(MAX_QUEUED + 1)


async def test_a_failure_is_raised_by_put_and_finish(disk: Disk) -> None:
    disk.failure = OutputError("The disk is full.")
    writer = Writer(disk)
    writer.start()
    with pytest.raises(OutputError, match="full"):
        for number in range(2 * MAX_QUEUED):  # no more than are written and wait, before one has to
            await writer.put(result(number))
    with pytest.raises(OutputError, match="full"):
        await writer.put(result(0))
    with pytest.raises(OutputError, match="full"):
        await writer.finish()


@pytest.mark.parametrize("waiting", [0, 1, MAX_QUEUED - 2, MAX_QUEUED - 1])
async def test_no_task_waits_for_a_failed_disk(disk: Disk, waiting: int) -> None:
    disk.failure = OutputError("The disk is full.")
    others = asyncio.all_tasks()
    writer = Writer(disk)
    writer.start()
    tasks = asyncio.all_tasks() - others
    with disk.busy():
        await writer.put(result(0))
        await seen(disk.asked)
        for number in range(waiting):
            await writer.put(result(number))
    await asyncio.wait(tasks, timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(OutputError, match="full"):
            await writer.put(result(waiting))
        with pytest.raises(OutputError, match="full"):
            await writer.finish()


async def test_a_failure_is_raised_for_all_waiters(disk: Disk) -> None:
    disk.failure = OutputError("The disk is full.")
    writer = Writer(disk)
    writer.start()
    with disk.busy():
        await writer.put(result(0))
        await seen(disk.asked)
        puts = [asyncio.create_task(writer.put(result(number))) for number in range(MAX_QUEUED + 5)]
        await some_turns()
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(outcome, OutputError) for outcome in outcomes) == 6
    with pytest.raises(OutputError, match="full"):
        await writer.finish()


async def test_the_last_result_is_synced_even_if_no_other_follows(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_INTERVAL", 0.3)
    writer = Writer(disk)
    writer.start()
    await writer.put(result(0))
    await seen(disk.synced)
    assert disk.log == ["append", "sync"]
    await writer.finish()


async def test_a_steady_stream_of_results_is_synced_regularly(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_INTERVAL", 0.0)
    # A clock that only writes move, each by 0.4 s.
    clock = SimpleNamespace(monotonic=lambda: 0.4 * disk.log.count("append"))
    monkeypatch.setattr(module, "time", clock)
    loop = asyncio.get_running_loop()
    writer = Writer(disk)
    results = iter([result(number) for number in range(1, 6)])
    last_one = threading.Event()

    def put_another() -> None:  # so that each is written by itself, and the next one is there then
        if (another := next(results, None)) is None:
            last_one.set()
        else:
            asyncio.run_coroutine_threadsafe(writer.put(another), loop).result(PATIENCE)

    disk.meanwhile = put_another
    writer.start()
    await writer.put(result(0))
    await seen(last_one)
    await writer.finish()
    assert disk.log == ["append", "append", "append", "sync"] * 2 + ["sync"]


async def test_with_nothing_new_nothing_is_synced_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_INTERVAL", 0.01)
    writer = Writer(disk)
    writer.start()
    await writer.put(result(0))
    await seen(disk.synced)
    await asyncio.sleep(0.1)  # there is no event for what does not happen
    assert disk.log == ["append", "sync"]
    await writer.finish()


async def test_a_sync_that_fails_is_a_failure(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_INTERVAL", 0.01)
    disk.sync_failure = OutputError("The disk is gone.")
    others = asyncio.all_tasks()
    writer = Writer(disk)
    writer.start()
    tasks = asyncio.all_tasks() - others
    await writer.put(result(0))
    await asyncio.wait(tasks, timeout=PATIENCE)
    with pytest.raises(OutputError, match="gone"):
        await writer.put(result(1))
    with pytest.raises(OutputError, match="gone"):
        await writer.finish()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_finish_writes_all_first(disk: Disk, times: int) -> None:
    writer = Writer(disk)
    writer.start()
    with disk.busy():
        await writer.put(result(0))
        await seen(disk.asked)
        await writer.put(result(1))
        finish = asyncio.create_task(writer.finish())
        for _ in range(times):
            await some_turns()
            finish.cancel()
        await some_turns()
        assert not finish.done()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await finish
    assert disk.written == names(2)
    assert disk.log[-1] == "sync"
