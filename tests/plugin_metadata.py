"""Metadata by which pytest finds the plugin, as if this version of the package were installed."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python_path(directory: Path) -> str:
    """The PYTHONPATH of a run of pytest that loads the plugin; the metadata go in `directory`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugins = project["entry-points"]["pytest11"]
    metadata = directory / f"{project['name']}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n", encoding="utf-8"
    )
    # Whose assertions pytest rewrites.
    (metadata / "RECORD").write_text("openai_async/__init__.py,,\n", encoding="utf-8")
    lines = ["[pytest11]", *(f"{name} = {module}" for name, module in plugins.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return os.pathsep.join([str(directory), str(ROOT)])
