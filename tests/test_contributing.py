"""CONTRIBUTING.md does what it says: its examples are added to a copy of the package and tested.

A Python block names its file in its first line. Where that file exists already, the bodies of the
block's classes and `if`s are appended to those of the file.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openai_async import AsyncClient, InvalidArgumentError
from openai_async.cli.errors import UsageError
from openai_async.cli.options import Connection, check

from .test_docs import ROOT, blocks, links

PAGE = ROOT / "CONTRIBUTING.md"
EXAMPLES = dict(code.removeprefix("# ").split("\n", 1) for _, code in blocks(PAGE, "python"))
ENDPOINT = (
    "openai_async/types/vector_stores.py",
    "openai_async/resources/vector_stores.py",
    "openai_async/client.py",
)


def head(node: ast.stmt) -> str:
    """What a block's class or `if` has in common with the file's."""
    assert isinstance(node, ast.ClassDef | ast.If)
    return node.name if isinstance(node, ast.ClassDef) else ast.unparse(node.test)


def merged(source: str, addition: str) -> str:
    lines, more = source.splitlines(keepends=True), addition.splitlines(keepends=True)
    places = {
        head(node): node.end_lineno
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.If)
    }
    for node in reversed(ast.parse(addition).body):  # from below, so that line numbers stay
        lines[places[head(node)] : places[head(node)]] = more[node.lineno : node.end_lineno]
    return "".join(lines)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of what its tests share, with the examples in it."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "openai_async", copy / "openai_async")
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in EXAMPLES.items():
        path = copy / name
        path.write_text(merged(path.read_text(), code) if path.exists() else code.lstrip("\n"))
    return copy


def run(tests: str, directory: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", tests]
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "tests", [*(name for name in EXAMPLES if "/test_" in name), "tests/test_architecture.py"]
)
def test_the_tests_of_the_examples_pass(changed: Path, tests: str) -> None:
    code, said = run(tests, changed)
    assert code == 0, said


def test_the_comparison_with_the_api_asks_for_the_lines_that_the_page_quotes(changed: Path) -> None:
    code, said = run("tests/test_spec.py", changed)
    ((_, quoted), _) = blocks(PAGE, "text")
    asked = [line[2:] for line in said.splitlines() if re.match(r"E +'", line)]
    assert code == 1
    assert [line.strip() for line in asked] == [line.strip() for line in quoted.splitlines()]


def test_an_endpoint_takes_fewer_than_40_lines() -> None:
    """Docstrings and blank lines are not counted."""
    lines = [line for name in ENDPOINT for line in EXAMPLES[name].splitlines()]
    code = [line for line in lines if line.strip() and not line.strip().startswith('"""')]
    assert len(code) < 40


def test_the_files_and_links_of_the_page_exist() -> None:
    commands = " ".join(code for _, code in blocks(PAGE, "bash"))
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:tests|benchmarks)/[\w/.]*\w|\.ci/\w+", commands + text)
    assert len(named) > 5
    for name in {*named, *links(PAGE)} - {*EXAMPLES}:
        assert (ROOT / name).exists(), name


async def test_the_error_messages_that_the_page_quotes_are_those_of_the_package() -> None:
    client: Any = AsyncClient(api_key="local")
    said = []
    for call in (
        lambda: client.images.generate(model="dall-e-2", prompt="An otter", n=11),
        lambda: client.chat.completions.create(model="m", messages=[]),
        lambda: check(Connection(local=True, base_url="http://localhost/v1")),
    ):
        with pytest.raises((InvalidArgumentError, UsageError)) as caught:
            call()
        said.append(str(caught.value))
    _, (_, quoted) = blocks(PAGE, "text")
    assert quoted.splitlines() == said
