"""Help and version."""

import importlib.util
import json
import subprocess
import sys

import pytest

from openai_async import __version__
from openai_async.cli import main

from .cli_process import PATIENCE, Terminal, environment
from .cli_thread import run_cli


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    "command", [(), ("demo",), ("models",), ("chat",), ("image",), ("batch",), ("serve",)]
)
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


# What commands need, and what help and wrong usage must not import.
HEAVY = {
    *("aiohttp", "yarl", "cattrs", "PIL"),
    *("openai_async.client", "openai_async.types", "openai_async.testing"),
    *("openai_async.cli.demo", "openai_async.cli.images", "openai_async.cli.running"),
}


QUICK = [
    (["--help"], 0),
    (["chat", "--help"], 0),
    (["image", "--help"], 0),
    (["batch", "--help"], 0),
    (["--version"], 0),
    (["--nope"], 2),
    (["image"], 2),
    (["batch"], 2),
    (["chat", "--temperature", "hot"], 2),
    (["models", "--nope", "--json"], 2),
]


@pytest.fixture(scope="module")
def quick() -> list[tuple[int, list[str]]]:
    """The exit code of each, and all that has been imported by then.

    One process, one after the other: what one has imported is there for all that follow.
    """
    code = (
        "import json, sys; from openai_async.cli import main\n"
        f"for arguments, _ in {QUICK}:\n"
        "    sys.argv[1:] = arguments\n"
        "    print('\\n\\0', json.dumps((main(), list(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE,
        check=True,
    )
    return [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("\0")]


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [pytest.param(n, code, id=" ".join(said)) for n, (said, code) in enumerate(QUICK)],
)
def test_help_and_wrong_usage_load_nothing_they_do_not_need(
    quick: list[tuple[int, list[str]]], number: int, exit_code: int
) -> None:
    code, modules = quick[number]
    assert code == exit_code
    assert "openai_async.cli.app" in modules
    assert not HEAVY.intersection(modules)


@pytest.mark.parametrize(
    "missing", [["cyclopts"], ["rich"], ["cyclopts", "rich"]], ids=" and ".join
)
def test_without_its_extra_only_version_works_and_the_rest_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: list[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    monkeypatch.setattr(sys, "argv", ["openai-async", "--version"])
    assert main() == 0
    assert capsys.readouterr() == (f"{__version__}\n", "")
    for arguments in ([], ["--help"], ["chat", "--version"]):
        monkeypatch.setattr(sys, "argv", ["openai-async", *arguments])
        assert main() == 1
        needed = " and ".join(missing)
        hint = 'pip install "openai_async[cli]"'
        assert capsys.readouterr() == ("", f"error: The command line needs {needed}: {hint}\n")
