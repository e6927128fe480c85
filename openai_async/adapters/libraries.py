"""httpx and httpx2: which one the official SDK uses, and which one a request belongs to."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ..errors import InvalidArgumentError

_LIBRARIES = ("httpx2", "httpx")


def library_of_openai() -> ModuleType:
    """The library that the official SDK's own clients are derived from."""
    if find_spec("openai") is not None:
        import openai

        for base in openai.DefaultAsyncHttpxClient.__mro__:
            if base.__name__ == "AsyncClient":
                return sys.modules[base.__module__.partition(".")[0]]
    return installed()[0]


def installed() -> list[ModuleType]:
    found = [import_module(name) for name in _LIBRARIES if find_spec(name) is not None]
    if not found:
        msg = "Neither httpx nor httpx2 is installed: pip install openai_async[openai]"
        raise InvalidArgumentError(msg)
    return found


def library_of(request: object) -> Any:
    """The library that defines the class of a request, or a base of it."""
    for kind in type(request).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in _LIBRARIES:
            return sys.modules[root]
    msg = f"request has type {type(request).__name__}: pass an httpx.Request."
    raise InvalidArgumentError(msg)
