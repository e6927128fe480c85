"""JSON and the cattrs converter: the one place where wire and objects meet.

Structuring is lenient about values and strict about shape. Servers leave fields out, send `null`,
`12.0` for `12` and enum values of next year: all of that becomes an attribute. A list where an
object belongs, or an answer that is no answer at all, is an `APIResponseValidationError`.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
import orjson

from .errors import (
    APIError,
    APIResponseValidationError,
    InvalidArgumentError,
    is_error,
    object_error,
    redacted,
)
from .types.base import APIObject, APIResponse, ResponseMeta
from .types.chat import (
    ChatCompletionMessageCustomToolCall,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageToolCall,
)

T = TypeVar("T", bound=APIObject)
R = TypeVar("R", bound=APIResponse)
Convert = Callable[[Any], Any]

_MAX_QUOTE = 80


def loads(data: bytes) -> Any:
    """Parse JSON; anything that is not JSON raises ValueError.

    orjson first. What it refuses gets a second reading by the standard library, because servers
    written in Python send `NaN` and `Infinity` in logprobs and lone surrogates in split emoji.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        try:
            return json.loads(data)
        except RecursionError as error:
            msg = "nested too deep"
            raise ValueError(msg) from error


def dumps(value: object) -> bytes:
    """Write a request body; what JSON cannot hold raises `InvalidArgumentError`."""
    try:
        return orjson.dumps(value, default=_default)
    except TypeError as error:
        try:
            # `logit_bias={50256: -100}`: keys that are numbers are fine, but looked for only
            # when they occur, since the option makes every call slower.
            return orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            if "surrogates" in str(error):  # of an answer that is sent back
                return _dumps_escaped(value)
            msg = f"The request cannot be written as JSON: {error}."
            raise InvalidArgumentError(msg) from error


