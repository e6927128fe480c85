"""A conversation with a model: its history, kept to a budget of tokens.

conversation = Conversation(client, model="gpt-4o", system="Be brief.")
reply = await conversation.say("What is in this picture?", images=["cat.png"])
async for text in conversation.stream("And how old is it?"): ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from .client import AsyncClient
from .errors import InvalidArgumentError, OpenAIError
from .images.reading import ImageSource
from .jsontext import dumps, strict_loads
from .middleware.pacing.token_estimate import estimate_tokens
from .streaming.chat import ChatCompletionStream
from .types.base import APIObject
from .types.chat_completion import ChatCompletion
from .types.chat_params import ChatCompletionOptions
from .vision import image_part

if TYPE_CHECKING:
    from .resources.tool_runs import ToolRun
    from .types.chat_option_params import ToolFunction
    from .types.tool_steps import ToolStep

__all__ = ("Conversation",)

Message = Mapping[str, Any]


def count_messages(messages: Sequence[Message]) -> float:
    """The tokens of messages, estimated as for rate limits: four characters a token."""
    return estimate_tokens({"messages": messages, "max_tokens": 1}) - 1


class Conversation:
    """A conversation with a model, turn by turn.

    A turn, which is a question and all that follows until the answer, is added to the history when
    it has succeeded. One that fails, is cancelled or is left early leaves the history as it was.

    Attributes:
        messages: the history in the API's format, without the system message. It may be changed.
        partial: what had arrived of the answer when the last turn failed or was left; else `None`.

    Args:
        client: sends the requests.
        model: the model.
        system: the system message, sent before the history.
        tools: functions (or `Tool`s) that the model may call; see `run_tools`.
        max_tokens: how many tokens of messages to send: if there are more, the oldest turns are
            left out, but remain in `messages`. The newest is always sent. `None` means no limit.
        count_tokens: counts the tokens of messages; an estimate by default.
        max_rounds: how often a turn may call tools.
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
        **params: Unpack[ChatCompletionOptions],
    ) -> None:
        if max_tokens is not None and not max_tokens > 0:
            msg = f"max_tokens is {max_tokens!r}: pass a positive number, or None for no limit."
            raise InvalidArgumentError(msg)
        self.client = client
        self.model = model
        self.system = system
        self.tools = tools
        self.max_tokens = max_tokens
        self.messages: list[Message] = []
        self.partial: ChatCompletion | None = None
        self._count_tokens = count_tokens
        self._max_rounds = max_rounds
        self._params = params
        self._busy = False

    # --- turns ---

    async def say(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        **params: Unpack[ChatCompletionOptions],
    ) -> ChatCompletion:
        """Take a turn, and return the answer.

        Args:
            text: what to say.
            images: pictures to show, in any form that `image_part` takes.
            params: parameters for this turn alone.

        Raises:
            InvalidArgumentError: a picture cannot be read.
            APIError: see `openai_async.errors`.
        """
        self._begin()
        try:
            asked = await _question(text, images)
            sent = self._sent(asked)
            if self.tools:
                run = self.client.chat.completions.run_tools(**self._request(sent, params))
                completion: ChatCompletion = await run
                new = _plain(run.messages[len(sent) :])
            else:
                create = self.client.chat.completions.create
                completion = await create(**self._request(sent, params))
                new = [_said(completion)]
            self.messages += [asked, *new]
            return completion
        except OpenAIError as error:
            self.partial = getattr(error, "partial", None)
            raise
        finally:
            self._busy = False

    def stream(
        self,
        text: str,
        *,
        images: Iterable[ImageSource] = (),
        **params: Unpack[ChatCompletionOptions],
    ) -> AsyncIterator[str]:
        """Take a turn, and iterate over the text of the answer as it is written.

        The turn is in the history once the loop has run to its end. Leaving it earlier hangs up;
        what had arrived is in `.partial`.

        Raises: as for `say`.
        """
        return _Turn(self, text, images, params)

    def _begin(self) -> None:
        if self._busy:
            msg = "The conversation is in the middle of a turn: wait until it has ended."
            raise OpenAIError(msg)
        self._busy = True
        self.partial = None

    def _request(self, sent: list[Message], params: Mapping[str, Any]) -> dict[str, Any]:
        request = {"model": self.model, **self._params, **params, "messages": sent}
        if self.tools:
            request |= {"tools": self.tools, "max_rounds": self._max_rounds}
        return request

    def _sent(self, asked: Message) -> list[Message]:
        """The messages of a request: the system message, and as many turns as the budget allows."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        turns = _turns([*_plain(self.messages), asked])
        if self.max_tokens is not None:
            left = self.max_tokens - self._count_tokens(system)
            kept = 0
            for turn in reversed(turns):
                left -= self._count_tokens(turn)
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
            arguments: as for a new conversation; tools and limits are not saved. A `model` or
                `system` replaces the saved one.

        Raises:
            InvalidArgumentError: `text` is not a saved conversation.
        """
        try:
            saved = strict_loads(text)
            messages = [dict(message) for message in saved["messages"]]
            known = {"model": saved["model"], "system": saved["system"]}
        except (ValueError, TypeError, KeyError) as error:
            msg = "This is not a saved conversation: pass what to_json() returned."
            raise InvalidArgumentError(msg) from error
        conversation = cls(client, **{**known, **arguments})
        conversation.messages = list(messages)
        return conversation

    def __repr__(self) -> str:
        return f"<Conversation with {self.model}: {len(self.messages)} messages>"


