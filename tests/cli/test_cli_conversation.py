"""`openai-async chat` on a terminal."""

import asyncio
import signal

import pytest

from openai_async.testing import Failure, LocalServer, Reply

from .cli_process import Terminal, environment


def test_a_conversation_remembers_what_was_said() -> None:
    with Terminal("chat", "--local") as terminal:
        terminal.expect("> ")
        terminal.send("Hello\n")
        terminal.expect("You asked: “Hello” I read 1 message")
        terminal.expect("> ")
        terminal.send("Again\n")
        terminal.expect("You asked: “Again” I read 3 messages from user and assistant")
        terminal.expect("> ")
        terminal.send("exit\n")
        assert terminal.exit_code() == 0


@pytest.mark.parametrize("word", ["exit", " quit", "/exit", "/quit", "/exit now", "/QUIT"])
def test_every_word_for_leaving_ends_the_conversation(word: str) -> None:
    with Terminal("chat", "--local") as terminal:
        terminal.expect("> ")
        terminal.send(f"{word}\n")
        assert terminal.exit_code() == 0


def test_ctrl_d_leaves() -> None:
    with Terminal("chat", "--local") as terminal:
        terminal.expect("> ")
        terminal.send("\x04")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.screen


def test_ctrl_c_at_the_prompt_leaves_with_130() -> None:
    with Terminal("chat", "--local") as terminal:
        terminal.expect("> ")
        terminal.interrupt()
        assert terminal.exit_code() == 130
        assert "Traceback" not in terminal.screen


async def test_ctrl_c_during_an_answer_hangs_up_and_the_conversation_continues() -> None:
    async with LocalServer() as server:
        server.script(Failure(stall_after=3))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", env=env) as terminal:
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("Hello\n")
            await asyncio.to_thread(terminal.expect, "Happy to help")
            terminal.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(terminal.expect, "Stopped. Press Ctrl-C again to leave.")
            await server.requests[-1].finished()
            assert server.requests[-1].disconnected
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("Again\n")
            await asyncio.to_thread(terminal.expect, "I read 3 messages")
            await asyncio.to_thread(terminal.expect, "> ")
            await asyncio.to_thread(terminal.interrupt)
            assert await asyncio.to_thread(terminal.exit_code) == 130
            assert "Traceback" not in terminal.screen
        assert server.requests[1].json["messages"] == [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Happy to help [stopped here by the user]"},
            {"role": "user", "content": "Again"},
        ]


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
async def test_a_question_stopped_before_any_text_arrived_is_forgotten(option: str) -> None:
    async with LocalServer() as server:
        server.script(Failure(delay=600))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", option, env=env) as terminal:
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("One\n")
            await server.received()
            terminal.process.send_signal(signal.SIGINT)
            await asyncio.to_thread(terminal.expect, "Stopped. Press Ctrl-C again to leave.")
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("Two\n")
            await asyncio.to_thread(terminal.expect, "I read 1 message")
            terminal.send("exit\n")
            assert await asyncio.to_thread(terminal.exit_code) == 0
        assert server.requests[1].json["messages"] == [{"role": "user", "content": "Two"}]


async def test_a_question_that_failed_is_forgotten_and_the_conversation_continues() -> None:
    async with LocalServer() as server:
        server.script(Failure(400, message="Not this."))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", env=env) as terminal:
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("One\n")
            await asyncio.to_thread(terminal.expect, "HTTP 400: Not this.")
            await asyncio.to_thread(terminal.expect, "> ")
            terminal.send("Two\n")
            await asyncio.to_thread(terminal.expect, "I read 1 message")
        assert server.requests[1].json["messages"] == [{"role": "user", "content": "Two"}]


async def test_a_model_cannot_command_the_terminal() -> None:
    async with LocalServer() as server:
        server.script(Reply("safe\x1b]0;owned\x07 and sound"))
        env = environment(OPENAI_API_KEY="local", OPENAI_BASE_URL=server.url)
        with Terminal("chat", "Hi", env=env) as terminal:
            assert await asyncio.to_thread(terminal.exit_code) == 0
            assert "safe]0;owned and sound" in terminal.screen


def test_a_conversation_has_no_json() -> None:
    with Terminal("chat", "--local", "--json") as terminal:
        assert terminal.exit_code() == 2
        assert "There is no prompt" in terminal.screen


def test_a_missing_key_is_reported_before_the_first_question() -> None:
    with Terminal("chat") as terminal:
        assert terminal.exit_code() == 1
        assert "export OPENAI_API_KEY=" in terminal.screen


def test_no_color_is_respected() -> None:
    with Terminal("models", "--local", env=environment(NO_COLOR="1")) as terminal:
        assert terminal.exit_code() == 0
        assert "────" in terminal.screen
        assert not any(f"\x1b[{colour}m" in terminal.screen for colour in range(30, 50))
