"""Submodules as attributes of their package, imported on first use: `openai_async.errors`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def submodule(package: str, name: str) -> ModuleType:
    """`package.name`; `AttributeError` if there is no such module."""
    if name.startswith("_") or find_spec(f"{package}.{name}") is None:
        msg = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return import_module(f"{package}.{name}")
