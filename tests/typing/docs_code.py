"""The code of README.md and docs/ as modules, for type checkers.

    python -m tests.typing.docs_code DIRECTORY

Each page becomes one file with the code on the same lines. As in tests/test_docs.py, the blocks of
a page share their names and may `await`, so they are the body of an async function; a block that
starts a loop of its own is a program, in a function of its own.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..test_docs import PROGRAM, RUN_HERE, blocks


def module_of(page: Path) -> str:
    """The code of a page; "" if it has none."""
    lines = ["async def page() -> None:"]
    lines += [""] * page.read_text(encoding="utf-8").count("\n")
    for line, code in blocks(page, "python"):
        indent = "    "
        if PROGRAM.search(code):
            lines[line - 1] = f"    def program_{line}() -> None:"
            indent *= 2
        for number, text in enumerate(code.splitlines(), line):
            lines[number] = indent + text if text else ""
    return "\n".join(lines).rstrip() + "\n" if any(lines[1:]) else ""


def write_modules(directory: Path) -> list[Path]:
    """One file for each page that has code, and needs nothing that may be missing."""
    directory.mkdir(parents=True, exist_ok=True)
    modules = {page: module_of(page) for page in RUN_HERE}
    paths = {
        page: directory / f"page_{re.sub('[^a-z]', '_', page.stem.lower())}.py" for page in RUN_HERE
    }
    for page, code in modules.items():
        if code:
            paths[page].write_text(code, encoding="utf-8")
    return [paths[page] for page, code in modules.items() if code]


if __name__ == "__main__":
    write_modules(Path(sys.argv[1]))
