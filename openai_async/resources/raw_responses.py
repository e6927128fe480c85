"""What the methods of `with_raw_response` return.

The method itself runs on a copy of the client that also keeps the response. There are no checks and
no parsing here.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from attrs import evolve
from typing_extensions import TypeForm
from yarl import URL

from .._submodules import LazyModule
from ..errors import OpenAIError
from ..http.request import Request, Response
from ..middleware import Send
from ..streaming.binary import BinaryContent
from .base_client import Resource

if TYPE_CHECKING:
    from . import response_values
else:  # for `parse(to=...)` alone
    response_values = LazyModule("openai_async.resources.response_values")

R = TypeVar("R")
T = TypeVar("T")
OnOpen: TypeAlias = Callable[[Response], Awaitable[None]]


def raw(resource: Resource, name: str) -> Callable[..., Coroutine[Any, Any, RawResponse[Any]]]:
    """The method of this name, in the form that returns a `RawResponse`."""

    @wraps(getattr(resource, name), updated=())
    async def call(*args: Any, **params: Any) -> RawResponse[Any]:
        send = resource._client._send
        recorder = _Recorder(send)
        client = copy.copy(resource._client)
        client._send = recorder.send
        result = error = None
        try:
            result = await getattr(type(resource)(client), name)(*args, **params)
        except OpenAIError as failure:
            if not recorder.is_about_answer(failure):
                raise
            error = failure.with_traceback(None)
        finally:
            client._send = send  # a page requests the next one through this client
        request, response = recorder.latest
        if isinstance(result, BinaryContent):
            response = evolve(response, body=await result.read(), stream=None)
            result = await BinaryContent(_replaying(response))
        return RawResponse(request, response, result, error)

    return call


class Answered:
    """What is known of a response once its headers have arrived."""

    def __init__(self, request: Request, response: Response) -> None:
        self.http_request = request
        self._response = response

    @property
    def status_code(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The response's headers (case-insensitive)."""
        return self._response.headers

    @property
    def request_id(self) -> str | None:
        return self._response.meta.request_id

    @property
    def retries_taken(self) -> int:
        """How many times the request was sent again."""
        return self._response.attempts - 1

    @property
    def elapsed(self) -> timedelta:
        """The time from the call to the end of the response, or to the beginning of a stream."""
        return timedelta(seconds=self._response.elapsed)

    @property
    def url(self) -> URL:
        """Where the request was sent."""
        return self.http_request.url

    @property
    def method(self) -> str:
        return self.http_request.method

    @property
    def http_version(self) -> str:
        """The version that requests are sent in."""
        return "HTTP/1.1"

    def _value(self, body: bytes, kind: Any) -> Any:
        return response_values.value_of(evolve(self._response, body=body, stream=None), kind)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"


class RawResponse(Answered, Generic[R]):
    """A response, and what it is parsed to.

    If a call sends several requests, this is the last response to arrive.
    """

    def __init__(
        self, request: Request, response: Response, result: R | None, error: OpenAIError | None
    ) -> None:
        super().__init__(request, response)
        self._result = result
        self._error = error

    @overload
    def parse(self) -> R: ...

    @overload
    def parse(self, *, to: type[T]) -> T: ...

    @overload
    def parse(self, *, to: TypeForm[T]) -> T: ...

    def parse(self, *, to: Any = None) -> Any:
        """What the method returns without `with_raw_response`; with `stream=True`, the stream.

        Args:
            to: read the body as this type instead: a class, `dict`, `list[Item]`, `str`, ...

        Raises:
            APIError: the answer is malformed, or an error object.
        """
        if to is not None:
            return self._value(self.content, to)
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._result

    @property
    def content(self) -> bytes:
        """The body."""
        if not self.is_closed:
            msg = "This answer is a stream: read it with .parse(), or use with_streaming_response."
            raise OpenAIError(msg)
        return self._response.body

    @property
    def text(self) -> str:
        """The body as UTF-8 text; invalid bytes become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, parsed as JSON.

        Raises:
            APIResponseValidationError: it is not JSON.
        """
        return evolve(self._response, body=self.content).json()

    @property
    def is_closed(self) -> bool:
        """Whether the whole body has been read; `False` with `stream=True`."""
        return self._response.stream is None


class _Recorder:
    """Sends requests, and keeps the latest that was answered, with its response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._answered: tuple[Request, Response] | None = None
        # Weak: the error's traceback refers to the frame of `send`, and so to this object.
        self._failure: Callable[[], OpenAIError | None] = lambda: None

    async def send(self, request: Request) -> Response:
        try:
            response = await self._send(request)
        except OpenAIError as error:
            self._failure = weakref.ref(error)
            raise
        self._answered = request, response
        return response

    def is_about_answer(self, error: OpenAIError) -> bool:
        """Whether there is an answer, and its content caused the error."""
        return self._answered is not None and error is not self._failure()

    @property
    def latest(self) -> tuple[Request, Response]:
        assert self._answered is not None  # every method sends a request
        return self._answered


class _ReadBody:
    """A body that has been read already, in place of a `ByteStream`."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def release(self) -> None: ...

    def abort(self) -> None: ...


def _replaying(response: Response) -> Callable[..., Awaitable[Response]]:
    """A `Connect` for a response that has been read already."""

    async def connect(on_open: OnOpen) -> Response:
        body: Any = _ReadBody(response.body)
        await on_open(evolve(response, stream=body))
        return response

    return connect
