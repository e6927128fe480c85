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
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import frozen
from PIL import Image

from openai_async import AsyncClient
from openai_async.streaming.life_cycle import TRANSITIONS
from openai_async.testing import DEFAULT_MODELS, Failure, LocalServer

from .plugin_metadata import python_path
from .raw_server import RawServer, chunk

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Its frameworks may be missing: tests/frameworks runs its code, section by section.
RUN_HERE = [page for page in PAGES if page.name != "frameworks.md"]
INSTALLS = re.compile(r"python3 -m venv|pip install")
PROGRAM = re.compile(r"asyncio\.(run|Runner)\(")


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Line number and text of the page's code blocks."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield text[: match.start(1)].count("\n"), match[1]


def links(page: Path) -> list[str]:
    """The files that the page links to."""
    return re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8"))


@pytest.fixture
async def workplace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: LocalServer
) -> AsyncIterator[dict[str, str]]:
    """A directory with a cat.png, and an environment with an API key."""
    Image.open(ROOT / "openai_async" / "cli" / "cat.jpg").save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "local")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    threshold, frozen = gc.get_threshold(), gc.get_freeze_count()
    yield {**os.environ, "PYTHONPATH": str(ROOT)}
    gc.set_threshold(*threshold)  # performance.md shows how it is changed
    if gc.get_freeze_count() > frozen:  # and freezes what the tests have made
        gc.unfreeze()
        gc.collect()
        gc.freeze()


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.name)
async def test_python(page: Path, workplace: dict[str, str]) -> None:
    if page.name == "web.md":
        pytest.importorskip("fastapi")
    names: dict[str, Any] = {"__name__": "page"}
    for line, code in blocks(page, "python"):
        if PROGRAM.search(code):
            await run([sys.executable, "-W", "error", "-c", code], workplace)
            continue
        # Line numbers of the page, so that a failure points into it.
        tree = ast.parse("\n" * line + code)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        # A reader's program does not inherit the `from __future__` of this file.
        code_object = compile(tree, str(page), "exec", flags=flags, dont_inherit=True)
        result = eval(code_object, names)
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


async def run_tests(page: Path, directory: Path, environment: dict[str, str]) -> None:
    """Run the code of a page as a file of tests, with the settings of testing.md."""
    ((_, settings),) = blocks(ROOT / "docs" / "testing.md", "toml")
    (directory / "pyproject.toml").write_text(settings, encoding="utf-8")
    tests = "\n\n".join(code for _, code in blocks(page, "python") if "def test_" in code)
    (directory / "test_app.py").write_text(tests, encoding="utf-8")
    await run([sys.executable, "-m", "pytest", "-q", "-W", "error", "test_app.py"], environment)


async def test_the_tests_of_the_readme_pass_in_a_directory_of_their_own(
    tmp_path: Path, workplace: dict[str, str]
) -> None:
    workplace["PYTHONPATH"] = python_path(tmp_path / "site")
    await run_tests(ROOT / "README.md", tmp_path, workplace)


async def test_the_tests_of_testing_md_pass_in_a_directory_of_their_own(
    tmp_path: Path, workplace: dict[str, str], server: LocalServer
) -> None:
    """And again without key and server, from the recording."""
    page = ROOT / "docs" / "testing.md"
    workplace["PYTHONPATH"] = python_path(tmp_path / "site")
    await run_tests(page, tmp_path, workplace)
    assert len(server.requests) == 1
    assert "Bearer" not in (tmp_path / "multiply.yaml").read_text(encoding="utf-8")
    await server.stop()
    del workplace["OPENAI_API_KEY"]
    await run_tests(page, tmp_path, workplace)


# --- the web app of the README, run as it says ---


@pytest.fixture
async def site(workplace: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    started: list[tuple[web.Application, dict[str, Any]]] = []
    monkeypatch.setattr(web, "run_app", lambda app, **options: started.append((app, options)))
    (code,) = [
        code for _, code in blocks(ROOT / "README.md", "python") if "web.Application" in code
    ]
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code, names)
    ((app, options),) = started
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as browser:
        yield Site(f"http://127.0.0.1:{runner.addresses[0][1]}/", names, runner, browser)
    await runner.cleanup()


@frozen
class Site:
    url: str
    names: dict[str, Any]
    runner: web.AppRunner
    browser: aiohttp.ClientSession

    async def asked(self) -> aiohttp.ClientResponse:
        return await self.browser.get(self.url, params={"q": "Why is the sky blue?"})


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_passes_tokens_on(site: Site) -> None:
    answer = await site.asked()
    assert answer.status == 200
    events = [json.loads(line[6:]) for line in (await answer.text()).split("\n\n") if line]
    assert "Why is the sky blue?" in "".join(event.get("text", "") for event in events)
    assert events[-1] == {"type": "done", "finish_reason": "stop"}


