"""What goes over the wire, one file per API: answers are attrs classes, parameters TypedDicts."""

from typing import TYPE_CHECKING

from .._submodules import submodule

if not TYPE_CHECKING:  # a type checker would take any name for one that `__getattr__` knows

    def __getattr__(name: str) -> object:
        return submodule(__name__, name)
