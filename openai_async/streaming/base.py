"""A streamed answer: bytes -> events -> chunks, handed out as they come.

    stream = client.chat.completions.create(..., stream=True)

sends nothing yet. The request goes out when the stream is first awaited, entered or iterated.
Whichever way the reader leaves (the end, `break`, an exception, cancellation, `close()`), the
connection is back in the pool or closed at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

from multidict import CIMultiDict

from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    OpenAIError,
    StreamInterruptedError,
)
from ..http.body import ERROR_BODY_TIMEOUT, MAX_ERROR_BODY, ByteStream
from ..http.request import Response
from ..types.base import APIObject, ResponseMeta
from ..types.chat import ChatCompletion
from ..types.structuring import structurer
from ..types.values import MalformedError, quoted, shown
from ..wire.codec import body_or_text, loads, misread
from ..wire.failures import (
    is_error,
    object_error,
    tells_failure,
    words_of,
)
from ..wire.redaction import redacted
from ..wire.sse import ServerSentEvent, SSEDecoder, SSEError, is_done
from .reader import Reader

log = logging.getLogger("openai_async")

Event = TypeVar("Event", bound=APIObject)

Connect = Callable[[Callable[[Response], Awaitable[None]]], Awaitable[Response]]
"""Sends the request; calls back with each attempt's open response."""

# How long a stream that has all its finish_reasons is listened to, in seconds, where the server
# neither says [DONE] nor ends the response.
FINISH_GRACE = 10.0
# How an answer begins that is not an event stream, whatever its content type.
_NO_EVENT = (b"{", b"[", b"<")


