"""`openai-async chat` on a terminal: a conversation, sent as a whole with each question.

Lines are read outside the event loop, which runs only while an answer is awaited: a thread that is
blocked in `input()` could not be stopped.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from .. import AsyncClient, OpenAIError
from .chat import ChatOptions, ask, initial_messages, user_message
from .errors import UsageError, report
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
    output.line(f"{options.model}. Type `{EXIT_COMMAND}` or press Ctrl-D to leave.", "dim")
    with event_loop() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(connect(connection)))
        try:
            return _converse(runner, client, options, output)
        finally:
            runner.run(stack.aclose())


def _converse(
    runner: asyncio.Runner, client: AsyncClient, options: ChatOptions, output: Output
) -> int:
    messages = initial_messages(options)
    images: Sequence[str] = options.images
    while (prompt := _ask_for_prompt(output)) is not None:
        if not prompt.strip():
            continue
        try:
            turn = runner.run(_take_turn(client, messages, prompt, images, options, output))
        except OpenAIError as error:
            # The question is dropped, so that the next answer is not to this one.
            report(error, as_json=False)
            continue
        if turn:
            messages += turn
            images = ()
    return 0


def _ask_for_prompt(output: Output) -> str | None:
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


async def _take_turn(
    client: AsyncClient,
    messages: Sequence[Any],
    prompt: str,
    images: Sequence[str],
    options: ChatOptions,
    output: Output,
) -> list[Any]:
    """Both messages of the turn; none if it was stopped before any text came.

    Ctrl-C stops the answer, not the conversation. The text so far is kept and marked: the model
    should know what the user has seen, and that the answer was incomplete.
    """
    said: list[str] = []
    try:
        # The loop has not run since the last answer: let it notice which connections were closed.
        await asyncio.sleep(0)
        asked = await user_message(prompt, images)
        completion = await ask(client, [*messages, asked], options, output, said.append)
    except asyncio.CancelledError:  # how `asyncio.Runner` reports the first Ctrl-C
        write_note("Stopped. Press Ctrl-C again to leave.")
        output.line()
        if not said:
            return []
        return [asked, {"role": "assistant", "content": "".join(said) + INTERRUPTION_MARK}]
    output.line()
    return [asked, {"role": "assistant", "content": completion.text}]
