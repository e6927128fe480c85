"""The code of README.md and docs/ passes strict type checkers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..test_docs import ROOT
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


def test_mypy_accepts_the_examples() -> None:
    for framework in ("fastapi", "quart", "uvicorn"):
        pytest.importorskip(framework)
    examples = [*(ROOT / "docs" / "examples").glob("*.py")]
    # Django has no types, and those of redis do not depend on `decode_responses`.
    checked = [path for path in examples if path.stem not in ("django_app", "redis_store")]
    assert len(checked) > 5
    assert checkers.mypy(*checked) == ""
