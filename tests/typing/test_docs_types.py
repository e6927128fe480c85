"""The code of README.md and docs/ passes strict type checkers."""

from __future__ import annotations

from pathlib import Path

from . import checkers
from .docs_code import write_modules


def test_mypy_accepts_the_code_of_the_docs(tmp_path: Path) -> None:
    pages = write_modules(tmp_path)
    assert len(pages) > 10
    assert checkers.mypy(*pages) == ""


def test_basedpyright_accepts_the_code_of_the_docs(tmp_path: Path) -> None:
    assert checkers.basedpyright(*write_modules(tmp_path)) == ""


def test_ty_accepts_the_code_of_the_docs(tmp_path: Path) -> None:
    assert checkers.ty(*write_modules(tmp_path)) == ""
