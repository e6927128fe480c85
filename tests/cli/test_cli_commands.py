"""The commands within a conversation: /save, /load, /image, /model and /help."""

import asyncio
import errno
import json
import os
from pathlib import Path

import pytest

from openai_async import AsyncClient, Conversation
from openai_async.cli.errors import CommandError
from openai_async.cli.saved import save
from openai_async.testing import Failure, LocalServer, Reply

from .chat_terminal import Chat
from .cli_process import REPOSITORY, Terminal, environment

CAT = REPOSITORY / "openai_async" / "cli" / "cat.jpg"
TALK = {
    "model": "gpt-4o",
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "Grüße"},
        {"role": "assistant", "content": "Hello 🦦", "refusal": None},
    ],
}


async def test_help_lists_the_commands(chat: Chat) -> None:
    usages = ("/save FILE", "/load FILE", "/image PATH_OR_URL", "/model NAME", "/help", "/exit")
    await chat.enter("/help", *(f"{usage} " for usage in usages), "//... ")
    await chat.enter("/HELP", *usages)
    assert chat.server.requests == []


@pytest.mark.parametrize("line", ["/sav x.json", "/etc/passwd is what?", "/", "  /nothing"])
async def test_an_unknown_command_is_explained_and_not_sent(chat: Chat, line: str) -> None:
    name = line.split()[0]
    unknown = f"There is no command {name}: /help lists the commands."
    await chat.enter(line, unknown, "begin it with two.")
    assert chat.server.requests == []


async def test_a_line_that_begins_with_two_slashes_is_sent_with_one(chat: Chat) -> None:
    await chat.enter("//help me", "You asked")
    assert chat.sent()["messages"][-1] == {"role": "user", "content": "/help me"}


async def test_a_question_may_begin_with_a_word_for_leaving(chat: Chat) -> None:
    await chat.enter("exit codes?", "You asked")
    assert chat.sent()["messages"][-1]["content"] == "exit codes?"


# --- /model ---


async def test_model_asks_another_model_from_now_on(chat: Chat) -> None:
    await chat.enter("/model", "The model is gpt-5.4-mini.")
    await chat.enter("/model gpt-4o", "The model is now gpt-4o.")
    await chat.enter("Hello", "You asked")
    assert chat.sent()["model"] == "gpt-4o"


# --- /image ---


async def test_pictures_are_shown_with_the_next_question_alone(chat: Chat) -> None:
    chat.server.script(Reply("A cat."), Reply("A cat still."))
    await chat.enter(f"/image {CAT}", "The picture will be sent with the next question.")
    await chat.enter("/image https://example.com/a.png", "2 pictures will be sent")
    assert chat.server.requests == []
    await chat.enter("What is this?", "A cat.")
    kinds = [part["type"] for part in chat.sent()["messages"][-1]["content"]]
    assert kinds == ["text", "image_url", "image_url"]
    await chat.enter("And now?", "A cat still.")
    assert chat.sent()["messages"][-1]["content"] == "And now?"
    assert chat.sent()["messages"][1]["content"][2]["image_url"]["url"].endswith("/a.png")


async def test_a_picture_that_cannot_be_read_is_explained_at_once(chat: Chat) -> None:
    await chat.enter("/image no.png", "There is no file 'no.png'")
    await chat.enter("/image", "The picture is missing: /image PATH_OR_URL")
    await chat.enter("Hello", "You asked")
    assert chat.sent()["messages"][-1]["content"] == "Hello"


@pytest.mark.parametrize("status", [400, 404, 413])
async def test_pictures_of_a_question_that_was_refused_are_dropped(chat: Chat, status: int) -> None:
    chat.server.script(Failure(status, message="Not this."))
    await chat.enter("/image https://example.com/x.png", "will be sent")
    await chat.enter("One", "Not this.", "No picture will be sent. To add it again, use /image.")
    await chat.enter("Two", "You asked")
    assert chat.sent()["messages"][-1]["content"] == "Two"


