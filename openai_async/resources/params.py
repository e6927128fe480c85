"""Parameters as they are sent: the JSON body, and the values in it that a resource needs."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError
from ..jsontext import dumps
from ..options import REQUEST_OPTIONS

if TYPE_CHECKING:
    from ..http.multipart import Multipart


def json_body(
    params: Mapping[str, Any],
    extra_body: Mapping[str, object] | None = None,
    stream: bool | None = None,
) -> bytes:
    """The parameters as JSON, without the options of the call; `extra_body` is merged in last."""
    return dumps(_sent(params, extra_body, stream))


def form_body(
    params: Mapping[str, Any], files: Collection[str], stream: bool | None = None
) -> Multipart:
    """The parameters as multipart/form-data; `files` names the files in them. See `json_body`."""
    from ..http.multipart import Multipart

    return Multipart(_sent(params, params.get("extra_body"), stream), files)


def _sent(
    params: Mapping[str, Any], extra_body: Mapping[str, object] | None, stream: bool | None
) -> Mapping[str, Any]:
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
    return body


def is_sent(params: Mapping[str, Any], name: str) -> bool:
    """Whether the caller has passed a parameter, if only as `None` or in `extra_body`."""
    return name in params or name in (params.get("extra_body") or ())


def sent_value(params: Mapping[str, Any], name: str) -> Any:
    """A parameter as it is sent: from `extra_body` if it is there; `None` if it is not passed."""
    extra_body = params.get("extra_body")
    return params.get(name) if extra_body is None else extra_body.get(name, params.get(name))


def sent_number(params: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number as it is sent; the default for anything else."""
    try:
        return operator.index(sent_value(params, name))
    except TypeError:
        return default
