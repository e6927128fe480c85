"""What is in an output: read back, repaired after a crash, one result for each id."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openai_async.batch.output.errors import OutputError
from openai_async.batch.output.journal import FileJournal
from openai_async.batch.results import BAD_LINE, BatchError, BatchResult

from .outputs import bad, good, ids, line, reopened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[FileJournal]:
    journal = FileJournal(path)
    yield journal
    journal.close()


def test_results_are_lines_that_the_next_run_finds(journal: FileJournal, path: Path) -> None:
    journal.open()
    assert (len(journal.done), journal.kept, journal.failed, journal.repaired) == (0, 0, 0, 0)
    journal.append([good("a"), bad("b")])
    journal.append([good("c")])
    journal.sync()
    journal.close()
    found = [BatchResult.from_dict(json.loads(text)) for text in path.read_bytes().splitlines()]
    assert found == [good("a"), bad("b"), good("c")]
    again = reopened(path)
    assert all(id in again.done for id in "abc")
    assert (len(again.done), again.kept, again.failed, again.repaired) == (3, 3, 1, 0)


def test_results_are_on_the_disk_as_soon_as_they_are_appended(
    journal: FileJournal, path: Path
) -> None:
    journal.open()
    journal.append([good("a")])
    assert ids(path) == ["a"]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (2**70, 2**70),
        ("\ud83d", "\ud83d"),
        ([float("nan"), float("-inf"), 2**70], [None, None, 2**70]),
        ({"a": [2**64, {"b": "\ud83d"}]}, {"a": [2**64, {"b": "\ud83d"}]}),
    ],
)
def test_values_outside_strict_json_are_still_written(
    journal: FileJournal, path: Path, body: Any, kept: Any
) -> None:
    journal.open()
    journal.append([good("a", body)])
    journal.close()
    assert json.loads(path.read_bytes())["response"]["body"] == kept
    assert reopened(path).kept == 1


@pytest.mark.parametrize(("depth", "failed"), [(300, 0), (5000, 1)])
def test_an_answer_nested_too_deep_is_an_error_and_does_not_end_the_run(
    journal: FileJournal, path: Path, depth: int, failed: int
) -> None:
    body: Any = 1
    for _ in range(depth):
        body = [body]
    journal.open()
    journal.append([good("a", body), good("b")])
    journal.close()
    again = reopened(path)
    assert (again.kept, again.failed) == (2, failed)


FILE = b"".join(map(line, [good("a"), bad("b"), good("c", "x" * 20), good("d")]))
ENDS = [end + 1 for end, byte in enumerate(FILE) if byte == ord("\n")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cut=st.integers(0, len(FILE)), nuls=st.sampled_from([0, 0, 1, 700, 4096]))
def test_a_file_cut_anywhere_keeps_its_whole_lines(path: Path, cut: int, nuls: int) -> None:
    path.write_bytes(FILE[:cut] + bytes(nuls))
    whole = sum(end - 1 <= cut for end in ENDS)  # a line that lacks only its line end is whole
    torn = cut not in (0, *ENDS, *(end - 1 for end in ENDS))
    journal = FileJournal(path)
    journal.open()
    assert [id in journal.done for id in "abcd"] == [n < whole for n in range(4)]
    assert (journal.kept, journal.failed) == (whole, whole >= 2)
    at_end = cut in (0, *ENDS)
    assert journal.repaired == (torn or (at_end and nuls > 0))
    journal.append([good("e")])
    journal.close()
    assert ids(path) == [*"abcd"[:whole], "e"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(start=st.integers(ENDS[0], len(FILE)), length=st.integers(1, len(FILE)))
def test_nul_bytes_after_the_first_line_cost_only_the_lines_they_overwrite(
    path: Path, start: int, length: int
) -> None:
    stop = min(start + length, len(FILE))
    path.write_bytes(FILE[:start] + bytes(stop - start) + FILE[stop:])
    begins = [0, *ENDS[:-1]]
    untouched = [
        id
        for id, begin, end in zip("abcd", begins, ENDS, strict=True)
        if end <= start or begin > stop  # at `stop`, the end of the line before is lost
    ]
    again = reopened(path)
    assert [id for id in "abcd" if id in again.done and id in untouched] == untouched
    assert ids(path) == [id for id in "abcd" if id in again.done]


def test_a_last_line_that_lacks_only_its_end_gets_it(path: Path) -> None:
    path.write_bytes(FILE[:-1])
    again = reopened(path)
    assert (again.kept, again.repaired, path.read_bytes()) == (4, 0, FILE)


def test_lines_of_other_writers_are_understood(path: Path) -> None:
    data = b"\xef\xbb\xbf" + line(good("a")).replace(b"\n", b"\r\n") + b"\n" + line(bad("b"))
    path.write_bytes(data)
    again = reopened(path)
    assert (again.kept, again.failed, path.read_bytes()) == (2, 1, data)


def test_of_duplicates_the_first_good_one_is_kept(path: Path) -> None:
    other = good("a", "other")
    results = [bad("a"), bad("b"), good("a"), other, good("c"), bad("c"), bad("b")]
    path.write_bytes(b"".join(map(line, results)))
    again = reopened(path)
    assert (again.kept, again.failed, again.repaired) == (3, 1, 4)
    assert path.read_bytes() == line(bad("b")) + line(good("a")) + line(good("c"))


def test_a_bad_line_that_was_written_twice_counts_once(path: Path) -> None:
    error = BatchError(code=BAD_LINE, message="line 1: no.")
    skipped = line(BatchResult(custom_id="(line 1)", id="(line 1)", error=error))
    path.write_bytes(skipped + skipped + line(good("a")))
    again = reopened(path)
    assert (again.kept, again.failed, again.bad_lines, again.repaired) == (2, 1, 1, 1)


def test_errors_are_dropped_to_be_sent_again(path: Path) -> None:
    path.write_bytes(b"".join(map(line, [good("a"), bad("b"), good("c"), bad("d"), good("a")])))
    again = reopened(path, retry_failed=True)
    assert [id in again.done for id in "abcd"] == [True, False, True, False]
    assert (again.kept, again.failed, again.repaired) == (2, 0, 1)
    assert ids(path) == ["a", "c"]


def test_a_file_that_needs_nothing_is_not_touched(path: Path) -> None:
    path.write_bytes(FILE)
    before = path.stat()
    reopened(path)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("data", "number", "problem"),
    [
        (FILE + b"{broken\n" + FILE, 5, "it is not valid JSON"),
        (FILE + b"notes", 5, "it is not valid JSON"),
        (b"notes", 1, "it is not valid JSON"),
        (b'{"custom_id": "a", "body": {}}', 1, 'it has no "custom_id" and "response"'),
        (b'{"response": null}\n', 1, 'it has no "custom_id" and "response"'),
        (b'{"custom_id": 7, "response": null}\n', 1, 'it has no "custom_id" and "response"'),
        (b"[1]\n", 1, 'it has no "custom_id" and "response"'),
        (b'{\n  "a": 1\n}\n', 1, "it is not valid JSON"),
        (b"SQLite format 3\0\x10\0\1\1\0\n\0\0", 1, "it is not valid JSON"),
        ('{"a": 1}\n'.encode("utf-16-le"), 1, "it is not valid JSON"),
        ('{"a": 1}\n'.encode("utf-16-be"), 1, "it is not valid JSON"),
    ],
)
def test_a_file_that_is_something_else_is_left_as_it_is(
    path: Path, data: bytes, number: int, problem: str
) -> None:
    path.write_bytes(data)
    with pytest.raises(OutputError, match=f"line {number} is not a result of a batch: ({problem})"):
        FileJournal(path).open(retry_failed=True)
    assert path.read_bytes() == data
    assert [child.name for child in path.parent.iterdir()] == ["out.jsonl"]


WRITING = """
import sys
from pathlib import Path
from openai_async.batch.output.journal import FileJournal
from tests.batch.outputs import good
journal = FileJournal(Path(sys.argv[1]))
journal.open()
for start in range(0, 10**6, 3):
    missing = [str(n) for n in range(start, start + 3) if str(n) not in journal.done]
    journal.append([good(id, "x" * 100_000) for id in missing])
    print(*missing, flush=True)
"""


def test_runs_that_are_killed_while_writing_lose_and_repeat_nothing(path: Path) -> None:
    told: list[str] = []
    for lines in (2, 7, 13):
        command = [sys.executable, "-c", WRITING, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(lines):
                told += next(process.stdout).split()
            process.kill()
    again = reopened(path)
    assert all(id in again.done for id in told)
    assert ids(path) == [str(number) for number in range(again.kept)]