@pytest.mark.parametrize("status", [429, 500])
async def test_pictures_of_a_question_that_failed_otherwise_are_sent_with_the_next(
    chat: Chat, status: int
) -> None:
    failure = Failure(status, message="Not now.", headers={"x-should-retry": "false"})
    chat.server.script(failure, failure)
    await chat.enter(f"/image {CAT}", "will be sent")
    kept = "The picture will be sent with the next question. /image alone removes it."
    await chat.enter("One", "Not now.", kept)
    await chat.enter("Two", "Not now.", kept)
    assert len(chat.sent()["messages"][-1]["content"]) == 2
    await chat.enter("/image", "No picture will be sent.")
    await chat.enter("Three", "You asked")
    assert chat.sent()["messages"][-1]["content"] == "Three"


async def test_pictures_are_not_sent_to_a_conversation_that_is_loaded(
    chat: Chat, tmp_path: Path
) -> None:
    (tmp_path / "talk.json").write_text(json.dumps(TALK))
    await chat.enter(f"/image {CAT}", "will be sent")
    await chat.enter("/load talk.json", "The model is gpt-4o. No picture will be sent.")
    await chat.enter("Again", "You asked")
    assert chat.sent()["messages"][-1]["content"] == "Again"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a cat.jpg", "a cat.jpg"),
        ("a cat.jpg", "'a cat.jpg'"),
        ("a cat.jpg", '"a cat.jpg"'),
        ("a cat.jpg", "a\\ cat.jpg"),
        ("the cat's.jpg", "the cat's.jpg"),
        ("home/cat.jpg", "~/cat.jpg"),
    ],
)
async def test_names_of_files_are_written_as_in_a_shell_or_as_they_are(
    chat: Chat, tmp_path: Path, name: str, written: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / name).write_bytes(CAT.read_bytes())
    await chat.enter(f"/image {written}", "The picture will be sent")


def test_a_picture_of_the_command_line_is_read_before_the_first_question() -> None:
    with Terminal("chat", "--local", "--image", "no.png") as terminal:
        assert terminal.exit_code() == 1
        assert "There is no file 'no.png'" in terminal.screen


# --- /save and /load ---


async def test_a_conversation_is_saved_as_the_class_conversation_does(
    chat: Chat, tmp_path: Path
) -> None:
    chat.server.script(Reply("Hello 🦦"))
    await chat.enter("Grüße", "Hello 🦦")
    await chat.enter("/save my talk.json", "Saved 2 messages in my talk.json.")
    saved = json.loads((tmp_path / "my talk.json").read_text(encoding="utf-8"))
    assert saved == {**TALK, "model": "gpt-5.4-mini", "system": "Be kind."}
    assert os.listdir(tmp_path) == ["my talk.json"]  # noqa: PTH208 - nothing temporary is left


