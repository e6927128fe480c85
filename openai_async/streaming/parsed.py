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
        return _Snapshots(self, self._must_expect("snapshots"))

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
        return _Items(self, expected)

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


class _Reading:
    """Reads the text of a stream; dropping this drops its reader, which hangs up."""

    def __init__(self, stream: ParsedChatCompletionStream[Any], expected: ResponseFormat[Any]):
        self._stream = stream
        self._expected = expected
        self._texts = stream.text()
        self._before = BeforeJSON()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def _read(self) -> str:
        """The new text, from where the JSON may begin; waits for some; "" at the end."""
        while text := await self._received():
            if text := self._before.after(text):
                return text
        return self._before.after("", last=True)

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

    async def _end(self) -> None:
        """Raise what is wrong with the answer; at the end of one that fits, stop."""
        self._ended = True
        await self._stream.completion()


class _Snapshots(_Reading):
    """See `ParsedChatCompletionStream.snapshots`."""

    def __init__(self, stream: ParsedChatCompletionStream[Any], expected: ResponseFormat[Any]):
        super().__init__(stream, expected)
        self._pieces: list[str] = []
        self._length = self._shown = 0

    async def __anext__(self) -> Any:
        while not self._ended:
            text = await self._read()
            self._pieces.append(text)
            self._length += len(text)
            grown = self._length - self._shown
            if text and grown < self._shown * GROWTH:
                continue
            value = self._parsed() if grown else None
            self._shown = self._length
            if value is not None:
                return value  # if it is the last, the next call finds that nothing has grown
            if not text:
                await self._end()
        raise StopAsyncIteration

    def _parsed(self) -> Any:
        text = "".join(self._pieces)
        self._pieces = [text]
        # If it is not JSON, `completion()` says so at the end.
        value = self._expected.decoder.so_far(text)
        return None if value == {} else value


class _Items(_Reading):
    """See `ParsedChatCompletionStream.items`."""

    def __init__(self, stream: ParsedChatCompletionStream[Any], expected: ResponseFormat[Any]):
        super().__init__(stream, expected)
        self._elements = Elements()
        self._found: deque[str] = deque()
        self._rest: deque[Any] = deque()
        self._count = 0

    async def __anext__(self) -> Any:
        while not self._found and not self._ended:
            text = await self._read()
            self._found.extend(self._elements.feed(text))
            if not text:
                await self._end()
        if self._found:
            return self._item(self._found.popleft())
        if self._rest:  # of an answer in an unusual form
            return self._rest.popleft()
        raise StopAsyncIteration

    async def _end(self) -> None:
        self._ended = True
        parsed = (await self._stream.completion()).parsed
        self._rest.extend(list(parsed or ())[self._count :])

    def _item(self, text: str) -> Any:
        assert self._expected.items is not None
        self._count += 1
        secret = self._stream._secret
        try:
            return self._expected.items.decode(text, secret)
        except MisfitError as misfit:
            index = self._count - 1
            msg = f"Element {index} of {self._expected.name} does not match: {misfit}."
            path = joined(f"[{index}]", misfit.path)
            raise misfit_error(msg, path, self._stream.partial, secret) from misfit
