"""What the resources share: checking parameters, and making a request body of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..errors import InvalidArgumentError
from ..options import REQUEST_OPTIONS
from ..wire.codec import dumps

if TYPE_CHECKING:
    from ..client import AsyncClient


class Resource:
    """A part of the API, reached through its client."""

    __slots__ = ("_client",)

    def __init__(self, client: AsyncClient) -> None:
        self._client = client


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


def json_body(
    params: Mapping[str, Any],
    extra_body: Mapping[str, object] | None = None,
    stream: bool | None = None,
) -> bytes:
    """The parameters as JSON, without the options of the call, `extra_body` merged in last."""
    body = params
    if stream is not None or extra_body is not None or not REQUEST_OPTIONS.isdisjoint(params):
        body = {key: value for key, value in params.items() if key not in REQUEST_OPTIONS}
        if stream is not None:
            body["stream"] = stream
        if extra_body is not None:
            if not isinstance(extra_body, Mapping):
                msg = f"extra_body has type {type(extra_body).__name__}: pass a dict."
                raise InvalidArgumentError(msg)
            body.update(extra_body)
    return dumps(body)


def sent_value(params: Mapping[str, Any], name: str) -> Any:
    """A parameter as it is sent: from `extra_body` if it is there; `None` if there is none."""
    extra_body = params.get("extra_body")
    return params.get(name) if extra_body is None else extra_body.get(name, params.get(name))


def sent_number(params: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number as it is sent; the default for anything else."""
    try:
        return operator.index(sent_value(params, name))
    except TypeError:
        return default


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


def check_path(path: object) -> str:
    """A path below the base URL, without its first slash."""
    if (
        not isinstance(path, str)
        or not path.strip("/")
        or re.match(r"[a-zA-Z][\w+.\-]*:|//", path)
        or re.search(r"[\x00-\x1f\x7f#]", path)
        or {".", ".."} & set(map(unquote, path.partition("?")[0].split("/")))
    ):
        msg = f'path is {path!r}: pass what comes after the base_url, like "/embeddings".'
        raise InvalidArgumentError(msg)
    return path.lstrip("/")
