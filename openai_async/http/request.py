"""A request on its way through the middlewares, and the response that comes back.

No I/O: what resources build, middlewares change and the transport sends.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

from ..errors import APIResponseValidationError
from ..options import APIKey, Timeout
from ..types.base import ResponseMeta
from ..types.structuring import without_hooks
from ..wire.codec import loads
from .body import ByteStream

_Meta: Any = without_hooks(ResponseMeta)


@define
class SendState:
    """How far a call has got; shared by its request and the copies that middlewares make of it.

    Attributes:
        in_flight: an attempt is at the server, or its answer has arrived.
        no_retry: it must not be sent again.
    """

    in_flight: bool = False
    no_retry: bool = False


@define(kw_only=True)
class Request:
    """One call, complete but for the API key, which is asked for at each attempt.

    A middleware may read and change all of it. `repr()` shows neither headers nor key nor body.
    """

    method: str
    url: URL
    headers: CIMultiDict[str] = field(factory=CIMultiDict, repr=False)
    removed: frozenset[str] = frozenset()
    """Headers, in lower case, that nothing below may add: neither aiohttp nor the API key."""
    body: bytes | None = field(default=None, repr=lambda body: f"<{len(body or b'')} bytes>")
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    """What `body` was made of, to look at: changing it changes nothing."""
    timeout: Timeout = field(factory=Timeout)
    max_retries: int = 0
    stream: bool = False
    api_key: APIKey | None = field(default=None, repr=False)
    """Sent as Authorization, unless `headers` has one or `removed` names it. `None` sends none, and
    allows redirects to other origins."""
    max_body: int = 512 * 1024 * 1024
    """The largest plain answer to accept, in bytes: ten pictures of 4096 x 4096 fit twice over."""
    picture: bool = False
    """Whether it goes to a picture's URL, not to the API: its errors give different advice."""
    on_open: Callable[[Response], Awaitable[None]] | None = field(default=None, repr=False)
    """Part of the attempt of a stream: what it raises counts as the attempt's failure."""
    state: SendState = field(factory=SendState, repr=False)
    started: float = field(factory=time.perf_counter, repr=False)

    @property
    def address(self) -> str:
        """What determines where the request goes, by the name that a user knows."""
        return "the picture's url" if self.picture else "base_url"


@define(kw_only=True)
class Response:
    """An answer of status 2xx: whole in `body`, or, for a stream, still open in `stream`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    stream: ByteStream | None = None
    attempts: int = 1
    elapsed: float = 0.0
    rejections: int = 0
    """How many of the attempts were refused with 429."""
    on_usage: Callable[[int], None] | None = field(default=None, repr=False)
    """Called at the end of a stream that tells its usage, with the tokens in all."""
    secret: str | None = field(default=None, repr=False)
    """The keys that were sent, one per line: no error made from this answer may show them."""

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts, elapsed seconds, rate limits."""
        # There is one for each answer, and the setters of a frozen class take 0.6 us of it.
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
            raise APIResponseValidationError(
                msg, status_code=self.status, headers=self.headers, body=self.text()
            ) from error

    def text(self) -> str:
        """The body as UTF-8 text; bytes that are none become U+FFFD."""
        return self.body.decode("utf-8", "replace")
