"""How a resource declares `with_raw_response` and `with_streaming_response`.

Its methods are listed once, for both:

    class ModelResponses(Responses[Kind]):
        list = method(Models.list)

The list is for type checkers and completion; at run time, methods are looked up by their names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .._submodules import LazyModule
from .base_client import Resource

if TYPE_CHECKING:
    from . import raw_responses, streaming_responses
else:  # few programs need it
    raw_responses = LazyModule("openai_async.resources.raw_responses")
    streaming_responses = LazyModule("openai_async.resources.streaming_responses")

P = ParamSpec("P")
R = TypeVar("R")
RawMethod = TypeVar("RawMethod")
StreamingMethod = TypeVar("StreamingMethod")


class Raw:
    """The kind of `with_raw_response`."""


class Streaming:
    """The kind of `with_streaming_response`."""


Kind = TypeVar("Kind", Raw, Streaming)


class Responses(Generic[Kind]):
    """The methods of a resource, in the form that returns responses."""

    __slots__ = ("_kind", "_resource")

    def __init__(self, resource: Resource, kind: type[Kind]) -> None:
        self._resource = resource
        self._kind: type[Kind] = kind


class Method(Generic[RawMethod, StreamingMethod]):
    """A method that is looked up on the resource by its name."""

    __slots__ = ("_name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: Responses[Raw], owner: type) -> RawMethod: ...

    @overload
    def __get__(self, instance: Responses[Streaming], owner: type) -> StreamingMethod: ...

    def __get__(self, instance: Responses[Any] | None, owner: type) -> Any:
        if instance is None:  # for `help()`
            return self
        if instance._kind is Raw:
            return raw_responses.raw(instance._resource, self._name)
        return streaming_responses.streaming(instance._resource, self._name)


def method(
    function: Callable[Concatenate[Any, P], Awaitable[R]],
) -> Method[
    Callable[P, Coroutine[Any, Any, raw_responses.RawResponse[R]]],
    Callable[P, streaming_responses.StreamingCall[R]],
]:
    """A method with the parameters and the answer of this one."""
    return Method()