class AsyncStream(ABC, Generic[Event]):
    """The events of a streamed answer.

    Usable in three ways, all of which send the request once::

        async for chunk in create(..., stream=True): ...
        stream = await create(..., stream=True)
        async with create(..., stream=True) as stream: ...

    Opening waits for the first event: until then a failure is retried like any other.

    Raises (from all of them):
        StreamInterruptedError: the answer ended before it was done.
        APIError: what a plain request raises, and an error object inside the stream.
    """

    def __init__(self, connect: Connect) -> None:
        # Let go once it has been used: it holds the request, whose body alone is 4 kB and more.
        self._connect: Connect | None = connect
        self._body: ByteStream | None = None
        self._meta: ResponseMeta | None = None
        self._decoder = SSEDecoder()
        # Parsed events that nobody has asked for yet, the next one last: a read often brings
        # several. (A deque would do as well, but takes 700 bytes even when it is empty.)
        self._ready: list[dict[str, Any]] = []
        self._failure: APIError | None = None
        self._secret: str | None = None
        self._on_usage: Callable[[int], None] | None = None
        self._unread = True
        self._patience_ends: float | None = None
        self._idle: float | None = None
        # An object that is not part of an answer, but says something: if the answer remains
        # incomplete, this is the reason.
        self._suspect: dict[str, Any] | None = None
        self._done = False
        self._closed = False
        self._busy = False

    # --- opening and closing ---

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        return await self._open()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. What has not been read is lost; closing twice is fine."""
        self._leave()

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts; there once the stream is open."""
        if self._meta is None:
            msg = "The stream is not open yet: await it, enter it or iterate over it first."
            raise OpenAIError(msg)
        return self._meta

    # --- reading ---

    def __repr__(self) -> str:
        state = "unopened" if self._meta is None else "closed" if self._closed else "open"
        return f"<{type(self).__name__} {state}>"

    def __aiter__(self) -> AsyncIterator[Event]:
        return Reader(self, self._structure)

    async def __anext__(self) -> Event:
        while not self._ready:
            await self._more()
        value = self._ready.pop()
        with suppress(MalformedError):
            return self._structure(value)
        raise self._misread(value)  # with no context, which may quote the API key

    async def _open(self) -> Self:
        if self._meta is not None:
            return self
        self._check_open()
        self._one_reader()
        assert self._connect is not None
        try:
            response = await self._connect(self._begin)
            if self._body is None:
                msg = "A middleware has answered this stream without sending it."
                raise OpenAIError(msg)
            self._check_open()
        except BaseException:
            self._closed = True  # a stream sends its request once
            if self._body is not None:
                self._body.abort()
            raise
        finally:
            self._busy = False
            self._connect = None
        self._meta, self._on_usage = response.meta, response.on_usage
        if self._failure is not None:
            self._failure.attempts = response.attempts
        return self

    async def _begin(self, response: Response) -> None:
        """Read up to the first event; part of the attempt, so that its failure is retried."""
        self._check_open()
        if self._body is not None:  # a middleware sends again
            self._body.abort()
        assert response.stream is not None
        self._body = response.stream
        self._secret = response.secret
        self._decoder = SSEDecoder()
        self._ready.clear()
        self._failure = self._suspect = self._patience_ends = None
        self._unread, self._done = True, False
        self._idle = self._body.idle
        self._meta = response.meta
        try:
            await self._fill()
            if self._failure is not None and not self._ready:
                raise self._failure
        except BaseException:
            self._meta = self._failure = None
            raise

    def _check_open(self) -> None:
        if self._closed and not self._done:
            msg = "This stream was closed before its end: nothing more can be read from it."
            raise OpenAIError(msg)

    async def _more(self) -> None:
        """See to it that an event is ready; StopAsyncIteration at the end of a whole answer."""
        if self._meta is None:
            await self._open()
            if self._ready:
                return
        self._check_open()
        self._one_reader()
        try:
            if not self._done and self._failure is None:
                await self._fill()
            if self._ready:
                return
            if self._failure is not None:
                # Raised anew, else each reading would make its traceback longer.
                raise self._failure.with_traceback(None)
            if not self._closed and self._body is not None:
                self._closed = True
                if self._on_usage is not None and (tokens := self._total_tokens()) is not None:
                    self._on_usage(tokens)
                await self._body.finish()
        finally:
            self._busy = False
        raise StopAsyncIteration

    async def _fill(self) -> None:
        """Read until there is an event, the end, or a failure; failures wait behind events."""
        assert self._body is not None
        while not (self._ready or self._done or self._failure):
            try:
                self._bound_the_end()
                data = await self._body.read()
                if self._unread and (start := data.lstrip()):
                    if start.startswith(_NO_EVENT) and not is_done(start):
                        self._fail(await self._no_stream(data))
                        return
                    self._unread = False
                events = self._decoder.feed(data) if data else self._decoder.flush()
            except SSEError as error:
                self._fail(APIResponseValidationError(f"The stream is no use: {error}."), error)
                return
            except APIConnectionError as error:
                self._check_open()  # if we closed it ourselves, that is what to say
                self._cut(error)
                return
            for event in events:
                self._take(event, torn=not data)
                if self._done or self._failure is not None:
                    break
            if self._decoder.new_stray and not self._done and self._failure is None:
                self._take_stray()
            self._ready.reverse()
            if self._done or self._failure is not None:
                return
            if not data:
                self._cut(None)

    def _bound_the_end(self) -> None:
        """Once only `[DONE]` is missing, a short silence is enough, instead of all of `idle`.

        It counts from the last event. If usage was asked for, it has all of `idle` to arrive,
        however many comments keep the connection alive.
        """
        assert self._body is not None
        grace = self._idle if self._expects_more else FINISH_GRACE
        if not self._complete or grace is None:
            self._body.idle = self._idle
            return
        now = asyncio.get_running_loop().time()
        if self._patience_ends is None:
            self._patience_ends = now + grace
        left = self._patience_ends - now
        if left <= 0:
            raise APITimeoutError("The stream is complete but does not end.")
        self._body.idle = left if self._idle is None else min(left, self._idle)

    def _take(self, event: ServerSentEvent, *, torn: bool) -> None:
        """One event; `torn` if the bytes ended before its blank line, perhaps in its middle."""
        kind, data, _, _ = event
        if is_done(data):
            self._end()
            return
        if not data:  # a keep-alive of some gateways
            return
        try:
            value = loads(data)
        except ValueError as error:
            lines = data.split(b"\n")
            if len(lines) > 1 and all(map(_is_event, lines)):
                for line in lines:  # events separated by one line feed instead of two
                    if not self._done and self._failure is None:
                        self._take(ServerSentEvent(kind, line), torn=torn)
                return
            if torn:
                return  # what follows is the end of the bytes, which says it all
            text = redacted(data.decode("utf-8", "replace"), self._secret)
            if kind == "error":
                self._fail(object_error(text, self.meta.headers))
            else:
                msg = f"The stream holds broken JSON: {text[:80]!r}."
                self._fail(APIResponseValidationError(msg), error)
            return
        self._take_value(kind, value)

    def _take_value(self, kind: str, value: Any) -> None:
        if kind == "error" or is_error(value):
            self._fail(object_error(redacted(value, self._secret), self.meta.headers))
        elif not isinstance(value, dict):
            text = shown(redacted(value, self._secret))
            self._fail(APIResponseValidationError(f"The stream holds {text[:80]}, no object."))
        else:
            if not self._is_answer(value) and tells_failure(value):
                self._suspect = value
                if not isinstance(value.get("choices"), list):
                    return
            try:
                value = self._taken(value)
            except MalformedError as error:
                body = redacted(error.value, self._secret)
                self._fail(APIResponseValidationError(str(error), body=body))
                return
            self._patience_ends = None
            if self._failed:
                self._fail(object_error(redacted(value, self._secret), self.meta.headers))
            else:
                self._ready.append(value)

    def _take_stray(self) -> None:
        """Lines that belong to no event: often an error, sent as if there were no stream."""
        self._decoder.new_stray = False
        together = b"\n".join(self._decoder.stray)
        events = [line for line in self._decoder.stray if _is_event(line)]
        # One object in all lines, or lines that are objects, or something followed by `[DONE]`.
        for text in [together] if _is_event(together) or not events else events:
            if is_done(text):
                self._end()
                return
            head, _, rest = text.rpartition(b"data:")
            try:  # a page, or incomplete: it is shown if nothing else comes
                value = loads(head if is_done(rest.strip()) else text)
            except ValueError:
                continue
            if isinstance(value, dict):
                self._decoder.forget_stray()
                self._take_value("message", value)
            if self._failure is not None:
                return

    # --- what a kind of stream adds ---

    @abstractmethod
    def _kind(self, value: dict[str, Any]) -> type[Event]:
        """The class of an event."""

    def _structure(self, value: dict[str, Any]) -> Event:
        """The typed event."""
        return structurer(self._kind(value))(value)

    def _taken(self, value: dict[str, Any]) -> dict[str, Any]:
        """Take in an event; returns what the reader gets."""
        return value

    @abstractmethod
    def _is_answer(self, value: dict[str, Any]) -> bool:
        """Whether an object is part of the answer."""

    @property
    @abstractmethod
    def _empty(self) -> bool:
        """Whether no part of an answer has come yet."""

    @property
    @abstractmethod
    def _finished(self) -> bool:
        """Whether all that has begun is complete: a proper end of the body is then the end."""

    @property
    def _complete(self) -> bool:
        """Whether all that was asked for is complete: silence is then the end too."""
        return self._finished

    @property
    def _failed(self) -> bool:
        """Whether the answer says that it failed."""
        return False

    @property
    def _progress(self) -> str:
        """How far the answer has come, for the message if it stops there."""
        return ""

    @property
    def _expects_more(self) -> bool:
        """Whether something that was asked for has not come, though the answer is whole."""
        return False

    def _total_tokens(self) -> int | None:
        """What the answer says that it took."""
        return None

    def _partial(self) -> ChatCompletion | None:
        """The answer so far, for the error that ends it."""
        return None

    # --- the ways it goes wrong ---

    def _misread(self, value: dict[str, Any]) -> APIError:
        """The failure of an event whose parts have the wrong shape."""
        error = misread(self._kind(value), value, self._secret)
        self._fail(error)
        return error

    def _end(self) -> None:
        """The server says that this was all."""
        # Lines outside events that came in the same read come before this.
        if self._decoder.new_stray and not self._finished:
            self._take_stray()
            if self._done or self._failure is not None:
                return
        if self._suspect is not None and not self._finished:
            self._fail(self._told_failure(self._suspect))
        elif self._empty:
            self._fail(self._no_answer())
        else:
            self._finish()

    def _finish(self) -> None:
        """The answer is complete."""
        self._done = True
        if self._expects_more:
            log.warning("The stream ended without the usage that was asked for.")

    def _cut(self, error: APIConnectionError | None) -> None:
        """The bytes have ended: properly, in silence or broken off. Is the answer complete?"""
        silent = isinstance(error, APITimeoutError)
        whole = self._finished if error is None else self._complete
        if whole and not (self._expects_more and error is not None and not silent):
            self._finish()
        elif self._suspect is not None:
            self._fail(self._told_failure(self._suspect), error)
        elif silent:
            assert error is not None
            self._fail(error)
        elif error is None and self._empty and self._is_something_else():
            self._fail(self._no_answer())
        else:
            reason = f" {error.message}" if error is not None else ""
            msg = f"The stream ended before the answer was complete{self._progress}.{reason}"
            self._fail(StreamInterruptedError(msg), error)

    def _is_something_else(self) -> bool:
        """Whether what came, without any event, may not have been meant as an event stream."""
        assert self._body is not None
        return bool(self._decoder.stray) or self._body.content_type not in ("text/event-stream", "")

    def _told_failure(self, value: object) -> APIError:
        return object_error(redacted(value, self._secret), self.meta.headers)

    def _no_answer(self) -> APIError:
        """The error for a stream that ended properly but was empty."""
        if not self._is_something_else():
            return APIResponseValidationError("The stream ended without an answer.")
        said = b"\n".join(self._decoder.stray).decode("utf-8", "replace")
        return self._other_answer(redacted(said, self._secret))

    def _fail(self, failure: APIError, cause: BaseException | None = None) -> None:
        """Remember the failure for who reads next, and hang up."""
        with suppress(MalformedError):  # from a stream that was malformed before it broke
            failure.partial = self._partial()
        if self._meta is not None:
            failure.headers = CIMultiDict(self._meta.headers)
            failure.request_id = self._meta.request_id
            failure.attempts = self._meta.attempts
        failure.__cause__ = cause
        self._failure = failure
        if self._body is not None:
            self._body.abort()

    async def _no_stream(self, data: bytes) -> APIError:
        """The error for a whole answer where a stream was asked for; `data` is its start."""
        assert self._body is not None
        # Look at what has come, even if the rest stalls or breaks off.
        with suppress(TimeoutError, APIConnectionError):
            async with asyncio.timeout(ERROR_BODY_TIMEOUT):
                while len(data) < MAX_ERROR_BODY and (part := await self._body.read()):
                    data += part
        value = redacted(body_or_text(data), self._secret)
        if is_error(value) or (not self._is_answer(value) and tells_failure(value)):
            return object_error(value, self.meta.headers)
        return self._other_answer(value)

    def _other_answer(self, value: object) -> APIError:
        """The error for something that is neither an event stream nor an error object."""
        assert self._body is not None
        words = words_of(value) if isinstance(value, str) else ""
        said = f": {quoted(words)}" if words else ""
        msg = (
            f"The server answered stream=True with {self._body.content_type or 'something else'}, "
            f"not with an event stream{said}. Ask without stream, or check the base_url."
        )
        return APIResponseValidationError(msg, status_code=self.meta.status, body=value)

    def _leave(self) -> None:
        """Hang up without waiting; after the end of the answer the connection stays usable."""
        if self._closed:
            return
        self._closed = True
        self._ready.clear()
        if self._body is not None:
            if self._done:
                self._body.release()
            else:
                self._body.abort()

    def _one_reader(self) -> None:
        """Two tasks reading at once would tear events apart."""
        if self._busy:
            msg = "Another task is reading this stream: give each stream one reader."
            raise OpenAIError(msg)
        self._busy = True

    def __del__(self) -> None:
        self._leave()  # nobody can read on


def _is_event(line: bytes) -> bool:
    """Whether one line of an event's data is a complete event by itself."""
    if is_done(line):
        return True
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False
