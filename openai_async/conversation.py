"""A conversation with a model: its history, sent within a token budget.

conversation = Conversation(client, model="gpt-4o", system="Be brief.")
reply = await conversation.say("What is in this picture?", images=["cat.png"])
async for text in conversation.stream("And how old is it?"): ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from typing_extensions import TypeForm

from .client import AsyncClient
from .conversation_stream import ConversationStream
from .errors import ConflictError, InvalidArgumentError, OpenAIError
from .images.reading import ImageSource
from .jsontext import dumps
from .middleware.pacing.token_estimate import estimate_tokens
from .options import is_number
from .resources.endpoint import check_known
from .resources.tool_run_reader import Read
from .resources.tool_runs import ToolRun
from .streaming.chat import ChatCompletionStream
from .turns import Message, Turn, by_turn, counted, plain, question, read_saved
from .types.chat_completion import ChatCompletion
from .types.chat_params import ChatCompletionOptions

if TYPE_CHECKING:
    from .types.chat_option_params import ToolFunction
    from .types.parsed_chats import ParsedChatCompletion
    from .types.tool_steps import OnToolError, ToolStep

__all__ = ("Conversation",)

T = TypeVar("T")
P = TypeVar("P")

_OPTIONS = frozenset(ChatCompletionOptions.__annotations__)


def count_messages(messages: Sequence[Message]) -> float:
    """The tokens of messages, estimated as for rate limits: four characters a token."""
    return estimate_tokens({"messages": messages, "max_tokens": 1}) - 1


def check_functions(tools: object) -> None:
    """
    Raises:
        InvalidArgumentError: it is not a list of functions.
    """
    if not isinstance(tools, Sequence):
        msg = f"tools has type {type(tools).__name__}: pass a list of functions."
        raise InvalidArgumentError(msg)
    for index, each in enumerate(tools):
        if not callable(each):
            msg = f"tools[{index}] has type {type(each).__name__}: pass a function."
            raise InvalidArgumentError(msg)


class Conversation:
    """A conversation with a model, turn by turn.

    A turn is a question and everything up to its answer. It is added to the history once it has
    succeeded. One that fails, is cancelled or is left early leaves the history as it was.

    Attributes:
        messages: the history in the API's format, without the system message. It may be changed.
        partial: what had arrived of the answer when the last turn failed or was left; `None` if
            nothing had, or if the turn succeeded.

    Args:
        client: sends the requests.
        model: the model.
        system: the system message, sent before the history.
        tools: functions (or `Tool`s) that the model may call; see `run_tools`.
        max_tokens: how many tokens of messages to send: if there are more, the oldest turns are
            left out, but remain in `messages`. The newest is always sent. `None` means no limit.
        count_tokens: counts the tokens of messages; an estimate by default.
        max_rounds, on_tool_error, tool_timeout: for turns with tools; see `run_tools`.
        params: other parameters of each request, such as `temperature`.

    Example::

        conversation = Conversation(client, model="gpt-4o", system="Be brief.", max_tokens=8000)
        print((await conversation.say("Hello!")).text)
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        model: str,
        system: str | None = None,
        tools: Sequence[ToolFunction] = (),
        max_tokens: float | None = None,
        count_tokens: Callable[[Sequence[Message]], float] = count_messages,
        max_rounds: int = 10,
        on_tool_error: OnToolError | None = None,
        tool_timeout: float | None = None,
        **params: Unpack[ChatCompletionOptions],
    ) -> None:
        if "messages" in params:
            msg = "Conversation() takes no messages: set conversation.messages afterwards."
            raise TypeError(msg)
        check_known("Conversation", params, _OPTIONS)
        if max_tokens is not None and not (is_number(max_tokens) and max_tokens > 0):
            msg = f"max_tokens is {max_tokens!r}: pass a positive number, or None for no limit."
            raise InvalidArgumentError(msg)
        check_functions(tools)
        self.client = client
        self.model = model
        self.system = system
        self.tools = tools
        self.max_tokens = max_tokens
        # Of any type for checkers: messages of the API are TypedDicts, those of users plain dicts.
        self.messages: list[Any] = []
        self.partial: ChatCompletion | None = None
        self._count_tokens = count_tokens
        self._calling = {
            "max_rounds": max_rounds,
            "on_tool_error": on_tool_error,
            "tool_timeout": tool_timeout,
        }
        self._params = params
        self._turn: Turn | None = None

    # --- turns ---

    @overload
    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        response_format: type[T],
        **params: Unpack[ChatCompletionOptions],
    ) -> ParsedChatCompletion[T]: ...

    @overload
    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        response_format: TypeForm[T],
        **params: Unpack[ChatCompletionOptions],
    ) -> ParsedChatCompletion[T]: ...

    @overload
    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        response_format: None = None,
        **params: Unpack[ChatCompletionOptions],
    ) -> ChatCompletion: ...

    @overload  # for types that are only known at run time
    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        response_format: object,
        **params: Unpack[ChatCompletionOptions],
    ) -> ParsedChatCompletion[Any]: ...

    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        response_format: object = None,
        **params: Unpack[ChatCompletionOptions],
    ) -> ChatCompletion:
        """Send a question, and return the answer.

        Args:
            text: the question.
            images: pictures to send with it, in any form that `image_part` takes.
            response_format: a type for the answer's `.parsed`, as in `chat.completions.parse`.
            params: parameters for this turn only.

        Raises:
            InvalidArgumentError: a picture cannot be read, or the type has no schema.
            ConflictError: another turn has not ended.
            LengthFinishReasonError, ContentFilterFinishReasonError, APIResponseValidationError: as
                in `chat.completions.parse`.
            APIError: see `openai_async.errors`.
        """
        check_known("say", params, _OPTIONS)
        turn = self._begin()
        try:
            request = await self._request(turn, text, images, params)
            chats = self.client.chat.completions
            completion: ChatCompletion
            if self.tools:
                turn.answer = run = chats.run_tools(**request, response_format=response_format)
                completion = await run
            elif response_format is not None:
                completion = await chats.parse(**request, response_format=response_format)
            else:
                completion = await chats.create(**request)
            self._keep(turn, completion)
        finally:
            self._end(turn)
        return completion

    def stream(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        **params: Unpack[ChatCompletionOptions],
    ) -> ConversationStream:
        """Send a question, and iterate over the text of the answer as it is written.

        The turn is in the history once the loop has run to its end. Leaving the loop earlier hangs
        up; what had arrived is in `.partial`.

        Raises: as for `say`.
        """
        check_known("stream", params, _OPTIONS)
        return ConversationStream(self, text, images, params)

    def _begin(self) -> Turn:
        if self._turn is not None:
            msg = "The conversation is in the middle of a turn: wait until it has ended."
            raise ConflictError(msg, status_code=409)
        self._turn = turn = Turn()
        self.partial = None
        return turn

    async def _request(
        self, turn: Turn, text: str, images: Iterable[ImageSource], params: Mapping[str, Any]
    ) -> dict[str, Any]:
        turn.sent = self._sent(await question(text, images))
        request = {"model": self.model, **self._params, **params, "messages": turn.sent}
        if self.tools:
            request |= {"tools": self.tools, **self._calling}
        return request

    async def _open(
        self,
        turn: Turn,
        read: Read[P],
        text: str,
        images: Iterable[ImageSource],
        params: Mapping[str, Any],
    ) -> AsyncIterator[P | ToolStep[None]]:
        """Begin to read the answer; nothing is sent before its first step is awaited."""
        request = await self._request(turn, text, images, params)
        self._check(turn)
        if self.tools:
            run: ToolRun[None] = self.client.chat.completions.run_tools(**request)
            turn.answer = run
            return run._begin(read)
        stream: ChatCompletionStream = self.client.chat.completions.create(**request, stream=True)
        turn.answer = stream
        return read(stream)

    def _keep(self, turn: Turn, completion: ChatCompletion) -> None:
        """Add a turn that has succeeded to the history."""
        self._check(turn)
        self.messages += turn.new_messages(completion)
        turn.kept = True

    def _check(self, turn: Turn) -> None:
        if self._turn is not turn:
            msg = "This turn was stopped before its end: begin another one."
            raise OpenAIError(msg)

    def _end(self, turn: Turn) -> None:
        """The turn is over. One that has not been kept hangs up, and leaves `partial`."""
        if self._turn is turn:
            self._turn = None
            if not turn.kept:
                self.partial = turn.partial
                turn.leave()

    def _sent(self, asked: Message) -> list[Message]:
        """The messages of a request: the system message, and as many turns as the budget allows."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        turns = by_turn([*plain(self.messages), asked])
        if self.max_tokens is not None:
            left = self.max_tokens - counted(self._count_tokens, system)
            kept = 0
            for turn in reversed(turns):
                left -= counted(self._count_tokens, turn)
                if left < 0 and kept:
                    break
                kept += 1
            turns = turns[-kept:]
        return [*system, *(message for turn in turns for message in turn)]

    # --- saving ---

    def to_json(self) -> str:
        """The model, the system message and the history as JSON, to save."""
        saved = {"model": self.model, "system": self.system, "messages": self.messages}
        return dumps(saved).decode()

    @classmethod
    def from_json(cls, client: AsyncClient, text: str, **arguments: Any) -> Self:
        """A conversation that was saved with `to_json`.

        Args:
            client: sends the requests.
            text: what `to_json` returned.
            arguments: as for a new conversation. Tools, limits and parameters are not saved; a
                `model` or `system` replaces the saved one.

        Raises:
            InvalidArgumentError: `text` is not a saved conversation; the message says why.
        """
        model, system, messages = read_saved(text)
        given: dict[str, Any] = {"model": model, "system": system, **arguments}
        conversation = cls(client, **given)
        conversation.messages = messages
        return conversation

    def __repr__(self) -> str:
        return f"<Conversation with {self.model}: {len(self.messages)} messages>"
