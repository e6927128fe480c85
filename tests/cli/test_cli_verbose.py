"""`--verbose`: a line on stderr for each request."""

import re
import signal

import pytest

from openai_async import AsyncClient, NotFoundError
from openai_async.testing import LocalServer

from .cli_process import Terminal, outcome, start_cli
from .cli_thread import run_cli
from .test_cli_serve import served_url

REQUEST = r"POST /v1/chat/completions \S+: 200, stream read whole in .* \d+ tokens"


@pytest.mark.parametrize("flag", ["--verbose", "-v"])
async def test_the_requests_of_a_command_are_shown(flag: str) -> None:
    async with LocalServer() as server:
        process = await start_cli("chat", "Hello", "--base-url", server.url, flag)
        code, stdout, stderr = await outcome(process)
    assert code == 0
    assert "You asked" in stdout
    assert re.fullmatch(REQUEST + "\n", stderr)


async def test_a_failed_request_is_shown_before_the_error() -> None:
    async with LocalServer(strict_models=True) as server:
        arguments = ("chat", "Hello", "--model", "nope", "--base-url", server.url, "-v")
        code, _, stderr = await outcome(await start_cli(*arguments))
    assert code == 1
    lines = stderr.splitlines()
    assert lines[0].startswith("POST /v1/chat/completions nope: 404 NotFoundError in ")
    assert lines[1].startswith("error: ")


async def test_without_it_nothing_is_shown() -> None:
    async with LocalServer() as server:
        process = await start_cli("models", "--base-url", server.url)
        code, _, stderr = await outcome(process)
    assert (code, stderr) == (0, "")


async def test_serve_shows_the_requests_that_it_answers() -> None:
    process = await start_cli("serve", "--port", "0", "-v")
    async with AsyncClient(base_url=await served_url(process), api_key="local") as client:
        await client.models.list()
        with pytest.raises(NotFoundError):
            await client.request("GET", "/a%0Ab")
    process.send_signal(signal.SIGINT)
    code, _, stderr = await outcome(process)
    assert (code, stderr) == (0, "GET /v1/models: 200\nGET /v1/a%0Ab: 404\n")


def test_on_a_terminal_it_begins_a_line_of_its_own() -> None:
    with Terminal("chat", "Hello", "--local", "-v") as terminal:
        assert terminal.exit_code() == 0
        assert re.search(r"\.\r?\nPOST /v1/chat/completions", terminal.screen)


@pytest.mark.parametrize("command", ["demo", "models", "image", "batch", "serve"])
def test_every_command_has_it(command: str) -> None:
    assert "--verbose, -v: Show a line for each request on stderr." in " ".join(
        run_cli(command, "--help").stdout.split()
    )
