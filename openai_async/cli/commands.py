"""The commands within a conversation, such as `/save FILE`."""

from __future__ import annotations

import asyncio
import os
import shlex
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from .. import Conversation
from .chat import picture_parts
from .errors import CommandError
from .output import terminal_width
from .saved import load, save

NO_PICTURE = "No picture will be sent."


@define(kw_only=True)
class Talk:
    """What commands change: the conversation, and the pictures to send with the next question."""

    conversation: Conversation
    runner: asyncio.Runner
    pictures: list[Any] = Factory(list)


@frozen
class Command:
    usage: str
    help: str
    run: Callable[[Talk, str], str]
    """Runs the command with what follows its name; returns what to tell the user."""


def leaves(text: str) -> bool:
    """Whether the text ends the conversation; words after a command do not matter."""
    word = text.strip()
    return word in ("exit", "quit") or _name(word) in ("/exit", "/quit")


def is_command(text: str) -> bool:
    """Whether the text is a command, known or not; text of several lines is not."""
    text = text.lstrip()
    return text.startswith("/") and not text.startswith("//") and "\n" not in text


def is_known(text: str) -> bool:
    """Whether the text is one of the commands."""
    return leaves(text) or _name(text) in COMMANDS


def carry_out(line: str, talk: Talk) -> str:
    """Run a line that begins with a slash; returns what to tell the user.

    Raises:
        CommandError, OpenAIError: it failed, and nothing has changed.
    """
    name, *rest = line.split(maxsplit=1)
    if (command := COMMANDS.get(_name(line))) is None:
        msg = (
            f"There is no command {name[:40]}: /help lists the commands. "
            "To send a line that begins with a slash, begin it with two."
        )
        raise CommandError(msg)
    return command.run(talk, _unquoted(rest[0].strip()) if rest else "")


def _name(text: str) -> str:
    """The name of the command; empty if there is none."""
    return text.split(maxsplit=1)[0].lower() if is_command(text) else ""


def _unquoted(argument: str) -> str:
    """The argument, without the quotes or backslashes that terminals add to dropped files."""
    if os.name == "nt":  # where paths are full of backslashes
        return argument.strip('"')
    try:
        words = shlex.split(argument)
    except ValueError:  # an apostrophe
        return argument
    return words[0] if len(words) == 1 else argument


def _expanded(argument: str) -> str:
    return os.path.expanduser(argument)  # noqa: PTH111 - as it is if there is no such user


def _path(argument: str, usage: str) -> Path:
    if not argument:
        msg = f"The name of the file is missing: {usage}"
        raise CommandError(msg)
    if "\0" in argument:
        msg = "The name of a file cannot contain a null character."
        raise CommandError(msg)
    return Path(_expanded(argument))


def _save(talk: Talk, argument: str) -> str:
    path = _path(argument, "/save FILE")
    save(talk.conversation, path)
    return f"Saved {_size(talk)} in {path}."


def _load(talk: Talk, argument: str) -> str:
    path = _path(argument, "/load FILE")
    talk.conversation = load(talk.conversation.client, path)
    loaded = f"Loaded {_size(talk)}. The model is {talk.conversation.model}."
    if not talk.pictures:
        return loaded
    talk.pictures.clear()
    return f"{loaded} {NO_PICTURE}"


def _size(talk: Talk) -> str:
    count = len(talk.conversation.messages)
    return f"{count} message{'' if count == 1 else 's'}"


def _image(talk: Talk, argument: str) -> str:
    if not argument:
        if not talk.pictures:
            msg = "The picture is missing: /image PATH_OR_URL"
            raise CommandError(msg)
        talk.pictures.clear()
        return NO_PICTURE
    talk.pictures += talk.runner.run(picture_parts([_expanded(argument)]))
    return pictures_to_send(talk)


def pictures_to_send(talk: Talk) -> str:
    """Tells the user about the pictures, of which there is at least one."""
    count = len(talk.pictures)
    what = "The picture" if count == 1 else f"{count} pictures"
    return f"{what} will be sent with the next question."


def _model(talk: Talk, argument: str) -> str:
    if argument:
        talk.conversation.model = argument
    return f"The model is {'now ' if argument else ''}{talk.conversation.model}."


def _help(talk: Talk, argument: str) -> str:
    rows = [(command.usage, command.help) for command in COMMANDS.values()]
    rows += [
        ("/exit", "Leave; Ctrl-D does the same."),
        ("//...", "Send a line that begins with a slash."),
        ("...\\", "Continue on the next line; a paste of several lines needs no backslash."),
    ]
    indent = max(len(usage) for usage, _ in rows) + 2
    # In a very narrow window, what does not fit begins at the left.
    width = max(terminal_width() or 80, indent + 16)
    return "\n".join(
        textwrap.fill(
            text,
            width,
            initial_indent=usage.ljust(indent),
            subsequent_indent=" " * indent,
        )
        for usage, text in rows
    )


COMMANDS = {
    "/save": Command("/save FILE", "Save the conversation.", _save),
    "/load": Command("/load FILE", "Replace this conversation with a saved one.", _load),
    "/image": Command(
        "/image PATH_OR_URL",
        "Send a picture with the next question; /image alone removes it.",
        _image,
    ),
    "/model": Command("/model NAME", "Switch to another model.", _model),
    "/help": Command("/help", "List the commands.", _help),
}