async def test_a_saved_conversation_is_continued(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text(json.dumps(TALK))
    await chat.enter("This is forgotten.", "You asked")
    await chat.enter("/load talk.json", "Loaded 2 messages. The model is gpt-4o.")
    await chat.enter("Again", "You asked")
    assert chat.sent()["model"] == "gpt-4o"
    assert chat.sent()["messages"] == [
        {"role": "system", "content": "Be brief."},
        *TALK["messages"],
        {"role": "user", "content": "Again"},
    ]
    await chat.enter("/save talk.json", "Saved 4 messages in talk.json.")
    saved = (tmp_path / "talk.json").read_text(encoding="utf-8")
    assert Conversation.from_json(None, saved).system == "Be brief."  # type: ignore[arg-type]


WRONG = [
    "",
    "Dear diary",
    "[]",
    '{"model": "gpt-4o"}',
    json.dumps({**TALK, "model": None}),
    json.dumps({**TALK, "system": 3}),
    json.dumps({**TALK, "messages": "none"}),
    json.dumps({**TALK, "messages": [{"content": "no role"}]}),
    json.dumps({"object": "chat.completion", "model": "gpt-4o", "choices": []}),
]


async def test_a_wrong_file_is_one_sentence_and_the_conversation_stays(
    chat: Chat, tmp_path: Path
) -> None:
    await chat.enter("Hello", "You asked")
    for text in WRONG:
        (tmp_path / "x.json").write_text(text)
        await chat.enter("/load x.json", "'x.json' is not a saved conversation.\r")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    await chat.enter("/load x.json", "'x.json' is not a saved conversation.\r")
    await chat.enter("/load no.json", "There is no file 'no.json'.\r")
    await chat.enter("/load .", "'.' is not a file.\r")
    await chat.enter("/load", "The name of the file is missing: /load FILE\r")
    await chat.enter("Again", "You asked")
    assert [message["role"] for message in chat.sent()["messages"]] == [
        *("system", "user", "assistant", "user")
    ]


async def test_only_a_saved_conversation_is_replaced(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary")
    await chat.enter(
        "/save diary.txt",
        "'diary.txt' is not a saved conversation. It was not replaced: name another file.",
    )
    assert (tmp_path / "diary.txt").read_text() == "Dear diary"
    await chat.enter("/save talk.json", "Saved 0 messages")
    (tmp_path / "talk.json").chmod(0o600)
    await chat.enter("/save talk.json", "Saved 0 messages")
    assert (tmp_path / "talk.json").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_written_is_explained(chat: Chat, tmp_path: Path) -> None:
    await chat.enter("/save no/talk.json", "Cannot write 'no/talk.json': No such file")
    await chat.enter("/save", "The name of the file is missing: /save FILE")
    assert list(tmp_path.iterdir()) == []


async def test_a_path_that_cannot_be_looked_at_is_explained(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for path, reason in (
        ("loop", "Too many levels of symbolic links."),
        ("file/talk.json", "Not a directory."),
        ("x" * 300, "File name too long."),
    ):
        # The longest of the paths has a line of its own.
        await chat.enter(f"/load {path}", "Cannot read", f"'{path}':", f"{reason}\r")
        await chat.enter(f"/save {path}", "Cannot write", f"'{path}':", f"{reason}\r")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into any directory")
async def test_a_directory_that_may_not_be_looked_into_is_explained(
    chat: Chat, tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0o600)
    for command, what in (("load", "read"), ("save", "write")):
        message = f"Cannot {what} 'closed/talk.json': Permission denied.\r"
        await chat.enter(f"/{command} closed/talk.json", message)


async def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "talk.json"
    path.write_text(json.dumps(TALK))
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CommandError, match="talk.json': No space left on device"):
        save(Conversation(client, model="gpt-4o"), path)
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text()) == TALK


async def test_a_link_to_a_saved_conversation_stays_a_link(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(json.dumps(TALK))
    (tmp_path / "link.json").symlink_to("real.json")
    await chat.enter("/save link.json", "Saved 0 messages in link.json.")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["messages"] == []


# --- what an answer looks like ---


async def test_answers_wrap_at_words(chat: Chat) -> None:
    words = "incomprehensibilities " * 6  # a terminal has 100 columns
    chat.server.script(Reply(words))
    await chat.enter("Hello")
    lines = [line for line in chat.terminal.screen.splitlines() if line.startswith("incompre")]
    assert [line.split("\b")[0].count(" ") for line in lines] == [4, 1]


@pytest.mark.parametrize("way", ["--stream", "--no-stream"])
async def test_one_answer_to_one_question_wraps_too(way: str) -> None:
    async with LocalServer() as server:
        server.script(Reply("x" * 60 + " " + "y" * 60))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", "Hi", way, env=env) as terminal:
            assert await asyncio.to_thread(terminal.exit_code) == 0
    assert "\n" + "y" * 60 + "\r\n" in terminal.screen
