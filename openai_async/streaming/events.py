"""The events of a streamed chat completion: `client.chat.completions.stream(...)`.

The chunks are put together once more, as they are delivered, by the same rules as for
`stream.completion()`, and the events are read from what has grown (`choice_events`). So the deltas
add up to the completion, however a server formats its chunks.

A text is done when the next part of its message begins. What is left is done when its choice has a
`finish_reason` and the next chunk does not continue it: some servers send one with each chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, Self

from ..errors import APIError
from ..relay import KEEP_ALIVE
from ..types.base import ResponseMeta
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_completion import ChatCompletion
from ..types.chat_events import ChunkEvent, T
from ..types.parsed_chats import ParsedChatCompletion
from ..types.structuring import structurer, without_hooks
from ..types.values import MalformedError
from ..wire.assembly import Assembly
from ..wire.merging import index_of
from ..wire.template import Template
from .answer import Received
from .call_events import DecodeArguments
from .choice_events import Event, GrowingChoice, GrowingText
from .parsed import ParsedChatCompletionStream
from .reader import Reader

if TYPE_CHECKING:
    from ..relay.forms import SSEForm
    from ..relay.relay import Relay

_chunk_twin: Any = without_hooks(ChunkEvent)


class Events(Generic[T]):
    """Takes in chunks one by one; returns their events, the next one last.

    Args:
        single: one choice was requested.
        decode: turns a whole text into its value.
        decode_arguments: turns the arguments of a call into theirs.
        read_json: turns a text so far into its value so far.
    """

    def __init__(
        self,
        single: bool,
        decode: Callable[[str], T] | None,
        decode_arguments: DecodeArguments,
        read_json: Callable[[str], Any] | None = None,
    ) -> None:
        self._assembly = Assembly(single=single)
        self.decoders = decode, decode_arguments, read_json
        self._choices: dict[int, GrowingChoice[T]] = {}
        self._ending: list[GrowingChoice[T]] = []
        """Choices that end here, unless the next chunk continues them."""
        self._template: Template | None = None
        self._held: list[Any] = []
        """The pieces in the assembly to which the chunks of the template add."""
        self._text: GrowingText | None = None
        """The text of which these are the pieces; `None` for a second copy of the reasoning."""
        self.meta: ResponseMeta | None = None

    def completion(self) -> ChatCompletion:
        """The completion so far."""
        completion = structurer(ChatCompletion)(self._assembly.completion())
        if self.meta is not None:
            completion.meta = self.meta
        return completion

    def of(self, value: Received, chunk: ChatCompletionChunk) -> list[Event[T]]:
        """The events of a chunk, which was made from `value`."""
        event = _chunk_twin()
        event.chunk = chunk
        event._so_far = self
        event.__class__ = ChunkEvent
        if type(value) is not tuple:
            return self._of_any(value, event)
        # The chunk is like the one before, except for its text.
        if value[0] is not self._template:
            self._take_template(value[0])
        new, text = value[1], self._text
        self._held.append(new)
        events: list[Event[T]] = [event]
        if text is not None:
            text.told += 1
            if new:
                events = [text.delta(new, text.so_far, text.told), event]
        return events + self.last(complete=False) if self._ending else events

    def _take_template(self, template: Template) -> None:
        choice = self._choice(0)
        assert choice is not None  # the template was made from a chunk of it
        self._template, self._held = template, choice.assembled.pieces(template.field) or []
        text = choice.text_in(template.field)
        self._text = text if text.so_far.pieces is self._held else None

    def _of_any(self, value: dict[str, Any], event: ChunkEvent) -> list[Event[T]]:
        self._assembly.add(value)
        self._template = None
        events: list[Event[T]] = [event]
        pieces, ending = event.chunk.choices, self._ending
        continued, ends = [], []
        for piece in pieces:
            choice = self._choice(index_of(piece._raw or {}) or 0)
            if choice is not None:
                before = len(events)
                choice.grow(piece, events)
                if len(events) > before:
                    continued.append(choice)
                if choice.assembled.finish_reason is not None and choice not in ending:
                    ends.append(choice)
        if ending:
            done: list[Event[T]] = []
            for choice in ending:
                if choice not in continued:
                    choice.close(done)
            events[:0] = done
        if ending or ends:
            self._ending = [choice for choice in dict.fromkeys(ending + ends) if choice.ends]
        events.reverse()
        return events

    def _choice(self, index: int) -> GrowingChoice[T] | None:
        """The choice to which a piece with this index has been added."""
        found = self._assembly.choice_of(index)
        if found is None:
            return None
        index, assembled = found
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = GrowingChoice(index, assembled, *self.decoders)
        return choice

    def last(self, *, complete: bool) -> list[Event[T]]:
        """The last events: of all choices, or of those that were complete before a failure."""
        choices = list(self._choices.values()) if complete else self._ending
        self._ending = []
        events: list[Event[T]] = []
        for choice in choices:
            choice.close(events)
        events.reverse()
        return events

    def drop(self) -> None:
        """Forget everything, since no more events are wanted."""
        self._choices, self._ending = {}, []


class ChatCompletionEventStream(Generic[T]):
    """The events of a streamed chat completion.

    Example::

        async with client.chat.completions.stream(model=..., messages=...) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    print(event.delta, end="")
        completion = await stream.get_final_completion()

    Leaving the block early closes the connection at once, and so does leaving the loop, except by
    `break` if the stream is still referenced: then another loop may continue.

    Raises (while it is entered or read):
        StreamInterruptedError: the stream ended before the answer was complete.
        APIError: as for a call without `stream`; also for an error object inside the stream.
    """

    def __init__(
        self,
        stream: ParsedChatCompletionStream[T],
        *,
        decode: Callable[[str], T] | None = None,
        decode_arguments: DecodeArguments | None = None,
    ) -> None:
        self._stream = stream
        self._given = decode, decode_arguments
        self._events: Events[T] = Events(stream._n == 1, *stream._decoders(*self._given))
        self._ready: list[Event[T]] = []
        """The events of the latest chunk that have not been requested yet, the next one last."""
        self._held: list[Event[T]] = []
        """Those of a paused stream."""
        self._read_whole = False

    async def __aenter__(self) -> Self:
        await self._stream
        self._take_opening()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leave()

    async def close(self) -> None:
        """Close the connection. Events not yet read are lost; closing twice is fine."""
        self._leave()

    async def aclose(self) -> None:
        """`close()`, by the name that `contextlib.aclosing` calls."""
        self._leave()

    @property
    def meta(self) -> ResponseMeta:
        """Request id, status, headers, attempts; available once the stream is open."""
        return self._stream.meta

    def sse(
        self, *, form: SSEForm | Literal["raw"] = "chunks", keep_alive: float | None = KEEP_ALIVE
    ) -> Relay:
        """The chunks as server-sent events for a browser; see `ChatCompletionStream.sse`."""
        return self._stream.sse(form=form, keep_alive=keep_alive)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stream._state.value}>"

    def __aiter__(self) -> AsyncIterator[Event[T]]:
        return _EventReader(self, _as_is)

    async def __anext__(self) -> Event[T]:
        if not self._ready:
            await self._more()
        return self._ready.pop()

    async def until_done(self) -> Self:
        """Read the rest of the stream, without making its events."""
        await self.get_final_completion()
        return self

    async def get_final_completion(self) -> ParsedChatCompletion[T]:
        """The whole answer, parsed; reads the rest of the stream, without making its events.

        Raises: the same errors as `ParsedChatCompletionStream.completion`.
        """
        completion = await self._stream.completion()
        self._ready.clear()
        self._held.clear()
        self._events.drop()
        self._read_whole = True
        return completion

    @property
    def current_completion_snapshot(self) -> ChatCompletion:
        """The completion as far as its events have been read."""
        return self._stream.partial if self._read_whole else self._events.completion()

    # --- what a reader needs ---

    def _take_opening(self) -> None:
        """Take over what the stream knows once it is open."""
        self._events.meta = self._stream._meta
        self._events.decoders = self._stream._decoders(*self._given)

    async def _more(self) -> None:
        """Wait until an event is ready; `StopAsyncIteration` at the end of a complete answer."""
        if self._held:
            self._stream._resume()
            self._ready += self._held
            self._held.clear()
            return
        while not self._take():
            try:
                await self._stream._more()
            except StopAsyncIteration:
                self._ready += self._events.last(complete=True)
                if not self._ready:
                    raise
            except APIError:  # it is raised again by the next read
                self._ready += self._events.last(complete=False)
                if not self._ready:
                    raise

    def _take(self) -> bool:
        """Make the events of the next chunk that has arrived; whether an event is ready."""
        stream = self._stream
        if not stream._ready:
            return bool(self._ready)
        if self._events.meta is None:
            self._take_opening()
        value = stream._ready.pop()
        try:
            self._ready += self._events.of(value, stream._structure(value))
        except MalformedError:
            pass  # it may quote the API key, so it must not be the context of the error below
        else:
            return True
        raise stream._misread(value)

    def _misread(self, value: Received) -> APIError:
        return self._stream._misread(value)

    def _pause(self) -> None:
        self._held += self._ready
        self._ready.clear()
        self._stream._pause()

    def _leave(self) -> None:
        self._ready.clear()
        self._held.clear()
        self._events.drop()
        self._stream._leave()


def _as_is(event: Any) -> Any:
    return event


class _EventReader(Reader[Any]):
    """The iterator of one `async for` over events; each chunk has several."""

    __slots__ = ()

    async def __anext__(self) -> Any:
        stream: Any = self._stream
        ready = stream._ready
        if not (ready or stream._take()):
            await stream._more()
        self._begun = True
        return ready.pop()
