"""A streamed answer as a value of a Python type: at its end, or piece by piece while it is written.

async for step in stream.items(): ...      # each element of a list, when it is complete
async for value in stream.snapshots(): ... # the JSON so far
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Generic, Self, TypeAlias, TypeVar

from ..errors import InvalidArgumentError
from ..structured.answer_text import BeforeJSON
from ..structured.answers import (
    Tools,
    decoded,
    decoded_arguments,
    misfit_error,
    parsed,
    value_so_far,
)
from ..structured.decoding import MisfitError, joined
from ..structured.elements import Elements
from ..structured.response_formats import ResponseFormat
from ..types.growing_text import partial_json
from ..types.parsed_chats import ParsedChatCompletion
from ..types.values import MalformedError
from .call_events import DecodeArguments
from .chat import ChatCompletionStream
from .chat_readers import text_of
from .raw import Connect

T = TypeVar("T")
U = TypeVar("U")
Decoders: TypeAlias = tuple[Callable[[str], T] | None, DecodeArguments, Callable[[str], Any] | None]
"""What reads a text, the arguments of a call, and a text so far."""

# There is a new snapshot when the text has grown by this share. All of them together then parse at
# most 17 times the length of the text; one for each token would parse its square.
GROWTH = 1 / 16


class ParsedChatCompletionStream(ChatCompletionStream, Generic[T]):
    """A streamed chat completion that is read as a `T`."""

    def __init__(
        self, connect: Connect, *, expected: ResponseFormat[T] | None, tools: Tools, **options: Any
    ) -> None:
        super().__init__(connect, **options)
        self._expected = expected
        self._tools = tools
        self._snapshots_read: _SnapshotsRead | None = None
        self._items_read: _ItemsRead | None = None

    async def completion(self) -> ParsedChatCompletion[T]:
        """The whole answer, parsed; reads the rest of the stream.

        Raises:
            LengthFinishReasonError, ContentFilterFinishReasonError: it is incomplete.
            APIResponseValidationError: it does not fit.
        """
        completion = await super().completion()
        return parsed(completion, self._expected, self._tools, self._secret)

    def snapshots(self) -> AsyncIterator[Any]:
        """The JSON of choice 0 so far, as dicts and lists, while it is written, and at the end.

        There is a new one when the text has grown by a sixteenth, rather than for each token.

        Raises:
            the errors of `completion()`, after the last snapshot.
        """
        expected = self._must_expect("snapshots")
        read = self._snapshots_read = self._snapshots_read or _SnapshotsRead()
        return _Snapshots(self, expected, read)

    def items(self: ParsedChatCompletionStream[list[U]]) -> AsyncIterator[U]:
        """Each element of the list in choice 0, as soon as it is complete.

        Raises:
            InvalidArgumentError: the type is not a list.
            APIResponseValidationError: an element does not fit.
            the errors of `completion()`, after the last element.
        """
        expected = self._must_expect("items")
        if expected.items is None:
            msg = f"items() needs a list type, such as list[{expected.name}]: use snapshots()."
            raise InvalidArgumentError(msg)
        read = self._items_read = self._items_read or _ItemsRead()
        return _Items(self, expected, read)

    def _leave(self) -> None:
        super()._leave()
        self._snapshots_read = self._items_read = None

    def _decoders(
        self,
        decode: Callable[[str], T] | None = None,
        decode_arguments: DecodeArguments | None = None,
    ) -> Decoders[T]:
        """The decoders of the type and the tools; those that are given take precedence.

        They are not methods: an event that holds them may outlive the stream, and must not keep it
        open. Once it is open, no error of theirs shows the API key.
        """
        expected, secret = self._expected, self._secret
        read_json: Callable[[str], Any] | None = None if decode is None else partial_json
        if expected is not None:
            decode = decode or partial(decoded, expected, secret=secret)
            read_json = partial(value_so_far, expected)
        if decode_arguments is None:
            decode_arguments = partial(decoded_arguments, self._tools, secret=secret)
        return decode, decode_arguments, read_json

    def _must_expect(self, method: str) -> ResponseFormat[Any]:
        if self._expected is None:
            msg = f"{method}() needs a type: pass response_format=."
            raise InvalidArgumentError(msg)
        return self._expected


class _Read:
    """How far the text of a stream has been read, for a loop that continues after a `break`."""

    def __init__(self) -> None:
        self.before = BeforeJSON()
        self.ended = False


class _SnapshotsRead(_Read):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.length = self.shown = 0


class _ItemsRead(_Read):
    def __init__(self) -> None:
        super().__init__()
        self.elements = Elements()
        self.found: deque[str] = deque()
        self.rest: deque[Any] = deque()
        self.count = 0


R = TypeVar("R", bound=_Read)


class _Reading(Generic[R]):
    """Reads the text of a stream; dropping this drops its reader, which pauses or hangs up."""

    def __init__(
        self, stream: ParsedChatCompletionStream[Any], expected: ResponseFormat[Any], read: R
    ) -> None:
        self._stream = stream
        self._expected = expected
        self._read = read
        self._texts = stream.text()

    def __aiter__(self) -> Self:
        return self

    async def _next_text(self) -> str:
        """The new text, from where the JSON may begin; waits for some; "" at the end."""
        before = self._read.before
        while text := await self._received():
            if text := before.after(text):
                return text
        return before.after("", last=True)

    async def _received(self) -> str:
        """The text of all events that have been read; waits for the first; "" at the end."""
        text = await anext(self._texts, "")
        ready = self._stream._ready
        while ready:
            try:
                text += text_of(ready[-1]) or ""
            except MalformedError:  # the next read raises it properly
                break
            ready.pop()
        return text


class _Snapshots(_Reading[_SnapshotsRead]):
    """See `ParsedChatCompletionStream.snapshots`."""

    async def __anext__(self) -> Any:
        read = self._read
        while not read.ended:
            text = await self._next_text()
            read.pieces.append(text)
            read.length += len(text)
            grown = read.length - read.shown
            if text and grown < read.shown * GROWTH:
                continue
            value = self._parsed() if grown else None
            read.shown = read.length
            if value is not None:
                return value  # if it is the last, the next call finds that nothing has grown
            if not text:
                await self._stream.completion()  # raises what is wrong with the answer
                read.ended = True
        raise StopAsyncIteration

    def _parsed(self) -> Any:
        text = "".join(self._read.pieces)
        self._read.pieces = [text]
        # If it is not JSON, `completion()` says so at the end.
        value = self._expected.decoder.so_far(text)
        return None if value == {} else value


class _Items(_Reading[_ItemsRead]):
    """See `ParsedChatCompletionStream.items`."""

    async def __anext__(self) -> Any:
        read = self._read
        while not read.found and not read.ended:
            text = await self._next_text()
            read.found.extend(read.elements.feed(text))
            if not text:
                parsed = (await self._stream.completion()).parsed
                read.ended = True
                read.rest.extend(list(parsed or ())[read.count :])
        if read.found:
            return self._item(read.found.popleft())
        if read.rest:  # of an answer in an unusual form
            return read.rest.popleft()
        raise StopAsyncIteration

    def _item(self, text: str) -> Any:
        assert self._expected.items is not None
        self._read.count += 1
        secret = self._stream._secret
        try:
            return self._expected.items.decode(text, secret)
        except MisfitError as misfit:
            index = self._read.count - 1
            msg = f"Element {index} of {self._expected.name} does not match: {misfit}."
            path = joined(f"[{index}]", misfit.path)
            raise misfit_error(msg, path, self._stream.partial, secret) from misfit
