"""What "on the disk" means where `fsync` alone is not enough."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from openai_async.batch.output.errors import OutputError
from openai_async.batch.output.fsync import full_fsync
from openai_async.batch.output.output_file import OutputFile, replacing

F_FULLFSYNC = 51  # of macOS's <sys/fcntl.h>


class Mac:
    """The two calls as macOS has them; `error` is what its file system says to the full one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, int]] = []
        self.error: int | None = None
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", self._fcntl)
        monkeypatch.setattr(os, "fsync", lambda fd: self.calls.append(("fsync", fd)))

    def _fcntl(self, fd: int, command: int) -> int:
        assert command == F_FULLFSYNC
        self.calls.append(("full", fd))
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return 0


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Mac:
    return Mac(monkeypatch)


def synced_output(path: Path) -> None:
    file = OutputFile(path)
    with file.opened():
        file.append([b"a\n"])
        file.sync()


def replaced(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"a\n")


@pytest.mark.parametrize("write", [synced_output, replaced])
def test_macos_flushes_file_and_directory_to_the_disk_itself(
    mac: Mac, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "out.jsonl")
    assert [kind for kind, _ in mac.calls] == ["full", "full"]


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_a_file_system_without_it_gets_an_fsync(mac: Mac, number: int) -> None:
    mac.error = number
    full_fsync(7)
    assert mac.calls == [("full", 7), ("fsync", 7)]


def test_a_failing_disk_is_an_error_without_a_fallback(mac: Mac, tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "out.jsonl")
    with file.opened():
        mac.error = errno.EIO
        with pytest.raises(OutputError, match="cannot be written: Input/output error"):
            file.sync()
    assert mac.calls[-1][0] == "full"


def test_other_systems_use_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    full_fsync(7)
    assert synced == [7]
