"""Runs mypy, basedpyright and ty as users do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def mypy(*paths: Path | str) -> str:
    """The errors of `mypy --strict`; "" if there are none.

    Its cache is the one of `mypy` as developers run it: what either has read, the other knows.
    """
    # Notes list all overloads, with all their parameters.
    return run(
        [tool("mypy"), "--strict", *map(str, paths)],
        without=r"^.*: note: .*$|^Success.*$|^Found.*$",
    )


def basedpyright(*paths: Path | str) -> str:
    """The errors of basedpyright in the mode that pyproject.toml sets; "" if there are none."""
    command = [tool("basedpyright"), "--pythonpath", sys.executable, "--level", "error"]
    return run([*command, *map(str, paths)], without=r"^0 errors.*$")


def ty(*paths: Path | str) -> str:
    """The errors of ty; "" if there are none."""
    options = ["--python", sys.prefix, "--extra-search-path", str(ROOT)]
    options += ["--ignore", "import-not-found"]  # of optional libraries
    command = [tool("ty"), "check", "--output-format", "concise", *options]
    return run([*command, *map(str, paths)], without=r"^All checks passed.*$|^Found.*$")


def tool(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed: it comes with the extra `dev`")
    return str(path)


def run(command: list[str], without: str) -> str:
    environment = {**os.environ, "MYPYPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = re.sub(without, "", done.stdout, flags=re.MULTILINE).strip()
    assert bool(said) == bool(done.returncode), (done.stdout, done.stderr)
    return said
