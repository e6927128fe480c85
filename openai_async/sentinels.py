"""`NOT_GIVEN` and `omit`: arguments that stand for "not passed", as in the official SDK.

Both leave a parameter out, and the official ones work too: a program may have `openai` installed
and import them from there. In headers and queries they differ, see `Omit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal


class NotGiven:
    """A parameter that is not passed: it keeps its default, and is not sent."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


class Omit:
    """The same; in headers and queries, it also removes what is sent by default."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "omit"


# `Any`, so that type checkers accept them for every parameter.
not_given: Any = NotGiven()
NOT_GIVEN: Any = not_given
omit: Any = Omit()

_NAMES = frozenset(("NotGiven", "Omit"))
# The official package sets `__module__` of what it exports to its own name.
_MODULES = frozenset((__name__, "openai", "openai._types"))


def is_left_out(value: object) -> bool:
    """Whether it is a `NotGiven` or an `Omit`, which stand for a value that is not passed."""
    kind = type(value)
    return kind.__name__ in _NAMES and kind.__module__ in _MODULES


def is_omit(value: object) -> bool:
    """Whether it is an `Omit`, which also removes a default."""
    return is_left_out(value) and type(value).__name__ == "Omit"


# The types of nearly all parameters.
COMMON = frozenset((str, int, float, bool, list, dict, type(None)))


def left_out(params: Mapping[str, Any]) -> list[str]:
    """The names of the parameters that are not passed."""
    return [name for name, value in params.items() if is_left_out(value)]
