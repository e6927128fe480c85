"""How a stream ended, for hooks and middlewares."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from .base import ResponseMeta
from .chat_common import CompletionUsage
from .values import MalformedError

if TYPE_CHECKING:
    from .chat_completion import ChatCompletion


class ReceivedAnswer(Protocol):
    """What has arrived of an answer."""

    @property
    def total_tokens(self) -> int | None: ...
    @property
    def usage(self) -> CompletionUsage | None: ...
    def partial(self) -> ChatCompletion | None: ...


class StreamEnd:
    """How a stream ended.

    Attributes:
        complete: whether the whole answer arrived. If not, and `error` is `None`, the stream was
            left early.
        error: why the answer broke off: an `APIError`, or `CancelledError` if its reader was
            cancelled.
        meta: request id, status, headers, attempts.
        first_event: seconds from the call to the first event, or to the first bytes.
        elapsed: seconds from the call to the end of the stream.
        bytes: how many bytes of the body arrived, after decompression.
        chunks: how many events arrived; for a stream of bytes, how many pieces were read.
    """

    __slots__ = (
        *("_answer", "_completion"),
        *("bytes", "chunks", "complete", "elapsed", "error", "first_event", "meta"),
    )

    def __init__(
        self,
        answer: ReceivedAnswer | None,
        meta: ResponseMeta,
        *,
        complete: bool,
        error: BaseException | None,
        elapsed: float,
        bytes: int,
        chunks: int,
    ) -> None:
        self._answer = answer
        self._completion: ChatCompletion | None = None
        self.meta = meta
        self.complete = complete
        self.error = error
        self.first_event = meta.elapsed
        self.elapsed = elapsed
        self.bytes = bytes
        self.chunks = chunks

    @property
    def completion(self) -> ChatCompletion | None:
        """The completion so far, put together on first access; `None` if the stream is not a chat,
        or the answer is malformed.
        """
        if self._completion is None and self._answer is not None:
            with suppress(MalformedError):
                self._completion = self._answer.partial()
            if self._completion is not None:
                self._completion.meta = self.meta
        return self._completion

    @property
    def usage(self) -> CompletionUsage | None:
        """The tokens of a chat completion: as the server reported them, or else an estimate
        (`usage.estimated`).
        """
        if self._answer is None:
            return None
        with suppress(MalformedError):
            return self._answer.usage
        return None

    @property
    def total_tokens(self) -> int | None:
        """The total that the server has reported, if it has."""
        return None if self._answer is None else self._answer.total_tokens

    def __repr__(self) -> str:
        how = "complete" if self.complete else "left" if self.error is None else repr(self.error)
        return f"<StreamEnd {how}, {self.chunks} chunks, {self.elapsed:.3g} s>"
