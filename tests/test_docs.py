"""Every code block of README.md and docs/ runs, in the order of its page, against a LocalServer.

A block that starts a loop of its own (`asyncio.run`, `asyncio.Runner`) runs as a program. All
others of a page share their names, as in a notebook, and may `await`. Shell blocks run their
`openai-async` commands; what installs is run by .ci/run.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from openai_async.testing import Failure, LocalServer

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALLS = re.compile(r"python3 -m venv|pip install")


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Line number and text of the page's code blocks."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield text[: match.start(1)].count("\n"), match[1]


@pytest.fixture
async def workplace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: LocalServer
) -> AsyncIterator[dict[str, str]]:
    """A directory with a cat.png, and the environment of somebody who has set up a key."""
    Image.open(ROOT / "openai_async" / "cli" / "cat.jpg").save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "local")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    threshold = gc.get_threshold()
    yield {**os.environ, "PYTHONPATH": str(ROOT)}
    gc.set_threshold(*threshold)  # performance.md shows how it is changed
    gc.unfreeze()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_python(page: Path, workplace: dict[str, str]) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for line, code in blocks(page, "python"):
        if re.search(r"asyncio\.(run|Runner)\(", code):
            await run([sys.executable, "-W", "error", "-c", code], workplace)
            continue
        # Line numbers of the page, so that a failure points into it.
        tree = ast.parse("\n" * line + code)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        result = eval(compile(tree, str(page), "exec", flags=flags), names)
        if inspect.isawaitable(result):
            await result


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_shell(page: Path, workplace: dict[str, str]) -> None:
    for _, code in blocks(page, "bash"):
        if not INSTALLS.search(code):
            command = code.replace("openai-async", f"{sys.executable} -m openai_async")
            await run(
                [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", command], workplace
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_the_tests_of_a_page_pass(page: Path, workplace: dict[str, str]) -> None:
    """Those that need no fixture."""
    names: dict[str, Any] = {}
    for _, code in blocks(page, "python"):
        if "async def test_" in code:
            exec(code, names)
    tests = [test for name, test in names.items() if name.startswith("test_")]
    for test in tests:
        if not inspect.signature(test).parameters:
            await test()


@pytest.fixture
async def web_app(workplace: dict[str, str]) -> AsyncIterator[TestClient[Any, Any]]:
    """A browser at the web app of the README."""
    names: dict[str, Any] = {}
    (code,) = [
        code for _, code in blocks(ROOT / "README.md", "python") if "web.Application" in code
    ]
    exec(code, names)
    async with TestClient(TestServer(names["app"])) as browser:
        yield browser


QUESTION = {"q": "Why is the sky blue?"}


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_passes_tokens_on(web_app: TestClient[Any, Any]) -> None:
    answer = await web_app.get("/", params=QUESTION)
    assert "Why is the sky blue?" in await answer.text()


@pytest.mark.virtual_time
@pytest.mark.parametrize("status", [401, 429, 503])
async def test_the_web_app_of_the_readme_answers_a_failure_with_its_status(
    web_app: TestClient[Any, Any], server: LocalServer, status: int
) -> None:
    server.script(*[Failure(status, message="of account org-1 at 10.0.0.7")] * 3)
    answer = await web_app.get("/", params=QUESTION)
    assert answer.status == status
    assert "org-1" not in await answer.text()


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_stops_though_a_stream_stalls(
    web_app: TestClient[Any, Any], server: LocalServer
) -> None:
    server.script(Failure(stall_after=1))
    answer = await web_app.get("/", params=QUESTION)
    assert await answer.content.readany()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await web_app.server.close()
    assert loop.time() - started < 2
    await server.requests[0].finished()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


async def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a program without blocking the loop, in which the server answers it."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (command[-1], out.decode(), err.decode())


def test_the_tests_that_the_docs_name_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 30
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
