"""The API's resources, one file each: thin, they build a request and name what comes back."""

from typing import TYPE_CHECKING

from .._submodules import submodule

if not TYPE_CHECKING:  # a type checker would take any name for one that `__getattr__` knows

    def __getattr__(name: str) -> object:
        return submodule(__name__, name)
