"""An operation of the API as a declaration: where it is, what it takes, what it answers.

    LIST = Endpoint("list", "GET", "/models", RequestOptions, ModelList)

Resources send by it, `LocalServer` routes by it, and it knows the keywords of its method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from attrs import field, frozen

from ..errors import InvalidArgumentError
from ..types.base import APIResponse

R = TypeVar("R", bound=APIResponse)


@frozen
class Endpoint(Generic[R]):
    """One operation of the API.

    Attributes:
        name: the method of ours that calls it.
        method: of HTTP.
        path: below the base URL; `{model}` in it is an id, given by that name.
        params: a TypedDict: what the method takes besides the ids of the path.
        result: the class of the answer.
        known: the keywords of the method.
        required: those of them that must be there.
    """

    name: str
    method: str
    path: str
    params: Any
    result: type[R]
    known: frozenset[str] = field(init=False, repr=False)
    required: frozenset[str] = field(init=False, repr=False)

    @known.default
    def _known(self) -> frozenset[str]:
        return frozenset(self.params.__annotations__)

    @required.default
    def _required(self) -> frozenset[str]:
        return frozenset(self.params.__required_keys__)

    def check(self, params: Mapping[str, Any]) -> None:
        """`TypeError` for an unknown or missing keyword."""
        check_known(self.name, params, self.known, self.required)

    def path_for(self, ids: Mapping[str, object]) -> str:
        """The path with these ids in it."""
        if not ids:
            return self.path
        return self.path.format_map({name: path_segment(name, ids[name]) for name in ids})


def check_known(
    function: str,
    params: Mapping[str, Any],
    known: frozenset[str],
    required: frozenset[str] = frozenset(),
) -> None:
    """An unknown or missing keyword is a TypeError that names it, as for any Python function.

    The parameters come as `**params`, typed by a TypedDict, which Python itself does not check.
    """
    if required <= params.keys() <= known:
        return
    name = next((key for key in params if key not in known), None)
    if name is None:
        missing = min(required - params.keys())
        msg = f"{function}() missing 1 required keyword-only argument: {missing!r}"
        raise TypeError(msg)
    from difflib import get_close_matches  # 1 ms, for mistakes only

    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if "extra_body" in known:
        hint += "What the API does not know goes into extra_body."
    msg = f"{function}() got an unexpected keyword argument {name!r}: {hint}".rstrip(": ")
    raise TypeError(msg)


def path_segment(name: str, value: object) -> str:
    """An id as one segment of a path: nothing in it can lead to another path."""
    if not isinstance(value, str) or not value.strip():
        msg = f"{name} is {value!r}: pass the id as a string."
        raise InvalidArgumentError(msg)
    if value in (".", ".."):
        msg = f"{name} is {value!r}, which is no id."
        raise InvalidArgumentError(msg)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        msg = f"{name} is {value!r}, which is no text."
        raise InvalidArgumentError(msg) from error
