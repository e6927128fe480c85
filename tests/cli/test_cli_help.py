"""Help and version."""

import subprocess
import sys

import pytest

from openai_async import __version__

from .cli_process import PATIENCE, Terminal, environment, run_cli


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [(), ("demo",), ("models",), ("chat",), ("image",), ("serve",)])
def test_every_command_has_help(command: tuple[str, ...], flag: str) -> None:
    done = run_cli(*command, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(" ".join(["Usage: openai-async", *command]))
    assert not [character for character in done.stdout if character in "\x1b─│╭"]


def test_no_command_at_all_shows_help() -> None:
    done = run_cli()
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo" in done.stdout


def test_help_on_a_terminal_has_colours() -> None:
    with Terminal("--help") as terminal:
        assert terminal.exit_code() == 0
        assert "\x1b[" in terminal.screen


def test_version() -> None:
    assert run_cli("--version").stdout == f"{__version__}\n"


def test_help_loads_neither_the_server_nor_the_commands() -> None:
    code = (
        "import sys; from openai_async.cli import main; sys.argv[1:] = ['--help']; main()\n"
        "loaded = {'openai_async.testing', 'openai_async.cli.demo', 'PIL'} & sys.modules.keys()\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
