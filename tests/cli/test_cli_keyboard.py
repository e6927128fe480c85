"""What is typed or pasted in a conversation: pastes, lines that continue, and typing ahead."""

import asyncio
import pty
import readline
import signal
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openai_async.cli import keyboard
from openai_async.testing import Failure, Reply

from .chat_terminal import Chat, conversation
from .cli_process import REPOSITORY

CODE = "def f():\n\treturn 1\n\nprint(f())"

gnu_readline = pytest.mark.skipif(
    "GNU" not in (readline.__doc__ or ""), reason="libedit does not know where a paste ends"
)


@pytest.fixture
async def chat_without_readline(tmp_path: Path) -> AsyncIterator[Chat]:
    (tmp_path / "readline.py").write_text("raise ImportError")
    async with conversation(tmp_path, env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}) as begun:
        yield begun


@pytest.fixture(params=["chat", "chat_without_readline"])
def any_chat(request: pytest.FixtureRequest) -> Chat:
    """A conversation where Python has readline, or not."""
    found: Chat = request.getfixturevalue(request.param)
    return found


def questions(chat: Chat) -> list[str]:
    return [request.json["messages"][-1]["content"] for request in chat.server.requests]


# --- pastes ---


@gnu_readline
async def test_a_paste_is_one_question_once_enter_is_pressed(chat: Chat) -> None:
    chat.terminal.send("Explain: ")
    chat.terminal.paste(f"{CODE}\n")
    await chat.enter("In short.", "You asked")
    assert questions(chat) == [f"Explain: {CODE}\nIn short."]


@gnu_readline
async def test_a_paste_can_be_taken_back_until_enter_is_pressed(chat: Chat) -> None:
    chat.terminal.paste(f"{CODE}\n")
    await chat.enter("\x15Hello", "You asked")  # Ctrl-U deletes what is before the cursor
    assert questions(chat) == ["Hello"]


@gnu_readline
async def test_a_line_break_at_the_end_of_a_paste_is_not_sent(chat: Chat) -> None:
    chat.terminal.paste("Hello\n")
    await chat.enter("", "You asked")
    assert questions(chat) == ["Hello"]


async def test_a_paste_without_marks_is_one_question(any_chat: Chat) -> None:
    code = CODE.replace("\t", "  ")  # a tab that is typed completes names
    await any_chat.enter(code, "print(f())", "You asked")
    assert questions(any_chat) == [code]


async def test_the_next_question_is_another(any_chat: Chat) -> None:
    await any_chat.enter("One", "You asked")
    await any_chat.enter("Two", "You asked")
    assert questions(any_chat) == ["One", "Two"]


@gnu_readline
@pytest.mark.parametrize("first", ["// a comment", "/* a comment */", "/exit", "exit"])
async def test_text_of_several_lines_is_never_a_command(chat: Chat, first: str) -> None:
    text = f"{first}\nint i;"
    chat.terminal.paste(text)
    await chat.enter("", "You asked")
    assert questions(chat) == [text]


async def test_a_question_typed_after_a_command_is_another(chat: Chat) -> None:
    await chat.enter("/model gpt-4o\nHello", "now gpt-4o", "You asked")
    assert questions(chat) == ["Hello"]


# --- lines that continue ---


async def test_a_line_that_ends_with_a_backslash_continues_on_the_next(any_chat: Chat) -> None:
    terminal = any_chat.terminal
    terminal.send("One \\\n")
    await asyncio.to_thread(terminal.expect, "... ")
    terminal.send("two\\\n")
    await asyncio.to_thread(terminal.expect, "... ")
    await any_chat.enter("three", "You asked")
    assert questions(any_chat) == ["One \ntwo\nthree"]


async def test_a_backslash_within_a_paste_stays(chat: Chat) -> None:
    await chat.enter("make \\\n  all", "You asked")
    assert questions(chat) == ["make \\\n  all"]


async def test_a_command_may_end_with_a_backslash(chat: Chat) -> None:
    await chat.enter("/model a\\", "The model is now a")


# --- typing during an answer ---


async def type_during_an_answer(chat: Chat, text: str) -> None:
    """Ask, type while the answer stalls, and stop the answer."""
    chat.server.script(Failure(stall_after=3), Reply("Second."))
    terminal = chat.terminal
    terminal.send("One\n")
    await asyncio.to_thread(terminal.expect, "Happy to help")
    assert not terminal.echoes()
    terminal.send(text)
    terminal.process.send_signal(signal.SIGINT)
    await asyncio.to_thread(terminal.expect, "Stopped.")
    await asyncio.to_thread(terminal.expect, "\n> ")


async def test_what_is_typed_during_an_answer_is_at_the_next_prompt_and_not_in_the_answer(
    chat: Chat,
) -> None:
    await type_during_an_answer(chat, "Two")
    await chat.enter(" and three", "Two and three", "Second.")
    assert chat.terminal.screen.count("Two") == 1
    assert questions(chat) == ["One", "Two and three"]


async def test_without_readline_to_show_it_what_is_typed_during_an_answer_is_discarded(
    chat_without_readline: Chat,
) -> None:
    chat = chat_without_readline
    await type_during_an_answer(chat, "Two\n")
    await chat.enter("Three", "Three", "Second.")
    assert "Two" not in chat.terminal.screen
    assert questions(chat) == ["One", "Three"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, RuntimeError])
def test_typing_shows_again_whatever_ends_an_answer(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    with open(master, "rb"), open(slave) as terminal:  # noqa: PTH123 - descriptors
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(terminal)
        with pytest.raises(error), keyboard.hidden():
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            raise error
        assert termios.tcgetattr(terminal) == before