@pytest.mark.virtual_time
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_the_web_app_of_the_readme_answers_with_the_status_of_an_error(
    site: Site, server: LocalServer, status: int
) -> None:
    server.script(Failure(status, message="Incorrect API key sk-secret."), times=9)
    answer = await site.asked()
    assert answer.status == status
    text = await answer.text()
    assert json.loads(text)["error"]["message"].startswith("The service")
    assert "sk-secret" not in text


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_answers_502_if_there_is_no_answer(
    site: Site, server: LocalServer
) -> None:
    await server.stop()
    answer = await site.asked()
    assert (answer.status, "could not be reached" in await answer.text()) == (502, True)


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_does_not_end_a_broken_stream_as_if_it_were_whole(
    site: Site, server: LocalServer
) -> None:
    server.script(Failure(cut_after=2))
    text = await (await site.asked()).text()
    assert text.endswith(
        'event: error\ndata: {"type":"error","message":"The answer broke off before it was '
        'complete."}\n\n'
    )


@pytest.mark.virtual_time
@pytest.mark.parametrize("query", [{}, {"q": ""}, {"p": "Why?"}], ids=str)
async def test_the_web_app_of_the_readme_says_that_a_question_is_missing(
    site: Site, server: LocalServer, query: dict[str, str]
) -> None:
    answer = await site.browser.get(site.url, params=query)
    assert (answer.status, await answer.text()) == (400, "Ask a question: /?q=...")
    assert not server.requests


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("failure", "begins"),
    [
        (Failure(429, headers={"retry-after": "120"}), "Not relayed: HTTP 429: "),
        (Failure(delay=10_000), "The answer broke off while it was relayed: No complete answer "),
        (Failure(cut_after=2), "The answer broke off while it was relayed: The stream ended "),
        (Failure(stall_after=2), "The answer broke off while it was relayed: The stream was sil"),
    ],
    ids=str,
)
async def test_the_web_app_of_the_readme_logs_a_failure_in_one_line(
    site: Site,
    server: LocalServer,
    caplog: pytest.LogCaptureFixture,
    failure: Failure,
    begins: str,
) -> None:
    server.script(failure, times=3)
    await (await site.asked()).text()
    assert [record.getMessage()[: len(begins)] for record in problems(caplog)] == [begins]
    assert [record.exc_info for record in problems(caplog)] == [None]


@pytest.mark.virtual_time
@pytest.mark.parametrize("failure", [Failure(stall_after=2), Failure(delay=600)], ids=str)
async def test_the_web_app_of_the_readme_stops_within_its_grace_time_whatever_it_waits_for(
    site: Site, server: LocalServer, failure: Failure
) -> None:
    server.script(failure)
    asking = asyncio.create_task(site.asked())
    request = await server.received()
    if not failure.delay:
        await (await asking).content.readany()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await site.runner.cleanup()
    assert loop.time() - began < 10.5  # twice: until the handlers end, and until they are cancelled
    await request.finished()
    await asyncio.wait([asking])
    asking.exception()


@pytest.mark.virtual_time
async def test_the_web_app_of_the_readme_stops_within_its_grace_time_if_a_browser_does_not_read(
    site: Site, raw: RawServer
) -> None:
    site.names["client"] = AsyncClient(base_url=raw.url)
    raw.answer = lambda exchange: exchange.stream(*[chunk("x" * 1_000_000)] * 20)
    answer = await site.asked()
    await asyncio.sleep(1)  # of virtual time: until all that is between them is full
    loop = asyncio.get_running_loop()
    began = loop.time()
    await site.runner.cleanup()
    assert 0 < loop.time() - began < 10.5
    answer.close()
    await site.names["client"].close()


def problems(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What a program that has not set up logging prints."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in links(page):
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


def test_the_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)*)(\w+\.py)`", text)
    assert len(named) > 30
    for directory, name in named:
        # Where the text is about a directory, its files are named alone.
        inside = any((ROOT / "openai_async").rglob(directory + name))
        assert inside or (ROOT / directory / name).exists(), directory + name


def test_the_supported_versions_are_those_that_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classifier = "Programming Language :: Python :: "
    pythons = [c.removeprefix(classifier) for c in project["classifiers"] if classifier in c]
    assert project["requires-python"] == f">={pythons[0]}"
    rows = {"Python": ", ".join(pythons)}
    for requirement in project["dependencies"]:
        name, versions = re.fullmatch(r"(\w+)(.+)", requirement).groups()  # type: ignore[union-attr]
        rows[name] = versions
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Supported versions")[1]
    assert dict(re.findall(r"^\| (\w+) \| (.+) \|$", section, re.MULTILINE)) == rows


def test_the_changelog_has_the_sections_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[[\d.]+\] - \d{4}-\d\d-\d\d", one) for one in versions[1:])
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in text.split("\n## ")[1:]:
        found = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert found == [kind for kind in kinds if kind in found]


def test_the_local_server_lists_the_models_that_the_docs_use() -> None:
    named = {
        model
        for page in PAGES
        for _, code in blocks(page, "python")
        for model in re.findall(r'model="([^"]+)"', code)
    }
    assert "gpt-audio" in named
    assert named - {*DEFAULT_MODELS} == set()


def test_the_docs_show_the_states_of_a_stream() -> None:
    shown = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for state, ways in TRANSITIONS.items():
        for following, when in ways.items():
            assert f"| {state.name} | {when} | {following.name} |" in shown
