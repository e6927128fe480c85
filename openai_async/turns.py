"""One turn of a conversation: what is asked, what arrives, and what of it becomes history."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .errors import InvalidArgumentError, OpenAIError
from .images.reading import ImageSource
from .jsontext import shown, strict_loads
from .resources.tool_runs import ToolRun
from .streaming.chat import ChatCompletionStream
from .types.base import APIObject
from .types.chat_completion import ChatCompletion
from .types.structuring import structurer
from .vision import image_part

Message = Mapping[str, Any]


class Turn:
    """A turn under way.

    Attributes:
        sent: the messages of the request.
        answer: what it is read from; `None` for one that arrives as a whole.
        kept: it is part of the history.
    """

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.answer: ChatCompletionStream | ToolRun[Any] | None = None
        self.kept = False

    def new_messages(self, completion: ChatCompletion) -> list[Message]:
        """What the turn adds to the history.

        Raises:
            OpenAIError: it ended with nothing, or with calls that nobody has answered. With either
                in the history, the API would refuse the next request.
        """
        if not completion.choices:
            msg = "The answer has no choices, so there is nothing to keep."
            raise OpenAIError(msg)
        said = completion.choices[0].message.to_dict()
        if said.get("tool_calls") or said.get("function_call"):
            msg = (
                "The answer calls tools that the conversation cannot call: "
                "pass functions as tools=[...] to Conversation."
            )
            raise OpenAIError(msg)
        if not said.get("refusal") and not said.get("audio"):
            said["content"] = said.get("content") or ""  # the API refuses a message without any
        run = self.answer
        # The messages of a run begin with those that were sent, and end with the answer.
        calls = run.messages[len(self.sent) : -1] if isinstance(run, ToolRun) else []
        return [self.sent[-1], *plain(calls), said]

    @property
    def partial(self) -> ChatCompletion | None:
        """The answer so far, with the text of all its rounds; `None` if nothing has arrived."""
        answer = self.answer
        ended: list[ChatCompletion] = []
        if isinstance(answer, ToolRun):
            ended += answer.completions
        latest = None if answer is None else answer.partial
        rounds = [each for each in (*ended, latest) if each is not None and each.choices]
        if len(rounds) < 2:
            return rounds[0] if rounds else None
        value = rounds[-1].to_dict()
        first, *others = value["choices"]
        message = {**first["message"], "content": "".join(each.text for each in rounds)}
        value["choices"] = [{**first, "message": message}, *others]
        completion = structurer(ChatCompletion)(value)
        completion.meta = rounds[-1].meta
        return completion

    def leave(self) -> None:
        """Hang up and cancel the calls, without waiting."""
        if self.answer is not None:
            self.answer._leave()


def plain(messages: Sequence[Any]) -> list[Message]:
    """Messages as dicts, which can be saved."""
    return [m.to_dict() if isinstance(m, APIObject) else m for m in messages]


async def question(text: str, images: Iterable[ImageSource]) -> Message:
    """The user's message.

    Raises:
        InvalidArgumentError: a picture cannot be read, or is not in a list.
    """
    # Text, bytes and open files are iterable too, but what they yield are not pictures.
    one = isinstance(images, str | bytes | bytearray | memoryview) or hasattr(images, "read")
    if one or not isinstance(images, Iterable):
        kind = type(images).__name__
        msg = f'images has type {kind}: pass a list of pictures, as in images=["cat.png"].'
        raise InvalidArgumentError(msg)
    parts = [await image_part(image) for image in images]
    if not parts:
        return {"role": "user", "content": text}
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def counted(
    count_tokens: Callable[[Sequence[Message]], float], messages: Sequence[Message]
) -> float:
    """The tokens of messages.

    Raises:
        InvalidArgumentError: the function did not return a number.
    """
    count = count_tokens(messages)
    try:
        usable = count >= 0
    except TypeError:
        usable = False
    if not usable:
        told = f"a {type(count).__name__}" if inspect.isawaitable(count) else repr(count)
        if inspect.iscoroutine(count):
            count.close()  # or Python would warn that it was never awaited
        msg = f"count_tokens returned {told}: pass a plain function that returns a number."
        raise InvalidArgumentError(msg)
    return count


def by_turn(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages by turn, each beginning with a question: calls stay with their results."""
    turns: list[list[Message]] = []
    for message in messages:
        if not turns or message.get("role") == "user":
            turns.append([])
        turns[-1].append(message)
    return turns


def read_saved(text: str) -> tuple[str, str | None, list[Message]]:
    """The model, the system message and the history in what `Conversation.to_json` returned.

    Raises:
        InvalidArgumentError: it is something else; the message says where.
    """
    if not isinstance(text, str | bytes):
        raise _not_saved(f"it has type {type(text).__name__}, not str")
    try:
        saved = strict_loads(text)
    except ValueError as error:
        raise _not_saved(f"it is not JSON: {error}") from error
    if not isinstance(saved, dict):
        raise _not_saved(f"it is {shown(saved)}, not an object")
    for key, kinds, what in (
        ("model", str, "text"),
        ("system", str | None, "text or null"),
        ("messages", list, "a list"),
    ):
        if key not in saved:
            raise _not_saved(f'it has no "{key}"')
        if not isinstance(saved[key], kinds):
            raise _not_saved(f'"{key}" is {shown(saved[key])}, not {what}')
    for index, message in enumerate(saved["messages"]):
        place = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _not_saved(f"{place} is {shown(message)}, not an object")
        if not isinstance(message.get("role"), str):
            raise _not_saved(f'{place} has no "role" that is text')
    return saved["model"], saved["system"], saved["messages"]


def _not_saved(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"This is not a saved conversation, as {problem}. Pass what to_json() returned."
    )
