"""What a relay's task does: read an answer into the pipe, as events or unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

from ..errors import APIConnectionError, APITimeoutError, StreamInterruptedError
from .ends import EndOfStream
from .form import Chunks, Form
from .relay import Copy, Pipe, Relay

T = TypeVar("T", covariant=True)


class Answer(Protocol[T]):
    """A stream: entering it opens it, and leaving it hangs up."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(self, *exc: object) -> None: ...
    def __aiter__(self) -> AsyncIterator[T]: ...


class Response(Answer[bytes], Protocol):
    """An open response."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    async def _finish(self) -> None: ...


def events_of(stream: Answer[Any], form: Form[Any]) -> Copy:
    """Reads the events of a stream, in a form."""

    async def copy(pipe: Pipe) -> None:
        async with stream:
            pipe.open()
            async for chunk in stream:
                if data := form.chunk(chunk):
                    await pipe.put(data)
            await pipe.put(form.end(getattr(stream, "usage", None)))

    return copy


def bytes_of(response: Response, path: str) -> Copy:
    """Reads the bytes of an answer; `path` says how a complete one ends."""

    async def copy(pipe: Pipe) -> None:
        async with response:
            end = EndOfStream.of(path, response.headers)
            pipe.open(response.headers.get("Content-Type"))
            try:
                async for data in response:
                    if end is not None:
                        end.feed(data)
                    await pipe.put(data)
                    if end is not None and end.done:
                        await response._finish()
            except APITimeoutError:
                raise
            except APIConnectionError as error:
                raise StreamInterruptedError(error.message) from error
            if end is not None and not end.complete:
                raise end.error()

    return copy


def relay_events(stream: Answer[Any], form: Form[Any], keep_alive: float | None) -> Relay:
    """The relay of a stream, in a form."""
    copy = events_of(stream, form)
    return Relay(copy, failed=form.error, headers=form.headers, keep_alive=keep_alive)


def relay_bytes(response: Response, path: str, keep_alive: float | None) -> Relay:
    """The relay of a response, unchanged."""
    copy = bytes_of(response, path)
    return Relay(copy, failed=Chunks().error, keep_alive=keep_alive, passes_errors_on=True)
