"""The output file as a file: locked, replaced as a whole, and never half-written."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openai_async.batch.output import file_lock
from openai_async.batch.output.errors import OutputError
from openai_async.batch.output.journal import FileJournal
from openai_async.batch.output.jsonl import line_of
from openai_async.batch.output.output_file import OutputFile

from .outputs import bad, good, ids, line, reopened

FILE = b"".join(map(line, [good("a"), bad("b"), good("c"), good("d")]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[FileJournal]:
    journal = FileJournal(path)
    yield journal
    journal.close()


def test_a_second_run_is_refused_until_the_first_has_ended(
    journal: FileJournal, path: Path
) -> None:
    journal.open()
    second = FileJournal(path)
    with pytest.raises(OutputError, match="is being written by another run: wait for it or choose"):
        second.open()
    journal.append([good("a")])
    journal.close()
    second.open()
    second.close()


def test_it_is_refused_after_a_rewrite_too(journal: FileJournal, path: Path) -> None:
    path.write_bytes(FILE)
    journal.open(retry_failed=True)
    with pytest.raises(OutputError, match="another run"):
        FileJournal(path).open()
    journal.append([good("b")])
    assert ids(path) == ["a", "c", "d", "b"]


def test_a_run_that_opened_the_file_before_a_rewrite_uses_the_new_one(
    journal: FileJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(FILE)
    lock = file_lock.lock

    def between(fd: int) -> None:
        monkeypatch.setattr(file_lock, "lock", lock)
        reopened(path, retry_failed=True)
        lock(fd)

    monkeypatch.setattr(file_lock, "lock", between)
    journal.open()
    journal.append([good("e")])
    assert ids(path) == ["a", "c", "d", "e"]


def test_a_process_that_is_killed_leaves_no_lock(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from openai_async.batch.output.journal import FileJournal;"
        "FileJournal(Path(sys.argv[1])).open(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    assert reopened(path).kept == 0


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.jsonl"
    target.write_bytes(FILE)
    path.symlink_to(target)
    reopened(path, retry_failed=True)
    assert path.is_symlink()
    assert ids(target) == ["a", "c", "d"]


def test_permissions_are_kept(path: Path) -> None:
    path.write_bytes(FILE)
    path.chmod(0o666)
    reopened(path, retry_failed=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_temporary_file_left_by_a_killed_run_is_removed(path: Path) -> None:
    path.write_bytes(FILE)
    (path.parent / ".out.jsonl.rewrite").write_bytes(b"half")
    reopened(path)
    assert [child.name for child in path.parent.iterdir()] == ["out.jsonl"]


def test_a_run_without_a_result_leaves_no_file(journal: FileJournal, path: Path) -> None:
    journal.open()
    journal.close()
    journal.close()
    assert not path.exists()


def test_a_file_that_was_there_stays_even_if_it_is_empty(path: Path) -> None:
    path.touch()
    reopened(path)
    assert path.exists()


def test_a_journal_that_is_not_open_says_so(journal: FileJournal) -> None:
    with pytest.raises(OutputError, match=r"is not open: call open\(\) first"):
        journal.append([good("a")])


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\(No such file or directory\): create the dir"):
        FileJournal(tmp_path / "no" / "out.jsonl").open()


def test_a_directory_is_not_a_valid_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\(Is a directory\): name a file in it"):
        FileJournal(tmp_path).open()


def test_a_device_is_not_a_valid_output() -> None:
    with pytest.raises(OutputError, match="/dev/null is not a regular file: choose another output"):
        FileJournal(Path(os.devnull)).open()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_named(path: Path) -> None:
    path.touch(0o400)
    with pytest.raises(OutputError, match="choose an output that you may write to"):
        FileJournal(path).open()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limits files to so many bytes: like a full disk, but without root."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def run_limited(path: Path, limit: int, *, retry_failed: bool = False) -> str:
    """Write until the disk is full; returns the error's message."""
    journal = FileJournal(path)
    with largest_file(limit), pytest.raises(OutputError) as caught:
        journal.open(retry_failed=retry_failed)
        journal.append([good("e")])
        journal.append([good("f"), good("g"), good("h")])
    journal.close()
    return str(caught.value)


@pytest.mark.parametrize(
    ("room", "whole"), [(0, ""), (1, ""), (5, ""), (6, "e"), (12, "ef"), (20, "efg")]
)
def test_a_full_disk_keeps_all_lines_that_are_whole(path: Path, room: int, whole: str) -> None:
    path.write_bytes(FILE)
    said = run_limited(path, len(FILE) + len(line_of(good("e"))) * room // 6)
    assert said.startswith(
        f"{path} cannot be written (File too large): write to where files may be larger"
    )
    assert f"and start again; {4 + len(whole)} results are safe." in said
    assert ids(path) == [*"abcd", *whole]


def test_a_disk_too_full_to_rewrite_the_file_leaves_it_as_it_was(path: Path) -> None:
    path.write_bytes(FILE)
    said = run_limited(path, 100, retry_failed=True)
    assert said.startswith(f"{path} cannot be rewritten (File too large): ")
    assert path.read_bytes() == FILE
    assert [child.name for child in path.parent.iterdir()] == ["out.jsonl"]


def test_a_disk_that_is_full_at_the_first_result_leaves_no_file(path: Path) -> None:
    assert "0 results are safe" in run_limited(path, 10)
    assert not path.exists()


def test_once_there_is_room_again_the_same_journal_continues(
    journal: FileJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.open()
    journal.append([good("a")])
    write, truncate = os.write, os.ftruncate

    def half(fd: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(fd, data[: len(data) // 2])

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", half)
    monkeypatch.setattr(os, "ftruncate", full)  # not even that
    with pytest.raises(OutputError) as caught:
        journal.append([good("b"), good("c"), good("d")])
    said = "(No space left on device): free some space, and start again; 2 results are safe."
    assert str(caught.value) == f"{path} cannot be written {said}"
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "ftruncate", truncate)
    journal.append([good("c")])
    assert ids(path) == ["a", "b", "c"]


def test_a_replaced_file_has_no_truncated_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OutputFile(path)
    file.open()
    write = os.write

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(fd: int, data: memoryview) -> int:
        return write(fd, data[:2]) if len(data) > 3 else full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", full)
        with pytest.raises(OutputError):
            file.append([b"torn\n"])
    file.replace([b"new\n"])
    file.append([b"last\n"])
    file.close()
    assert path.read_bytes() == b"new\nlast\n"


def test_a_rewrite_that_fails_leaves_no_file_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(FILE)
    copies = []
    dup = os.dup

    def copy(fd: int) -> int:
        copies.append(dup(fd))
        return copies[-1]

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "dup", copy)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be rewritten"):
        FileJournal(path).open(retry_failed=True)
    [fd] = copies
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(fd)


def test_the_program_may_go_to_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    journal = FileJournal(Path("out.jsonl"))
    journal.open()
    journal.append([good("a")])
    monkeypatch.chdir(elsewhere)
    journal.sync()
    journal.close()
    assert ids(tmp_path / "out.jsonl") == ["a"]


def test_a_file_with_nothing_in_it_is_removed_from_another_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    journal = FileJournal(Path("out.jsonl"))
    journal.open()
    monkeypatch.chdir(elsewhere)
    journal.close()
    assert not (tmp_path / "out.jsonl").exists()


def test_a_journal_that_could_not_be_opened_locks_nothing(journal: FileJournal, path: Path) -> None:
    path.write_bytes(b"notes\n")
    with pytest.raises(OutputError, match="is not a result"):
        journal.open()
    path.write_bytes(FILE)
    assert reopened(path).kept == 4
