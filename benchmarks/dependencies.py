"""The dependencies that pyproject.toml of this checkout names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def packages() -> tuple[str, ...]:
    """The names of the packages that openai_async is built on."""
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    return tuple(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0] for line in project["dependencies"])
