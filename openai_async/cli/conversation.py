"""`openai-async chat` on a terminal: a conversation, sent as a whole with each question.

Lines are read outside the event loop, which runs only while an answer is awaited: a thread that is
blocked in `input()` could not be stopped.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from attrs import evolve

from .. import APIStatusError, Conversation, OpenAIError, RateLimitError
from . import keyboard
from .chat import ChatOptions, ask, picture_parts, system_messages, user_message
from .commands import (
    NO_PICTURE,
    Talk,
    carry_out,
    is_command,
    is_known,
    leaves,
    pictures_to_send,
)
from .errors import CommandError, UsageError, report
from .options import Connection, check, connect
from .output import Output, write_note
from .running import event_loop

# Appended to an interrupted answer, for the model to see.
INTERRUPTION_MARK = " [stopped here by the user]"


def converse(options: ChatOptions, connection: Connection, output: Output) -> int:
    """Read questions until there are no more; returns the exit code."""
    if output.as_json or not output.terminal:
        msg = "There is no prompt: pass it as an argument or through a pipe."
        raise UsageError(msg)
    check(connection)
    keyboard.prepare()
    leave = "Type `exit` or press Ctrl-D to leave, `/help` to list commands."
    with event_loop() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(connect(connection)))
        try:
            pictures = runner.run(picture_parts(options.images))
            output.line(f"{options.model}. {leave}", "dim")
            conversation = Conversation(client, model=options.model, system=options.system)
            talk = Talk(conversation=conversation, pictures=pictures, runner=runner)
            return _converse(talk, options, output)
        finally:
            runner.run(stack.aclose())


def _converse(talk: Talk, options: ChatOptions, output: Output) -> int:
    while (text := _next_text(output)) is not None:
        if not text.strip():
            continue
        with keyboard.hidden():
            try:
                if is_command(text):
                    output.line(carry_out(text, talk), "dim")
                else:
                    _ask(talk, _prompt(text), options, output)
            except (OpenAIError, CommandError) as error:
                report(error, as_json=False)
    return 0


def _next_text(output: Output) -> str | None:
    """What the user says or asks for next; `None` to leave."""
    try:
        text = keyboard.read_text(is_known)
    except EOFError:
        output.line()
        return None
    except KeyboardInterrupt:
        output.line()
        raise
    return None if leaves(text) else text


def _prompt(text: str) -> str:
    """The text to send: of two slashes that begin a line, one says that it is not a command."""
    line = text.lstrip()
    return line[1:] if line.startswith("//") and "\n" not in line else text


def _ask(talk: Talk, prompt: str, options: ChatOptions, output: Output) -> None:
    """Take a turn. A question that fails is dropped, so that the next answer is not about it.

    Its pictures are kept unless the server refused the request: it might be because of them.
    """
    try:
        talk.runner.run(_take_turn(talk, prompt, options, output))
    except (OpenAIError, CommandError) as error:
        report(error, as_json=False)
        if talk.pictures and _is_refusal(error):
            talk.pictures.clear()
            write_note(f"{NO_PICTURE} To add it again, use /image.")
    if talk.pictures:
        write_note(f"{pictures_to_send(talk)} /image alone removes it.")


def _is_refusal(error: Exception) -> bool:
    """Whether the request would be refused again."""
    if not isinstance(error, APIStatusError) or isinstance(error, RateLimitError):
        return False
    return error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


async def _take_turn(talk: Talk, prompt: str, options: ChatOptions, output: Output) -> None:
    """Ask, and add both messages to the conversation, unless it was stopped before any text came.

    Ctrl-C stops the answer, not the conversation. The text so far is kept and marked: the model
    should know what the user has seen, and that the answer was incomplete.
    """
    conversation = talk.conversation
    said: list[str] = []
    asked = user_message(prompt, talk.pictures)
    messages: list[Any] = [*system_messages(conversation.system), *conversation.messages, asked]
    options = evolve(options, model=conversation.model)
    try:
        # The loop has not run since the last answer: let it notice which connections were closed.
        await asyncio.sleep(0)
        completion = await ask(conversation.client, messages, options, output, said.append)
    except asyncio.CancelledError:  # how `asyncio.Runner` reports the first Ctrl-C
        write_note("Stopped. Press Ctrl-C again to leave.")
        output.line()
        if not said:
            return
        message = {"role": "assistant", "content": "".join(said) + INTERRUPTION_MARK}
    else:
        output.line()
        if not completion.choices:
            return
        # With what vendors want back, such as the model's reasoning.
        message = {**completion.choices[0].message.to_dict(), "content": completion.text}
    conversation.messages += [asked, message]
    talk.pictures.clear()
