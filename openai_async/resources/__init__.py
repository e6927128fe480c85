"""The API's resources, a file for each: they build requests and name the types of the responses."""

from typing import TYPE_CHECKING

from .._submodules import submodule

if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts any name

    def __getattr__(name: str) -> object:
        return submodule(__name__, name)
