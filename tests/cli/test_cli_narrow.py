"""What a narrow window shows of what is not an answer: help, notes and errors."""

from pathlib import Path

from openai_async.testing import Reply

from .chat_terminal import Chat, conversation


def lines(chat: Chat) -> list[str]:
    """The lines of the screen, without styles."""
    return [line.rstrip() for line in chat.terminal.plain().splitlines()]


async def test_help_wraps_at_words_within_its_column(tmp_path: Path) -> None:
    async with conversation(tmp_path, columns=40) as chat:
        await chat.enter("/help")
        shown = lines(chat)
        start = shown.index("/save FILE          Save the")
        assert shown[start : start + 4] == [
            "/save FILE          Save the",
            "                    conversation.",
            "/load FILE          Replace this",
            "                    conversation with a",
        ]


async def test_errors_wrap_at_words(tmp_path: Path) -> None:
    async with conversation(tmp_path, columns=40) as chat:
        await chat.enter("/sav")
        shown = lines(chat)
        start = shown.index("error: There is no command /sav: /help")
        assert shown[start : start + 4] == [
            "error: There is no command /sav: /help",
            "lists the commands. To send a line that",
            "begins with a slash, begin it with two.",
            ">",
        ]


async def test_notes_wrap_at_words(tmp_path: Path) -> None:
    async with conversation(tmp_path, columns=40) as chat:
        chat.server.script(Reply("One", finish_reason="content_filter"))
        await chat.enter("Hello")
        assert "note: The answer was cut off by the\r\ncontent filter.\r\n" in chat.terminal.plain()


async def test_a_path_longer_than_a_line_stays_whole(tmp_path: Path) -> None:
    path = "x" * 60
    async with conversation(tmp_path, columns=40) as chat:
        await chat.enter(f"/load {path}")
        assert f"error: There is no file\r\n'{path}'.\r\n" in chat.terminal.plain()
