"""What all tests of the command line need."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .chat_terminal import Chat, conversation


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_not_ignored() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT, and so would the processes started here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chat]:
    monkeypatch.chdir(tmp_path)
    async with conversation(tmp_path / "home") as begun:
        yield begun
