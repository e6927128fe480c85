"""What tests of timers share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[asyncio.TimerHandle]]:
    """The timers that are set while a test runs."""
    made: list[asyncio.TimerHandle] = []
    original = asyncio.BaseEventLoop.call_at

    def call_at(self: Any, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        made.append(original(self, *args, **kwargs))
        return made[-1]

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_at", call_at)
    yield made
    for timer in made:
        timer.cancel()
