"""`openai-async chat` with a prompt."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openai_async.testing import Failure, LocalServer, Reply

from .cli_process import REPOSITORY, outcome, run_process, start_cli
from .cli_thread import run_beside, run_cli

CAT = str(REPOSITORY / "openai_async" / "cli" / "cat.jpg")


async def ask(server: LocalServer, *arguments: str) -> tuple[int, str, str]:
    return await run_beside("chat", "--base-url", server.url, *arguments)


def test_the_answer_to_an_argument_is_plain_text() -> None:
    done = run_process("chat", "--local", "Hello")
    assert (done.returncode, done.stderr) == (0, "")
    assert "You asked: “Hello”" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.endswith(".\n")


def test_the_prompt_comes_from_a_pipe() -> None:
    assert "You asked: “Grüße”" in run_cli("chat", "--local", stdin="Grüße\n".encode()).stdout


async def test_piped_text_is_added_after_the_argument() -> None:
    async with LocalServer() as server:
        await run_beside("chat", "--base-url", server.url, "Sum up:", stdin=b"one\ntwo\n")
        assert server.requests[0].json["messages"] == [
            {"role": "user", "content": "Sum up:\n\none\ntwo"}
        ]


@pytest.mark.parametrize("arguments", [(), ("  ",)])
def test_an_empty_prompt_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = run_cli("chat", "--local", *arguments, stdin=b" \n")
    assert done.returncode == 2
    assert done.stderr.startswith("error: The prompt is empty")
    assert done.stderr.count("\n") == 1


def test_a_pipe_that_is_not_utf8_is_a_usage_error() -> None:
    done = run_cli("chat", "--local", stdin=b"\xff\xfe\x00")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Standard input is not UTF-8")


def test_several_words_without_quotes_are_explained() -> None:
    done = run_cli("chat", "--local", "Hello", "you")
    assert done.returncode == 2
    assert "quotes" in done.stderr


async def test_options_become_parameters() -> None:
    async with LocalServer() as server:
        await ask(
            server,
            *("Hi", "--model", "gpt-4o", "--system", "Be brief."),
            *("--max-tokens", "5", "--temperature", "0.5"),
        )
        assert server.requests[0].json == {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 5,
            "temperature": 0.5,
            "stream_options": {"include_usage": True},
            "stream": True,
        }


async def test_without_options_only_the_model_is_named() -> None:
    async with LocalServer() as server:
        await ask(server, "Hi", "--no-stream")
        body: dict[str, Any] = server.requests[0].json
        assert sorted(body) == ["messages", "model"]
        assert body["model"] == "gpt-5.4-mini"


def test_pictures_are_shown_to_the_model() -> None:
    done = run_cli("chat", "--local", "What is this?", "--image", CAT, "--image", CAT)
    assert done.stdout.count("a JPEG picture, 300 x 200 pixels") == 2


async def test_the_url_of_a_picture_is_passed_on() -> None:
    async with LocalServer() as server:
        await ask(server, "Hi", "--image", "https://example.com/a.png")
        part = server.requests[0].json["messages"][0]["content"][1]
        assert part == {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def test_a_missing_picture_is_one_line(tmp_path: Path) -> None:
    done = run_cli("chat", "--local", "Hi", "--image", str(tmp_path / "no.png"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: There is no file")
    assert done.stderr.count("\n") == 1


async def test_tokens_reach_a_pipe_while_the_stream_continues() -> None:
    async with LocalServer() as server:
        server.script(Failure(stall_after=3))
        process = await start_cli("chat", "--base-url", server.url, "Hi")
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readexactly(13) == b"Happy to help"
        process.kill()
        await outcome(process)


def test_streamed_json_is_one_chunk_per_line() -> None:
    lines = run_cli("chat", "--local", "--json", "Hi").stdout.splitlines()
    chunks = [json.loads(line) for line in lines]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert "You asked: “Hi”" in text


def test_whole_json_is_the_completion() -> None:
    completion = json.loads(run_cli("chat", "--local", "--json", "--no-stream", "Hi").stdout)
    assert completion["object"] == "chat.completion"
    assert "You asked: “Hi”" in completion["choices"][0]["message"]["content"]


async def test_an_answer_that_was_cut_off_is_noted_on_stderr() -> None:
    async with LocalServer() as server:
        code, stdout, stderr = await ask(server, "Hi", "--max-tokens", "3")
    assert (code, stdout) == (0, "Happy to help\n")
    assert stderr == "note: The answer was cut off at the token limit.\n"


@pytest.mark.parametrize("way", ["--stream", "--no-stream"])
async def test_a_refusal_is_noted_on_stderr(way: str) -> None:
    async with LocalServer() as server:
        server.script(Reply(refusal="I would rather not."))
        code, _, stderr = await ask(server, "Hi", way)
    assert (code, stderr) == (0, "note: The model refused: I would rather not.\n")


async def test_a_missing_finish_reason_is_noted_as_null() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": None}
    async with LocalServer() as server:
        server.script(Failure(status=200, body={"id": "x", "choices": [choice]}))
        code, _, stderr = await ask(server, "Hi", "--no-stream")
    assert (code, stderr) == (0, "note: The answer has no text (finish_reason null).\n")


async def test_text_goes_into_a_pipe_as_it_is() -> None:
    async with LocalServer() as server:
        server.script(Reply("a\tb\x1b[31m\n"))
        assert await ask(server, "Hi") == (0, "a\tb\x1b[31m\n", "")


async def test_a_stream_that_breaks_keeps_its_text_and_fails() -> None:
    async with LocalServer() as server:
        server.script(Failure(cut_after=3))
        code, stdout, stderr = await ask(server, "Hi")
    assert (code, stdout) == (1, "Happy to help\n")
    assert stderr.startswith("error: The stream ended before the answer was complete.")
    assert "(request id: req_" in stderr


async def test_the_timeout_ends_a_stalled_stream() -> None:
    async with LocalServer() as server:
        server.script(Failure(stall_after=3))
        code, stdout, stderr = await ask(server, "Hi", "--timeout", "0.3")
    assert (code, stdout) == (1, "Happy to help\n")
    assert stderr.startswith("error: ")


def test_without_a_prompt_and_a_terminal_there_is_no_conversation() -> None:
    done = run_cli("chat", "--local", stdin=b"")
    assert done.returncode == 2