class _Turn:
    """The iterator of `Conversation.stream`. Dropping it hangs up, as for any stream."""

    def __init__(
        self,
        conversation: Conversation,
        text: str,
        images: Iterable[ImageSource],
        params: Mapping[str, Any],
    ) -> None:
        self._conversation = conversation
        self._text, self._images, self._params = text, images, params
        self._asked: Message = {}
        self._sent: list[Message] = []
        self._answer: ChatCompletionStream | ToolRun[None] | None = None
        self._steps: AsyncIterator[str | ToolStep[None]] | None = None
        self._begun = self._ended = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._ended:
            raise StopAsyncIteration
        try:
            if self._steps is None:
                self._steps = await self._open()
            async for step in self._steps:
                if isinstance(step, str):
                    return step
                if step.type == "content.delta":
                    return step.delta
            await self._keep()
        except BaseException:
            self._leave()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave the turn; `contextlib.aclosing` calls it."""
        self._leave()

    def __del__(self) -> None:
        self._leave()

    async def _open(self) -> AsyncIterator[str | ToolStep[None]]:
        conversation = self._conversation
        conversation._begin()
        self._begun = True
        self._asked = await _question(self._text, self._images)
        self._sent = conversation._sent(self._asked)
        request = conversation._request(self._sent, self._params)
        chats = conversation.client.chat.completions
        if conversation.tools:
            run: ToolRun[None] = chats.run_tools(**request)
            self._answer = run
            return aiter(run)
        stream: ChatCompletionStream = chats.create(**request, stream=True)
        self._answer = stream
        return stream.text()

    async def _keep(self) -> None:
        """Add the turn, which has succeeded, to the history."""
        answer = self._answer
        assert answer is not None
        if isinstance(answer, ChatCompletionStream):
            new = [_said(await answer.completion())]
        else:
            new = _plain(answer.messages[len(self._sent) :])
        self._conversation.messages += [self._asked, *new]
        self._conversation._busy = False
        self._ended = True

    def _leave(self) -> None:
        if self._begun and not self._ended:
            self._steps = None  # hangs up
            self._conversation.partial = None if self._answer is None else self._answer.partial
            self._conversation._busy = False
        self._ended = True


def _plain(messages: Sequence[Any]) -> list[Message]:
    """Messages as dicts, which can be saved."""
    return [m.to_dict() if isinstance(m, APIObject) else m for m in messages]


async def _question(text: str, images: Iterable[ImageSource]) -> Message:
    parts = [await image_part(image) for image in images]
    if not parts:
        return {"role": "user", "content": text}
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def _said(completion: ChatCompletion) -> Message:
    """The answer as a message of the history."""
    if not completion.choices:
        msg = "The answer has no choices, so there is nothing to keep."
        raise OpenAIError(msg)
    message = completion.choices[0].message.to_dict()
    if not any(message.get(part) for part in ("tool_calls", "refusal", "audio", "function_call")):
        message["content"] = message.get("content") or ""  # the API refuses a message without any
    return message


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages by turn, each beginning with a question: calls stay with their results."""
    turns: list[list[Message]] = []
    for message in messages:
        if not turns or message.get("role") == "user":
            turns.append([])
        turns[-1].append(message)
    return turns
