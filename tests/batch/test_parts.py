"""The output as a directory of parts: a journal like the file, in JSONL or Parquet."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from openai_async import InvalidArgumentError
from openai_async.batch import parquet
from openai_async.batch.output.errors import OutputError
from openai_async.batch.output.journal import FileJournal
from openai_async.batch.output.parts import PartsJournal
from openai_async.batch.parquet import COLUMNS
from openai_async.batch.results import BatchResponse, BatchResult

from .outputs import bad, good, ids, line

Format = Literal["jsonl", "parquet"]
Reopened = Callable[..., PartsJournal]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(params=["jsonl", "parquet"])
def format(request: pytest.FixtureRequest) -> Format:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    format: Format = request.param
    return format


@pytest.fixture
def run(directory: Path, format: Format) -> Iterator[Callable[..., PartsJournal]]:
    """A run that appends results, a few at a time, to parts of three, and ends."""
    opened = []

    def run(*results: BatchResult, retry_failed: bool = False, close: bool = True) -> PartsJournal:
        journal = PartsJournal(directory, format=format, part_size=3)
        opened.append(journal)
        journal.open(retry_failed=retry_failed)
        for start in range(0, len(results), 2):
            journal.append(results[start : start + 2])
        if close:
            journal.close()
        return journal

    yield run
    for journal in opened:
        journal.close()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def rows(path: Path) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def all_ids(directory: Path) -> list[list[str]]:
    return [
        ids(path) if path.suffix == ".jsonl" else [row["custom_id"] for row in rows(path)]
        for path in sorted(directory.iterdir())
        if path.name.startswith("part-")
    ]


def test_a_full_part_is_finished_and_the_next_one_started(
    run: Reopened, directory: Path, format: Format
) -> None:
    run(*map(good, "abcdefg"))
    assert names(directory) == [f"part-0000{number}.{format}" for number in range(3)]
    assert all_ids(directory) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_many_results_at_once_fill_many_parts(run: Reopened, directory: Path) -> None:
    journal = run(close=False)
    journal.append([good(id) for id in "abcdefg"])
    journal.sync()
    journal.close()
    assert all_ids(directory) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_the_next_run_finds_what_is_done(run: Reopened) -> None:
    run(good("a"), bad("b"), good("c"), bad("d"))
    again = run()
    assert all(id in again.done for id in "abcd")
    assert (len(again.done), again.kept, again.failed, again.repaired) == (4, 4, 2, 0)


def test_the_next_run_continues_after_the_last_part(
    run: Reopened, directory: Path, format: Format
) -> None:
    run(*map(good, "abcd"))
    run(*map(good, "ef"))
    parts = [["a", "b", "c"], ["d", "e", "f"]]
    if format == "parquet":  # finished parts are not started again
        parts = [["a", "b", "c"], ["d"], ["e", "f"]]
    assert all_ids(directory) == parts


def test_errors_are_dropped_from_their_parts_alone(run: Reopened, directory: Path) -> None:
    run(good("a"), bad("b"), good("c"), good("d"), good("e"), good("f"), bad("g"))
    untouched = sorted(directory.iterdir())[1]
    before = untouched.stat().st_ino
    again = run(retry_failed=True)
    assert (again.kept, again.failed, again.repaired) == (5, 0, 0)
    assert "b" not in again.done
    assert all_ids(directory) == [["a", "c"], ["d", "e", "f"]]
    assert untouched.stat().st_ino == before


def test_a_part_with_only_errors_is_removed(run: Reopened, directory: Path) -> None:
    run(bad("a"), bad("b"), bad("c"), good("d"))
    run(good("a"), retry_failed=True)
    assert [id for part in all_ids(directory) for id in part] == ["d", "a"]


def test_of_duplicates_in_different_parts_the_good_one_is_kept(
    run: Reopened, directory: Path
) -> None:
    run(bad("a"), good("b"), good("c"), good("a"), good("b"), bad("c"), bad("d"))
    again = run()
    assert (again.kept, again.failed, again.repaired) == (4, 1, 3)
    assert all_ids(directory) == [["b", "c"], ["a"], ["d"]]


def test_a_second_run_is_refused(run: Reopened, directory: Path) -> None:
    run(good("a"), close=False)
    with pytest.raises(OutputError, match="is being written by another run"):
        run()
    assert (directory / ".lock").exists()


def test_a_run_without_a_result_leaves_no_directory(run: Reopened, directory: Path) -> None:
    run().close()
    assert not directory.exists()


def test_a_directory_that_was_there_stays(run: Reopened, directory: Path) -> None:
    directory.mkdir()
    run()
    assert names(directory) == []


def test_files_of_others_are_left_alone(run: Reopened, directory: Path) -> None:
    directory.mkdir()
    (directory / "README").write_text("mine")
    run(good("a"))
    assert "README" in names(directory)


def test_the_parent_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\(No such file or directory\): create the dir"):
        PartsJournal(tmp_path / "no" / "out").open()


def test_a_file_is_not_a_directory(directory: Path) -> None:
    directory.touch()
    with pytest.raises(OutputError, match=r"out cannot be opened \(File exists\): choose another"):
        PartsJournal(directory).open()


@pytest.mark.parametrize("options", [{"format": "csv"}, {"part_size": 0}])
def test_options_are_checked(directory: Path, options: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{next(iter(options))} is .*: pass "):
        PartsJournal(directory, **options)


KILLED = """
import os, signal, sys
from pathlib import Path
from openai_async.batch.output.parts import PartsJournal
from tests.batch.outputs import good
journal = PartsJournal(Path(sys.argv[1]), format=sys.argv[2], part_size=3)
journal.open()
journal.append([good(id) for id in "abcd"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_output_of_a_killed_run_is_resumed(
    run: Reopened, directory: Path, format: Format
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, directory, format], check=False)
    assert killed.returncode == -9
    assert names(directory) == [".lock", f"part-00000.{format}", "part-00001.jsonl"]
    with (directory / "part-00001.jsonl").open("ab") as file:
        file.write(line(good("e"))[:-9])
    again = run(good("e"), good("f"))
    assert (again.kept, again.repaired) == (4, 1)
    assert names(directory) == [f"part-00000.{format}", f"part-00001.{format}"]
    assert all_ids(directory) == [["a", "b", "c"], ["d", "e", "f"]]


def test_something_else_in_a_part_stops_the_run_before_anything_is_changed(
    run: Reopened, directory: Path
) -> None:
    directory.mkdir()
    (directory / "part-00000.jsonl").write_bytes(line(good("a")) + line(good("a")))
    (directory / "part-00001.jsonl").write_bytes(b"notes\n")
    with pytest.raises(OutputError, match=r"part-00001\.jsonl, line 1 is not a result"):
        run()
    assert ids(directory / "part-00000.jsonl") == ["a", "a"]


def test_a_directory_that_could_not_be_opened_is_not_locked(directory: Path) -> None:
    directory.mkdir()
    (directory / "part-00000.jsonl").write_bytes(b"notes\n")
    first, second = PartsJournal(directory), PartsJournal(directory)
    with pytest.raises(OutputError, match="is not a result"):
        first.open()
    (directory / "part-00000.jsonl").write_bytes(line(good("a")))
    second.open()
    second.close()
    assert second.kept == 1


def test_the_program_may_go_to_another_directory(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    journal = PartsJournal(Path("out"), part_size=2)
    journal.open()
    journal.append([good("a")])
    monkeypatch.chdir(elsewhere)
    journal.append([good("b"), good("c")])
    journal.sync()
    journal.close()
    assert all_ids(directory) == [["a", "b"], ["c"]]
    assert names(directory) == ["part-00000.jsonl", "part-00001.jsonl"]


def test_a_full_disk_keeps_what_was_paid_for(
    run: Reopened, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = run(*map(good, "abcd"), close=False)

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="free some space, and start again; 4 results are"):
            journal.append([good("e")])
    journal.close()
    assert (directory / "part-00001.jsonl").exists()  # nothing more was tried
    assert run().kept == 4


@pytest.mark.parametrize("written", [0, 1])
def test_a_disk_too_full_for_the_parquet_file_keeps_the_lines(
    directory: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    pytest.importorskip("pyarrow")
    journal = PartsJournal(directory, format="parquet", part_size=3)
    journal.open()
    journal.append([good("a")])

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        fsync, calls = os.fsync, iter(range(9))
        patch.setattr(os, "fsync", lambda fd: (fsync if next(calls) < written else full)(fd))
        with pytest.raises(OutputError, match=r"\(No space left on device\): free some space"):
            journal.append([good("b"), good("c")])
    journal.close()
    assert names(directory) == ["part-00000.jsonl"]
    again = PartsJournal(directory, format="parquet", part_size=3)
    again.open()
    again.close()
    assert (again.kept, names(directory)) == (3, ["part-00000.parquet"])


def test_a_row_has_what_a_line_has(directory: Path) -> None:
    pytest.importorskip("pyarrow")
    refused = bad("b")
    refused.response = BatchResponse(status_code=500, request_id=None, body="no\ud83d")
    with_half = good("c", {"a": [1, "é", 2**70]})
    journal = PartsJournal(directory, format="parquet")
    journal.open()
    journal.append([bad("a"), refused, with_half])
    journal.close()
    first, second, third = rows(directory / "part-00000.parquet")
    assert tuple(first) == COLUMNS
    assert first == {
        "id": "bad-a",
        "custom_id": "a",
        "status_code": None,
        "request_id": None,
        "body": None,
        "error_code": "server_error",
        "error_message": "No.",
    }
    assert (second["status_code"], json.loads(second["body"])) == (500, "no\ud83d")
    assert (third["status_code"], third["request_id"], third["error_code"]) == (200, "r", None)
    assert json.loads(third["body"]) == {"a": [1, "é", 2**70]}


def test_large_answers_are_spread_over_row_groups(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 2000)
    journal = PartsJournal(directory, format="parquet")
    journal.open()
    monkeypatch.setattr(parquet, "CHUNK", 1000)
    journal.append([good(id, "x" * 1500) for id in "abcde"])
    journal.close()
    path = directory / "part-00000.parquet"
    assert [row["custom_id"] for row in rows(path)] == [*"abcde"]
    assert pq.ParquetFile(path).metadata.num_row_groups == 3


def test_if_both_formats_of_a_part_remain_the_parquet_file_is_used(directory: Path) -> None:
    pytest.importorskip("pyarrow")
    journal = PartsJournal(directory, format="parquet")
    journal.open()
    journal.append([good("a"), good("b")])
    data = (directory / "part-00000.jsonl").read_bytes()
    journal.close()
    (directory / "part-00000.jsonl").write_bytes(data)
    (directory / ".part-00001.parquet.rewrite").touch()
    journal = PartsJournal(directory)
    journal.open()
    journal.close()
    assert (journal.kept, journal.repaired) == (2, 0)
    assert names(directory) == ["part-00000.parquet"]


def test_lines_of_an_earlier_run_become_parquet_on_request(directory: Path) -> None:
    pytest.importorskip("pyarrow")
    directory.mkdir()
    for number, id in enumerate("abc"):
        journal = FileJournal(directory / f"part-{number:05}.jsonl")
        journal.open()
        journal.append([good(id)])
        journal.close()
    again = PartsJournal(directory, format="parquet")
    again.open()
    again.append([good("d")])
    again.close()
    assert all_ids(directory) == [["a"], ["b"], ["c", "d"]]
    assert {path.suffix for path in directory.iterdir()} == {".parquet"}


@pytest.mark.parametrize("data", [b"", b"notes", b"PAR1 but no more PAR1"])
def test_an_invalid_parquet_file_stops_the_run(directory: Path, data: bytes) -> None:
    pytest.importorskip("pyarrow")
    directory.mkdir()
    (directory / "part-00000.parquet").write_bytes(data)
    with pytest.raises(OutputError, match=r"part-00000\.parquet is not a complete Parquet file"):
        PartsJournal(directory).open()
    assert (directory / "part-00000.parquet").read_bytes() == data


@pytest.mark.parametrize(
    "change", [{"error_code": None}, {"custom_id": [7]}, {"custom_id": [None]}]
)
def test_a_parquet_file_of_something_else_stops_the_run(directory: Path, change: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    directory.mkdir()
    columns = {name: ["a"] for name in COLUMNS} | change
    table = pa.table({name: values for name, values in columns.items() if values is not None})
    pq.write_table(table, directory / "part-00000.parquet")
    with pytest.raises(OutputError, match="does not hold results of a batch: choose"):
        PartsJournal(directory).open()


def test_without_pyarrow_parquet_is_refused_before_anything_is_made(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InvalidArgumentError, match=r'pip install "openai_async\[ray\]"'):
        PartsJournal(directory, format="parquet").open()
    assert not directory.exists()
