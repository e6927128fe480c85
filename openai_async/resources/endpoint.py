"""An operation of the API as a declaration: its path, its parameters and its result.

    LIST = Endpoint("list", "GET", "/models", RequestOptions, ModelList)

Resources send requests with it, `LocalServer` routes by it, and it has its method's keywords.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from attrs import field, frozen

from ..errors import InvalidArgumentError
from ..sentinels import COMMON, left_out
from ..types.base import APIResponse

R = TypeVar("R", bound=APIResponse)


@frozen(eq=False)
class Endpoint(Generic[R]):
    """One operation of the API.

    Attributes:
        name: the Python method that calls it.
        method: the HTTP method.
        path: relative to the base URL; `{model}` in it is an id, passed by that name.
        params: a TypedDict: the parameters of the method, except the ids in the path.
        result: the class of the result.
        known: the keywords of the method.
        required: those that must be passed.
    """

    name: str
    method: str
    path: str
    params: Any
    result: type[R]
    known: frozenset[str] = field(init=False, repr=False)
    required: frozenset[str] = field(init=False, repr=False)

    @known.default  # pyright: ignore[reportAttributeAccessIssue]
    def _known(self) -> frozenset[str]:
        return frozenset(self.params.__annotations__)

    @required.default  # pyright: ignore[reportAttributeAccessIssue]
    def _required(self) -> frozenset[str]:
        return frozenset(self.params.__required_keys__)

    def check(self, params: Mapping[str, Any]) -> None:
        """`TypeError` for an unknown or missing keyword. See `check_known`."""
        reads = self.method == "GET"
        check_known(self.name, params, self.known, self.required, reads=reads)

    def path_for(self, ids: Mapping[str, object]) -> str:
        """The path with these ids filled in."""
        return self.path.format_map({name: path_segment(name, ids[name]) for name in ids})


def check_known(
    function: str,
    params: Mapping[str, Any],
    known: frozenset[str],
    required: frozenset[str] = frozenset(),
    *,
    reads: bool = False,
) -> None:
    """Raise a TypeError that names an unknown or missing keyword, as any Python function does.

    The parameters are passed as `**params`, typed by a TypedDict, which Python does not check.
    Those that are `NOT_GIVEN` or `omit` are not passed: they are removed from `params`.
    """
    for value in params.values():
        if type(value) not in COMMON:  # so that nearly all requests pay for this loop alone
            for key in left_out(params):
                del params[key]  # type: ignore[attr-defined] # `**params` is a dict
            break
    if known.issuperset(params) and all(map(params.__contains__, required)):
        return
    name = next((key for key in params if key not in known), None)
    if name is None:
        missing = min(required - params.keys())
        msg = f"{function}() missing 1 required keyword-only argument: {missing!r}"
        raise TypeError(msg)
    from difflib import get_close_matches  # takes 1 ms, for mistakes only

    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if "extra_body" in known:
        place = "extra_query" if reads else "extra_body"
        hint += f"Pass parameters that are not in the API in {place}."
    msg = f"{function}() got an unexpected keyword argument {name!r}: {hint}".rstrip(": ")
    raise TypeError(msg)


def path_segment(name: str, value: object) -> str:
    """An id as one segment of a path, quoted so that it cannot lead to another path."""
    if not isinstance(value, str) or not value.strip():
        msg = f"{name} is {value!r}: pass the id as a string."
        raise InvalidArgumentError(msg)
    if value in (".", ".."):
        msg = f"{name} is {value!r}, which is not an id: pass the id as a string."
        raise InvalidArgumentError(msg)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        msg = f"{name} is {value!r}, which is not valid Unicode: pass the id as a string."
        raise InvalidArgumentError(msg) from error
