"""Bytes to objects, objects to bytes. The one place where wire and objects meet.

JSON is read and written in `jsontext`, values become objects in `structuring`. An answer that is no
answer at all (no JSON, an error object, something else altogether) is told apart here.
"""

from __future__ import annotations

from typing import TypeVar

from .errors import (
    APIError,
    APIResponseValidationError,
    is_error,
    object_error,
    redacted,
)
from .jsontext import dumps as dumps
from .jsontext import loads as loads
from .structuring import misread, quoted, structurer
from .types.base import APIResponse, ResponseMeta

R = TypeVar("R", bound=APIResponse)


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
        msg = f"The answer is not JSON: {quoted(text)}. Check the base_url."
        raise _invalid(msg, text, meta) from error
    if is_error(value):
        raise object_error(redacted(value, secret), meta.headers)
    if not isinstance(value, dict) or (cls._requires and cls._requires not in value):
        value = redacted(value, secret)
        msg = f"The answer is no {cls.__name__}: {quoted(repr(value))}."
        raise _invalid(msg, value, meta)
    try:
        response = structurer(cls)(value)
    except APIResponseValidationError:
        pass  # may quote the API key, and so must not be the context of what is raised
    else:
        _set_meta(response, meta)
        return response
    raise _invalid(misread(cls, value, secret).message, redacted(value, secret), meta)


# The slot's own setter: the attribute would go through the hook that notes changes, for 0.3 us.
_set_meta = APIResponse.__dict__["meta"].__set__


def _invalid(message: str, body: object, meta: ResponseMeta) -> APIError:
    return APIResponseValidationError(
        message,
        status_code=meta.status,
        request_id=meta.request_id,
        headers=meta.headers,
        body=body,
        attempts=meta.attempts,
    )
