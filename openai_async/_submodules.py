"""Modules that are imported on first use, and what stands in for them until then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def submodule(package: str, name: str) -> ModuleType:
    """`package.name`; `AttributeError` if there is no such module."""
    if name.startswith("_") or find_spec(f"{package}.{name}") is None:
        msg = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return import_module(f"{package}.{name}")


class LazyModule:
    """A module that is imported when one of its names is needed, in code or in annotations like
    `chat_logprobs.ChoiceLogprobs`: evaluating them, as `typing.get_type_hints` does, imports it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_name":  # as `copy` and `pickle` ask for
            raise AttributeError(name)
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


def names_of(
    modules: Iterable[LazyModule], into: dict[str, Any]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module whose `__all__` names are in other modules."""

    def find(name: str) -> Any:
        for module in () if name.startswith("_") else modules:
            if hasattr(module, name):
                into[name] = getattr(module, name)
                return into[name]
        msg = f"module {into['__name__']!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def names() -> list[str]:
        return sorted({*into, *into["__all__"]})

    return find, names
