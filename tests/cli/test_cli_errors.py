"""What goes wrong: one line on stderr, the right exit code, never a traceback."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openai_async.cli.app import run
from openai_async.testing import Failure, LocalServer

from .cli_process import COMMAND, PATIENCE, environment, outcome, run_process
from .cli_thread import run_beside, run_cli

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    "command", [("models",), ("chat", "Hi"), ("image", "an otter", "-o", "otter.png")]
)
def test_the_error_for_a_missing_key_says_what_to_set(command: tuple[str, ...]) -> None:
    done = run_cli(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "export OPENAI_API_KEY=" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_key_is_reported_before_the_pipe_is_read() -> None:
    with subprocess.Popen(
        [*COMMAND, "chat"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.wait(PATIENCE) == 1


def test_no_server_is_one_line() -> None:
    done = run_cli("models", "--base-url", NOWHERE, "--api-key", "k")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Cannot connect to http://127.0.0.1:9")
    assert done.stderr.count("\n") == 1


def test_an_invalid_base_url_is_one_line() -> None:
    done = run_cli("models", "--base-url", "localhost", "--api-key", "k")
    assert done.returncode == 1
    assert "is not an http(s) URL" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "--local", "--base-url", NOWHERE), "--local and --base-url"),
        (("models", "--nope"), "--nope"),
        (("nope",), '"nope"'),
        (("image", "an otter"), "--output"),
        (("image", "x", "-o", "x", "--style", "wild"), '"wild"'),
        (("chat", "Hi", "--local", "--temperature", "hot"), 'unable to convert "hot"'),
        (("chat", "Hi", "--local", "--max-tokens", "0"), "--max-tokens"),
        (("chat", "Hi", "--local", "--timeout", "-1"), "--timeout"),
        (("serve", "--port", "65536"), "--port"),
        (("serve", "--tokens-per-second", "0"), "--tokens-per-second"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("batch - -o out.jsonl", "name files, because a run that is resumed"),
        ("batch --from-prompts - --model m -o out.jsonl", "name files"),
        ("batch in.jsonl -o -", "name files"),
        ("batch in.jsonl --output - --json", "name files"),
        ("chat -", "leave it out (text from a pipe is read anyway)"),
        ("chat Hi --image -", "name pictures by path or URL"),
        ("image otter -o -", "name a file"),
    ],
)
def test_a_dash_for_a_standard_stream_is_refused_with_what_to_do(command: str, said: str) -> None:
    done = run_cli(*command.split(), "--local", stdin=b"Hi")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`-` does not stand for standard input or output here: " in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_after_two_dashes_a_dash_is_a_prompt() -> None:
    assert "You asked: “-”" in run_cli("chat", "--local", "--", "-").stdout


@pytest.mark.parametrize(
    "command", ["chat Hi --local", "batch --from-prompts p.txt --model m -o out.jsonl --dry-run"]
)
def test_both_names_of_the_token_limit_are_refused_together(command: str) -> None:
    done = run_cli(*command.split(), "--max-tokens", "5", "--max-completion-tokens", "5")
    said = "--max-tokens and --max-completion-tokens are the same limit: pass one of them."
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


async def test_an_error_of_the_server_comes_with_its_request_id() -> None:
    async with LocalServer() as server:
        server.script(Failure(401))
        code, stdout, stderr = await run_beside("models", "--base-url", server.url)
    assert (code, stdout) == (1, "")
    assert stderr.startswith("error: HTTP 401: Incorrect API key provided.")
    assert "(request id: req_" in stderr
    assert stderr.count("\n") == 1


async def test_errors_are_json_for_machines() -> None:
    async with LocalServer() as server:
        server.script(Failure(400, message="No.", code="odd", type="invalid", param="model"))
        code, stdout, stderr = await run_beside("models", "--base-url", server.url, "--json")
    error = json.loads(stderr)["error"]
    assert (code, stdout) == (1, "")
    assert error.pop("request_id").startswith("req_")
    assert error == {
        "message": "HTTP 400: No.",
        "type": "invalid",
        "code": "odd",
        "param": "model",
        "status_code": 400,
    }


@pytest.mark.parametrize("wrong", [("--base-url", NOWHERE), ("--nope",), ()])
def test_every_error_is_json_for_machines(wrong: tuple[str, ...]) -> None:
    done = run_cli("models", "--json", *wrong)
    fields = json.loads(done.stderr)["error"].keys()
    assert fields == {"message", "type", "code", "param", "status_code", "request_id"}


@pytest.mark.parametrize(
    "command", [("demo", "--output"), ("models", "--local"), ("chat", "--local", "--json", "Hi")]
)
def test_a_reader_that_closes_the_pipe_early_is_not_an_error(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = (*command, str(tmp_path)) if command[0] == "demo" else command
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "models", "--local"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
    message = b"error: Cannot write the output: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_streams_that_were_closed_do_no_harm(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, "chat", "--local", "Hi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_characters_stdout_cannot_encode_are_replaced() -> None:
    env = environment(PYTHONIOENCODING="ascii", LC_ALL="C")
    done = run_process("chat", "--local", "Hi", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "You asked: ?Hi?" in done.stdout


def test_json_is_utf8_whatever_the_locale() -> None:
    env = environment(PYTHONIOENCODING="ascii", LC_ALL="C")
    done = run_process("chat", "--local", "--no-stream", "--json", "Hi", env=env)
    assert "“Hi”" in json.loads(done.stdout)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
async def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from openai_async.cli import main; sys.exit(main())"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "models"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    install = f'error: The command line needs {missing}: pip install "openai_async[cli]"\n'
    assert await outcome(process) == (1, "", install)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chat", "Hi", "there"], "'there': put quotes around a prompt of several words."),
        (["image", "an", "otter", "-o", "x"], "'otter': put quotes around a prompt"),
        (["models", "extra"], "'extra': leave it out."),
        (["batch", "in.jsonl", "extra", "-o", "x"], "'extra': leave it out."),
    ],
)
def test_quotes_are_suggested_only_where_there_is_a_prompt(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    assert f"error: Unexpected argument {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["batch", "in.jsonl"], "--output or -o is missing: the file for the results."),
        (["batch"], "--output or -o is missing: the file for the results."),
        (["image", "an otter"], "--output or -o is missing: the file to write."),
        (["image", "-o", "otter.png"], "PROMPT is missing: what to draw."),
        (["batch", "in.jsonl", "-o"], "-o needs a value."),
        (["chat", "Hi", "--model"], "--model needs a value."),
    ],
)
def test_what_is_missing_is_named_with_what_it_is_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"error: {said}\n"
