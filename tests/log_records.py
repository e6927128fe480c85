"""What the tests of the log share: its lines so far, and a server's answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from .raw_server import Exchange

KEY = "a-secret-key-of-mine"
HI: Any = [{"role": "user", "content": "Hi"}]
Lines = Callable[[], list[str]]


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines so far at INFO, with each time as 0.00."""
    caplog.set_level(logging.INFO, "openai_async")

    def lines() -> list[str]:
        assert {record.name for record in caplog.records} <= {"openai_async"}
        return [re.sub(r"\d\.\d\d s", "0.00 s", record.getMessage()) for record in caplog.records]

    return lines


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines so far at DEBUG."""
    caplog.set_level(logging.DEBUG, "openai_async")
    return lambda: [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]


def answer(body: bytes, status: str = "200 OK") -> Callable[[Exchange], Any]:
    return lambda exchange: exchange.whole(body, status=f"{status}\r\nx-request-id: req_1")
