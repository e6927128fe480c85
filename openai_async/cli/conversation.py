"""`openai-async chat` on a terminal: question and answer in turn, each answer knowing the last.

Lines are read outside of the event loop, which only runs while there is an answer to wait for: a
thread that waits in `input()` could not be stopped.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from .. import AsyncClient, OpenAIError
from .chat import ChatOptions, answer, opening, question
from .errors import UsageError, report
from .options import Connection, check, connect
from .output import Output, write_note
from .running import event_loop

LEAVE = "exit"
# What people type who are used to other programs.
LEAVES = (LEAVE, "quit", "/exit", "/quit")
# Appended to an answer that was stopped, for the model to see.
CUT = " [stopped here by the user]"


def converse(options: ChatOptions, connection: Connection, output: Output) -> int:
    """Ask for questions until there are no more; returns the exit code."""
    if output.as_json or not output.terminal:
        msg = "There is no prompt: pass it as an argument or through a pipe."
        raise UsageError(msg)
    check(connection)
    with suppress(ImportError):  # there is none on Windows
        importlib.import_module("readline")  # gives input() its arrow keys
    output.line(f"{options.model}. Type `{LEAVE}` or press Ctrl-D to leave.", "dim")
    with event_loop() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(connect(connection)))
        try:
            return _take_turns(runner, client, options, output)
        finally:
            runner.run(stack.aclose())


def _take_turns(
    runner: asyncio.Runner, client: AsyncClient, options: ChatOptions, output: Output
) -> int:
    messages = opening(options)
    images: Sequence[str] = options.images
    while (prompt := _ask_for_prompt(output)) is not None:
        if not prompt.strip():
            continue
        try:
            turn = runner.run(_turn(client, messages, prompt, images, options, output))
        except OpenAIError as error:
            # The question is forgotten, so that the next one is not answered in its stead.
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
    return None if line.strip() in LEAVES else line


async def _turn(
    client: AsyncClient,
    messages: Sequence[Any],
    prompt: str,
    images: Sequence[str],
    options: ChatOptions,
    output: Output,
) -> list[Any]:
    """Both messages of the turn; none if it was stopped before anything was said.

    Ctrl-C stops the answer, not the conversation. What has been said is remembered, and marked: the
    model should know what its reader has seen, and that the answer was not complete.
    """
    said: list[str] = []
    try:
        # The loop has slept since the last answer: let it notice which connections have ended.
        await asyncio.sleep(0)
        asked = await question(prompt, images)
        completion = await answer(client, [*messages, asked], options, output, said.append)
    except asyncio.CancelledError:  # how `asyncio.Runner` reports the first Ctrl-C
        write_note("Stopped. Press Ctrl-C again to leave.")
        output.line()
        if not said:
            return []
        return [asked, {"role": "assistant", "content": "".join(said) + CUT}]
    output.line()
    return [asked, {"role": "assistant", "content": completion.text}]
