"""`OPENAI_LOG` shows the log in programs that set up no logging."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import openai_async

PROGRAM = """\
import asyncio, logging, sys
from openai_async import AsyncClient, Response
exec(" ".join(sys.argv[1:]))  # what a program does to set up logging

async def answer(request, send):
    return Response(status=200, headers={}, body=b"{}")

async def main():
    async with AsyncClient(api_key="k", middlewares=[answer]) as client:
        await client.request("GET", "/models")

asyncio.run(main())
"""


def stderr_with(level: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        env={"OPENAI_LOG": level, "PYTHONPATH": str(Path(openai_async.__file__).parents[1])},
        timeout=30,
        check=True,
    )
    return done.stderr.decode()


@pytest.mark.parametrize("level", ["info", "INFO", "debug"])
def test_openai_log_shows_the_log(level: str) -> None:
    line = r"\S+ \S+ openai_async INFO GET /v1/models: 200 in \d\.\d\d s, 1 attempt\n"
    assert re.fullmatch(line, stderr_with(level))


OWN = "logging.basicConfig(format='own: %(message)s')"
OWN_OF_THE_PACKAGE = """\
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("own: %(message)s"))
logging.getLogger("openai_async").addHandler(handler)
"""


@pytest.mark.parametrize("setup", [OWN, OWN_OF_THE_PACKAGE], ids=["root", "package"])
def test_a_program_that_has_set_up_logging_shows_each_line_once(setup: str) -> None:
    line = r"own: GET /v1/models: 200 in \d\.\d\d s, 1 attempt\n"
    assert re.fullmatch(line, stderr_with("info", setup))


@pytest.mark.parametrize(
    "setup",
    [
        f"{OWN}; logging.getLogger('openai_async').propagate = False",
        "logging.getLogger().addHandler(logging.NullHandler())",
    ],
    ids=["no propagation", "null handler"],
)
def test_openai_log_shows_the_log_if_no_handler_of_the_program_does(setup: str) -> None:
    assert re.search(r" openai_async INFO GET /v1/models: 200 in ", stderr_with("info", setup))


def test_without_openai_log_nothing_is_shown() -> None:
    assert stderr_with("") == ""


def test_another_level_is_explained() -> None:
    warning = "UserWarning: OPENAI_LOG is 'warn': set it to info or debug. Nothing is logged."
    assert warning in stderr_with("warn")