def _dumps_escaped(value: object) -> bytes:
    try:
        return json.dumps(value, default=_default, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        msg = f"The request cannot be written as JSON: {error}."
        raise InvalidArgumentError(msg) from error


def _default(value: object) -> object:
    """Response objects may stand in a request: `messages.append(choice.message)`."""
    if isinstance(value, APIObject):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"a {type(value).__name__} is no JSON value"
    raise TypeError(msg)


def body_or_text(data: bytes) -> object:
    """The body of a failed response: parsed if it is JSON, else its text."""
    try:
        return loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def parse(cls: type[R], data: bytes, meta: ResponseMeta, secret: str | None = None) -> R:
    """The body of a 2xx answer as `cls`, with its `meta`; no error will show the `secret`.

    Raises:
        APIResponseValidationError: it is no JSON, or not an object of this kind.
        APIError: it is an error object, which some gateways send with status 200.
    """
    try:
        value = loads(data)
    except ValueError as error:
        text = redacted(data.decode("utf-8", "replace"), secret)
        msg = f"The answer is not JSON: {_quote(text)}. Check the base_url."
        raise _invalid(msg, text, meta) from error
    if is_error(value):
        raise object_error(redacted(value, secret), meta.headers)
    if not isinstance(value, dict) or cls._requires not in ("", *value):
        value = redacted(value, secret)
        msg = f"The answer is no {cls.__name__}: {_quote(repr(value))}."
        raise _invalid(msg, value, meta)
    try:
        response = structure(value, cls, secret)
    except APIResponseValidationError as error:
        raise _invalid(error.message, redacted(value, secret), meta) from None
    response.meta = meta
    return response


def structure(value: object, cls: type[T], secret: str | None = None) -> T:
    """A parsed JSON object as `cls`; a wrong shape raises `APIResponseValidationError`."""
    try:
        return converter.structure(value, cls)
    except APIResponseValidationError:
        if secret is None:
            raise
    return converter.structure(redacted(value, secret), cls)  # raises again, without the secret


def _invalid(message: str, body: object, meta: ResponseMeta) -> APIError:
    return APIResponseValidationError(
        message,
        status_code=meta.status,
        request_id=meta.request_id,
        headers=meta.headers,
        body=body,
        attempts=meta.attempts,
    )


def _quote(text: str) -> str:
    line = " ".join(text[: 4 * _MAX_QUOTE].split())
    return repr(line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…")


# --- structuring -----------------------------------------------------------------------------


def _is_object(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, APIObject)


def _object_hook(cls: type[APIObject]) -> Callable[[Any, Any], APIObject]:
    """A function from a parsed JSON object to `cls`, with the JSON kept beside the attributes.

    One loop over the known fields. A field that is missing or `null` keeps its default, which is
    what makes every attribute's type true whatever the server left out.
    """
    attrs.resolve_types(cls)
    # Name, the type that needs no converting, and the converter for all others.
    plan = []
    for a in attrs.fields(cls):
        if a.init:
            convert = _convert_to(a.type)
            plan.append((a.name, _PLAIN.get(convert), convert))

    def structure_object(value: Any, _: Any) -> APIObject:
        if type(value) is not dict:
            raise _misplaced(value, f"a {cls.__name__}")
        known = {}
        for name, plain, convert in plan:
            item = value.get(name)
            if item is not None:
                known[name] = item if type(item) is plain or convert is None else convert(item)
        instance = cls(**known)
        _set_raw(instance, value)
        return instance

    return structure_object


def _convert_to(kind: Any) -> Convert | None:
    """How a field's value becomes what its type says; `None` when there is nothing to do."""
    if _is_object(kind):
        return lambda value: converter.structure(value, kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == ChatCompletionMessageToolCall:
        return _tool_call
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_to(next(arg for arg in get_args(kind) if arg is not types.NoneType))
    if origin is Literal:
        return _text
    if origin is list:
        (item,) = get_args(kind)
        return _list_of(item, _convert_to(item))
    return _mapping if origin is dict else None


def _text(value: Any) -> str:
    """Text as it is. Ids that are numbers, arguments that are an object already, and content in
    parts (Mistral's reasoning models) become the text they stand for.
    """
    if type(value) is str:
        return value
    if type(value) is list:
        parts = [part if isinstance(part, str) else _text_part(part) for part in value]
        if any(part is not None for part in parts):
            return "".join(part or "" for part in parts)
    return json.dumps(value)


def _text_part(part: Any) -> str | None:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else None


def _whole(value: Any) -> int:
    """`12` for `12.0` and "12": llama.cpp and some gateways send counts as floats."""
    if type(value) is int:
        return value
    with suppress(ValueError, OverflowError):  # a word; NaN or Infinity for a count
        if isinstance(value, str | int | float):
            return int(value)
    raise _misplaced(value, "a number")


def _real(value: Any) -> float:
    with suppress(ValueError, OverflowError):
        if isinstance(value, str | int | float):
            return float(value)
    raise _misplaced(value, "a number")


def _truth(value: Any) -> bool:
    if type(value) is bool or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise _misplaced(value, "true or false")


def _mapping(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    raise _misplaced(value, "an object")


def _misplaced(value: Any, wanted: str) -> APIResponseValidationError:
    msg = f"The answer has {_quote(repr(value))} where {wanted} belongs."
    return APIResponseValidationError(msg, body=value)


_SCALARS: dict[Any, Convert] = {str: _text, int: _whole, float: _real, bool: _truth}
_PLAIN: dict[Convert | None, type] = {convert: kind for kind, convert in _SCALARS.items()}
# Past the hook that notes changes of attributes, which this is none of.
_set_raw = APIObject.__dict__["_raw"].__set__


def _tool_call(value: Any) -> APIObject:
    custom = isinstance(value, dict) and (value.get("type") == "custom" or "custom" in value)
    return converter.structure(
        value,
        ChatCompletionMessageCustomToolCall if custom else ChatCompletionMessageFunctionToolCall,
    )


def _list_of(item: Any, convert: Convert | None) -> Convert:
    def convert_list(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _misplaced(value, f"a list of {getattr(item, '__name__', 'objects')}")
        if convert is None:
            return value
        # A null among the objects says nothing: it stays in to_dict(), and out of the typed list.
        return [convert(entry) for entry in value if entry is not None]

    return convert_list


converter = cattrs.Converter(detailed_validation=False)
converter.register_structure_hook_factory(_is_object, _object_hook)
