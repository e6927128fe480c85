"""The request that resources build, middlewares may change and the transport sends; its response.

No I/O.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

from ..errors import APIError, InvalidArgumentError, invalid_answer
from ..jsontext import loads, shown
from ..options import APIKey, Timeout
from ..types.base import ResponseMeta
from ..types.structuring import without_hooks
from ..types.values import quoted
from ..wire.failures import is_error, object_error
from ..wire.redaction import redacted
from .body import MAX_ERROR_BODY, ByteStream, StreamCallback
from .outgoing import Prepared

if TYPE_CHECKING:
    from .multipart import Multipart

_Meta: Any = without_hooks(ResponseMeta)


@define(eq=False, repr=False)
class SendState:
    """How far a call has got; shared by its request and the copies that middlewares make of it.

    Attributes:
        in_flight: an attempt is at the server, or its answer has arrived.
        no_retry: it must not be sent again.
        getting_key: the attempt is waiting for the api_key function, or was when it failed.
        on_retry: called with the error, the number of the attempt that failed, and the seconds
            until the next one.
    """

    in_flight: bool = False
    no_retry: bool = False
    getting_key: bool = False
    on_retry: tuple[Callable[[APIError, int, float], None], ...] = ()


@define(kw_only=True, eq=False)
class Request:
    """One call, complete except for an API key from a function, which is called for each attempt.

    A middleware may read and change every field. `repr()` shows no headers, key or body. A
    request is equal only to itself, so hooks can use it as the key of a dict.
    """

    method: str
    url: URL
    _headers: CIMultiDict[str] = field(factory=CIMultiDict, repr=False, alias="headers")
    removed: frozenset[str] = frozenset()
    """Names of headers, in lower case, that neither aiohttp nor the API key may add."""
    body: bytes | Multipart | None = field(default=None, repr=lambda body: _shown(body))
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    """What `body` was encoded from, except for the `stream_options` that we add; for reading only:
    changing it does not change `body`."""
    timeout: Timeout = field(factory=Timeout)
    max_retries: int = 0
    stream: bool = False
    api_key: APIKey | None = field(default=None, repr=False)
    """Sent as Authorization, unless `headers` has one or `removed` names it. With `None` no key is
    sent, and redirects to other origins are followed."""
    max_body: int = 512 * 1024 * 1024
    """The largest plain answer to accept, in bytes: twice that of ten pictures of 4096 x 4096."""
    picture: bool = False
    """Whether this downloads a picture, instead of calling the API: for the advice in errors."""
    on_open: Callable[[Response], Awaitable[None]] | None = field(default=None, repr=False)
    """Called with an open stream, as part of the attempt: if it raises, the attempt has failed."""
    state: SendState = field(factory=SendState, repr=False)
    started: float = field(factory=time.perf_counter, repr=False)
    prepared: Prepared | None = field(default=None, repr=False, eq=False)
    """Where the headers come from, until `headers` is used."""

    def __attrs_post_init__(self) -> None:
        if self.prepared is not None and self._headers is not self.prepared.headers:
            self.prepared = None  # `attrs.evolve(request, headers=...)`

    @property
    def headers(self) -> CIMultiDict[str]:
        """Case-insensitive; without Authorization, which is made from `api_key`."""
        if self.prepared is not None:  # shared with other requests, but the caller may change them
            self._headers = self.prepared.headers.copy()
            self.prepared = None
        return self._headers

    @headers.setter
    def headers(self, headers: CIMultiDict[str]) -> None:
        self._headers, self.prepared = headers, None

    @property
    def sent_headers(self) -> CIMultiDict[str]:
        """`headers`, for reading only and without a copy."""
        return self._headers if self.prepared is None else self.prepared.headers

    @property
    def address(self) -> str:
        """Where the URL came from, in the user's words, for error messages."""
        return "the picture's url" if self.picture else "base_url"


def _shown(body: bytes | Multipart | None) -> str:
    return f"<{len(body or b'')} bytes>" if isinstance(body, bytes | None) else repr(body)


@define(kw_only=True)
class Response:
    """An answer with a status of 2xx: complete in `body`, or open in `stream`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    stream: ByteStream | None = None
    attempts: int = 1
    elapsed: float = 0.0
    rejections: int = 0
    """How many of the attempts were answered with 429."""
    started: float = field(default=0.0, repr=False)
    """When the call began, by `time.perf_counter()`."""
    secret: str | None = field(default=None, repr=False)
    """The keys that were sent, one per line, to be redacted from errors about this answer."""

    @property
    def on_stream_end(self) -> list[StreamCallback]:
        """Functions to call with a `StreamEnd`, once, when the stream ends, in whatever way.

        They must not block. Their exceptions are logged, since there may be no caller any more.
        They belong to the stream, so all responses with this stream share them.
        """
        if self.stream is None:
            return []
        if self.stream.on_end is None:
            self.stream.on_end = []
        return self.stream.on_end

    @property
    def watched(self) -> bool:
        """Whether anybody waits for the end of the stream."""
        return self.stream is not None and bool(self.stream.on_end)

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts, elapsed seconds, rate limits."""
        # Made for every answer: the setters of a frozen class would cost 0.6 us each time.
        meta = object.__new__(_Meta)
        meta.status = self.status
        meta.headers = self.headers
        meta.attempts = self.attempts
        meta.elapsed = self.elapsed
        meta.__class__ = ResponseMeta
        return meta  # type: ignore[no-any-return]

    def json(self) -> Any:
        """The parsed body.

        Raises:
            APIResponseValidationError: it is not JSON.
        """
        try:
            return loads(self.body)
        except ValueError as error:
            msg = "The answer is not JSON: its text is in .text()."
            body = redacted(self.text(), self.secret)
            raise invalid_answer(msg, self.meta, body) from error

    def json_object(self) -> dict[str, Any]:
        """The parsed body of an endpoint that answers with a JSON object, as nearly all do.

        No error shows the API key, even if the server repeats it.

        Raises:
            APIResponseValidationError: it is something else.
            APIError: it is an error object, which some gateways send with status 200.
        """
        value = text = None
        try:
            value = loads(self.body)
        except ValueError:
            # What is raised below must not have this error as its context: its frames hold the
            # whole text, which may be long and repeat the API key.
            text = redacted(self.text(), self.secret)[:MAX_ERROR_BODY]
        if type(value) is dict and not is_error(value):
            return value
        value = redacted(value, self.secret)
        error: APIError
        if is_error(value):
            error = object_error(value, self.headers)
        else:
            said = shown(value) if text is None else quoted(text)
            msg = f"The answer is not a JSON object: {said}. Check the base_url."
            error = invalid_answer(msg, self.meta, value if text is None else text)
        error.attempts, error.rejections = self.attempts, self.rejections
        raise error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what has arrived, without the keys that were sent."""
        if self.stream is not None:
            msg = "An open response cannot be pickled or copied: read it first."
            raise InvalidArgumentError(msg)
        headers = CIMultiDict(self.headers)  # aiohttp's are a view, which cannot be pickled
        counts = (self.attempts, self.elapsed, self.rejections)
        return _response, (self.status, headers, self.body, *counts)

    def text(self) -> str:
        """The body as UTF-8 text; invalid bytes become U+FFFD."""
        return self.body.decode("utf-8", "replace")


def _response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    attempts: int,
    elapsed: float,
    rejections: int,
) -> Response:
    return Response(
        status=status,
        headers=headers,
        body=body,
        attempts=attempts,
        elapsed=elapsed,
        rejections=rejections,
    )
