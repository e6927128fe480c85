"""Bytes to objects, objects to bytes: the one place where the wire and objects meet.

`jsontext` reads and writes JSON, `structuring` turns values into objects. This module recognizes
responses that are not answers: not JSON, an error object, or something else altogether.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from .._submodules import LazyModule
from ..errors import APIError, APIResponseValidationError, invalid_answer
from ..jsontext import dumps as dumps
from ..jsontext import loads as loads
from ..types.base import APIObject, APIResponse, ResponseMeta
from ..types.structuring import structurer
from ..types.values import MalformedError, malformed, quoted, shown
from .failures import (
    is_error,
    message_in,
    object_error,
    reports_failure,
)
from .redaction import redacted

if TYPE_CHECKING:
    from . import assembly, sse
else:  # for streams, requested or not
    assembly = LazyModule(f"{__package__}.assembly")
    sse = LazyModule(f"{__package__}.sse")

R = TypeVar("R", bound=APIResponse)


def body_or_text(data: bytes) -> object:
    """The body of a failed response: parsed if it is JSON, even inside an event, else its text."""
    with suppress(ValueError):
        return loads(data)
    if sse.is_event_stream(data):
        for event in sse.events_in(data):
            with suppress(ValueError):
                return loads(event.data)
    return data.decode("utf-8", "replace")


def parse(cls: type[R], data: bytes, meta: ResponseMeta, secret: str | None = None) -> R:
    """The body of a 2xx response as a `cls`, with its `meta`; errors never show the `secret`.

    Raises:
        APIResponseValidationError: the body is not JSON, or not an object of this type.
        APIError: the body is an error object, which some gateways send with status 200.
    """
    try:
        value = _whole_answer(data)
    except ValueError as error:
        text = redacted(data.decode("utf-8", "replace"), secret)
        msg = f"The answer is not JSON: {quoted(text)}. Check the base_url."
        raise invalid_answer(msg, meta, text) from error
    is_object = type(value) is dict
    if is_object and (is_error(value) or _fails(cls, value)):
        raise object_error(redacted(value, secret), meta.headers)
    if not is_object or not cls._matches(value):
        value = redacted(value, secret)
        msg = f"The answer is not a valid {cls.__name__}: {quoted(shown(value))}."
        raise invalid_answer(msg, meta, value)
    try:
        response = structurer(cls)(value)
    except MalformedError:
        pass  # may quote the API key, so it must not be the context of the error below
    else:
        if (lost := response._unreadable()) is None:
            _set_meta(response, meta)
            return response
        raise invalid_answer(unreadable(lost, secret).message, meta, redacted(value, secret))
    raise invalid_answer(misread(cls, value, secret).message, meta, redacted(value, secret))


def misread(cls: type[APIObject], value: object, secret: str | None) -> APIResponseValidationError:
    """The error for a value that `structurer(cls)` has refused, without the API key."""
    try:
        structurer(cls)(redacted(value, secret))
    except MalformedError as error:
        return APIResponseValidationError(str(error), body=error.value)
    # The API key also occurs as a word in the JSON, and removing it has changed the shape.
    return APIResponseValidationError(f"The answer is not a valid {cls.__name__}.")


def unreadable(calls: object, secret: str | None) -> APIResponseValidationError:
    """The error for an answer that has nothing but tool calls of the wrong shape."""
    calls = redacted(calls, secret)
    return APIResponseValidationError(str(malformed(calls, "a list of tool calls")), body=calls)


def not_a_stream(value: object, content_type: str, meta: ResponseMeta) -> APIError:
    """The error for an answer that is neither an event stream nor an error object."""
    message = message_in(value) if isinstance(value, str) else ""
    quote = f": {quoted(message)}" if message else ""
    msg = (
        f"The server answered stream=True with {content_type or 'something else'}, "
        f"and the body is not an event stream{quote}. Leave out stream, or check the base_url."
    )
    return APIResponseValidationError(msg, status_code=meta.status, body=value)


def _whole_answer(data: bytes) -> Any:
    """The JSON of an answer; ValueError if it has none. The content type does not matter.

    Some gateways append `data: [DONE]`, or send a stream although none was requested.
    """
    try:
        return loads(data)
    except ValueError:
        body = data.lstrip()
        head, glued, rest = body.rpartition(b"data:")
        if glued and body.startswith(b"{") and sse.is_done(rest.strip()):
            return loads(head)
        if sse.is_event_stream(body):
            return _assembled(sse.events_in(body))
        raise


def split_event(event: sse.ServerSentEvent) -> list[sse.ServerSentEvent]:
    """The events in an event that is not JSON; empty if it is just malformed.

    There are several where a server separates events by one line feed instead of two. Where a
    gateway has written an error behind an event that was cut off, only the error is left.
    """
    lines = event.data.split(b"\n")
    last = lines[-1]
    if len(lines) == 1 or not is_whole(last):
        return []
    if all(map(is_whole, lines)):
        return [event._replace(data=line) for line in lines]
    value = None if sse.is_done(last) else loads(last)
    is_failure = event.event == "error" or is_error(value) or reports_failure(value)
    return [event._replace(data=last)] if value is not None and is_failure else []


def is_whole(line: bytes) -> bool:
    """Whether a line of an event's data is a complete event by itself."""
    if sse.is_done(line):
        return True
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False


def _assembled(events: list[sse.ServerSentEvent]) -> Any:
    """The JSON of an answer that arrived as a stream; ValueError if it is incomplete."""
    events = [part for event in events for part in split_event(event) or [event]]
    for event in events:
        if event.event == "error":
            return {"error": body_or_text(event.data)}
    values = [loads(event.data) for event in events if event.data and not sse.is_done(event.data)]
    if len(values) == 1 and not _has_delta(values[0]):
        return values[0]
    # How many choices were requested is not known here.
    whole, suspect = assembly.Assembly(single=False), None
    for value in values:
        if is_error(value) or not isinstance(value, dict):
            return value
        if not value.get("choices") and reports_failure(value):
            suspect = value
        elif not _added(whole, value):
            msg = "a stream with an event of the wrong shape"
            raise ValueError(msg)
        if whole.failed:
            return {"error": value}
    if suspect is not None and not whole.finished:
        return {"error": suspect}
    if whole.empty or not (whole.finished or any(sse.is_done(event.data) for event in events)):
        msg = "a stream that was cut off, or empty"
        raise ValueError(msg)
    return whole.completion()


def _added(whole: assembly.Assembly, chunk: dict[str, Any]) -> bool:
    """Add a chunk; False if it has the wrong shape."""
    try:
        whole.add(chunk)
    except MalformedError:  # may quote the API key, so it must not be the context of another error
        return False
    return True


def _has_delta(value: Any) -> bool:
    """Whether a value is a chunk of a stream, so that more may follow."""
    choices = value.get("choices") if isinstance(value, dict) else None
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and choice.get("delta") for choice in choices
    )


def _fails(cls: type[APIResponse], value: dict[str, Any]) -> bool:
    """Whether an object is a failure disguised as an answer."""
    if cls._reports_failure(value):
        return True
    return bool(cls._requires) and not value.get(cls._requires) and reports_failure(value)


# The slot's own setter: setting the attribute would run the `on_setattr` hook, for 0.3 us.
_set_meta = APIResponse.__dict__["meta"].__set__
