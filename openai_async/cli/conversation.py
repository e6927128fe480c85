"""`openai-async chat` on a terminal: a conversation, sent as a whole with each question.

Lines are read outside the event loop, which runs only while an answer is awaited: a thread that is
blocked in `input()` could not be stopped.
"""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack, suppress
from typing import Any

from attrs import evolve

from .. import Conversation, OpenAIError
from .chat import ChatOptions, ask, picture_parts, system_messages, user_message
from .commands import Talk, carry_out
from .errors import CommandError, UsageError, report
from .options import Connection, check, connect
from .output import Output, write_note
from .running import event_loop

EXIT_COMMAND = "exit"
# The last three are habits from other programs.
EXIT_COMMANDS = (EXIT_COMMAND, "quit", "/exit", "/quit")
# Appended to an interrupted answer, for the model to see.
INTERRUPTION_MARK = " [stopped here by the user]"


def converse(options: ChatOptions, connection: Connection, output: Output) -> int:
    """Read questions until there are no more; returns the exit code."""
    if output.as_json or not output.terminal:
        msg = "There is no prompt: pass it as an argument or through a pipe."
        raise UsageError(msg)
    check(connection)
    with suppress(ImportError):  # not on Windows
        importlib.import_module("readline")  # gives input() its arrow keys
    leave = f"Type `{EXIT_COMMAND}` or press Ctrl-D to leave, `/help` to list commands."
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
    while (line := _next_line(output)) is not None:
        text = line.lstrip()
        if not text:
            continue
        try:
            if text.startswith("/") and not text.startswith("//"):
                output.line(carry_out(text, talk), "dim")
            else:
                prompt = text[1:] if text.startswith("//") else line
                talk.runner.run(_take_turn(talk, prompt, options, output))
        except (OpenAIError, CommandError) as error:
            # The question is dropped, so that the next answer is not about it.
            report(error, as_json=False)
    return 0


def _next_line(output: Output) -> str | None:
    """The next line, `None` at the end."""
    try:
        line = input("> ")
    except EOFError:
        output.line()
        return None
    except KeyboardInterrupt:
        output.line()
        raise
    return None if line.strip() in EXIT_COMMANDS else line


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
