"""`openai-async demo`."""

import json
import subprocess
from pathlib import Path

import pytest

from openai_async.cli.demo import PICTURE

from .cli_process import REPOSITORY, Terminal, run_process
from .cli_thread import run_cli

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_cli("demo", "--output", str(tmp_path_factory.mktemp("demo")))


def test_demo_succeeds_and_complains_of_nothing(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")


@pytest.mark.parametrize(
    "shown",
    [
        "gpt-4o-mini\tsystem\t2024-07-16\n",
        "You asked: “Why do cats purr?”",
        "what do they dream of?” I read",
        "You showed me a JPEG picture, 300 x 200 pixels, mostly brown.",
        f"{PICTURE} (",
        "step\trequest id\ttokens\tms\tattempts\nmodels\treq_",
        "export OPENAI_API_KEY=...\n  openai-async chat\n",
    ],
)
def test_demo_shows_each_step(demo: subprocess.CompletedProcess[str], shown: str) -> None:
    assert shown in demo.stdout


def test_piped_demo_holds_no_control_codes_and_no_borders(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert not [character for character in demo.stdout if character in "\x1b\r─│┃━╭"]


def test_demo_saves_a_real_png_in_the_current_directory(tmp_path: Path) -> None:
    run_cli("demo", cwd=tmp_path)
    assert (tmp_path / PICTURE).read_bytes().startswith(PNG)


def test_demo_json_is_one_object_per_step(tmp_path: Path) -> None:
    lines = run_cli("demo", "--json", "--output", str(tmp_path)).stdout.splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == ["models", "chat", "stream", "vision", "image"]
    assert all(step["request_id"].startswith("req_") and step["attempts"] == 1 for step in steps)
    assert steps[4]["result"]["size"] == (tmp_path / PICTURE).stat().st_size


def test_demo_needs_no_environment(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(REPOSITORY)}
    done = run_process("demo", "--output", str(tmp_path), env=env)
    assert (done.returncode, done.stderr) == (0, "")


def test_demo_into_a_missing_directory_is_a_usage_error(tmp_path: Path) -> None:
    done = run_cli("demo", "--output", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "There is no directory" in done.stderr
    assert done.stdout == ""


def test_demo_on_a_terminal_has_colours_and_tables(tmp_path: Path) -> None:
    with Terminal("demo", "--output", str(tmp_path)) as terminal:
        assert terminal.exit_code() == 0
        assert "\x1b[1;36m1. List the models" in terminal.screen
        assert "────" in terminal.screen
