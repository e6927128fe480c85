"""Requests and responses, one file per API: parameters are TypedDicts, responses attrs classes."""

from typing import TYPE_CHECKING

from .._submodules import submodule

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts any name

    def __getattr__(name: str) -> object:
        return submodule(__name__, name)
